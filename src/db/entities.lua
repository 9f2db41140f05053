-- `moongate.db.entities`: the entities there are, for the side that stores and indexes their rows.

local constants = require "kong.constants"

local M = {}

-- Core entities in their own order, then those of plugins by name.
local function sorted_names(daos)
  local names = {}
  for _, name in ipairs(constants.CORE_ENTITIES) do
    if daos[name] then
      names[#names + 1] = name
    end
  end
  local others = {}
  for name in pairs(daos) do
    if not constants.CORE_ENTITIES[name] then
      others[#others + 1] = name
    end
  end
  table.sort(others)
  for _, name in ipairs(others) do
    names[#names + 1] = name
  end
  return names
end

local function list(names)
  local copy = {}
  for i, name in ipairs(names or {}) do
    copy[i] = name
  end
  return copy
end

-- A cache key of several fields as its DAO composes it, with "{field}" where the field's value (of a foreign
-- key: its id) goes, and "{ws_id}".
local function cache_key_template(dao)
  local schema = dao.schema
  local entity = { ws_id = schema.workspaceable and "{ws_id}" or nil }
  for _, name in ipairs(schema.cache_key) do
    local placeholder = "{" .. name .. "}"
    entity[name] = schema.fields[name].type == "foreign" and { id = placeholder } or placeholder
  end
  return dao:cache_key(entity)
end

local function describe(dao)
  local schema = dao.schema
  local entity = {
    name = schema.name,
    primary_key = list(schema.primary_key),
    endpoint_key = schema.endpoint_key,
    cache_key = list(schema.cache_key),
    unique = {},
    foreign = {},
    workspaceable = schema.workspaceable == true,
    ttl = schema.ttl == true,
    set_fields = {},
    fields = {},
  }
  if #entity.cache_key > 1 then
    entity.cache_key_template = cache_key_template(dao)
  end
  for name, field in schema:each_field() do
    table.insert(entity.fields, name)
    if field.unique then
      table.insert(entity.unique, name)
    end
    if field.type == "foreign" then
      table.insert(entity.foreign, { field = name, reference = field.reference })
    elseif field.type == "set" then
      table.insert(entity.set_fields, name)
    end
  end
  return entity
end

--- All entities of `db` (`kong.db` if not given), those an entity refers to before it: a list of { name,
-- primary_key, endpoint_key, cache_key, cache_key_template, unique, foreign = { { field, reference } },
-- workspaceable, ttl, set_fields, fields }.
function M.describe(db)
  local daos = (db or kong.db).daos
  local described, sorted = {}, {}
  local function add(name)
    if described[name] then
      return
    end
    local entity = describe(daos[name])
    described[name] = entity
    for _, foreign in ipairs(entity.foreign) do
      if daos[foreign.reference] then
        add(foreign.reference)
      end
    end
    sorted[#sorted + 1] = entity
  end
  for _, name in ipairs(sorted_names(daos)) do
    add(name)
  end
  return sorted
end

return M
