-- resty.lock: locks by name in a shared dictionary.
--
-- Who waits is woken by the unlock, so `step`, `ratio` and `max_step` are taken and mean nothing.

local turn = require("moongate.cache.turn")
local shared, setmetatable = ngx.shared, setmetatable

local M = { _VERSION = "0.09" }
local mt = { __index = M }

--- A lock in the dictionary `dict_name`; `opts` has `exptime` (30 s) and `timeout` (5 s).
function M.new(_, dict_name, opts)
  if not shared[dict_name] then
    return nil, "dictionary not found"
  end
  local timeout, exptime = turn.limits(opts)
  return setmetatable({ dict = turn.open(dict_name), timeout = timeout, exptime = exptime }, mt)
end

--- Waits for the lock `key`; the seconds it took, or `nil, err`.
function M:lock(key, exptime)
  if not key then
    return nil, "nil key"
  elseif self.held then
    return nil, "locked"
  end
  exptime = exptime or self.exptime
  local held, elapsed = turn.await(self.dict, tostring(key), exptime, math.min(self.timeout, exptime))
  if not held then
    return nil, elapsed
  end
  self.held = held
  return elapsed
end

--- Gives the lock back: 1, or `nil, "unlocked"`.
function M:unlock()
  local held = self.held
  if not held then
    return nil, "unlocked"
  end
  self.held = nil
  turn.give_back(held)
  return 1
end

--- Lets the lock live for `time` seconds from now, or for its exptime again.
function M:expire(time)
  if not self.held then
    return nil, "unlocked"
  end
  if not turn.extend(self.held, time or self.exptime) then
    return nil, "unlocked"
  end
  return true
end

return M
