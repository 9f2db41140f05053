-- `ngx.errlog`: the level, lines as they are, and the lines that the worker captured.

local log = require "moongate.ngx.log"
local ops = require("moongate.ops").ngx_log
local captured, capture_filter = ops.captured, ops.capture_filter
local error, type, tonumber = error, type, tonumber

local M = { version = "0.1.31" }

function M.set_filter_level(level)
  if not level then
    return nil, 'missing "level" argument'
  end
  if type(level) ~= "number" then
    error("bad argument #1 to 'set_filter_level' (cannot convert '" .. type(level) .. "' to 'int')", 2)
  end
  return capture_filter(level)
end

-- Level, time and text of up to `max` lines, one after the other, in a new table or the one given.
function M.get_logs(max, logs)
  logs = logs or {}
  local at = 0
  for _ = 1, max or 10 do
    local level, time, text = captured()
    if level == nil then
      return nil, time
    elseif not level then
      break
    end
    logs[at + 1], logs[at + 2], logs[at + 3] = level, time, text
    at = at + 3
  end
  if not max or max >= 1 then
    logs[at + 1] = nil
  end
  return logs
end

function M.get_sys_filter_level()
  return tonumber(log.get_level())
end

function M.raw_log(level, msg)
  if type(level) ~= "number" then
    error("bad argument #1 to 'raw_log' (must be a number)", 2)
  elseif type(msg) ~= "string" then
    error("bad argument #2 to 'raw_log' (must be a string)", 2)
  elseif level < 0 or level >= 9 then
    error("bad log level", 2)
  end
  log.write(level, msg)
end

return M
