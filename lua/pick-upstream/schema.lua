local typedefs = require "kong.db.schema.typedefs"

return {
  name = "pick-upstream",
  fields = {
    { protocols = typedefs.protocols_http },
    { config = {
        type = "record",
        fields = {
          { header = { type = "string", required = true, default = "x-region" } },
          { default = { type = "string" } },
          -- from the header's value to the name of an Upstream
          { upstreams = {
              type = "map",
              required = true,
              keys = { type = "string" },
              values = { type = "string" },
          } },
        },
    } },
  },
}
