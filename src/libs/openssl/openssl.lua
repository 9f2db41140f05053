--- `resty.openssl`: the modules that are here.

local version = require "resty.openssl.version"

local ipairs, pairs, tostring, type = ipairs, pairs, tostring, type
local concat, insert, sort = table.concat, table.insert, table.sort

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
    local _, err = require("resty.openssl.provider").load("fips")
    return false, err
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

--- The version of the FIPS module: there is none.
function _M.get_fips_version_text()
  return false, "FIPS mode is not enabled"
end

-- OpenSSL's names of the suites that the gateway's TLS has
local SUITES_13 = { "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256", "TLS_AES_128_GCM_SHA256" }
local SUITES_12 = {
  "ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-RSA-AES256-GCM-SHA384", "ECDHE-ECDSA-CHACHA20-POLY1305",
  "ECDHE-RSA-CHACHA20-POLY1305", "ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-RSA-AES128-GCM-SHA256",
}

--- The suites of a list, with `:` between them, that there are: those of TLS 1.3 first. `protocol` "TLSv1.2" leaves
--- the former out.
function _M.list_ssl_ciphers(list, suites, protocol)
  local out, known = {}, {}
  local before_13 = type(protocol) == "string" and protocol:find("^TLSv1%.?[012]?$") ~= nil
  for _, name in ipairs(SUITES_13) do
    known[name] = true
    if not before_13 and not suites then
      insert(out, name)
    end
  end
  if suites and not before_13 then
    for name in tostring(suites):gmatch("[^:]+") do
      if not known[name] then
        return nil, "openssl.list_ssl_ciphers: SSL_set_ciphersuites failed"
      end
      insert(out, name)
    end
  end
  known = {}
  for _, name in ipairs(SUITES_12) do
    known[name] = true
    if not list then
      insert(out, name)
    end
  end
  local before = #out
  for name in tostring(list or ""):gmatch("[^:]+") do
    if known[name] then
      insert(out, name)
    end
  end
  if list and #out == before then
    return nil, "openssl.list_ssl_ciphers: SSL_set_cipher_list: error:A0000B9:SSL routines:SSL_set_cipher_list:"
      .. "no cipher match:ssl/ssl_lib.c:3269:"
  end
  return concat(out, ":")
end

--- Gives the modules luaossl's names and manners: `getSubject` for `get_subject_name`, and what fails raises.
function _M.luaossl_compat()
  _M.load_modules()
  require("moongate.openssl.luaossl")(_M)
end

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
    ctx = "ctx",
    pkcs12 = "pkcs12",
    provider = "provider",
  }) do
    _M[name] = require("resty.openssl." .. path)
  end
  _M.bignum = _M.bn
end

return _M
