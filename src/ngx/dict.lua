-- ngx.shared.DICT. A dictionary is a table whose first item is its number, as in OpenResty.

local ngx = ...
local ops = require("moongate.ops").ngx_dict
local get, get_stale, put, incr = ops.get, ops.get_stale, ops.put, ops.incr
local type, error, tonumber = type, error, tonumber

local methods = {}
local mt = { __index = methods }

local function zone(dict)
  local n = type(dict) == "table" and dict[1]
  if type(n) ~= "number" then
    error('bad "zone" argument', 3)
  end
  return n
end

local function exptime_of(exptime)
  if exptime == nil then
    return 0
  end
  local n = tonumber(exptime)
  if not n or n < 0 then
    error('bad "exptime" argument', 3)
  end
  return n
end

function methods.get(dict, key)
  return get(zone(dict), key)
end

function methods.get_stale(dict, key)
  return get_stale(zone(dict), key)
end

local function writer(mode, evict, takes_nil)
  return function(dict, key, value, exptime, flags)
    local n = zone(dict)
    exptime = exptime_of(exptime)
    if value == nil and not takes_nil then
      return nil, "attempt to add or replace nil values"
    end
    return put(n, key, value, exptime, flags, mode, evict)
  end
end

methods.set = writer(0, true, true)
methods.safe_set = writer(0, false, true)
methods.add = writer(1, true, false)
methods.safe_add = writer(1, false, false)
methods.replace = writer(2, true, false)

function methods.incr(dict, key, value, init, init_ttl)
  local n = zone(dict)
  local kind = type(value)
  if kind ~= "number" then
    value = tonumber(value)
    if not value then
      error("bad value arg: number expected, got " .. kind, 2)
    end
  end
  if init ~= nil and type(init) ~= "number" then
    kind = type(init)
    init = tonumber(init)
    if not init then
      error("bad init arg: number expected, got " .. kind, 2)
    end
  end
  if init_ttl ~= nil then
    kind = type(init_ttl)
    init_ttl = tonumber(init_ttl)
    if not init_ttl then
      error("bad init_ttl arg: number expected, got " .. kind, 2)
    elseif init_ttl < 0 then
      error('bad "init_ttl" argument', 2)
    elseif init == nil then
      error('must provide "init" when providing "init_ttl"', 2)
    end
  end
  return incr(n, key, value, init, init_ttl)
end

function methods.delete(dict, key)
  return put(zone(dict), key, nil, 0, 0, 0, true)
end

function methods.ttl(dict, key)
  return ops.ttl(zone(dict), key)
end

function methods.expire(dict, key, exptime)
  local n = tonumber(exptime)
  if not n or n < 0 then
    error('bad "exptime" argument', 2)
  end
  return ops.expire(zone(dict), key, n)
end

function methods.flush_all(dict)
  ops.flush_all(zone(dict))
end

function methods.flush_expired(dict, max)
  return ops.flush_expired(zone(dict), max)
end

function methods.get_keys(dict, max)
  return ops.get_keys(zone(dict), max)
end

function methods.capacity(dict)
  return ops.capacity(zone(dict))
end

function methods.free_space(dict)
  return ops.free_space(zone(dict))
end

for _, name in ipairs({ "lpush", "rpush", "lpop", "rpop", "llen" }) do
  methods[name] = function()
    error("not supported: ngx.shared.DICT." .. name, 2)
  end
end

ngx.shared = {}
for number, name in ipairs(ops.names()) do
  ngx.shared[name] = setmetatable({ number }, mt)
end
