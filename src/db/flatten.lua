-- `moongate.db.flatten`: the errors of a declarative file, entity by entity.
--
-- A tree of errors follows the file: lists inside entities, records inside records. Here each entity with
-- errors becomes one entry with its own errors, a field's by its path (`config.hosts.1`); entities inside
-- entities become entries of their own, with the primary key of what they stood in.

local array_mt = require("cjson").array_mt
local isarray = require "table.isarray"
local is_valid_uuid = require("kong.tools.uuid").is_valid_uuid

local next, pairs, ipairs, type, tostring, sort = next, pairs, ipairs, type, tostring, table.sort

local M = {}

-- By schemas: of each kind, the references from it and to it.
local relations_of = setmetatable({}, { __mode = "k" })

local function relations(schemas)
  local found = relations_of[schemas]
  if found then
    return found
  end
  found = {}
  local names = {}
  for name in pairs(schemas) do
    found[name] = {}
    names[#names + 1] = name
  end
  sort(names)
  for _, name in ipairs(names) do
    for field_name, field in schemas[name]:each_field() do
      if field.type == "foreign" then
        local relation = { field = field_name, entity = name, reference = field.reference }
        local own, others = found[name], found[field.reference]
        own[#own + 1] = relation
        if others then
          others[#others + 1] = relation
        end
      end
    end
  end
  relations_of[schemas] = found
  return found
end

-- The schemas of the running gateway, else those of the file schema made last.
local by_daos = setmetatable({}, { __mode = "k" })

local function current_schemas()
  local daos = kong and kong.db and kong.db.daos
  if daos then
    local schemas = by_daos[daos]
    if not schemas then
      schemas = {}
      for name, dao in pairs(daos) do
        schemas[name] = dao.schema
      end
      by_daos[daos] = schemas
    end
    return schemas
  end
  return require("kong.db.schema.others.declarative_config").known_schemas() or {}
end

-- The keys of a table from the last to the first, the order in which entries are reported; numbers after
-- names.
local function keys_of(t)
  local keys = {}
  for k in pairs(t) do
    keys[#keys + 1] = k
  end
  sort(keys, function(a, b)
    local ta, tb = type(a), type(b)
    if ta ~= tb then
      return tb == "number" or ta ~= "number" and ta > tb
    elseif ta == "number" or ta == "string" then
      return a > b
    end
    return tostring(a) > tostring(b)
  end)
  return keys
end

-- One error per text of a text or a list (of lists) of texts.
local function add_texts(err, list, kind, field)
  if type(err) == "table" then
    for _, text in ipairs(err) do
      add_texts(text, list, kind, field)
    end
  else
    list[#list + 1] = { type = kind, field = field, message = type(err) == "string" and err or tostring(err) }
  end
end

local function add_errors(errs, path, list)
  for _, name in ipairs(keys_of(errs)) do
    local err = errs[name]
    local field = path and path .. "." .. tostring(name) or name
    if name == "@entity" then
      add_texts(err, list, "entity")
    elseif type(err) == "table" then
      add_errors(err, type(field) == "string" and field ~= "" and field or tostring(field), list)
    else
      add_texts(err, list, "field", field)
    end
  end
  return list
end

local function primary_key(entity)
  local id = entity.id
  if type(id) == "string" and is_valid_uuid(id) then
    return { id = id }
  end
end

local function texts_or_nil(tags)
  if type(tags) ~= "table" or not isarray(tags) then
    return nil
  end
  for i = 1, #tags do
    if type(tags[i]) ~= "string" then
      return nil
    end
  end
  return tags
end

local add_entity

-- The entities that an entity refers to or that stand inside it leave it, and their errors its errors.
local function hoist(by_kind, kind, entity, errs, flat)
  local key = primary_key(entity)
  for _, relation in ipairs(by_kind[kind] or {}) do
    if relation.entity == kind then
      local name = relation.field
      local inner = entity[name]
      if type(inner) == "table" then
        local inner_errs = errs[name]
        entity[name] = primary_key(inner)
        errs[name] = nil
        add_entity(by_kind, relation.reference, inner, inner_errs, flat)
      end
    else
      local name = relation.entity
      local inner = entity[name]
      if type(inner) == "table" then
        local inner_errs = errs[name]
        entity[name], errs[name] = nil, nil
        if type(inner_errs) == "table" then
          for i = 1, #inner do
            if type(inner[i]) == "table" then
              if inner[i][relation.field] == nil then
                inner[i][relation.field] = key
              end
              add_entity(by_kind, name, inner[i], inner_errs[i], flat)
            elseif inner_errs[i] ~= nil then
              -- No entity to report: the error stays with what it stands in.
              errs[name] = errs[name] or {}
              errs[name][i] = inner_errs[i]
            end
          end
        else
          errs[name] = inner_errs
        end
      end
    end
  end
end

function add_entity(by_kind, kind, entity, errs, flat)
  if type(errs) == "string" then
    errs = { ["@entity"] = errs }
  elseif type(errs) ~= "table" or next(errs) == nil then
    return
  end
  hoist(by_kind, kind, entity, errs, flat)
  if next(errs) == nil then
    return
  end
  local list = add_errors(errs, nil, {})
  if #list == 0 then
    ngx.log(ngx.WARN, "failed to categorize errors for ", kind, ", ", tostring(entity.name or entity.id))
    return
  end
  local key = primary_key(entity)
  flat[#flat + 1] = {
    entity_name = type(entity.name) == "string" and entity.name ~= "" and entity.name or nil,
    entity_id = key and key.id,
    entity_tags = texts_or_nil(entity.tags),
    entity_type = kind:sub(-1) == "s" and kind:sub(1, -2) or kind,
    entity = entity,
    errors = list,
  }
end

--- The entries for the errors of a file. What is told of an entity leaves the tree, what cannot be stays in
-- it; the file's entities lose what stands inside them. `schemas` are by kind, those of `kong.db` unless
-- given.
function M.flatten(err_t, input, schemas)
  local by_kind = relations(schemas or current_schemas())
  local flat = setmetatable({}, array_mt)
  for _, kind in ipairs(keys_of(err_t)) do
    local section, entities = err_t[kind], input[kind]
    if type(section) == "table" and type(entities) == "table" then
      err_t[kind] = nil
      local left
      for _, i in ipairs(keys_of(section)) do
        local entity = entities[i]
        if type(entity) == "table" then
          add_entity(by_kind, kind, entity, section[i], flat)
        else
          ngx.log(ngx.WARN, "failed to resolve errors for ", kind, " at index '", tostring(i), "'")
          left = left or {}
          left[i] = section[i]
        end
      end
      err_t[kind] = left
    end
  end
  return flat
end

return M
