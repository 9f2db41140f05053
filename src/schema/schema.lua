-- `kong.db.schema`: a schema object made of a definition, and what it does with an input table.

local checks = require "moongate.schema.entity_checks"
local defaults = require "moongate.schema.defaults"
local errors = require "moongate.schema.errors"
local types = require "moongate.schema.types"

local texts = errors.texts
local null = require("cjson").null

local Schema = {}
Schema.__index = Schema

--- A definition that may be called with a table to get a variant of it: `typedefs.host { required = true }`.
function Schema.define(definition)
  return setmetatable(definition, {
    __call = function(base, variant)
      variant = variant or {}
      for k, v in pairs(base) do
        if variant[k] == nil then
          variant[k] = v
        end
      end
      return variant
    end,
  })
end

local by_name = setmetatable({}, { __mode = "k" })

--- The definition of field `name` of a record or schema.
function Schema.field_of(record, name)
  local fields = record.fields
  local map = by_name[fields]
  if not map then
    map = {}
    for _, entry in ipairs(fields) do
      local k, field = next(entry)
      map[k] = field
    end
    by_name[fields] = map
  end
  return map[name]
end

--- Makes a schema of a definition.
function Schema.new(definition)
  if type(definition) ~= "table" then
    return nil, "expected a definition table"
  end
  if type(definition.fields) ~= "table" then
    return nil, "error in schema definition: no 'fields' table"
  end
  for i, entry in ipairs(definition.fields) do
    local name, field
    if type(entry) == "table" then
      name, field = next(entry)
    end
    if type(name) ~= "string" or type(field) ~= "table" then
      return nil, "error in schema definition: field " .. i .. " is not of the form { name = { ... } }"
    end
  end
  if definition.transformations then
    return nil, "not supported: schema transformations"
  end
  local self = {}
  for k, v in pairs(definition) do
    self[k] = v
  end
  return setmetatable(self, Schema)
end

local made = setmetatable({}, { __mode = "k" })

--- The schema of a record field.
function Schema.of(field)
  local schema = made[field]
  if not schema then
    local err
    schema, err = Schema.new(field)
    if not schema then
      error(err, 0)
    end
    made[field] = schema
  end
  return schema
end

--- Iterates over name, definition in the order of the schema.
function Schema:each_field()
  local i, fields = 0, self.fields
  return function()
    i = i + 1
    if fields[i] then
      return next(fields[i])
    end
  end
end

--- Judges one value; `required` overrides the field's own (list items may not be null).
function Schema:validate_field(field, value, required)
  return types.check(self, field, value, required)
end

--- A completed copy of the input.
function Schema:process_auto_fields(data, context)
  if context == "select" then
    return data
  end
  return defaults.fill(self, data)
end

--- Judges a completed input: true, or nil and the error tree.
function Schema:validate(input, full)
  if full == nil then
    full = true
  end
  local tree = {}
  for k, v in pairs(input) do
    local field = Schema.field_of(self, k)
    if not field then
      tree[k] = texts.unknown
    else
      local ok, err = self:validate_field(field, v)
      if not ok then
        tree[k] = err or texts.validation:format(tostring(v))
      end
    end
  end
  for name, field in self:each_field() do
    if field.required and (input[name] == null or (full and input[name] == nil)) then
      tree[name] = texts.required
    end
  end
  checks.run(self, input, full, tree)
  if next(tree) then
    return nil, tree
  end
  return true
end

Schema.validate_insert = Schema.validate

--- Plugins' schemas call single validators by name (`validators.is_regex`).
Schema.validators = require "moongate.schema.validators"

--- An error tree in one line.
function Schema:errors_to_string(tree)
  local out = {}
  local function walk(node, path)
    if type(node) ~= "table" then
      out[#out + 1] = path == "" and tostring(node) or path .. ": " .. tostring(node)
      return
    end
    local keys = {}
    for k in pairs(node) do keys[#keys + 1] = k end
    table.sort(keys, function(a, b) return tostring(a) < tostring(b) end)
    for _, k in ipairs(keys) do
      if k == "@entity" then
        for _, text in ipairs(node[k]) do walk(text, path) end
      else
        local step = type(k) == "number" and "[" .. k .. "]" or (path == "" and "" or ".") .. tostring(k)
        walk(node[k], path .. step)
      end
    end
  end
  walk(tree, "")
  return table.concat(out, "; ")
end

return Schema
