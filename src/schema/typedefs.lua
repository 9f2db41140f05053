-- `kong.db.schema.typedefs`: ready-made fields for schemas. Each may be called with what should differ:
-- `typedefs.host { required = true }`.
--
-- The types lie in `typedefs/`, one file for each concept; those without a validator of their own are here.

local Schema = require "kong.db.schema"
local constants = require "kong.constants"

local null = ngx.null

local function never(reference)
  return Schema.define {
    type = "foreign",
    reference = reference,
    eq = null,
    description = "Not to be tied to an entity of '" .. reference .. "'.",
  }
end

local function lua_code(code)
  return require("kong.tools.sandbox").validate_safe(code)
end

local typedefs = {
  uuid = Schema.define { type = "string", uuid = true, auto = true, description = "A universally unique identifier." },
  auto_timestamp_s = Schema.define {
    type = "integer",
    timestamp = true,
    auto = true,
    description = "A time in seconds since 1970, set on writing.",
  },
  auto_timestamp_ms = Schema.define {
    type = "number",
    timestamp = true,
    auto = true,
    description = "A time in seconds since 1970 with milliseconds, set on writing.",
  },
  timeout = Schema.define {
    type = "integer",
    between = { 0, 2 ^ 31 - 2 },
    description = "A time to wait at most, in milliseconds.",
  },
  ttl = Schema.define {
    type = "number",
    between = { 0, constants.DATABASE.DAO_MAX_TTL },
    description = "How long something lives, in seconds.",
  },

  no_consumer = never "consumers",
  no_route = never "routes",
  no_service = never "services",

  lua_code = Schema.define {
    type = "map",
    keys = { type = "string", len_min = 1 },
    values = { type = "string", len_min = 1, custom_validator = lua_code },
    description = "Lua, by name.",
  },

  queue = require "kong.tools.queue_schema",
  propagation = require "kong.observability.tracing.propagation.schema",
}

for _, concept in ipairs { "hosts", "names", "routing", "secrets" } do
  for name, definition in pairs(require("moongate.schema.typedefs." .. concept)) do
    typedefs[name] = definition
  end
end

return setmetatable(typedefs, {
  __index = function(_, name)
    error("schema typedef error: definition " .. tostring(name) .. " does not exist", 2)
  end,
})
