-- get_bulk: many keys in one call. The callbacks of the missing ones run one after the other: `concurrency`
-- is checked, and has no say.

local callback = require("moongate.cache.callback")
local options = require("moongate.cache.options")
local tiers = require("moongate.cache.tiers")
local new_tab = require("table.new")

local of_call, look, MISS = options.of_call, tiers.look, tiers.MISS
local type, error, setmetatable = type, error, setmetatable

local M = {}

local methods = {}
methods.__index = methods

--- A list of operations, with room for `count` of them.
function M.new(count)
  local list = new_tab((count or 2) * 4, 1)
  list.n = 0
  return setmetatable(list, methods)
end

function methods:add(key, opts, cb, arg)
  local at = self.n * 4
  self[at + 1], self[at + 2], self[at + 3], self[at + 4] = key, opts, cb, arg
  self.n = self.n + 1
end

local function next_result(res, i)
  local at = i * 3 + 1
  if at <= res.n then
    return i + 1, res[at], res[at + 1], res[at + 2]
  end
end

--- Iterates over what get_bulk returned: index, value, err, hit level.
function M.each(res)
  if not res.n then
    error("res must have res.n field; is this a get_bulk() result?", 2)
  end
  return next_result, res, 0
end

local function fault_of(bulk, opts)
  if type(bulk) ~= "table" then
    return "bulk must be a table"
  elseif not bulk.n then
    return "bulk must have n field"
  elseif not opts then
    return nil
  elseif type(opts) ~= "table" then
    return "opts must be a table"
  end
  local concurrency = opts.concurrency
  if concurrency and type(concurrency) ~= "number" then
    return "opts.concurrency must be a number"
  elseif concurrency and concurrency <= 0 then
    return "opts.concurrency must be > 0"
  end
end

local function fault_of_operation(n, key, cb)
  local at = (n - 1) * 4 + 1
  if type(key) ~= "string" then
    return "key at index " .. at .. " must be a string for operation " .. n .. " (got " .. type(key) .. ")"
  elseif type(cb) ~= "function" then
    return "callback at index " .. at + 2 .. " must be a function for operation " .. n .. " (got "
      .. type(cb) .. ")"
  end
end

-- One operation: value, err, hit level; or, for a callback that has to run, what it runs with.
local function from_tiers(self, n, key, opts)
  local value = self.lru:get(key)
  if value ~= nil then
    return value, nil, 1
  end
  local fault, ttl, neg_ttl, resurrect_ttl, serializer, tries = of_call(self, opts)
  if fault then
    error("options at index " .. (n - 1) * 4 + 2 .. " for operation " .. n .. " are invalid: " .. fault, 3)
  end
  local err, stale, resurrected
  value, err, stale, resurrected = look(self, key, self.name .. key, serializer)
  if err then
    return nil, err
  elseif value ~= nil and not stale then
    return value, nil, resurrected and 4 or 2
  end
  return nil, nil, nil, {
    key = key, old = stale and { value = value } or nil, ttl = ttl, neg_ttl = neg_ttl,
    resurrect_ttl = resurrect_ttl, serializer = serializer, tries = tries,
  }
end

--- The values of all operations of `bulk`, { key, opts, cb, arg, ... } with `n` = how many operations.
-- @return { value, err, hit level, ... } with `n` = three times as many
function M.get(self, bulk, opts)
  local fault = fault_of(bulk, opts)
  if fault then
    error(fault, 2)
  end
  local log = self.follows
  if log and log.cell[0] ~= log.seen then
    log:poll()
  end
  local count = bulk.n
  local res = new_tab(count * 3, 1)
  local missing
  for n = 1, count do
    local at, into = (n - 1) * 4, (n - 1) * 3
    local key, cb = bulk[at + 1], bulk[at + 3]
    fault = fault_of_operation(n, key, cb)
    if fault then
      error(fault, 2)
    end
    local value, err, level, task = from_tiers(self, n, key, bulk[at + 2])
    if task then
      task.cb, task.arg, task.into = cb, bulk[at + 4], into
      missing = missing or {}
      missing[#missing + 1] = task
    end
    if value ~= MISS then
      res[into + 1] = value
    end
    res[into + 2], res[into + 3] = err, level
  end
  for i = 1, missing and #missing or 0 do
    local t = missing[i]
    local into = t.into
    res[into + 1], res[into + 2], res[into + 3] = callback.run(self, t.key, self.name .. t.key, t.old, t.ttl,
      t.neg_ttl, t.resurrect_ttl, t.serializer, t.tries, t.cb, t.arg)
  end
  res.n = count * 3
  return res
end

return M
