-- `cache_key` of one entity: "<entity>:<up to five values>:<workspace>", from the values or from an entity.

local workspaces = require "kong.workspaces"

local type, tostring, error = type, tostring, error
local concat = table.concat
local null = ngx.null

-- What a field of an entity contributes; nil when it is unset.
local function part(entity, name, foreign)
  local value = entity[name]
  if value ~= nil and value ~= null and foreign and type(value) == "table" then
    value = value.id
  end
  if value == nil or value == null then
    return nil
  end
  return tostring(value)
end

local function blank(value)
  if value == nil or value == null then
    return ""
  end
  return value
end

-- Which of the names are foreign keys.
local function foreigns(schema, names)
  local flags = {}
  for i = 1, #names do
    local field = schema.fields[names[i]]
    flags[i] = field ~= nil and field.type == "foreign"
  end
  return flags
end

--- The method for one schema.
return function(schema)
  local name = schema.name
  local prefix = name .. ":"
  local workspaceable = schema.workspaceable
  local key_fields, pk_fields = schema.cache_key, schema.primary_key or {}
  local key_foreign = key_fields and foreigns(schema, key_fields)
  local pk_foreign = foreigns(schema, pk_fields)

  local function fill(values, fields, foreign, entity)
    local any = false
    for i = 1, 5 do
      local value = fields[i] and part(entity, fields[i], foreign[i])
      any = any or value ~= nil
      values[i + 1] = value or ""
    end
    return any
  end

  return function(_, key, arg2, arg3, arg4, arg5, ws_id)
    if workspaceable and (ws_id == nil or ws_id == null) then
      ws_id = workspaces.get_workspace_id()
    end

    if type(key) == "string" then
      if arg2 == nil and arg3 == nil and arg4 == nil and arg5 == nil then
        return prefix .. key .. ":::::" .. blank(ws_id)
      end
      return prefix .. key .. ":" .. blank(arg2) .. ":" .. blank(arg3) .. ":" .. blank(arg4) .. ":"
        .. blank(arg5) .. ":" .. blank(ws_id)
    elseif type(key) ~= "table" then
      error("key must be a string or an entity table", 2)
    end

    if workspaceable and key.ws_id ~= nil and key.ws_id ~= null then
      ws_id = key.ws_id
    end
    local values = { name, "", "", "", "", "", "" }
    if not (key_fields and fill(values, key_fields, key_foreign, key)) then
      fill(values, pk_fields, pk_foreign, key)
    end
    values[7] = blank(ws_id)
    return concat(values, ":")
  end
end
