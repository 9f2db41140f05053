-- `kong.db.schema.entities.tags`: which entity has which tag. Nothing is configured by it.

local typedefs = require "kong.db.schema.typedefs"

return {
  name = "tags",
  primary_key = { "tag" },
  endpoint_key = "tag",
  dao = "kong.db.dao.tags",
  db_export = false,

  fields = {
    { tag = typedefs.tag },
    { entity_name = { type = "string", required = true, description = "The kind of the tagged entity." } },
    { entity_id = typedefs.uuid { required = true } },
  },
}
