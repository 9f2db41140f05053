-- `resty.kong.log`: the level of the error log in this worker, changed while it runs.

local log = package.loaded["moongate.ngx.log"]

local M = {}
local configured = log.get_level()
local until_when, turn = 0, 0

--- The level now, for how many seconds more it differs from the configured one, and the configured one.
function M.get_log_level()
  local left = until_when == 0 and 0 or math.max(until_when - ngx.now(), 0)
  return log.get_level(), left, configured
end

--- Sets the level; for `timeout` seconds, or for good if that is 0.
function M.set_log_level(level, timeout)
  if type(level) ~= "number" or level < ngx.STDERR or level > ngx.DEBUG then
    error("bad argument #1 to 'set_log_level' (invalid log level)", 2)
  elseif type(timeout) ~= "number" or timeout < 0 then
    error("bad argument #2 to 'set_log_level' (timeout must be greater than or equal to 0)", 2)
  end
  turn = turn + 1
  log.set_level(level)
  if timeout == 0 then
    configured, until_when = level, 0
    return true
  end
  local mine = turn
  until_when = ngx.now() + timeout
  ngx.timer.at(timeout, function()
    if turn == mine then
      until_when = 0
      log.set_level(configured)
    end
  end)
  return true
end

return M
