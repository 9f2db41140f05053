-- `kong.db.schema.entities.vaults`: where secrets come from. The `config` of each is its vault's subschema.

local typedefs = require "kong.db.schema.typedefs"

-- `{vault://<prefix>/...}` must not hide a vault's own name.
local installed
do
  local names = kong and kong.configuration and kong.configuration.loaded_vaults
    or require("kong.constants").BUNDLED_VAULTS
  for name in pairs(names or {}) do
    installed = installed or {}
    installed[#installed + 1] = name
  end
end

return {
  name = "vaults",
  table_name = "sm_vaults",
  primary_key = { "id" },
  cache_key = { "prefix" },
  endpoint_key = "prefix",
  workspaceable = true,
  subschema_key = "name",
  subschema_error = "vault '%s' is not installed",
  admin_api_name = "vaults",
  dao = "kong.db.dao.vaults",

  fields = {
    { id = typedefs.uuid },
    {
      prefix = {
        type = "string",
        required = true,
        unique = true,
        unique_across_ws = true,
        match = "^[a-z][a-z%d-]-[a-z%d]+$",
        not_one_of = installed,
        description = "What references call it by.",
      },
    },
    { name = { type = "string", required = true, description = "Which vault." } },
    { description = { type = "string", description = "What it is for." } },
    { config = { type = "record", abstract = true, description = "The vault's own configuration." } },
    { created_at = typedefs.auto_timestamp_s },
    { updated_at = typedefs.auto_timestamp_s },
    { tags = typedefs.tags },
  },
}
