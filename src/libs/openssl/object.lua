--- What the faces of `resty.openssl.*` share: the cdata that stands for an object in Rust.

local cdata = require "moongate.cdata"
local ffi = require "ffi"
local ops = require("moongate.ops").openssl

-- Names of OpenSSL's that others cast to, the gateway's own certificates and keys, too.
ffi.cdef [[
typedef struct stack_st OPENSSL_STACK;
typedef struct evp_pkey_st EVP_PKEY;
]]

local _M = { behind = cdata.behind, STACK = ffi.typeof("OPENSSL_STACK *"), KEY = ffi.typeof("EVP_PKEY *") }

--- A kind of object: a constructor from a Rust number (nil stays nil), the test whether `v.ctx` is of the
--- kind, and the test whether a cdata is.
function _M.kind()
  local wrap, is_ctx = cdata.kind("moongate_openssl")

  local function istype(v)
    return type(v) == "table" and is_ctx(v.ctx)
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

--- Gives `module` functions that are not there.
function _M.missing(module, label, names)
  for _, name in ipairs(names) do
    module[name] = function()
      error("not supported: " .. label .. name, 2)
    end
  end
end

--- `prefix: text`, or that `prefix` failed when there is nothing to say.
function _M.message(prefix, text)
  if not text then
    return prefix .. " failed"
  end
  return prefix .. ": " .. text
end

return _M
