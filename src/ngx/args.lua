-- Arguments of the URI and of a form body; ngx.encode_args and decode_args.

local ngx = ...
local ops = require("moongate.ops")
local args, set_args = ops.ngx_args, ops.ngx_req.set_args
local type, error, pairs, next, select = type, error, pairs, next, select
local concat, clear, new = table.concat, require("table.clear"), require("table.new")
local native = require "moongate.native"
local c_uri, c_decode, collect, reply = native.ngx_args.uri, native.ngx_args.decode, native.collect, native.reply

local bytes, ffi_string = native.bytes, require("ffi").string
local NONE, COMPONENT = -1, 2

local function escape(value)
  if type(value) == "string" then
    -- that room is installed after this one
    local n = native.ngx_encode.escape_uri(value, #value, nil, 0, reply, COMPONENT, 0, 0, 0)
    if n >= 0 then
      return ffi_string(bytes, n)
    elseif n == NONE then
      return value
    end
  end
  return (args.escape(value))
end

local function add(parts, key, value, level)
  local kind = type(value)
  if kind == "string" or kind == "number" then
    parts[#parts + 1] = key .. "=" .. escape(value)
  elseif value == true then
    parts[#parts + 1] = key
  elseif kind ~= "boolean" then
    error("attempt to use " .. kind .. " as query arg value", level)
  end
end

local function encode(t)
  local parts = {}
  for key, value in pairs(t) do
    if type(key) ~= "string" then
      error('attempt to use a non-string key in the "args" option table', 3)
    end
    key = escape(key)
    if type(value) == "table" then
      for _, item in next, value do
        add(parts, key, item, 4)
      end
    else
      add(parts, key, value, 4)
    end
  end
  return concat(parts, "&")
end

function ngx.encode_args(...)
  local n = select("#", ...)
  if n ~= 1 then
    error("expecting 1 argument but seen " .. n, 2)
  end
  local t = ...
  if type(t) ~= "table" then
    error("bad argument #1 to 'encode_args' (table expected, got " .. type(t) .. ")", 2)
  end
  local query = encode(t)
  return query
end

function ngx.decode_args(...)
  local n = select("#", ...)
  local text, max = ...
  if type(text) == "string" and (n == 1 or n == 2 and type(max) == "number") then
    local count = c_decode(text, #text, nil, 0, reply, 0, max or 100, 0, 0)
    if count >= 0 then
      local t = new(0, count)
      if collect(t, count) then
        return t
      end
    end
  end
  return args.decode(...)
end

ngx.req.get_post_args = args.post

function ngx.req.get_uri_args(max, into)
  local n = c_uri(nil, 0, nil, 0, reply, 0, type(max) == "number" and max or 100, 0, 0)
  local own = type(into) ~= "table"
  if n >= 0 then
    local t = own and new(0, n) or into
    if not own then
      clear(t)
    end
    if collect(t, n) then
      return t
    end
  end
  if own then
    return args.uri(max)
  end
  local t, err = args.uri(max)
  clear(into)
  for key, value in pairs(t) do
    into[key] = value
  end
  return into, err
end

function ngx.req.set_uri_args(...)
  local n = select("#", ...)
  if n ~= 1 then
    error("expecting 1 argument but seen " .. n, 2)
  end
  local value = ...
  if type(value) == "table" then
    value = encode(value)
  end
  set_args(value)
end
