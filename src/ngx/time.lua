-- ngx.now and the other clocks, ngx.sleep. The clock stands still between two waits, but for ngx.update_time.

local ngx = ...
local ops = require("moongate.ops")
local sleep, take = ops.ngx_time.sleep, ops.vm.take

local time = ops.ngx_time
local native = require "moongate.native"
local c_now, reply, floor = native.ngx_time.now, native.reply, math.floor
local c_clock, c_http, c_parse = native.ngx_time.clock, native.ngx_time.http, native.ngx_time.parse
local bytes, ffi_string, type, error = native.bytes, require("ffi").string, type, error
local NONE = -1

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

for i, name in ipairs({ "today", "localtime", "utctime" }) do
  local op = time[name]
  ngx[name] = function()
    local at = now()
    local n = c_clock(nil, 0, nil, 0, reply, i - 1, at, 0, 0)
    return n >= 0 and ffi_string(bytes, n) or (op(at))
  end
end

for i, name in ipairs({ "http_time", "cookie_time" }) do
  local op = time[name]
  ngx[name] = function(seconds)
    if type(seconds) ~= "number" then
      error("number argument only", 2)
    end
    local n = c_http(nil, 0, nil, 0, reply, i - 1, seconds, 0, 0)
    return n >= 0 and ffi_string(bytes, n) or (op(seconds))
  end
end

local parse_http_time = time.parse_http_time

function ngx.parse_http_time(text)
  if type(text) ~= "string" then
    error("string argument only", 2)
  end
  local n = c_parse(text, #text, nil, 0, reply, 0, 0, 0, 0)
  if n == 0 then
    return reply.number
  elseif n == NONE then
    return nil
  end
  return (parse_http_time(text))
end

function ngx.sleep(seconds)
  sleep(seconds)
  return take()
end
