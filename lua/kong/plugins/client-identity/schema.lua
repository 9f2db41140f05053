local typedefs = require "kong.db.schema.typedefs"

local function pem(encrypted)
  return {
    type = "map",
    default = {},
    keys = { type = "string" },
    values = { type = "string", referenceable = true, encrypted = encrypted },
  }
end

return {
  name = "client-identity",
  fields = {
    { consumer = typedefs.no_consumer },
    { protocols = typedefs.protocols_http },
    { config = {
        type = "record",
        fields = {
          -- whose value names the identity
          { header = typedefs.header_name { required = true, default = "x-identity" } },
          -- by name, PEM: certificates with their chains, and their keys
          { certificates = pem() },
          { keys = pem(true) },
          -- whose value names the authorities that the upstream's certificate must come from
          { trust_header = typedefs.header_name { required = true, default = "x-trust" } },
          -- by name, PEM
          { trust = pem() },
          { verify_depth = { type = "integer", default = 1, between = { 0, 100 } } },
        },
    } },
  },
}
