-- ngx.now and the other clocks, ngx.sleep. The clock stands still between two waits, but for ngx.update_time.

local ngx = ...
local ops = require("moongate.ops")
local sleep, take = ops.ngx_time.sleep, ops.vm.take

local time = ops.ngx_time
local native = require "moongate.native"
local c_now, reply, floor = native.ngx_time.now, native.reply, math.floor

local running = require "moongate.running"

local function clock()
  return c_now(nil, 0, nil, 0, reply, 0, 0, 0, 0) == 0 and reply.number or time.now()
end

-- the fifth of what runs now: the time that was told in this turn, 0 before it was, false where there are no turns
local function now()
  local told = running[5]
  if told then
    if told == 0 then
      told = clock()
      running[5] = told
    end
    return told
  end
  return clock()
end

ngx.now = now

function ngx.time()
  return floor(now())
end

function ngx.update_time()
  if running[5] then
    running[5] = clock()
  end
end

for _, name in ipairs({ "today", "localtime", "utctime" }) do
  local format = time[name]
  ngx[name] = function()
    return format(now())
  end
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

function ngx.sleep(seconds)
  sleep(seconds)
  return take()
end
