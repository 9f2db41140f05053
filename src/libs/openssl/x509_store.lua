--- `resty.openssl.x509.store`: trusted certificates, whether others lead to them, and whether lists revoke
--- those.

local ops = require("moongate.ops").openssl
local chain = require "resty.openssl.x509.chain"
local crl = require "resty.openssl.x509.crl"
local x509 = require "resty.openssl.x509"
local wrap, istype = require("moongate.openssl.object").kind()

local error, ipairs, select, setmetatable = error, ipairs, select, setmetatable
local tonumber, type = tonumber, type

local _M = { istype = istype }
local mt = { __index = _M }

_M.verify_flags = {
  X509_V_FLAG_CB_ISSUER_CHECK = 0x0,
  X509_V_FLAG_USE_CHECK_TIME = 0x2,
  X509_V_FLAG_CRL_CHECK = 0x4,
  X509_V_FLAG_CRL_CHECK_ALL = 0x8,
  X509_V_FLAG_IGNORE_CRITICAL = 0x10,
  X509_V_FLAG_X509_STRICT = 0x20,
  X509_V_FLAG_ALLOW_PROXY_CERTS = 0x40,
  X509_V_FLAG_POLICY_CHECK = 0x80,
  X509_V_FLAG_EXPLICIT_POLICY = 0x100,
  X509_V_FLAG_INHIBIT_ANY = 0x200,
  X509_V_FLAG_INHIBIT_MAP = 0x400,
  X509_V_FLAG_NOTIFY_POLICY = 0x800,
  X509_V_FLAG_EXTENDED_CRL_SUPPORT = 0x1000,
  X509_V_FLAG_USE_DELTAS = 0x2000,
  X509_V_FLAG_CHECK_SS_SIGNATURE = 0x4000,
  X509_V_FLAG_TRUSTED_FIRST = 0x8000,
  X509_V_FLAG_SUITEB_128_LOS_ONLY = 0x10000,
  X509_V_FLAG_SUITEB_192_LOS = 0x20000,
  X509_V_FLAG_SUITEB_128_LOS = 0x30000,
  X509_V_FLAG_PARTIAL_CHAIN = 0x80000,
  X509_V_FLAG_NO_ALT_CHAINS = 0x100000,
  X509_V_FLAG_NO_CHECK_TIME = 0x200000,
}

local CRL_CHECK, CRL_CHECK_ALL = 0x4, 0x8

-- what verification heeds: CRL_CHECK, CRL_CHECK_ALL, IGNORE_CRITICAL, TRUSTED_FIRST, PARTIAL_CHAIN,
-- NO_ALT_CHAINS, NO_CHECK_TIME
local HEEDED = bit.bor(CRL_CHECK, CRL_CHECK_ALL, 0x10, 0x8000, 0x80000, 0x100000, 0x200000)

-- purposes by OpenSSL's short name: the extended key usage that a leaf must not exclude
local PURPOSES = {
  sslclient = "1.3.6.1.5.5.7.3.2",
  sslserver = "1.3.6.1.5.5.7.3.1",
  nssslserver = "1.3.6.1.5.5.7.3.1",
  smimesign = "1.3.6.1.5.5.7.3.4",
  smimeencrypt = "1.3.6.1.5.5.7.3.4",
  ocsphelper = false,
  timestampsign = "1.3.6.1.5.5.7.3.8",
  codesign = "1.3.6.1.5.5.7.3.3",
  crlsign = false,
  any = false,
}

-- where systems keep the certificates they trust
local DEFAULTS = {
  "/etc/ssl/certs/ca-certificates.crt",
  "/etc/pki/tls/certs/ca-bundle.crt",
  "/etc/ssl/ca-bundle.pem",
  "/etc/pki/tls/cacert.pem",
  "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
  "/etc/ssl/cert.pem",
}

--- A store that trusts nobody yet.
function _M.new()
  return setmetatable({ ctx = wrap(ops.certs_new()), _crls = wrap(ops.crls_new()), _flags = 0 }, mt)
end

--- Trusts a certificate, or takes a revocation list, by which leaves are then judged unless `skip_set_flags`.
function _M:add(item, skip_set_flags)
  if crl.istype(item) then
    if not skip_set_flags then
      self._flags = bit.bor(self._flags, CRL_CHECK)
    end
    return ops.crls_add(self._crls.id, item.ctx.id)
  elseif not x509.istype(item) then
    return false, "x509.store:add: expect an x509 or crl instance at #1"
  end
  return ops.certs_add(self.ctx.id, item.ctx.id)
end

local BLOCK = "%-%-%-%-%-BEGIN [%w ]*CERTIFICATE%-%-%-%-%-.-%-%-%-%-%-END [%w ]*CERTIFICATE%-%-%-%-%-"

local function load(self, path)
  local file = io.open(path, "rb")
  local text = file and file:read("*a")
  if file then
    file:close()
  end
  local added = 0
  for block in (text or ""):gmatch(BLOCK) do
    local cert = x509.new(block .. "\n", "PEM")
    if cert then
      self:add(cert)
      added = added + 1
    end
  end
  return added > 0
end

local function readable(path)
  local file = io.open(path, "rb")
  return file and file:close()
end

--- Trusts the certificates of a PEM file.
function _M:load_file(path)
  if type(path) ~= "string" then
    return false, "x509.store:load_file: expect a string at #1"
  elseif load(self, path) then
    return true
  elseif not readable(path) then
    return false, "x509.store:load_file: error:80000002:system library:BIO_new_file:No such file or directory"
  end
  return false, "x509.store:load_file: error:5880020:x509 certificate routines:X509_load_cert_crl_file_ex:"
    .. "no certificate or crl found"
end

--- Trusts the certificates of a directory: those of files whose names are `openssl rehash`'s.
function _M:load_directory(path)
  if type(path) ~= "string" then
    return false, "x509.store:load_directory expect a string at #1"
  end
  for _, file in ipairs(ops.hashed_files(path)) do
    load(self, path .. "/" .. file)
  end
  return true
end

--- Trusts what the system trusts.
function _M:use_default()
  for _, path in ipairs(DEFAULTS) do
    if load(self, path) then
      return true
    end
  end
  return false, "x509.store:use_default failed"
end

--- Whether no list revokes the leaf of a chain that `verify` gave. Else nil and OpenSSL's words for why.
function _M:check_revocation(verified)
  if not verified or not chain.istype(verified) then
    return nil, "x509.store:check_revocation: expect a x509.chain instance at #1"
  end
  local flags = bit.band(self._flags, bit.bnot(CRL_CHECK_ALL))
  local good, err = ops.certs_judge(verified.ctx.id, self._crls.id, flags)
  return good, err
end

--- Limits how many certificates may stand between.
function _M:set_depth(depth)
  depth = depth and tonumber(depth)
  if not depth then
    return nil, "x509.store:set_depth: expect a number at #1"
  end
  self._depth = depth
  return true
end

--- Says what leaves must be for, by OpenSSL's short name.
function _M:set_purpose(purpose)
  if type(purpose) ~= "string" then
    return nil, "x509.store:set_purpose: expect a string at #1"
  elseif PURPOSES[purpose] == nil then
    return false, "invalid purpose \"" .. purpose .. "\""
  end
  self._purpose = PURPOSES[purpose] or nil
  return true
end

local function heeded(flags, name)
  if bit.band(flags, bit.bnot(HEEDED)) ~= 0 then
    error("not supported: resty.openssl.x509.store:" .. name .. " with flags " .. ("0x%x"):format(flags), 3)
  end
  return flags
end

--- Changes how verification goes, for those flags that it knows to heed.
function _M:set_flags(...)
  local flags = 0
  for i = 1, select("#", ...) do
    flags = bit.bor(flags, (select(i, ...)))
  end
  self._flags = bit.bor(self._flags, heeded(flags, "set_flags"))
  return true
end

-- verification methods by OpenSSL's names: the purpose of each
local METHODS = {
  default = false,
  ssl_client = PURPOSES.sslclient,
  ssl_server = PURPOSES.sslserver,
  pkcs7 = PURPOSES.smimesign,
  smime_sign = PURPOSES.smimesign,
}

--- Whether a certificate leads to a trusted one, over those of a chain: true, or the whole chain if wanted.
--- Else nil and OpenSSL's words for why.
function _M:verify(cert, others, return_chain, _, verify_method, flags)
  if not x509.istype(cert) then
    return nil, "x509.store:verify: expect a x509 instance at #1"
  elseif others and not chain.istype(others) then
    return nil, "x509.store:verify: expect a x509.chain instance at #1"
  elseif verify_method and METHODS[verify_method] == nil then
    return nil, "x509.store:verify: invalid verify_method \"" .. verify_method .. "\""
  end
  flags = bit.bor(self._flags, flags and heeded(flags, "verify") or 0)
  local purpose = self._purpose or verify_method and METHODS[verify_method] or nil
  local found, err =
    ops.certs_verify(self.ctx.id, cert.ctx.id, others and others.ctx.id, self._depth, flags, purpose)
  if not found then
    return nil, err
  end
  local verified = chain._from(found)
  if bit.band(flags, CRL_CHECK) ~= 0 then
    found, err = ops.certs_judge(verified.ctx.id, self._crls.id, flags)
    if not found then
      return nil, err
    end
  end
  return return_chain and verified or true, nil
end

return _M
