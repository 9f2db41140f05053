-- ngx.header and ngx.resp. Natives read and set what is one value, the ops the rest.

local ngx = ...
local ops = require("moongate.ops").ngx_header
local get, set, add, get_all = ops.get, ops.set, ops.add, ops.get_all
local type, tostring, error, unpack, rawget, setmetatable = type, tostring, error, unpack, rawget, setmetatable
local lower, gsub = string.lower, string.gsub
local native = require "moongate.native"
local c_get, c_set = native.ngx_header.get, native.ngx_header.set
local c_all, collect, new = native.ngx_header.get_all, native.collect, require "table.new"
local reply, text = native.reply, native.text

local function texts(values)
  local list = {}
  for i = 1, #values do
    local v = values[i]
    list[i] = type(v) == "string" and v or tostring(v)
  end
  return list
end

ngx.header = setmetatable({}, {
  __index = function(t, key)
    local v = text(c_get, key)
    if v == false then
      return get(t, key)
    end
    return v
  end,
  __newindex = function(_, key, value)
    local err
    local kind = type(value)
    if kind == "string" and type(key) == "string"
      and c_set(key, #key, value, #value, reply, 0, 0, 0, 0) == 0 then
      return
    end
    if type(key) ~= "string" then
      key = tostring(key)
    end
    if kind == "string" or kind == "number" or kind == "nil" then
      err = set(key, value)
    elseif kind == "table" then
      err = set(key, unpack(texts(value)))
    else
      err = set(key, tostring(value))
    end
    if err then
      error(err, 2)
    end
  end,
})

local by_any_spelling = {
  __index = function(t, key)
    local kind = type(key)
    if kind ~= "string" and kind ~= "number" then
      return nil
    end
    return rawget(t, (gsub(lower(key), "_", "-")))
  end,
}

ngx.resp = {}

function ngx.resp.get_headers(max, raw)
  local t, err
  if max == nil or type(max) == "number" then
    local n = c_all(nil, 0, nil, 0, reply, raw and 1 or 0, max or 100, 0, 0)
    t = n >= 0 and new(0, n)
    t = t and collect(t, n) and t
  end
  if not t then
    t, err = get_all(max, raw)
  end
  if not raw then
    setmetatable(t, by_any_spelling)
  end
  return t, err
end

function ngx.resp.add_header(key, value)
  if value == nil then
    error("invalid header value", 2)
  end
  if type(key) ~= "string" then
    key = tostring(key)
  end
  local err
  if type(value) == "table" then
    if #value == 0 then
      return
    end
    err = add(key, unpack(texts(value)))
  else
    err = add(key, tostring(value))
  end
  if err then
    error(err, 2)
  end
end

-- the module of OpenResty's library; its functions are not in ngx.resp itself
package.loaded["ngx.resp"] = {
  add_header = ngx.resp.add_header,
  set_status = function(status, reason)
    if type(reason) ~= "string" then
      error("attempt to get length of local 'reason' (a " .. type(reason) .. " value)", 2)
    end
    ngx.status = status
    ops.set_reason(reason)
  end,
  bypass_if_checks = ops.bypass,
}
