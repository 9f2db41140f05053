-- `kong.db.schema.entity`: schemas of what is stored. Their records are complete when read, and they hold nothing
-- that can't be stored.

local Schema = require "kong.db.schema"

local Entity = {}

-- A record that does not say whether it is required is, and so are those in it.
local function require_records(record)
  if record.required == nil then
    record.required = true
  end
  for _, field in Schema.each_field(record) do
    if field.type == "record" then
      require_records(field)
    end
  end
end

function Entity.new_subschema(schema, key, definition)
  require_records(definition)
  definition.required = nil
  return Schema.new_subschema(schema, key, definition)
end

local function refusal(name, field)
  if field.nilable then
    return name .. ": Entities cannot have nilable types."
  elseif field.abstract then
    return nil
  elseif field.type == "map" and field.keys.type ~= "string" then
    return name .. ": Entities map keys must be strings."
  elseif field.type == "function" then
    return name .. ": Entities cannot have function types."
  end
end

--- Makes the schema of an entity; nil and a text if it can't be one.
function Entity.new(definition)
  local self, err = Schema.new(definition)
  if not self then
    return nil, err
  end
  for name, field in self:each_field() do
    err = refusal(name, field)
    if err then
      return nil, err
    end
    if field.type == "record" and not field.abstract then
      require_records(field)
    end
  end
  self.new_subschema = Entity.new_subschema
  return self
end

return Entity
