-- The ids of entities that a file gives none: UUID v5 of what names the entity, so that the same file has the same
-- ids wherever it is read.

local uuid_v5 = require("moongate.ops").libs.uuid_v5

local null = ngx.null
local concat, type, tostring = table.concat, type, tostring

local ROOT = "fd02801f-0957-4a15-a55a-c8d9606f30b5"

local M = {}

local namespaces = {}

--- The id that a kind's entities have by a key; nil by what is no text.
function M.of(kind_name, key)
  if type(key) ~= "string" then
    return nil
  end
  local namespace = namespaces[kind_name]
  if not namespace then
    namespace = uuid_v5(ROOT, kind_name)
    namespaces[kind_name] = namespace
  end
  return uuid_v5(namespace, key)
end

local function workspace_of(item)
  local ws_id = item.ws_id
  if ws_id == nil or ws_id == null then
    return "*"
  end
  return tostring(ws_id)
end

M.workspace_of = workspace_of

-- What stands for an entity's cache key before its other fields are filled in; nil where something is missing that
-- would make it unique. A null counts as nothing at all.
local function by_cache_key(kind, item, parent_key, child_key)
  local schema = kind.schema
  local parts = { kind.name, workspace_of(item) }
  local n = 2
  for i = 1, #schema.cache_key do
    local name = schema.cache_key[i]
    local field, value = kind.own[name], item[name]
    if field.auto then
      return nil
    elseif type(value) == "string" then
      n = n + 1
      parts[n] = value
    elseif value == nil then
      if name == child_key then
        local id = parent_key.id
        if type(id) ~= "string" or next(parent_key, "id") ~= nil then
          return nil
        end
        n = n + 1
        parts[n] = id
      elseif field.required then
        return nil
      else
        n = n + 1
        parts[n] = ""
      end
    end
  end
  return concat(parts, ":")
end

-- The name of an entity, with that of its parent where names are the parent's own.
local function by_endpoint_key(kinds, kind, item, parent_key)
  local schema = kind.schema
  local endpoint = schema.endpoint_key
  local key = item[endpoint]
  local field = kind.own[endpoint]
  if field.unique then
    return key
  elseif type(key) ~= "string" and type(key) ~= "number" then
    return nil
  end
  for i = 1, #kind.foreigns do
    local name = kind.foreigns[i]
    local foreign = kind.own[name]
    if foreign.on_delete == "cascade" then
      local parent = kinds.by_name[foreign.reference]
      if parent_key and parent then
        for j = 1, #parent.primary_key do
          local value = parent_key[parent.primary_key[j]]
          if value == nil then
            return nil
          end
          key = key .. ":" .. tostring(value)
        end
      elseif type(item[name]) == "string" then
        key = key .. ":" .. item[name]
      elseif item[name] ~= null then
        return nil
      end
    end
  end
  if not field.unique_across_ws then
    key = key .. ":" .. workspace_of(item)
  end
  return key
end

--- The primary key field that is to be filled and the key to fill it by: nothing when it is there or is no UUID,
-- only the field when there is no key.
function M.key(kinds, kind, item, parent_key, child_key)
  local name = kind.single_key
  if not name or item[name] ~= nil or kind.own[name].uuid ~= true then
    return nil
  end
  local schema = kind.schema
  if schema.cache_key then
    return name, by_cache_key(kind, item, parent_key, child_key)
  elseif schema.endpoint_key and item[schema.endpoint_key] ~= nil then
    return name, by_endpoint_key(kinds, kind, item, parent_key)
  end
  return name
end

return M
