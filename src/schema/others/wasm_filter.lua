-- `kong.db.schema.others.wasm_filter`: one filter of a filter chain.

local constants = require "kong.constants"
local json_schema = require "kong.db.schema.json"
local wasm = require "kong.runloop.wasm"

local config = {
  parent_subschema_key = "name",
  namespace = constants.SCHEMA_NAMESPACES.PROXY_WASM_FILTERS,
  optional = true,
  -- A filter that says nothing of its configuration takes a text.
  default = { ["$schema"] = json_schema.DRAFT_4, type = { "string", "null" } },
}

-- A data plane does not know the filters' schemas.
if kong and kong.configuration and kong.configuration.role == "data_plane" then
  config = {
    inline = {
      ["$schema"] = json_schema.DRAFT_4,
      type = { "array", "boolean", "integer", "null", "number", "object", "string" },
    },
  }
end

return {
  type = "record",
  fields = {
    { name = { type = "string", required = true, one_of = wasm.filter_names, err = "no such filter" } },
    { enabled = { type = "boolean", default = true, required = true } },
    { config = { type = "json", required = false, json_schema = config } },
  },
}
