-- Spies: callables that record their calls and pass them on, and the assertions on them.

local assert = require("luassert.assert")
local util = require("luassert.util")

local spy = {}
local spy_mt = {}
local methods = {}

local function record_returns(self, ...)
  table.insert(self.returnvals, util.copyargs(util.make_arglist(...)))
  return ...
end

function spy_mt.__call(self, ...)
  table.insert(self.calls, util.copyargs(util.make_arglist(...)))
  return record_returns(self, self.callback(...))
end

-- Puts the original back where `spy.on` found it.
function methods:revert()
  if not self.reverted then
    if self.target_table and self.target_key ~= nil then
      self.target_table[self.target_key] = self.callback
    end
    self.reverted = true
  end
  return self.callback
end

function methods:clear()
  self.calls = {}
  self.returnvals = {}
  return self
end

function methods:called(times, compare)
  local count = #self.calls
  if compare then
    return compare(count, times), count
  elseif times then
    return count == times, count
  end
  return count > 0, count
end

local function find(recorded, expected)
  local entry = util.matchargs(recorded, expected)
  if entry then
    return true, entry.vals
  end
  local latest = recorded[#recorded]
  return false, latest and latest.vals
end

function methods:called_with(expected)
  return find(self.calls, expected)
end

function methods:returned_with(expected)
  return find(self.returnvals, expected)
end

function spy.new(callback)
  callback = callback or function() end
  if not util.callable(callback) then
    error("Cannot spy on type '" .. type(callback) .. "', only on functions or callable elements", util.errorlevel())
  end
  local new = setmetatable({ calls = {}, returnvals = {}, callback = callback }, spy_mt)
  -- Methods are fields of each spy: specs replace and inspect them.
  for name, method in pairs(methods) do
    new[name] = method
  end
  assert:add_spy(new)
  return new
end

function spy.is_spy(value)
  return type(value) == "table" and getmetatable(value) == spy_mt
end

-- Replaces `target[key]` by a spy on it.
function spy.on(target, key)
  local new = spy.new(target[key])
  target[key] = new
  new.target_table = target
  new.target_key = key
  return new
end

local function set_payload(state, arguments)
  if not arguments then return end
  state.payload = arguments[1]
  if arguments[2] ~= nil then
    state.failure_message = arguments[2]
  end
end

-- `called_with` and `returned_with`: the message shows both lists.
local function list_assertion(name)
  return function(state, arguments, level)
    local payload = rawget(state, "payload")
    if not (payload and payload[name]) then
      error("'" .. name .. "' must be chained after 'spy(aspy)'", (level or 1) + 1)
    end
    local expected = util.shallowcopy(arguments)
    local holds, found = payload[name](payload, arguments)
    util.cleararglist(arguments)
    util.tinsert(arguments, 1, found)
    util.tinsert(arguments, 2, expected)
    return holds
  end
end

local function count_assertion(compare)
  return function(state, arguments, level)
    local times = arguments[1]
    if not times and not state.mod then
      -- "was not called" means zero times.
      state.mod = true
      times = 0
    end
    local payload = rawget(state, "payload")
    if type(payload) == "function" then
      error("When calling 'spy(aspy)', 'aspy' must not be the original function, "
        .. "but the spy function replacing the original", (level or 1) + 1)
    elseif type(payload) ~= "table" or not payload.called then
      error("'called' must be chained after 'spy(aspy)'", (level or 1) + 1)
    end
    local holds, count = payload:called(times, compare)
    arguments[1] = tostring(times or ">0")
    util.tinsert(arguments, 2, tostring(count))
    arguments.nofmt = { true, true }
    return holds
  end
end

local function register(name, callback, negative)
  assert:register("assertion", name, callback, "assertion." .. name .. ".positive", "assertion." .. negative)
end

assert:register("modifier", "spy", set_payload)
register("called_with", list_assertion("called_with"), "called_with.negative")
register("returned_with", list_assertion("returned_with"), "returned_with.negative")
register("called", count_assertion(), "called.negative")
register("called_at_least", count_assertion(function(n, want) return n >= want end), "called_less_than.positive")
register("called_at_most", count_assertion(function(n, want) return n <= want end), "called_more_than.positive")
register("called_more_than", count_assertion(function(n, want) return n > want end), "called_at_most.positive")
register("called_less_than", count_assertion(function(n, want) return n < want end), "called_at_least.positive")

return setmetatable(spy, {
  __call = function(_, ...)
    return spy.new(...)
  end,
})
