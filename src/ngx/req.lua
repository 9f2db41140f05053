-- ngx.req: method, headers, URI. body.lua and args.lua add the rest.

local ngx = ...
local ops = require("moongate.ops").ngx_req
local get_headers, set_header, add_header = ops.get_headers, ops.set_header, ops.add_header
local type, tostring, error, unpack, rawget, setmetatable = type, tostring, error, unpack, rawget, setmetatable
local lower, gsub = string.lower, string.gsub
local native = require "moongate.native"
local c_method, get_method = native.ngx_req.get_method, ops.get_method
local c_headers, collect = native.ngx_req.get_headers, native.collect
local reply, bytes, ffi_string = native.reply, native.bytes, require("ffi").string
local new = require "table.new"

local by_any_spelling = {
  __index = function(t, key)
    local kind = type(key)
    if kind ~= "string" and kind ~= "number" then
      return nil
    end
    key = lower(key)
    local value = rawget(t, key)
    if value == nil then
      return rawget(t, (gsub(key, "_", "-")))
    end
    return value
  end,
}

local function texts(values)
  local list = {}
  for i = 1, #values do
    local v = values[i]
    list[i] = type(v) == "string" and v or tostring(v)
  end
  return list
end

ngx.req = {
  set_method = ops.set_method,
  set_uri = ops.set_uri,
  http_version = ops.http_version,
  start_time = ops.start_time,
  raw_header = ops.raw_header,
  is_internal = ops.is_internal,
}

function ngx.req.get_method()
  local n = c_method(nil, 0, nil, 0, reply, 0, 0, 0, 0)
  return n >= 0 and ffi_string(bytes, n) or (get_method())
end

function ngx.req.get_headers(max, raw)
  local t, err
  local n = c_headers(nil, 0, nil, 0, reply, raw and 1 or 0, type(max) == "number" and max or 100, 0, 0)
  if n >= 0 then
    t = new(0, n)
  end
  if n < 0 or not collect(t, n) then
    t, err = get_headers(max, raw)
  end
  if not raw then
    setmetatable(t, by_any_spelling)
  end
  return t, err
end

function ngx.req.set_header(name, value)
  if name == nil then
    error("bad 'name' argument: string expected, got nil", 2)
  end
  local kind = type(value)
  if type(name) ~= "string" then
    name = tostring(name)
  end
  if kind == "string" or kind == "nil" or kind == "number" then
    set_header(name, value)
  elseif kind == "table" then
    set_header(name, unpack(texts(value)))
  else
    set_header(name, tostring(value))
  end
end

function ngx.req.add_header(name, value)
  if name == nil then
    error("bad 'name' argument: string expected, got nil", 2)
  elseif value == nil then
    error("bad 'value' argument: string or table expected, got nil", 2)
  end
  if type(name) ~= "string" then
    name = tostring(name)
  end
  if type(value) == "table" then
    if #value == 0 then
      error("bad 'value' argument: non-empty table expected", 2)
    end
    add_header(name, unpack(texts(value)))
  else
    add_header(name, tostring(value))
  end
end

function ngx.req.clear_header(name)
  set_header(type(name) == "string" and name or tostring(name), nil)
end

-- the module of OpenResty's library
package.loaded["ngx.req"] = { add_header = ngx.req.add_header }
