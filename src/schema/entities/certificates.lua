-- `kong.db.schema.entities.certificates`: certificates with their keys, perhaps a second pair of another type.

local typedefs = require "kong.db.schema.typedefs"

-- Not before there is a certificate to judge.
local function x509(pem)
  return require("resty.openssl.x509").new(pem)
end

local function same_key(cert, key)
  return x509(cert):get_pubkey():to_PEM() == require("resty.openssl.pkey").new(key):to_PEM("public")
end

local function key_type(cert)
  return x509(cert):get_pubkey():get_key_type().id
end

local function both(a, b)
  return type(a) == "string" and type(b) == "string"
end

return {
  name = "certificates",
  primary_key = { "id" },
  dao = "kong.db.dao.certificates",
  workspaceable = true,

  fields = {
    { id = typedefs.uuid },
    { created_at = typedefs.auto_timestamp_s },
    { updated_at = typedefs.auto_timestamp_s },
    { cert = typedefs.certificate { required = true, referenceable = true } },
    { key = typedefs.key { required = true, referenceable = true, encrypted = true } },
    { cert_alt = typedefs.certificate { required = false, referenceable = true } },
    { key_alt = typedefs.key { required = false, referenceable = true, encrypted = true } },
    { tags = typedefs.tags },
    { snis = { type = "array", elements = typedefs.wildcard_host, required = false, transient = true } },
  },

  entity_checks = {
    { mutually_required = { "cert_alt", "key_alt" } },
    {
      custom_entity_check = {
        field_sources = { "cert", "key" },
        fn = function(entity)
          if same_key(entity.cert, entity.key) then
            return true
          end
          return nil, "certificate does not match key"
        end,
      },
    },
    {
      custom_entity_check = {
        field_sources = { "cert_alt", "key_alt" },
        fn = function(entity)
          if not both(entity.cert_alt, entity.key_alt) or same_key(entity.cert_alt, entity.key_alt) then
            return true
          end
          return nil, "alternative certificate does not match key"
        end,
      },
    },
    {
      custom_entity_check = {
        field_sources = { "cert", "cert_alt" },
        fn = function(entity)
          if not both(entity.cert, entity.cert_alt) or key_type(entity.cert) ~= key_type(entity.cert_alt) then
            return true
          end
          return nil, "certificate and alternative certificate need to have different type (e.g. RSA and ECDSA), "
            .. "the provided certificates were both of the same type"
        end,
      },
    },
  },
}
