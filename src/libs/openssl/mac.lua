--- `resty.openssl.mac`: HMAC by its newer name. The others (CMAC, GMAC, ...) are not there.

local ops = require("moongate.ops").openssl
local digest = require "resty.openssl.digest"
local object = require "moongate.openssl.object"
local wrap, istype = object.kind()

local setmetatable, tostring = setmetatable, tostring

local UNSUPPORTED = "error:308010C:digital envelope routines:inner_evp_generic_fetch:unsupported:"
  .. "evp/evp_fetch.c:355:"

local _M = {
  istype = istype,
  update = digest.update,
  reset = digest.reset,
  get_provider_name = digest.get_provider_name,
}
local mt = { __index = _M }

--- A MAC of type `name` under `key`; for HMAC `md` names the digest.
function _M.new(key, name, _, md)
  if tostring(name):upper() ~= "HMAC" then
    return nil, ('mac.new: invalid mac type "%s": %s'):format(tostring(name), UNSUPPORTED)
  end
  local ctx = md and wrap(ops.hmac_new(md, key))
  if not ctx then
    return nil, "mac.new: invalid cipher or digest type: " .. UNSUPPORTED
  end
  return setmetatable({ ctx = ctx, algo = name }, mt)
end

--- The MAC of all that was taken in, `s` last.
_M.final = digest._final "mac:final: EVP_MAC_final failed"

object.missing(_M, "resty.openssl.mac:", object.PARAMS)

return _M
