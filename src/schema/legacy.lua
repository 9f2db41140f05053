-- Tells the schemas of Kong before 1.0 from today's, and says what to change.

local M = {}

local FLAGS = { "no_consumer", "no_route", "no_service", "no_api", "self_check" }

local MODERN = "a schema is { name = ..., fields = { { config = { type = \"record\", fields = { "
  .. "{ some_field = { type = \"string\" } }, ... } } } } }"

local ADVICE = {
  no_consumer = "put { consumer = typedefs.no_consumer } among the fields",
  no_route = "put { route = typedefs.no_route } among the fields",
  no_service = "put { service = typedefs.no_service } among the fields",
  no_api = "it has no meaning any more",
  self_check = "use entity_checks",
}

local function sign(schema)
  for _, flag in ipairs(FLAGS) do
    if schema[flag] ~= nil then
      return "'" .. flag .. "': " .. ADVICE[flag]
    end
  end
  local fields = schema.fields
  if type(fields) == "table" and #fields == 0 and next(fields) ~= nil then
    return "'fields' as a map: make it a list of { name = { type = ... } }"
  end
end

--- What is wrong with a plugin's schema if it is of that time, else nil.
function M.explain(plugin, schema)
  local found = type(schema) == "table" and sign(schema)
  if found then
    return "the schema of plugin '" .. plugin .. "' is written for Kong before 1.0 (it has " .. found .. "); " .. MODERN
  end
end

return M
