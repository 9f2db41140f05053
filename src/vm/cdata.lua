--- Real cdata in front of Rust objects: collected here, the object goes there.

local ffi = require "ffi"
local ops = require("moongate.ops").cdata

local free, typeof = ops.free, ffi.typeof
local tonumber, type = tonumber, type

local _M = {
  --- How many objects this thread's states hold.
  count = ops.count,
}

-- numbers of the C types that are made here
local types = {}

--- A kind of object: what makes a cdata of a Rust number (nil stays nil), and the test whether a value is one.
function _M.kind(prefix)
  -- a name of its own each time: a module may be loaded again, and a C type has its metatable for ever
  local name = (prefix or "moongate_object") .. "_" .. ops.unique()
  ffi.cdef("typedef struct { double id; } " .. name .. ";")
  local ctype = ffi.metatype(name, {
    __gc = function(c)
      free(c.id)
    end,
  })
  types[tonumber(ctype)] = true

  local function wrap(id)
    return id and ctype(id)
  end

  local function is(v)
    return type(v) == "cdata" and ffi.istype(ctype, v)
  end

  return wrap, is
end

--- The number of the Rust object behind a cdata of any kind, for an op; nil for every other value.
function _M.id(v)
  if type(v) == "cdata" and types[tonumber(typeof(v))] then
    return v.id
  end
end

return _M
