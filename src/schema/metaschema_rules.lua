-- How the attributes of fields and schemas go together, for the metaschema: what a type must have and may not have,
-- and that the fields which a schema names are there.

local M = {}

local ATTRIBUTE = "field of type '%s' cannot have attribute '%s'"
local MUST_DECLARE = "field of type '%s' must declare '%s'"
local NO_TABLE = "'%s' must be a table"

-- What a type must have.
local REQUIRED = {
  array = { "elements" },
  set = { "elements" },
  map = { "keys", "values" },
  record = { "fields" },
  json = { "json_schema" },
}

local function set(...)
  local names = {}
  for _, name in ipairs { ... } do
    names[name] = true
  end
  return names
end

-- The types that may have an attribute; others may be with any.
local ALLOWED = {
  between = set("integer", "number"),
  len_eq = set("array", "set", "string", "map"),
  match = set("string"),
  one_of = set("string", "number", "integer"),
  contains = set("array", "set"),
  is_regex = set("string"),
  timestamp = set("number", "integer"),
  uuid = set("string"),
  unique = set("string", "number", "integer", "foreign"),
  unique_across_ws = set("string", "number", "integer", "foreign"),
  abstract = set("string", "number", "integer", "record", "array", "set", "map"),
  json_schema = set("json"),
  transient = set("string", "number", "integer", "array", "set", "boolean"),
}

-- The field that a list of fields has under a name.
local function field_of(record, name)
  for _, entry in ipairs(type(record) == "table" and record.fields or {}) do
    if type(entry) == "table" then
      local key, field = next(entry)
      if key == name then
        return field
      end
    end
  end
end

-- Whether there is a field at a dotted path. What a foreign entity has is not known here.
local function has_field(record, path)
  local name, rest = path:match("^([^.]*)%.(.*)$")
  local field = field_of(record, name or path)
  if not name or field == nil then
    return field ~= nil
  end
  return type(field) == "table" and (field.type == "foreign" or has_field(field, rest))
end

-- Tables are made on the way.
local function note(errors, text, ...)
  local keys = { ... }
  for i = 1, #keys - 1 do
    if type(errors[keys[i]]) ~= "table" then
      errors[keys[i]] = {}
    end
    errors = errors[keys[i]]
  end
  errors[keys[#keys]] = text
end

local function check_transformations(schema, errors)
  for i, transformation in ipairs(schema.transformations or {}) do
    for _, what in ipairs { "input", "needs" } do
      for j, path in ipairs(transformation[what] or {}) do
        if not has_field(schema, path) then
          note(errors, "invalid field name: " .. path, "transformations", what, i, j)
        end
      end
    end
  end
end

local check_fields

-- A JSON schema that is found by another field's value needs that field, a string.
local function check_json_parent(name, field, errors, parent)
  local key = type(field.json_schema) == "table" and field.json_schema.parent_subschema_key
  if not key then
    return
  end
  local other = field_of(parent, key)
  if other == nil then
    note(errors, "value must be a field name of the parent schema", name, "json_schema", "parent_subschema_key")
  elseif other.type ~= "string" then
    note(errors, "value must be a string field of the parent schema", name, "json_schema",
      "parent_subschema_key")
  end
end

local function check_attributes(name, field, errors)
  local type_of = field.type
  if not (field.abstract and type_of == "record") then
    for _, attribute in ipairs(REQUIRED[type_of] or {}) do
      if not field[attribute] then
        errors[name] = MUST_DECLARE:format(type_of, attribute)
      end
    end
  end
  for attribute in pairs(field) do
    if ALLOWED[attribute] and not ALLOWED[attribute][type_of] then
      errors[name] = ATTRIBUTE:format(tostring(type_of), attribute)
    end
  end
end

local function check_field(name, field, errors, parent)
  if not field.type then
    errors[name] = "missing type declaration"
    return
  end
  check_attributes(name, field, errors)
  for _, attribute in ipairs { "elements", "keys", "values" } do
    local inner = field[attribute]
    if type(inner) == "table" then
      check_field(name, inner, errors, field)
    elseif inner then
      errors[name] = NO_TABLE:format(attribute)
    end
  end
  if field.type == "json" then
    check_json_parent(name, field, errors, parent)
  end
  if field.fields then
    check_fields(field, errors)
  end
end

function check_fields(schema, errors)
  check_transformations(schema, errors)
  for _, entry in ipairs(schema.fields) do
    if type(entry) ~= "table" then
      errors.fields = "each entry in fields must be a sub-table"
      break
    end
    local name, field = next(entry)
    if name == nil then
      errors.fields = "field entry table is empty"
      break
    end
    if type(field) == "table" then
      check_field(name, field, errors, schema)
    else
      errors[name] = NO_TABLE:format(tostring(name))
    end
  end
  if next(errors) then
    return nil, errors
  end
  return true
end

local function check_cache_key(schema, errors)
  local last
  for _, name in ipairs(schema.cache_key) do
    last = field_of(schema, name)
    if not last then
      errors.cache_key = "values must be field names"
      return
    end
  end
  if #schema.cache_key == 1 and not last.unique then
    errors.cache_key = "a field used as a single cache key must be unique"
  end
end

local function check_subschema_key(schema, errors)
  local field = field_of(schema, schema.subschema_key)
  if not field then
    errors.subschema_key = "value must be a field name"
  elseif field.type ~= "string" and field.type ~= "set" then
    errors.subschema_key = "must be a string or set field"
  end
end

--- The `check` of the metaschema. Gives the schema a table name, if it has none.
function M.check_schema(schema)
  if not schema.fields then
    return nil, { fields = NO_TABLE:format("fields") }
  end
  local errors = {}
  schema.table_name = schema.table_name or schema.name
  if schema.endpoint_key and not field_of(schema, schema.endpoint_key) then
    errors.endpoint_key = "value must be a field name"
  end
  if schema.cache_key then
    check_cache_key(schema, errors)
  end
  if schema.subschema_key then
    check_subschema_key(schema, errors)
  end
  if schema.ttl and field_of(schema, "ttl") then
    errors.ttl = "ttl is a reserved field name when ttl is enabled"
  end
  return check_fields(schema, errors)
end

--- The `check` of the schema of subschemas.
function M.check_subschema(schema)
  if not schema.fields then
    return nil, { fields = NO_TABLE:format("fields") }
  end
  return check_fields(schema, {})
end

return M
