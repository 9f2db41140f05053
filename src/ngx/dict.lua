-- ngx.shared.DICT. A dictionary is a table whose first item is a userdata that stands for it, as in OpenResty.
-- Natives do what is asked most; what they leave (refusals, flags, long values) and the rest are the ops'.

local ngx = ...
local ops = require("moongate.ops").ngx_dict
local native = require "moongate.native"
local get, get_stale, put, delete, incr = ops.get, ops.get_stale, ops.put, ops.delete, ops.incr
local c, reply, bytes, ffi_string = native.ngx_dict, native.reply, native.bytes, require("ffi").string
local c_get, c_put_number, c_put_text, c_incr = c.get, c.put_number, c.put_text, c.incr
local c_delete, c_ttl, c_expire = c.delete, c.ttl, c.expire
local type, error, tonumber, tostring, select = type, error, tonumber, tostring, select
local getinfo = debug.getinfo

-- what a native answers, and what it is told beside a dictionary's number
local NONE, NUMBER, TRUE, FALSE = -1, -3, -4, -5
local ADD, REPLACE, EVICT, INIT = 0x10000, 0x20000, 0x40000, 0x80000
local LONGEST = 65535

local methods = {}
methods.__index = methods

-- the number of a dictionary by its userdata
local numbers = {}

local function zone(dict)
  local n = type(dict) == "table" and numbers[dict[1]]
  if not n then
    error('bad "zone" argument', 3)
  end
  return n
end

-- A key as a string, or nil and what is wrong with it.
local function key_of(key)
  if type(key) ~= "string" then
    if key == nil then
      return nil, "nil key"
    end
    key = tostring(key)
  end
  local len = #key
  if len == 0 then
    return nil, "empty key"
  elseif len > LONGEST then
    return nil, "key too long"
  end
  return key
end

function methods.get(dict, key)
  local n = zone(dict)
  if type(key) == "string" and key ~= "" and #key <= LONGEST then
    local got = c_get(key, #key, nil, 0, reply, n, 0, 0, 0)
    if got >= 0 then
      return ffi_string(bytes, got)
    elseif got == NONE then
      return nil
    elseif got == NUMBER then
      return reply.number
    elseif got == TRUE or got == FALSE then
      return got == TRUE
    end
  end
  local text, err = key_of(key)
  if not text then
    return nil, err
  end
  return get(n, text)
end

function methods.get_stale(dict, key)
  local n = zone(dict)
  local text, err = key_of(key)
  if not text then
    return nil, err
  end
  return get_stale(n, text)
end

local function writer(mode, evict)
  local how = (mode == 1 and ADD or mode == 2 and REPLACE or 0) + (evict and EVICT or 0)
  return function(dict, key, value, exptime, flags)
    local n = zone(dict)
    if not exptime then
      exptime = 0
    elseif exptime < 0 then
      error('bad "exptime" argument', 2)
    end
    if not flags and type(exptime) == "number" and type(key) == "string" and key ~= "" and #key <= LONGEST then
      local kind, done = type(value), nil
      if kind == "number" then
        done = c_put_number(key, #key, nil, 0, reply, n + how, value, exptime, 0)
      elseif kind == "string" then
        done = c_put_text(key, #key, value, #value, reply, n + how, 0, exptime, 0)
      end
      if done == 0 then
        return true, nil, false
      elseif done == 1 then
        return true, nil, true
      end
    end
    local text, err = key_of(key)
    if not text then
      return nil, err
    end
    if value == nil then
      if mode ~= 0 then
        return false, "attempt to add or replace nil values", false
      end
      return delete(n, text)
    end
    if flags and type(flags) ~= "number" then
      error("bad argument #10 to '?' (cannot convert '" .. type(flags) .. "' to 'int')", 2)
    end
    return put(n, text, value, exptime * 1, flags or 0, mode, evict)
  end
end

methods.set = writer(0, true)
methods.safe_set = writer(0, false)
methods.add = writer(1, true)
methods.safe_add = writer(1, false)
methods.replace = writer(2, true)

function methods.delete(dict, key)
  local n = zone(dict)
  local text, err = key_of(key)
  if not text then
    return nil, err
  end
  if c_delete(text, #text, nil, 0, reply, n, 0, 0, 0) == 0 then
    return true, nil, false
  end
  return delete(n, text)
end

local function to_number(value, name)
  local n = tonumber(value)
  if not n then
    error("bad " .. name .. " arg: number expected, got " .. type(value), 3)
  end
  return n
end

function methods.incr(dict, key, value, init, init_ttl)
  local n = zone(dict)
  if type(value) == "number" and type(key) == "string" and key ~= "" and #key <= LONGEST then
    if not init and init_ttl == nil then
      if c_incr(key, #key, nil, 0, reply, n, value, 0, 0) == 0 then
        return reply.number
      end
    elseif type(init) == "number" and (init_ttl == nil or type(init_ttl) == "number" and init_ttl >= 0) then
      local done = c_incr(key, #key, nil, 0, reply, n + INIT, value, init, init_ttl or 0)
      if done >= 0 then
        return reply.number, nil, done == 1
      end
    end
  end
  local text, err = key_of(key)
  if not text then
    return nil, err
  end
  if type(value) ~= "number" then
    value = tonumber(value)
    if not value then
      error("cannot convert 'nil' to 'double'", 2)
    end
  end
  if init and type(init) ~= "number" then
    init = to_number(init, "init")
  end
  if init_ttl ~= nil then
    init_ttl = to_number(init_ttl, "init_ttl")
    if init_ttl < 0 then
      error('bad "init_ttl" argument', 2)
    elseif not init then
      error('must provide "init" when providing "init_ttl"', 2)
    end
  end
  return incr(n, text, value, init, init_ttl)
end

function methods.ttl(dict, key)
  local n = zone(dict)
  local text, err = key_of(key)
  if not text then
    return nil, err
  end
  if c_ttl(text, #text, nil, 0, reply, n, 0, 0, 0) == 0 then
    return reply.number
  end
  return ops.ttl(n, text)
end

function methods.expire(dict, key, exptime)
  local n = zone(dict)
  if not exptime then
    error('bad "exptime" argument', 2)
  end
  local text, err = key_of(key)
  if not text then
    return nil, err
  end
  exptime = exptime * 1
  if type(exptime) == "number" and c_expire(text, #text, nil, 0, reply, n, 0, exptime, 0) == 0 then
    return true
  end
  return ops.expire(n, text, exptime)
end

function methods.flush_all(dict)
  ops.flush_all(zone(dict))
end

function methods.capacity(dict)
  return ops.capacity(zone(dict))
end

function methods.free_space(dict)
  return ops.free_space(zone(dict))
end

-- What Lua says of a bad argument to a C function; a method's first argument is not counted.
local function bad_argument(i, expected, value, absent)
  local info = getinfo(2, "n")
  local got = absent and "no value" or type(value)
  local name = info.name or "?"
  if info.namewhat == "method" then
    i = i - 1
    if i == 0 then
      error("calling '" .. name .. "' on bad self (" .. expected .. " expected, got " .. got .. ")", 3)
    end
  end
  error("bad argument #" .. i .. " to '" .. name .. "' (" .. expected .. " expected, got " .. got .. ")", 3)
end

-- flush_expired and get_keys
local function counted(op)
  return function(...)
    local count = select("#", ...)
    if count ~= 1 and count ~= 2 then
      error("expecting 1 or 2 argument(s), but saw " .. count, 2)
    end
    local dict, max = ...
    if type(dict) ~= "table" then
      bad_argument(1, "table", dict)
    end
    local number = numbers[dict[1]]
    if not number then
      error("bad user data for the ngx_shm_zone_t pointer", 2)
    end
    if count == 1 then
      return op(number)
    end
    local n = tonumber(max)
    if not n then
      bad_argument(2, "number", max)
    end
    return op(number, n)
  end
end

methods.flush_expired = counted(ops.flush_expired)
methods.get_keys = counted(ops.get_keys)

-- The functions of lists: `wanted` arguments, of which the second is the key.
local function list(wanted, op, ...)
  local flag = ...
  return function(...)
    local count = select("#", ...)
    if count ~= wanted then
      error("expecting " .. wanted .. " arguments, but only seen " .. count, 2)
    end
    local dict, key, value = ...
    local n = zone(dict)
    local kind = type(key)
    if kind == "number" then
      key = tostring(key)
    elseif kind ~= "string" and key ~= nil then
      bad_argument(2, "string", key)
    end
    local text, err = key_of(key)
    if not text then
      return nil, err
    end
    if wanted == 2 then
      return op(n, text, flag)
    end
    return op(n, text, value, flag)
  end
end

methods.lpush = list(3, ops.push, true)
methods.rpush = list(3, ops.push, false)
methods.lpop = list(2, ops.pop, true)
methods.rpop = list(2, ops.pop, false)
methods.llen = list(2, ops.llen)

ngx.shared = {}
for number, name in ipairs(ops.names()) do
  local userdata = newproxy()
  numbers[userdata] = number
  ngx.shared[name] = setmetatable({ userdata }, methods)
end
