-- ngx.ssl: what parses certificates and keys. What it has towards clients is added to the same table.

local cdata = require "moongate.cdata"
local ops = require("moongate.ops").ssl

local error, type = error, type

local M = package.loaded["ngx.ssl"] or {}

local wrap_chain = cdata.kind("moongate_certificates")
local wrap_key = cdata.kind("moongate_private_key")

local function checked(name, text, passphrase)
  if type(text) ~= "string" then
    error("bad argument #1 to '" .. name .. "' (string expected, got " .. type(text) .. ")", 3)
  elseif passphrase ~= nil and type(passphrase) ~= "string" then
    error("bad argument #2 to '" .. name .. "' (string expected, got " .. type(passphrase) .. ")", 3)
  end
end

-- the cdata of a Rust object; or nil and why there is none
local function wrapped(wrap, id, err)
  if not id then
    return nil, err
  end
  return wrap(id)
end

--- All certificates of a PEM text, the leaf first.
function M.parse_pem_cert(pem)
  checked("parse_pem_cert", pem)
  return wrapped(wrap_chain, ops.parse_pem_cert(pem))
end

--- Certificates in DER, one after the other.
function M.parse_der_cert(der)
  checked("parse_der_cert", der)
  return wrapped(wrap_chain, ops.parse_der_cert(der))
end

--- The first private key of a PEM text.
function M.parse_pem_priv_key(pem, passphrase)
  checked("parse_pem_priv_key", pem, passphrase)
  return wrapped(wrap_key, ops.parse_pem_priv_key(pem, passphrase))
end

--- A private key in DER.
function M.parse_der_priv_key(der)
  checked("parse_der_priv_key", der)
  return wrapped(wrap_key, ops.parse_der_priv_key(der))
end

--- The certificates of a PEM text in DER, one after the other.
function M.cert_pem_to_der(pem)
  checked("cert_pem_to_der", pem)
  return ops.cert_pem_to_der(pem)
end

--- The first private key of a PEM text in DER.
function M.priv_key_pem_to_der(pem, passphrase)
  checked("priv_key_pem_to_der", pem, passphrase)
  return ops.priv_key_pem_to_der(pem, passphrase)
end

package.loaded["ngx.ssl"] = M
