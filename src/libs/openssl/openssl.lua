--- `resty.openssl`: the modules that are here.

local object = require "moongate.openssl.object"
local version = require "resty.openssl.version"

local insert, ipairs, pairs, sort = table.insert, ipairs, pairs, table.sort

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

-- what there is, by OpenSSL's names
local CIPHERS, DIGESTS = {}, { "MD5", "SHA1", "SHA2-224", "SHA2-256", "SHA2-384", "SHA2-512" }
for _, bits in ipairs({ 128, 192, 256 }) do
  for _, mode in ipairs({ "CBC", "CTR", "ECB", "GCM", "WRAP", "WRAP-PAD" }) do
    insert(CIPHERS, ("AES-%d-%s"):format(bits, mode))
  end
end

local function listed(names)
  return function(hide_provider)
    local all = {}
    for i, name in ipairs(names) do
      all[i] = hide_provider and name or name .. " @ default"
    end
    sort(all)
    return all
  end
end

--- The algorithms that there are, each with ` @ default` unless the provider is hidden.
_M.list_cipher_algorithms = listed(CIPHERS)
_M.list_digest_algorithms = listed(DIGESTS)
_M.list_mac_algorithms = listed({ "HMAC" })
_M.list_kdf_algorithms = listed({ "HKDF", "PBKDF2", "SCRYPT", "TLS1-PRF" })

object.missing(_M, "resty.openssl.", { "list_ssl_ciphers", "luaossl_compat", "get_fips_version_text" })

--- OpenSSL's choice among providers: there is one.
function _M.set_default_properties()
  return true
end

--- Makes the modules fields of this one.
function _M.load_modules()
  for name, path in pairs({
    altname = "x509.altname",
    chain = "x509.chain",
    crl = "x509.crl",
    csr = "x509.csr",
    extension = "x509.extension",
    extensions = "x509.extensions",
    name = "x509.name",
    revoked = "x509.revoked",
    store = "x509.store",
  }) do
    _M[name] = require("resty.openssl." .. path)
  end
  _M.bignum = _M.bn
end

return _M
