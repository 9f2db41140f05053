-- `kong.db.schema.entities.clustering_data_planes`: what a control plane knows of its data planes.

local typedefs = require "kong.db.schema.typedefs"

local statuses = {}
for i, status in ipairs(require("kong.constants").CLUSTERING_SYNC_STATUS) do
  local _, text = next(status)
  statuses[i] = text
end

return {
  name = "clustering_data_planes",
  primary_key = { "id" },
  db_export = false,
  generate_admin_api = false,
  admin_api_name = "clustering/data-planes",
  ttl = true,

  fields = {
    { id = typedefs.uuid { required = true } },
    { last_seen = typedefs.auto_timestamp_s },
    { updated_at = typedefs.auto_timestamp_s },
    { ip = typedefs.ip { required = true } },
    { config_hash = { type = "string", len_eq = 32 } },
    { hostname = typedefs.host { required = true } },
    { version = typedefs.semantic_version },
    {
      sync_status = {
        type = "string",
        required = true,
        one_of = statuses,
        default = "unknown",
        description = "Whether it can take the configuration.",
      },
    },
    {
      labels = {
        type = "map",
        keys = { type = "string" },
        values = { type = "string" },
        description = "What its owner says of it.",
      },
    },
    {
      cert_details = {
        type = "record",
        fields = { { expiry_timestamp = { type = "number", timestamp = true, required = false } } },
        description = "What its certificate says.",
      },
    },
    {
      rpc_capabilities = {
        type = "set",
        elements = typedefs.capability,
        description = "What it can do over RPC.",
      },
    },
  },
}
