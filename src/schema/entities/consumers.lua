-- `kong.db.schema.entities.consumers`: those who use services.

local typedefs = require "kong.db.schema.typedefs"

return {
  name = "consumers",
  primary_key = { "id" },
  endpoint_key = "username",
  workspaceable = true,

  fields = {
    { id = typedefs.uuid },
    { created_at = typedefs.auto_timestamp_s },
    { updated_at = typedefs.auto_timestamp_s },
    {
      username = {
        type = "string",
        unique = true,
        description = "The consumer's name. This or custom_id has to be there.",
      },
    },
    {
      custom_id = {
        type = "string",
        unique = true,
        description = "What another system calls the consumer. This or username has to be there.",
      },
    },
    { tags = typedefs.tags },
  },

  entity_checks = {
    { at_least_one_of = { "custom_id", "username" } },
  },
}
