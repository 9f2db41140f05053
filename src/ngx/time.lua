-- ngx.now and the other clocks, ngx.sleep.

local ngx = ...
local ops = require("moongate.ops")
local sleep, take = ops.ngx_time.sleep, ops.vm.take

for _, name in ipairs({ "now", "time", "today", "localtime", "utctime", "http_time", "cookie_time",
                        "parse_http_time" }) do
  ngx[name] = ops.ngx_time[name]
end

-- the clock is read at each call; nothing to refresh
function ngx.update_time()
end

function ngx.sleep(seconds)
  sleep(seconds)
  return take()
end
