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

  --- `owner`: a table that keeps what frees the object; the cdata itself can then be told by `ffi.gc` not to.
  local function wrap(id, owner)
    if not id then
      return nil
    elseif owner then
      owner.owned = ctype(id)
      return ffi.gc(ctype(id), nil)
    end
    return ctype(id)
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

--- The number of the Rust object to whose cdata a pointer of a C type points, as `ffi.cast` makes one of the cdata;
--- nil for every other value. What is a pointer of that type, but to something else, gives some number.
function _M.behind(v, pointer)
  if type(v) ~= "cdata" or not ffi.istype(pointer, v) or v == nil then
    return nil
  end
  local id = ffi.cast("const double *", v)[0]
  return id >= 0 and id < 2 ^ 53 and id % 1 == 0 and id or nil
end

return _M
