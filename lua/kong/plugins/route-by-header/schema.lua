local typedefs = require "kong.db.schema.typedefs"

return {
  name = "route-by-header",
  fields = {
    { consumer = typedefs.no_consumer },
    { protocols = typedefs.protocols_http },
    { config = {
        type = "record",
        fields = {
          { header = typedefs.header_name { required = true, default = "x-target" } },
          -- from the header's value to "host:port"
          { targets = {
              type = "map",
              required = true,
              keys = { type = "string" },
              values = { type = "string" },
          } },
        },
    } },
  },
}
