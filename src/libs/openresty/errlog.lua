-- `ngx.errlog`: the level, lines as they are; capturing needs a directive that isn't there.

local log = require "moongate.ngx.log"
local error, type, tonumber = error, type, tonumber

local M = { version = "0.1.31" }

local NOT_SET = 'directive "lua_capture_error_log" is not set'

function M.set_filter_level(level)
  if not level then
    return nil, 'missing "level" argument'
  end
  return nil, NOT_SET
end

function M.get_logs()
  return nil, NOT_SET
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
