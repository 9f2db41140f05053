-- `kong.db.schema.entities.plugins`: plugins as configured. The `config` of each is its plugin's subschema.

local typedefs = require "kong.db.schema.typedefs"

local null = ngx.null

local function only_for(reference, description)
  return {
    type = "foreign",
    reference = reference,
    default = null,
    on_delete = "cascade",
    description = description,
  }
end

return {
  name = "plugins",
  primary_key = { "id" },
  cache_key = { "name", "route", "service", "consumer" },
  dao = "kong.db.dao.plugins",
  workspaceable = true,
  endpoint_key = "instance_name",

  subschema_key = "name",
  subschema_error = "plugin '%s' not enabled; add it to the 'plugins' configuration property",

  fields = {
    { id = typedefs.uuid },
    { name = { type = "string", required = true, description = "Which plugin." } },
    { instance_name = typedefs.utf8_name },
    { created_at = typedefs.auto_timestamp_s },
    { updated_at = typedefs.auto_timestamp_s },
    { route = only_for("routes", "Runs for requests of this route only.") },
    { service = only_for("services", "Runs for requests to this service only.") },
    { consumer = only_for("consumers", "Runs for requests of this consumer only.") },
    { config = { type = "record", abstract = true, description = "The plugin's own configuration." } },
    { protocols = typedefs.protocols },
    { enabled = { type = "boolean", required = true, default = true, description = "Whether it runs." } },
    { tags = typedefs.tags },
  },
}
