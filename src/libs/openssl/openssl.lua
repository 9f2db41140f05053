--- `resty.openssl`: the modules that are here.

local version = require "resty.openssl.version"

local _M = {
  _VERSION = "1.5.2",
  bn = require "resty.openssl.bn",
  cipher = require "resty.openssl.cipher",
  digest = require "resty.openssl.digest",
  hmac = require "resty.openssl.hmac",
  kdf = require "resty.openssl.kdf",
  mac = require "resty.openssl.mac",
  pkey = require "resty.openssl.pkey",
  rand = require "resty.openssl.rand",
  version = version,
  x509 = require "resty.openssl.x509",
  objects = require "resty.openssl.objects",
}

--- Whether FIPS mode is on: these modules have none.
function _M.get_fips_mode()
  return false
end

function _M.set_fips_mode(enable)
  if enable then
    return false, "openssl.set_fips_mode: not supported"
  end
  return true
end

--- Whether the library gives what modules need.
function _M.load_library()
  return true
end

return _M
