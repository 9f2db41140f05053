-- Stubs: spies that answer instead of the original.

local assert = require("luassert.assert")
local spy = require("luassert.spy")
local util = require("luassert.util")

local unpack = util.unpack

local stub = {}

-- The answers of one stub: a default, and those for particular arguments.
local function answers(...)
  local canned = util.pack(...)
  local default = canned.n == 1 and util.callable(canned[1]) and canned[1]
    or function() return unpack(canned) end
  return { default = default, oncalls = {}, actions = {} }
end

local function answer(self, ...)
  local oncall = util.matchoncalls(self.oncalls, util.make_arglist(...))
  if oncall then
    return self.actions[oncall](...)
  end
  return self.default(...)
end

local function returning(...)
  local values = util.pack(...)
  return function() return unpack(values) end
end

local function invoking(func)
  return function(...) return func(...) end
end

local function add_chain(new, given)
  function new.returns(...)
    given.default = returning(...)
    return new
  end

  function new.invokes(func)
    given.default = invoking(func)
    return new
  end

  new.by_default = { returns = new.returns, invokes = new.invokes }

  function new.on_call_with(...)
    local oncall = util.copyargs(util.make_arglist(...))
    local function add(action)
      table.insert(given.oncalls, oncall)
      given.actions[oncall] = action
      return new
    end
    return {
      returns = function(...) return add(returning(...)) end,
      invokes = function(func) return add(invoking(func)) end,
    }
  end
end

-- stub.new() is free-standing; stub.new(object, key, ...) replaces object[key] and
-- answers with the given values, or by calling a single given function.
function stub.new(object, key, ...)
  if object == nil and key == nil then
    object, key = {}, ""
  end
  local level = assert:level(util.errorlevel())
  assert(type(object) == "table" and key ~= nil,
    "stub.new(): Can only create stub on a table key, call with 2 params; table, key", level)
  assert(object[key] == nil or util.callable(object[key]),
    "stub.new(): The element for which to create a stub must either be callable, or be nil", level)

  local original = object[key]
  local given = answers(...)
  object[key] = function(...) return answer(given, ...) end

  local new = spy.on(object, key)
  function new.revert(self)
    if not self.reverted then
      object[key] = original
      self.reverted = true
    end
    return original
  end
  add_chain(new, given)
  return new
end

assert:register("modifier", "stub", function(state, arguments)
  if not arguments then return end
  state.payload = arguments[1]
  state.failure_message = arguments[2]
end)

return setmetatable(stub, {
  __call = function(_, ...)
    return stub.new(...)
  end,
})
