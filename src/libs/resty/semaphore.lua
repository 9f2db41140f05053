-- `ngx.semaphore`: units that handlers of one worker post and wait for.

local ops, take = require("moongate.ops").semaphore, require("moongate.ops").vm.take
local cdata, running = require "moongate.cdata", require "moongate.running"

local id = cdata.id
local wrap, is_semaphore = cdata.kind("moongate_semaphore")
local type, error, tonumber, setmetatable = type, error, tonumber, setmetatable

local M = { version = "0.1.28" }
local mt = { __index = M }

--- A semaphore with `n` units.
function M.new(n)
  n = tonumber(n) or 0
  if n < 0 then
    error("no negative number", 2)
  end
  return setmetatable({ sem = wrap(ops.new(n)) }, mt)
end

--- Takes a unit, waiting for one up to `seconds`: true, or a false value and why not.
function M:wait(seconds)
  if type(self) ~= "table" or not is_semaphore(self.sem) then
    error("not a semaphore instance", 2)
  elseif running[1] == 0 then
    error("no request found", 2)
  end
  local ms = tonumber(seconds) * 1000
  if ms < 0 then
    error("no negative number", 2)
  end
  local sem = self.sem
  local ok, err = ops.wait(id(sem), ms)
  if ok then
    return true
  elseif err == nil then
    ok, err = take()
  end
  return ok, err
end

--- Adds `n` units (1 if not given), waking those who wait.
function M:post(n)
  if type(self) ~= "table" or not is_semaphore(self.sem) then
    error("not a semaphore instance", 2)
  end
  n = n and tonumber(n) or 1
  if n < 1 then
    error("positive number required", 2)
  end
  return ops.post(id(self.sem), n)
end

--- The units at hand, or those who wait as a negative number.
function M:count()
  if type(self) ~= "table" or not is_semaphore(self.sem) then
    error("not a semaphore instance", 2)
  end
  return ops.count(id(self.sem))
end

return M
