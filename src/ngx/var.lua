-- ngx.var. A native reads what is short, the op the rest.

local ngx = ...
local ops = require("moongate.ops").ngx_var
local get, set = ops.get, ops.set
local type, tostring, error = type, tostring, error
local native = require "moongate.native"
local c_get, reply, bytes, ffi_string = native.ngx_var.get, native.reply, native.bytes, require("ffi").string
local NONE = -1

ngx.var = setmetatable({}, {
  __index = function(t, name)
    if type(name) == "string" then
      local n = c_get(name, #name, nil, 0, reply, 0, 0, 0, 0)
      if n >= 0 then
        return ffi_string(bytes, n)
      elseif n == NONE then
        return nil
      end
    end
    return (get(t, name))
  end,
  __newindex = function(_, name, value)
    if type(name) ~= "string" then
      error("bad variable name", 2)
    end
    if value ~= nil and type(value) ~= "string" then
      value = tostring(value)
    end
    local err = set(name, value)
    if err then
      error(err, 2)
    end
  end,
})
