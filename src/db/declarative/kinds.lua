-- The kinds of entities a declarative file may hold, for one set of plugins and vaults, and the records that
-- judge them there.
--
-- In a file an entity may stand in a list of its kind or in a list inside the entity that it refers to; a
-- reference is then the name (or id) of the other entity, or is not written at all. So a kind has three
-- records: `top` (a reference is a string), `nested` (a reference must not be given) and `full` (references
-- are primary keys).

local Entity = require "kong.db.schema.entity"
local Schema = require "kong.db.schema"
local constants = require "kong.constants"
local load_module_if_exists = require("kong.tools.module").load_module_if_exists
local topological_sort = require "kong.db.schema.topological_sort"

local null = ngx.null

local M = {}

-- What of an entity's schema is part of its record.
local RECORD_PARTS = {
  "entity_checks", "shorthand_fields", "transformations", "subschema_key", "subschema_error", "check", "ttl",
}

local function sorted_keys(set)
  local names = {}
  for name in pairs(set or {}) do
    names[#names + 1] = name
  end
  table.sort(names)
  return names
end

local function core_schemas(schemas, list)
  for _, name in ipairs(constants.CORE_ENTITIES) do
    -- Tags are no entities of a file.
    if name ~= "tags" then
      local schema, err = Entity.new(require("kong.db.schema.entities." .. name))
      if not schema then
        return nil, err
      end
      local ok, subschemas = load_module_if_exists("kong.db.schema.entities." .. name .. "_subschemas")
      if ok then
        for key, subschema in pairs(subschemas) do
          ok, err = schema:new_subschema(key, subschema)
          if not ok then
            return nil, ("error initializing schema for %s: %s"):format(name, err)
          end
        end
      end
      schemas[name] = schema
      list[#list + 1] = schema
    end
  end
  return true
end

local function plugin_schemas(schemas, list, plugins, errors)
  local loader = require "kong.db.schema.plugin_loader"
  for _, plugin in ipairs(plugins) do
    local own, err = loader.load_entities(plugin, errors, loader.load_entity_schema)
    if err then
      return nil, err
    end
    for _, name in ipairs(sorted_keys(own)) do
      schemas[name] = own[name]
      list[#list + 1] = own[name]
    end
  end
  return true
end

-- What was made before: the core's in their order, then plugins' by name.
local function take_schemas(schemas, list, made)
  local others = {}
  for name, schema in pairs(made) do
    if name ~= "tags" then
      schemas[name] = schema
      others[name] = not constants.CORE_ENTITIES[name] or nil
    end
  end
  for _, name in ipairs(constants.CORE_ENTITIES) do
    list[#list + 1] = schemas[name]
  end
  for _, name in ipairs(sorted_keys(others)) do
    list[#list + 1] = schemas[name]
  end
  return true
end

-- The kind of a schema: its references, and (filled later) which kinds may stand inside it.
local function kind_of(schema)
  local kind = {
    name = schema.name,
    schema = schema,
    primary_key = schema.primary_key,
    foreigns = {},
    references = {},
    children = {},
    child_key = {},
    own = {},
    subschemas = schema.subschemas,
  }
  if #schema.primary_key == 1 then
    kind.single_key = schema.primary_key[1]
  end
  for _, entry in ipairs(schema.fields) do
    local name, field = next(entry)
    kind.own[name] = field
    if field.type == "foreign" then
      kind.foreigns[#kind.foreigns + 1] = name
      kind.references[name] = field.reference
    elseif field.unique and name ~= kind.single_key then
      kind.uniques = kind.uniques or {}
      kind.uniques[#kind.uniques + 1] = name
    end
  end
  for _, name in ipairs(kind.foreigns) do
    if kind.own[name].unique then
      kind.uniques = kind.uniques or {}
      kind.uniques[#kind.uniques + 1] = name
    end
  end
  local endpoint = schema.endpoint_key
  if endpoint and kind.own[endpoint] and kind.own[endpoint].unique then
    kind.name_key = endpoint
  end
  return kind
end

local function nest(kinds, names)
  for _, name in ipairs(names) do
    local kind = kinds[name]
    for _, field in ipairs(kind.foreigns) do
      local parent = kinds[kind.references[field]]
      if parent then
        if not parent.child_key[name] then
          parent.children[#parent.children + 1] = name
        end
        parent.child_key[name] = field
      end
    end
  end
end

local function load_subschemas(kind, loader, names, errors)
  if not names then
    return true
  end
  -- The loaders give a definition its subschemas; the three records share them.
  local holder = { name = kind.name, fields = kind.schema.fields, subschema_key = kind.schema.subschema_key }
  for _, name in ipairs(names) do
    local _, err = loader.load_subschema(holder, name, errors)
    if err then
      return nil, err
    end
  end
  kind.subschemas = holder.subschemas or {}
  return true
end

local function variant_of(field, variant)
  if variant == "full" then
    return field
  end
  local changed = {}
  for k, v in pairs(field) do
    changed[k] = v
  end
  if variant == "top" then
    changed.type = "string"
    changed.schema, changed.reference, changed.on_delete = nil, nil, nil
  else
    changed.eq, changed.default, changed.required = null, null, false
  end
  return changed
end

-- The definition of a kind's record without the lists inside it.
local function definition(kind, variant)
  local def = { type = "record", fields = {} }
  for _, part in ipairs(RECORD_PARTS) do
    def[part] = kind.schema[part]
  end
  for _, entry in ipairs(kind.schema.fields) do
    local name, field = next(entry)
    -- A list of entities inside takes the place of a field of that name (`snis` of certificates).
    if not kind.child_key[name] then
      if field.type == "foreign" then
        field = variant_of(field, variant)
      end
      def.fields[#def.fields + 1] = { [name] = field }
    end
  end
  def.fields[#def.fields + 1] = { _comment = { type = "string" } }
  def.fields[#def.fields + 1] = { _ignore = { type = "array", elements = { type = "any" } } }
  return def
end

--- The schema of a kind's record: `variant` is "top", "nested" or "full".
function M.record(kind, variant)
  local schema = kind[variant]
  if not schema then
    schema = assert(Schema.new(definition(kind, variant)))
    schema.subschemas = kind.subschemas
    kind[variant] = schema
  end
  return schema
end

--- The fields of a file as one definition, each list with the record of its entities and the lists inside
-- them.
function M.file_fields(kinds, include_foreign)
  local fields = {}
  local inner = {}
  local function whole(kind, variant)
    local def = definition(kind, variant)
    def.subschemas = kind.subschemas
    for _, child in ipairs(kind.children) do
      inner[child] = inner[child] or whole(kinds.by_name[child], include_foreign and "full" or "nested")
      def.fields[#def.fields + 1] = { [child] = { type = "array", elements = inner[child] } }
    end
    return def
  end
  for i, entry in ipairs(kinds.head) do
    fields[i] = entry
  end
  for _, name in ipairs(kinds.names) do
    local record = whole(kinds.by_name[name], include_foreign and "full" or "top")
    fields[#fields + 1] = { [name] = { type = "array", elements = record } }
  end
  return fields
end

local function head_fields()
  return {
    { _format_version = { type = "string", required = true, one_of = { "1.1", "2.1", "3.0" } } },
    { _transform = { type = "boolean", default = true } },
    { _comment = { type = "string" } },
    { _ignore = { type = "array", elements = { type = "any" } } },
    -- What decK writes about itself.
    { _info = { type = "any" } },
  }
end

--- All kinds for sets of plugin and vault names (keys are the names).
-- `names` is in an order in which a kind stands after those it refers to. `made` are the schemas of all
-- entities with these plugins, by name, if there are such already.
function M.load(plugin_set, vault_set, errors, made)
  local schemas, list = {}, {}
  local plugins = sorted_keys(plugin_set)
  local ok, err
  if made then
    ok = take_schemas(schemas, list, made)
  else
    ok, err = core_schemas(schemas, list)
    if ok then
      ok, err = plugin_schemas(schemas, list, plugins, errors)
    end
  end
  if not ok then
    return nil, err
  end
  list, err = topological_sort(list)
  if not list then
    return nil, err
  end

  local kinds = { names = {}, by_name = {}, schemas = schemas, head = head_fields() }
  for i, schema in ipairs(list) do
    kinds.names[i] = schema.name
    kinds.by_name[schema.name] = kind_of(schema)
  end
  nest(kinds.by_name, kinds.names)

  local by_name = kinds.by_name
  if by_name.plugins and not made then
    ok, err = load_subschemas(by_name.plugins, require "kong.db.schema.plugin_loader", plugins, errors)
  end
  if ok and by_name.vaults then
    local vaults = vault_set and sorted_keys(vault_set)
    ok, err = load_subschemas(by_name.vaults, require "kong.db.schema.vault_loader", vaults, errors)
  end
  if not ok then
    return nil, err
  end

  kinds.head_schema = assert(Schema.new {
    name = "declarative_config", primary_key = {}, fields = head_fields(),
  })
  return kinds
end

return M
