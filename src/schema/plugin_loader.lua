-- `kong.db.schema.plugin_loader`: from a plugin's `schema.lua` to the subschema of `plugins`, from its
-- `daos.lua` to entities.

local Entity = require "kong.db.schema.entity"
local MetaSchema = require "kong.db.schema.metaschema"
local is_array = require("kong.tools.table").is_array
local legacy = require "moongate.schema.legacy"
local load_module_if_exists = require("kong.tools.module").load_module_if_exists

local M = {}

--- Makes the plugin's schema a subschema of `parent_schema` and returns its definition; nil and why not.
-- One that was `judged` before is only made.
function M.load_subschema(parent_schema, plugin, errors, judged)
  local found, schema = load_module_if_exists("kong.plugins." .. plugin .. ".schema")
  if not found then
    return nil, "no configuration schema found for plugin: " .. plugin
  end
  if type(schema) ~= "table" then
    return nil, "schema of plugin '" .. plugin .. "' is no table but a " .. type(schema)
  end
  local old = legacy.explain(plugin, schema)
  if old then
    return nil, old
  end
  local ok, err
  if not judged then
    ok, err = MetaSchema.MetaSubSchema:validate(schema)
    if not ok then
      return nil, tostring(errors:schema_violation(err))
    end
  end
  ok, err = Entity.new_subschema(parent_schema, plugin, schema)
  if not ok then
    return nil, "error initializing schema for plugin: " .. err
  end
  return schema
end

--- The schema of an entity that a plugin brings; nil and why it is refused. One that was `judged` before is
--- only made.
function M.load_entity_schema(plugin, definition, errors, judged)
  local refused = "schema of custom plugin entity '" .. plugin .. "." .. tostring(definition.name)
    .. "' is invalid: "
  if not judged then
    local _, problems = MetaSchema:validate(definition)
    if problems then
      return nil, refused .. tostring(errors:schema_violation(problems))
    end
  end
  local schema, err = Entity.new(definition)
  if err then
    return nil, refused .. err
  end
  return schema
end

--- What `load_one` makes of each entity in the plugin's `daos.lua`, by name; {} if it has none.
function M.load_entities(plugin, errors, load_one)
  local found, definitions = load_module_if_exists("kong.plugins." .. plugin .. ".daos")
  if not found then
    return {}
  end
  if not is_array(definitions, "strict") then
    return nil, "custom plugin '" .. plugin .. "' returned non-array daos definition table"
  end
  local entities = {}
  for _, definition in ipairs(definitions) do
    local entity, err = load_one(plugin, definition, errors)
    if err then
      return nil, err
    end
    entities[definition.name] = entity
  end
  return entities
end

return M
