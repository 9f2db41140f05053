--- `resty.openssl.mac`: HMAC by its newer name. The others (CMAC, GMAC, ...) are not there.

local ops = require("moongate.ops").openssl
local digest = require "resty.openssl.digest"
local object = require "moongate.openssl.object"
local params = require "moongate.openssl.params"
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
  return setmetatable({ ctx = ctx, algo = name, _md = md, _key = key }, mt)
end

--- The MAC of all that was taken in, `s` last.
_M.final = digest._final "mac:final: EVP_MAC_final failed"

local GETTABLE = { { "size", params.UNSIGNED, 8 }, { "block-size", params.UNSIGNED, 8 } }
local SETTABLE = { { "digest", params.UTF8 }, { "key", params.OCTETS } }
local NAMES = { digest = "_md", key = "_key" }

params.install(_M, "mac", function()
  return GETTABLE
end, function(self, name)
  local md = tostring(self._md):lower()
  if name == "size" then
    return #digest.new(md):final("")
  end
  return (md:find("384", 1, true) or md:find("512", 1, true)) and 128 or 64
end, function()
  return SETTABLE
end, function(self, name, value)
  local md, key = self._md, self._key
  if name == "key" then
    key = value
  else
    md = value
  end
  local ctx = wrap(ops.hmac_new(md, key))
  if not ctx then
    return nil, UNSUPPORTED
  end
  self.ctx = ctx
  self[NAMES[name]] = value
  return true
end)

return _M
