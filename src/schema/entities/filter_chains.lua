-- `kong.db.schema.entities.filter_chains`: WebAssembly filters of a service or route. There are none here, and
-- `wasm.status` says so to whoever configures one.

local filter = require "kong.db.schema.others.wasm_filter"
local typedefs = require "kong.db.schema.typedefs"
local wasm = require "kong.runloop.wasm"

local function one_for(reference)
  return { type = "foreign", reference = reference, on_delete = "cascade", default = ngx.null, unique = true }
end

return {
  name = "filter_chains",
  primary_key = { "id" },
  endpoint_key = "name",
  admin_api_name = "filter-chains",
  generate_admin_api = true,
  workspaceable = true,
  cache_key = { "route", "service" },

  fields = {
    { id = typedefs.uuid },
    { name = typedefs.utf8_name },
    { enabled = { type = "boolean", required = true, default = true } },
    { route = one_for "routes" },
    { service = one_for "services" },
    { filters = { type = "array", required = true, elements = filter, len_min = 1 } },
    { created_at = typedefs.auto_timestamp_s },
    { updated_at = typedefs.auto_timestamp_s },
    { tags = typedefs.tags },
  },

  entity_checks = {
    { mutually_exclusive = { "service", "route" } },
    { at_least_one_of = { "service", "route" } },
    -- Also when the filters are refused: then it says the reason.
    {
      custom_entity_check = {
        field_sources = { "filters" },
        run_with_invalid_fields = true,
        fn = wasm.status,
      },
    },
  },
}
