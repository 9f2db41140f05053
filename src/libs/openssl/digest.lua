--- `resty.openssl.digest`.

local ops = require("moongate.ops").openssl
local object = require "moongate.openssl.object"
local params = require "moongate.openssl.params"
local wrap, istype = object.kind()

local error, select, setmetatable, tostring, type = error, select, setmetatable, tostring, type

local _M = {}
local mt = { __index = _M }

--- A digest by name (sha1 without one).
function _M.new(name)
  name = name or "sha1"
  local ctx = wrap(ops.digest_new(name))
  if not ctx then
    return nil, ('digest.new: invalid digest type "%s": '):format(tostring(name))
      .. "error:308010C:digital envelope routines:inner_evp_generic_fetch:unsupported:evp/evp_fetch.c:355:"
  end
  return setmetatable({ ctx = ctx, algo = name }, mt)
end

_M.istype = istype

--- Takes in strings.
function _M:update(...)
  local id = self.ctx.id
  for i = 1, select("#", ...) do
    local s = select(i, ...)
    if s == nil then
      break
    end
    if type(s) == "number" then
      s = tostring(s)
    elseif type(s) ~= "string" then
      error("bad argument #" .. i .. " to 'update' (string expected, got " .. type(s) .. ")", 2)
    end
    ops.digest_update(id, s)
  end
  return true
end

--- `final` of what digests by these ops, with its own words for a failure.
function _M._final(failure)
  return function(self, s)
    if s then
      self:update(s)
    end
    local result = ops.digest_result(self.ctx.id)
    if not result then
      return nil, failure
    end
    return result
  end
end

--- The digest of all that was taken in, `s` last.
_M.final = _M._final "digest:final: EVP_DigestFinal_ex failed"

--- Begins again.
function _M:reset()
  return ops.digest_reset(self.ctx.id)
end

--- Where OpenSSL would have found the algorithm.
function _M:get_provider_name()
  return "default"
end

-- the digests that are here have no parameters
local function none()
  return {}
end
params.install(_M, "digest", none, none, none, none)

return _M
