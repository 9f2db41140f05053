-- `ngx.semaphore`: units that handlers of one worker post and wait for.

local ops, take = require("moongate.ops").semaphore, require("moongate.ops").vm.take

local M = { version = "0.1" }
M.__index = M

--- A semaphore with `n` units.
function M.new(n)
  n = tonumber(n) or 0
  if n < 0 then
    error("no negative number", 2)
  end
  local id = ops.new(n)
  -- a table has no finalizer of its own here
  local guard = newproxy(true)
  getmetatable(guard).__gc = function() ops.free(id) end
  return setmetatable({ id = id, guard = guard }, M)
end

--- Takes a unit, waiting for one up to `seconds`: true, or nil and "timeout".
function M:wait(seconds)
  if type(self) ~= "table" or not self.id then
    error("not a semaphore instance", 2)
  end
  seconds = tonumber(seconds) or 0
  if seconds < 0 then
    error("no negative number", 2)
  end
  local taken = ops.wait(self.id, seconds)
  if taken == nil then
    taken = take()
  end
  if taken then
    return true
  end
  return nil, "timeout"
end

--- Adds `n` units (1 if not given), waking those who wait.
function M:post(n)
  if type(self) ~= "table" or not self.id then
    error("not a semaphore instance", 2)
  end
  n = n and tonumber(n) or 1
  if n < 1 then
    error("positive number required", 2)
  end
  return ops.post(self.id, n)
end

--- The units at hand, or those who wait as a negative number.
function M:count()
  if type(self) ~= "table" or not self.id then
    error("not a semaphore instance", 2)
  end
  return ops.count(self.id)
end

return M
