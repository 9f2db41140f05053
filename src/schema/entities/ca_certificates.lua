-- `kong.db.schema.entities.ca_certificates`: certificates that others are verified by.

local typedefs = require "kong.db.schema.typedefs"

local find = string.find

local MARK = "-----BEGIN CERTIFICATE-----"

-- Not before there is a certificate to judge.
local function x509(pem)
  return require("resty.openssl.x509").new(pem)
end

local function digest_of(cert)
  local digest = x509(cert):digest("sha256")
  if not digest then
    return nil, "cannot create digest value of certificate"
  end
  return { cert_digest = require("resty.string").to_hex(digest) }
end

local function one_valid_ca(entity)
  local _, first = find(entity.cert, MARK, 1, true)
  if first and find(entity.cert, MARK, first + 2, true) then
    return nil, "please submit only one certificate at a time"
  end
  local cert = x509(entity.cert)
  if cert:get_not_after() < ngx.time() then
    return nil, "certificate expired, \"Not After\" time is in the past"
  end
  if not cert:get_basic_constraints("CA") then
    return nil, "certificate does not appear to be a CA because it is missing the \"CA\" basic constraint"
  end
  return true
end

return {
  name = "ca_certificates",
  primary_key = { "id" },
  dao = "kong.db.dao.ca_certificates",

  fields = {
    { id = typedefs.uuid },
    { created_at = typedefs.auto_timestamp_s },
    { updated_at = typedefs.auto_timestamp_s },
    { cert = typedefs.certificate { required = true } },
    { cert_digest = { type = "string", unique = true, description = "The certificate's SHA-256, in hex." } },
    { tags = typedefs.tags },
  },

  transformations = {
    { input = { "cert" }, on_write = digest_of },
  },

  entity_checks = {
    { custom_entity_check = { field_sources = { "cert" }, fn = one_valid_ca } },
  },
}
