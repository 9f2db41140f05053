-- Counts requests per consumer in fixed windows.
local kong = kong
local floor, time = math.floor, ngx.time
local counters = ngx.shared.counters

local RateLimit = { PRIORITY = 910, VERSION = "1.0.0" }

function RateLimit:access(conf)
  local shared = kong.ctx.shared
  local window = floor(time() / conf.window)
  local n = counters:incr(shared.consumer .. ":" .. window, 1, 0, conf.window)
  if n > conf.limit then
    return kong.response.exit(429)
  end
  shared.remaining = conf.limit - n
end

return RateLimit
