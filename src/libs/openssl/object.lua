--- What the faces of `resty.openssl.*` share: the cdata that stands for an object in Rust.

local ffi = require "ffi"
local ops = require("moongate.ops").openssl

local free = ops.free

local _M = {}

--- A kind of object: a constructor from a Rust number (nil stays nil), the test whether `v.ctx` is of the
--- kind, and the test whether a cdata is.
function _M.kind()
  -- a name of its own each time: a module may be loaded again, and a C type has its metatable for ever
  local name = "moongate_openssl_" .. ops.unique()
  ffi.cdef("typedef struct { double id; } " .. name .. ";")
  local ctype = ffi.metatype(name, {
    __gc = function(c)
      free(c.id)
    end,
  })

  local function wrap(id)
    return id and ctype(id)
  end

  local function is_ctx(c)
    return ffi.istype(ctype, c)
  end

  local function istype(v)
    return type(v) == "table" and v.ctx ~= nil and ffi.istype(ctype, v.ctx)
  end

  return wrap, istype, is_ctx
end

--- OpenSSL's number for an object that `v` names or already is; nil and why when there is none such.
function _M.identifier(v)
  local kind = type(v)
  if kind ~= "string" and kind ~= "number" then
    return nil, "objects.txtnid2nid: expect string or number at #1"
  end
  local object = ops.object(v)
  if not object then
    return nil, "objects.txtnid2nid: invalid NID text " .. v
  end
  return object
end

--- `prefix: text`, or that `prefix` failed when there is nothing to say.
function _M.message(prefix, text)
  if not text then
    return prefix .. " failed"
  end
  return prefix .. ": " .. text
end

return _M
