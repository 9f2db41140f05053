--- `resty.openssl.pkcs12`: files with a key and its certificates.

local ops = require("moongate.ops").openssl
local chain = require "resty.openssl.x509.chain"
local objects = require "resty.openssl.objects"
local pkey = require "resty.openssl.pkey"
local x509 = require "resty.openssl.x509"

local ipairs, tonumber, type = ipairs, tonumber, type

local _M = {}

--- What is in a file: `key`, `cert`, `friendly_name` and `cacerts`, the others.
function _M.decode(p12, passphrase)
  if type(p12) ~= "string" then
    return nil, "pkcs12.decode: expect a string at #1"
  end
  local key, cert, name, others = ops.p12_read(p12, passphrase or "")
  if key == nil then
    return nil, "pkcs12.decode: " .. cert
  end
  for i, id in ipairs(others) do
    others[i] = x509._from(id)
  end
  return {
    key = key and pkey._from(key) or nil,
    cert = x509._from(cert),
    friendly_name = name,
    cacerts = others[1] and others or nil,
  }
end

local function number_of(options, name)
  if options[name] == nil then
    return 0
  end
  local nid = objects.txtnid2nid(options[name])
  if not nid then
    return nil, "pkcs12.encode: invalid " .. name
  end
  return nid
end

--- A file with `key`, `cert`, and if given `cacerts` and a `friendly_name`; `nid_key` and `nid_cert` name ciphers,
--- `iter` and `mac_iter` numbers of rounds.
function _M.encode(options, passphrase)
  if passphrase and type(passphrase) ~= "string" then
    return nil, "pkcs12.encode: expect passphrase to be a string"
  elseif not pkey.istype(options.key) then
    return nil, "pkcs12.encode: expect key to be a pkey instance"
  elseif not x509.istype(options.cert) then
    return nil, "pkcs12.encode: expect cert to be a x509 instance"
  end
  local ok, err = options.cert:check_private_key(options.key)
  if not ok then
    return nil, "pkcs12.encode: key doesn't match cert: " .. err
  end
  local key_cipher, cert_cipher
  key_cipher, err = number_of(options, "nid_key")
  if err then
    return nil, err
  end
  cert_cipher, err = number_of(options, "nid_cert")
  if err then
    return nil, err
  end
  local others = options.cacerts
  if others and type(others) ~= "table" then
    return nil, "pkcs12.encode: expect cacerts to be a table"
  end
  local certs = chain.new()
  certs:add(options.cert)
  for _, cert in ipairs(others or {}) do
    ok, err = certs:add(cert)
    if not ok then
      return nil, "pkcs12.encode: failed to add cacerts: " .. err
    end
  end
  local text
  text, err = ops.p12_write(options.key.ctx.id, certs.ctx.id, options.friendly_name, passphrase or "", key_cipher,
    cert_cipher, tonumber(options.iter) or 0, tonumber(options.mac_iter) or 0)
  if not text then
    return nil, "pkcs12.encode: PKCS12_create" .. (err and ": " .. err or " failed")
  end
  return text
end

_M.loads, _M.dumps = _M.decode, _M.encode

return _M
