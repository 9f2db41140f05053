-- `kong.db.schema.entities.targets`: the addresses that an upstream balances over.

local typedefs = require "kong.db.schema.typedefs"
local parse_host = require("kong.tools.ip").parse_host
local validate_utf8 = require("kong.tools.string").validate_utf8

local NO_ADDRESS = "; not a valid hostname or ip address"

local function target(value)
  if parse_host(value) then
    return true
  end
  if validate_utf8(value) then
    return nil, "Invalid target ('" .. value .. "')" .. NO_ADDRESS
  end
  return nil, "Invalid target" .. NO_ADDRESS
end

return {
  name = "targets",
  dao = "kong.db.dao.targets",
  primary_key = { "id" },
  cache_key = { "upstream", "target" },
  endpoint_key = "target",
  workspaceable = true,

  fields = {
    { id = typedefs.uuid },
    { created_at = typedefs.auto_timestamp_ms },
    { updated_at = typedefs.auto_timestamp_ms },
    {
      upstream = {
        type = "foreign",
        reference = "upstreams",
        required = true,
        on_delete = "cascade",
        description = "The upstream it belongs to.",
      },
    },
    {
      target = {
        type = "string",
        required = true,
        custom_validator = target,
        description = "An address or a name, with a port if need be.",
      },
    },
    {
      weight = {
        type = "integer",
        default = 100,
        between = { 0, 65535 },
        description = "Its share of the requests, beside the other targets' weights.",
      },
    },
    { tags = typedefs.tags },
  },
}
