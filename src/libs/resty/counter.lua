-- `resty.counter`: counters in a shared dictionary that every worker adds to in memory and brings there at
-- intervals.

local clear = require "table.clear"

local setmetatable, tonumber, tostring, pairs = setmetatable, tonumber, tostring, pairs

local M = { _VERSION = "0.2.1" }
local mt = { __index = M }

-- by dictionary: what is still to be added, and whether a timer brings it
local waiting, timed = {}, {}

local function flush(_, self)
  local fine = true
  for key, step in pairs(self.increments) do
    local _, err = self.dict:incr(key, step, 0)
    if err then
      ngx.log(ngx.WARN, "error increasing counter in shdict key: ", key, ", err: ", err)
      fine = false
    end
  end
  clear(self.increments)
  return fine
end

--- Counters of a dictionary. Objects of the same dictionary share what waits in this worker.
-- @param interval seconds between two synchronisations, or nil when the caller calls `sync`
function M.new(name, interval)
  local dict = name and ngx.shared[name]
  if not dict then
    return nil, 'shared dict "' .. tostring(name) .. '" not defined'
  end
  waiting[name] = waiting[name] or {}
  local self = setmetatable({ dict = dict, increments = waiting[name] }, mt)
  if interval then
    interval = tonumber(interval)
    if not interval or interval < 0 then
      return nil, "expect sync_interval to be a positive number"
    elseif not timed[name] then
      timed[name] = true
      ngx.timer.every(interval, flush, self)
    end
  end
  return self
end

--- Adds what waits in this worker to the dictionary.
function M:sync()
  return flush(false, self)
end

function M:incr(key, step)
  self.increments[key] = (self.increments[key] or 0) + (step or 1)
  return true
end

--- Takes `number` off what the dictionary has.
function M:reset(key, number)
  if not number then
    return nil, "expect a number at #2"
  end
  return self.dict:incr(key, -number, number)
end

--- What the dictionary has: without what still waits.
function M:get(key)
  return self.dict:get(key)
end

function M:get_keys(max)
  return self.dict:get_keys(max)
end

return M
