-- `kong.db.schema.entities.keys`: public and private keys, as JWK or PEM.

local Schema = require "kong.db.schema"
local cjson = require "cjson.safe"
local constants = require "kong.constants"
local typedefs = require "kong.db.schema.typedefs"

local jwk_schema

local function valid_jwk(entity)
  local jwk, err = cjson.decode(entity.jwk)
  if err or type(jwk) ~= "table" then
    return nil, "could not json decode jwk string"
  end
  if jwk.kid ~= entity.kid then
    return nil, "kid in jwk.kid must be equal to keys.kid"
  end
  local ok
  ok, err = typedefs.jwk.custom_validator(entity.jwk)
  if not ok or err then
    return nil, err or "could not load JWK"
  end
  jwk_schema = jwk_schema or Schema.new(typedefs.jwk)
  if not jwk_schema then
    return nil, "could not load jwk schema"
  end
  ok, err = jwk_schema:validate(jwk, true)
  if not ok then
    return nil, jwk_schema:errors_to_string(err)
  end
  return true
end

local function valid_key(entity)
  if type(entity.jwk) == "string" then
    -- What it stands for is not known yet.
    if kong and kong.vault and kong.vault.is_reference(entity.jwk) then
      return true
    end
    local ok, err = valid_jwk(entity)
    if not ok then
      return nil, err
    end
  end
  local pem = entity.pem
  if type(pem) == "table" and not (pem.private_key or pem.public_key) then
    return nil, "need to supply a PEM formatted public and/or private key."
  end
  return true
end

return {
  name = "keys",
  dao = "kong.db.dao.keys",
  primary_key = { "id" },
  cache_key = { "kid", "set" },
  endpoint_key = "name",
  workspaceable = true,
  ttl = false,

  fields = {
    { id = typedefs.uuid },
    {
      set = {
        type = "foreign",
        required = false,
        reference = "key_sets",
        on_delete = "cascade",
        description = "The set it belongs to.",
      },
    },
    { name = { type = "string", required = false, unique = true, description = "The key's name." } },
    { kid = { type = "string", required = true, unique = false, description = "The key's id (kid)." } },
    -- A text, so that it may be a reference; `valid_jwk` reads it.
    { jwk = { type = "string", referenceable = true, encrypted = true, description = "The key as a JWK." } },
    { pem = typedefs.pem },
    { tags = typedefs.tags },
    { created_at = typedefs.auto_timestamp_s },
    { updated_at = typedefs.auto_timestamp_s },
  },

  entity_checks = {
    { mutually_exclusive = constants.KEY_FORMATS },
    { at_least_one_of = constants.KEY_FORMATS },
    { custom_entity_check = { field_sources = { "jwk", "pem", "kid" }, fn = valid_key } },
  },
}
