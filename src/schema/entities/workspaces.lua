-- `kong.db.schema.entities.workspaces`: the room that entities lie in.

local typedefs = require "kong.db.schema.typedefs"

-- Without the names as keys, which the list has as well.
local taken = { unpack(require("kong.constants").CORE_ENTITIES) }

return {
  name = "workspaces",
  primary_key = { "id" },
  cache_key = { "name" },
  endpoint_key = "name",
  dao = "kong.db.dao.workspaces",
  generate_admin_api = false,

  fields = {
    { id = typedefs.uuid },
    { name = typedefs.utf8_name { required = true, not_one_of = taken } },
    { comment = { type = "string" } },
    { created_at = typedefs.auto_timestamp_s },
    { updated_at = typedefs.auto_timestamp_s },
    { meta = { type = "record", fields = {} } },
    { config = { type = "record", fields = {} } },
  },
}
