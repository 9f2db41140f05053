-- Types of certificates and keys, as PEM and as JWK.

local Schema = require "kong.db.schema"

local null = ngx.null

-- Required when there is something to judge: most states never see a certificate.
local function new_key(value, options)
  return require("resty.openssl.pkey").new(value, options)
end

-- What stands for a secret until it is resolved cannot be judged.
local function is_reference(value)
  return kong and kong.vault and kong.vault.is_reference(value)
end

local function certificate(value)
  local _, err = require("resty.openssl.x509").new(value)
  if err then
    return nil, "invalid certificate: " .. err
  end
  return true
end

local function key(value)
  local _, err = new_key(value)
  if err then
    return nil, "invalid key: " .. err
  end
  return true
end

local function jwk(value)
  if is_reference(value) then
    return true
  end
  local loaded, err = new_key(value, { format = "JWK" })
  if not loaded or err then
    return false, "could not load JWK, likely not a valid key"
  end
  return true
end

local function given(value)
  return value ~= nil and value ~= null
end

local function pem(pair)
  if is_reference(pair.private_key) or is_reference(pair.public_key) then
    return true
  end
  local public, private, err
  if given(pair.public_key) then
    public, err = new_key(pair.public_key, { format = "PEM", type = "pu" })
    if not public or err then
      return false, "could not load public key"
    end
  end
  if given(pair.private_key) then
    private, err = new_key(pair.private_key, { format = "PEM", type = "pr" })
    if not private or err then
      return false, "could not load private key" .. (err or "")
    end
  end
  if public and private and private:to_PEM("public") ~= public:to_PEM() then
    return false, "public key does not match private key"
  end
  return true
end

-- RFC 7517 and 7518: the members of a JWK, `true` for lists of texts.
local JWK = {
  { "issuer" }, { "kty" }, { "use" }, { "key_ops", true }, { "alg" }, { "kid" }, { "x5u" }, { "x5c", true },
  { "x5t" }, { "x5t#S256" }, { "k" }, { "x" }, { "y" }, { "crv" }, { "n" }, { "e" }, { "d" }, { "p" }, { "q" },
  { "dp" }, { "dq" }, { "qi" }, { "oth" }, { "r" }, { "t" },
}

local jwk_fields = {}
for i, member in ipairs(JWK) do
  local name, list = member[1], member[2]
  jwk_fields[i] = {
    [name] = {
      type = list and "array" or "string",
      required = name == "kid",
      elements = list and { type = "string", required = false } or nil,
    },
  }
end

return {
  certificate = Schema.define {
    type = "string",
    custom_validator = certificate,
    description = "A certificate, in PEM.",
  },
  key = Schema.define { type = "string", custom_validator = key, description = "A key, in PEM." },
  pem = Schema.define {
    type = "record",
    required = false,
    fields = {
      { private_key = { type = "string", required = false, referenceable = true, encrypted = true } },
      { public_key = { type = "string", required = false, referenceable = true } },
    },
    entity_checks = { { at_least_one_of = { "private_key", "public_key" } } },
    custom_validator = pem,
    description = "A pair of keys, or one of them, in PEM or as references to a vault.",
  },
  jwk = Schema.define {
    type = "record",
    required = false,
    fields = jwk_fields,
    custom_validator = jwk,
    description = "A JSON Web Key.",
  },
}
