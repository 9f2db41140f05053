-- `moongate.schema.plugin`: what a plugin's schema says of the `conf` table that its handler gets. The values
-- were judged with the rest of their file; nothing is judged here.

local as_set = require("moongate.schema.engine.values").as_set

local ipairs, pairs, next, type, pcall, require = ipairs, pairs, next, type, pcall, require

local M = {}

-- By plugin: the field `config` of its schema, or false.
local known = {}

local function config_of(name)
  local field = known[name]
  if field == nil then
    field = false
    local found, schema = pcall(require, "kong.plugins." .. name .. ".schema")
    for _, entry in ipairs(found and type(schema) == "table" and schema.fields or {}) do
      field = entry.config or field
    end
    known[name] = field
  end
  return field
end

local function dress(field, value)
  if type(value) ~= "table" then
    return value
  end
  if field.type == "set" then
    return as_set(value)
  elseif field.type == "record" then
    for _, entry in ipairs(field.fields or {}) do
      local key, inner = next(entry)
      value[key] = dress(inner, value[key])
    end
  elseif field.type == "array" or field.type == "map" then
    local inner = field.elements or field.values
    for key, item in pairs(value) do
      value[key] = dress(inner, item)
    end
  end
  return value
end

--- The table a handler gets as `conf`: sets answer membership.
function M.conf(name, config)
  local field = config_of(name)
  return field and dress(field, config) or config
end

return M
