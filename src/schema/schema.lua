-- `kong.db.schema`: a schema object made of a definition, and what it does with an entity. The work is done
-- by the engine (`moongate.schema.engine.*`); here are Kong's names for it, and the schemas that know each
-- other.

local checks = require "moongate.schema.engine.entity_checks"
local fill = require "moongate.schema.engine.fill"
local judge = require "moongate.schema.engine.judge"
local plan = require "moongate.schema.engine.plan"
local read = require "moongate.schema.engine.read"
local transformations = require "moongate.schema.engine.transformations"
local validators = require "moongate.schema.engine.validators"
local words = require "moongate.schema.engine.texts"
local tables = require "kong.tools.table"

local texts = words.texts
local null = require("cjson").null
local assert, ipairs, next, pairs, setmetatable, type = assert, ipairs, next, pairs, setmetatable, type

local Schema = {}
Schema.__index = Schema

--- The types that a field may have.
Schema.valid_types = {
  array = true, set = true, map = true, record = true, foreign = true, json = true,
  string = true, number = true, integer = true, boolean = true, ["function"] = true,
}

--- Validators of one value by name, in the order they run, and checks across fields: schemas and plugins call
--- them.
Schema.validators = validators.functions
Schema.validators_order = validators.order
Schema.entity_checkers = checks.checkers

-- By name: { schema =, constraints = { [name of a schema that refers to it] = { schema, field_name, on_delete
-- } } }.
local known = {}
-- The schemas whose entities lie in a workspace, as constraints of workspaces; and their names as keys.
local workspaceable = {}

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

-- Fields can be had by name too, down through all records.
local function name_fields(record, done)
  if done[record] then
    return
  end
  done[record] = true
  for name, field in Schema.each_field(record) do
    record.fields[name] = field
    if field.type == "record" and type(field.fields) == "table" then
      name_fields(field, done)
    end
  end
end

-- Ties a foreign field to the schema it refers to, which learns who refers to it.
local function tie(self, name, field, is_subschema)
  local target = known[field.reference]
  if not target or not target.schema then
    return texts.bad_reference:format(tostring(field.reference))
  end
  field.schema = target.schema
  if self.name and not is_subschema then
    target.constraints[self.name] = { schema = self, field_name = name, on_delete = field.on_delete }
  end
end

local function register(self)
  local name = self.name
  if not name then
    return
  end
  if self.workspaceable and not workspaceable[name] then
    workspaceable[name] = true
    workspaceable[#workspaceable + 1] = { schema = self }
  end
  -- What refers to a schema stays when it is made again.
  known[name] = known[name] or { constraints = {} }
  known[name].schema = self
end

local function bad_entry(fields)
  for i, entry in ipairs(fields) do
    local name, field
    if type(entry) == "table" then
      name, field = next(entry)
    end
    if type(name) ~= "string" or type(field) ~= "table" then
      return texts.bad_entry:format(i)
    end
  end
end

--- Makes a schema of (a copy of) a definition; nil and a text if it is none.
function Schema.new(definition, is_subschema)
  if type(definition) ~= "table" then
    return nil, texts.no_definition
  end
  if type(definition.fields) ~= "table" then
    return nil, texts.no_fields
  end
  local err = bad_entry(definition.fields)
  if err then
    return nil, err
  end
  local self = setmetatable(tables.cycle_aware_deep_copy(definition), Schema)
  if self.cache_key then
    self.cache_key_set = {}
    for _, name in ipairs(self.cache_key) do
      self.cache_key_set[name] = true
    end
  end
  local done = {}
  for name, field in self:each_field() do
    self.fields[name] = field
    if field.type == "record" and type(field.fields) == "table" then
      name_fields(field, done)
    elseif field.type == "foreign" then
      err = tie(self, name, field, is_subschema)
      if err then
        return nil, err
      end
    end
  end
  register(self)
  return self
end

-- Whether a subschema's field may stand in for the parent's.
local function compatible(parent, field)
  local type_of = parent.type
  if type_of == "record" and field.type == "json" then
    return true
  elseif type_of ~= field.type then
    return false
  elseif type_of == "array" or type_of == "set" then
    return parent.elements.type == field.elements.type
  elseif type_of == "map" then
    return parent.keys.type == field.keys.type and parent.values.type == field.values.type
  end
  return true
end

--- Adds the subschema of the entities whose `subschema_key` is `key`.
function Schema:new_subschema(key, definition)
  assert(type(key) == "string", "key must be a string")
  assert(type(definition) == "table", "definition must be a table")
  if not self.subschema_key then
    return nil, texts.subschema_bad_parent:format(key, tostring(self.name))
  end
  local subschema, err = Schema.new(definition, true)
  if not subschema then
    return nil, err
  end
  local parents = {}
  for name, field in Schema.each_field(self) do
    parents[name] = field
  end
  for name, field in subschema:each_field() do
    if not parents[name] then
      return nil, texts.subschema_bad_field:format(key, name)
    elseif not compatible(parents[name], field) then
      return nil, texts.subschema_bad_type:format(key, name)
    end
  end
  for name, field in pairs(parents) do
    if field.abstract and field.required and not subschema.fields[name] then
      return nil, texts.subschema_undefined_field:format(key, name)
    end
  end
  self.subschemas = self.subschemas or {}
  self.subschemas[key] = subschema
  plan.forget(self)
  return true
end

--- Iterates over names and fields in the order of the schema; as the subschema of `values` has them, if
--- given.
function Schema:each_field(values)
  local i, fields = 0, self.fields
  local subschema = values and plan.subschema(self, values)
  return function()
    i = i + 1
    local entry = fields[i]
    if not entry then
      return nil
    end
    local name, field = next(entry)
    return name, subschema and subschema.fields[name] or field
  end
end

--- Judges a value, maybe null, by a field, which may be any table that describes one.
function Schema:validate_field(field, value)
  return judge.value(field, value)
end

--- Completes an entity for "insert", "upsert" or "update" (a copy), or as it was read ("select", in place).
--- nulls: keep them when reading. opts: no_defaults, hide_shorthands, show_ws_id. Returns the entity, or nil
--- and the error; and whether it is an update of a schema with immutable fields.
function Schema:process_auto_fields(data, context, nulls, opts)
  if context == "select" then
    return read.read(self, data, nulls, opts)
  end
  return fill.fill(self, data, context, opts, 1)
end

local function result(errors)
  if errors then
    return nil, errors
  end
  return true
end

--- Judges a completed entity. `full` (true unless false): required fields must be there. `original` and
--- `before` are for transformations: the entity as it was given, and as it was. Returns true, or nil and the
--- errors by field.
function Schema:validate(input, full, original, before)
  assert(type(input) == "table", texts.bad_input)
  return result(judge.record(self, input, full ~= false, false, 1, original, before, false))
end

function Schema:validate_insert(input, original)
  return self:validate(input, true, original)
end

function Schema:validate_upsert(input, original)
  return self:validate(input, true, original)
end

--- Judges what an update changes.
function Schema:validate_update(input, original, before)
  assert(type(input) == "table", texts.bad_input)
  return result(judge.record(self, input, false, false, 1, original, before, true))
end

--- Refuses an update that changes what may not change.
function Schema:validate_immutable_fields(input, entity)
  local tablex = require "pl.tablex"
  local errors
  for name, field in self:each_field(input) do
    if field.immutable and entity[name] ~= nil then
      local same = tables.is_array(input[name]) and tablex.compare_no_order or tablex.deepcompare
      if not same(input[name], entity[name]) then
        errors = errors or {}
        errors[name] = texts.immutable
      end
    end
  end
  if errors then
    return nil, errors
  end
  return true, {}
end

--- Judges a primary key: all of its fields and, unless `ignore_others`, nothing else.
function Schema:validate_primary_key(pk, ignore_others)
  local errors
  local values = type(pk) == "table" and pk or {}
  for _, name in ipairs(self.primary_key) do
    local field, value = self.fields[name], values[name]
    local ok, err = true, nil
    if not value then
      ok, err = false, texts.missing_pk
    elseif value == null and (field.required or field.auto) then
      ok, err = false, texts.required
    else
      ok, err = self:validate_field(field, value)
    end
    if not ok then
      errors = errors or {}
      errors[name] = err
    end
  end
  if not ignore_others then
    for name in pairs(values) do
      local is_part = false
      for _, part in ipairs(self.primary_key) do
        is_part = is_part or part == name
      end
      if not is_part then
        errors = errors or {}
        errors[name] = texts.not_pk
      end
    end
  end
  return result(errors)
end

--- The primary key of an entity.
function Schema:extract_pk_values(entity)
  local pk = {}
  for _, name in ipairs(self.primary_key) do
    pk[name] = entity[name]
  end
  return pk
end

--- An entity with the values of `top` where there are any, else of `bottom`; records are merged field by
--- field.
function Schema:merge_values(top, bottom)
  if bottom == nil or bottom == null then
    bottom = {}
  end
  local output = tables.table_merge(bottom, top)
  for name, field in Schema.each_field(self, bottom) do
    local value = top[name]
    if value == nil then
      output[name] = bottom[name]
    elseif field.type == "record" and not field.abstract and type(value) == "table" then
      output[name] = Schema.merge_values(field, value, bottom[name])
    else
      output[name] = value
    end
  end
  return output
end

--- Whether an entity is transformed when written or read.
function Schema:has_transformations(input)
  local subschema = plan.subschema(self, input)
  return (self.transformations or subschema and subschema.transformations) and true or false
end

--- The entity with its transformations run: `on_read` for the context "select", else `on_write`.
function Schema:transform(input, original, context)
  local subschema = plan.subschema(self, input)
  local output, err = input, nil
  if self.transformations then
    output, err = transformations.run(self, self.transformations, input, original, context)
    if not output then
      return nil, err
    end
  end
  if subschema and subschema.transformations then
    return transformations.run(subschema, subschema.transformations, output, original, context)
  end
  return output
end

--- Who refers to the entities of this schema: a list of { schema =, field_name =, on_delete = }.
function Schema:get_constraints()
  local own = known[self.name].constraints
  if self.name ~= "workspaces" then
    local list = {}
    for _, constraint in pairs(own) do
      list[#list + 1] = constraint
    end
    return list
  end
  for _, constraint in pairs(own) do
    local there = false
    for _, other in ipairs(workspaceable) do
      there = there or other == constraint
    end
    if not there then
      workspaceable[#workspaceable + 1] = constraint
    end
  end
  return workspaceable
end

local function by_text(a, b)
  return tostring(a) < tostring(b)
end

--- The errors of `validate` in one line; nil if there are none.
function Schema:errors_to_string(errors)
  if type(errors) ~= "table" or next(errors) == nil then
    return nil
  end
  local lines, names = {}, {}
  local function add(err, prefix)
    if type(err) == "table" then
      err = Schema.errors_to_string(self, err)
    end
    lines[#lines + 1] = prefix .. tostring(err)
  end
  for name in pairs(errors) do
    if name ~= "@entity" then
      names[#names + 1] = name
    end
  end
  table.sort(names, function(a, b)
    if type(a) == type(b) then
      return a < b
    end
    return type(a) == "number" or type(b) ~= "number" and by_text(a, b)
  end)
  local of_entity = errors["@entity"]
  for _, err in pairs(type(of_entity) == "table" and of_entity or { of_entity }) do
    add(err, "")
  end
  for _, name in ipairs(names) do
    add(errors[name], type(name) == "string" and name .. ": " or "")
  end
  return texts.summary:format(table.concat(lines, "; "))
end

return Schema
