-- ngx.now and the other clocks, ngx.sleep.

local ngx = ...
local ops = require("moongate.ops")
local sleep, take = ops.ngx_time.sleep, ops.vm.take

local time = ops.ngx_time
local native = require "moongate.native"
local c_now, reply, floor = native.ngx_time.now, native.reply, math.floor

for _, name in ipairs({ "today", "localtime", "utctime" }) do
  ngx[name] = time[name]
end

local function now()
  return c_now(nil, 0, nil, 0, reply, 0, 0, 0, 0) == 0 and reply.number or time.now()
end

ngx.now = now

function ngx.time()
  return floor(now())
end

for _, name in ipairs({ "http_time", "cookie_time" }) do
  local format = time[name]
  ngx[name] = function(seconds)
    if type(seconds) ~= "number" then
      error("number argument only", 2)
    end
    return format(seconds)
  end
end

local parse_http_time = time.parse_http_time

function ngx.parse_http_time(text)
  if type(text) ~= "string" then
    error("string argument only", 2)
  end
  return parse_http_time(text)
end

-- the clock is read at each call; nothing to refresh
function ngx.update_time()
end

function ngx.sleep(seconds)
  sleep(seconds)
  return take()
end
