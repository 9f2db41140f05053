-- The primary key of an entity as one string.

local concat, tostring, type = table.concat, tostring, type

--- One value as it is; several joined by colons, a reference by its id.
return function(schema, object)
  local primary_key = schema.primary_key
  local count = #primary_key
  if count == 1 then
    return tostring(object[primary_key[1]])
  end
  local parts = {}
  for i = 1, count do
    local name = primary_key[i]
    local value = object[name]
    local field = schema.fields[name]
    if type(value) == "table" and field and field.type == "foreign" then
      value = value.id
    end
    parts[i] = tostring(value or "")
  end
  return concat(parts, ":")
end
