-- ngx.var. Reading is the op itself.

local ngx = ...
local ops = require("moongate.ops").ngx_var
local set = ops.set
local type, tostring, error = type, tostring, error

ngx.var = setmetatable({}, {
  __index = ops.get,
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
