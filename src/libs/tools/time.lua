-- `kong.tools.time`: clocks in the units plugins want.

local ops = require("moongate.ops").libs

local M = {}

--- Nanoseconds since the epoch.
M.time_ns = ops.time_ns

--- Seconds of an nginx duration ("1m30s").
function M.nginx_conf_time_to_seconds(str)
  local units = { y = 31536000, M = 2592000, w = 604800, d = 86400, h = 3600, m = 60, s = 1 }
  local rest = tostring(str):gsub("%s", "")
  local total, seen = 0, rest ~= ""
  while rest ~= "" do
    local n, unit, after = rest:match("^(%d+)(%a?)(.*)$")
    if not n or (unit ~= "" and not units[unit]) then
      seen = false
      break
    end
    total = total + tonumber(n) * (units[unit] or 1)
    rest = after
  end
  if not seen then
    error("bad argument #1 'str'", 2)
  end
  return total
end

function M.get_updated_now()
  ngx.update_time()
  return ngx.now()
end

function M.get_now_ms()
  return ngx.now() * 1000
end

function M.get_updated_now_ms()
  ngx.update_time()
  return ngx.now() * 1000
end

function M.get_start_time_ms()
  return ngx.req.start_time() * 1000
end

--- Milliseconds of a clock that never goes back.
M.get_updated_monotonic_ms = ops.monotonic_ms

return M
