-- ngx.var. A native reads what is short, the op the rest.

local ngx = ...
local ops = require("moongate.ops").ngx_var
local get, set = ops.get, ops.set
local type, tostring, error = type, tostring, error
local native = require "moongate.native"
local c_get, text = native.ngx_var.get, native.text

ngx.var = setmetatable({}, {
  __index = function(t, name)
    local v = text(c_get, name)
    if v == false then
      return (get(t, name))
    end
    return v
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
