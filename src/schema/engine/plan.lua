-- What the engine has to do for a field or a record, worked out once: judging and completing 80,000 entities are
-- then loops over arrays. A plan is found by the field's (or record's) own table and never holds that table, so
-- that a field made for one call is collected after it.

local validators = require "moongate.schema.engine.validators"
local texts = require("moongate.schema.engine.texts").texts

local null = require("cjson").null
local next, rawequal, setmetatable, type = next, rawequal, setmetatable, type

local M = {}

--- Kinds of fields. From ARRAY to RECORD: those that hold other fields.
local kind = {
  STRING = 1, NUMBER = 2, INTEGER = 3, BOOLEAN = 4, FUNCTION = 5, FOREIGN = 6, ANY = 7,
  ARRAY = 10, SET = 11, MAP = 12, RECORD = 13,
  JSON = 20, SELF = 21, UNKNOWN = 22,
}
M.kind = kind

--- What stands for a missing value: nothing, null, the default (as it is or copied), a record of defaults.
local missing = { NOTHING = 0, NULL = 1, PLAIN = 2, COPY = 3, RECORD = 4 }
M.missing = missing

--- What a field fills itself with: a UUID, a random string, the time of making or of changing.
local auto = { UUID = 1, STRING = 2, CREATED = 3, UPDATED = 4 }
M.auto = auto

local weak = { __mode = "k" }
local fields = setmetatable({}, weak)
local records = setmetatable({}, weak)

local function null_error(field)
  if field.ne == null then
    return field.err or texts.ne:format("null")
  elseif field.eq ~= nil and field.eq ~= null then
    return texts.eq:format(tostring(field.eq))
  elseif field.required then
    return texts.required
  end
end

-- Looking up beats scanning where there are many.
local function one_of(options)
  local set = {}
  for i = 1, #options do
    set[options[i]] = true
  end
  local slow = validators.functions.one_of
  return function(value)
    if set[value] then
      return true
    end
    return slow(value, options)
  end
end

local function add_validators(P, field)
  local n, fns, args, names = 0, {}, {}, {}
  for _, name in ipairs(validators.order) do
    local arg = field[name]
    if arg == nil and name == "len_min" and P.kind == kind.STRING then
      arg = 1
    end
    if arg ~= nil then
      n = n + 1
      local fn = validators.functions[name]
      if name == "one_of" and #arg > 4 then
        fn = one_of(arg)
      end
      fns[n], args[n], names[n] = fn, arg, name
    end
  end
  P.n, P.fns, P.args, P.names = n, fns, args, names
end

local function without_default(field)
  if field.nilable then
    return missing.NOTHING
  elseif field.required ~= true then
    return missing.NULL
  elseif field.type == "record" and not field.abstract then
    return missing.RECORD
  end
  return missing.NOTHING
end

local function add_default(P, field)
  P.missing = without_default(field)
  P.missing_no_default = P.missing
  if field.default ~= nil then
    P.default = field.default
    P.missing = type(field.default) == "table" and missing.COPY or missing.PLAIN
  end
end

-- Whether completing a value means more than copying it.
local function holds_others(P)
  return P ~= nil and P.kind >= kind.ARRAY and P.kind <= kind.RECORD
end

--- The plan of a field.
function M.of_field(field)
  local P = fields[field]
  if P then
    return P
  end
  P = {
    kind = kind[tostring(field.type):upper()] or kind.UNKNOWN,
    required = field.required == true,
    null_error = null_error(field),
    referenceable = field.referenceable,
    abstract = field.abstract,
    deprecated = field.deprecation ~= nil,
    eq_null = field.eq == null and (field.err or texts.eq:format("null")) or nil,
  }
  P.odd = (P.abstract or P.deprecated or P.eq_null) and true or false
  fields[field] = P
  add_validators(P, field)
  add_default(P, field)
  local items = field.elements
  if P.kind == kind.MAP then
    items = field.values
    P.key_field = field.keys
    P.key = type(field.keys) == "table" and M.of_field(field.keys)
  end
  if P.kind == kind.ARRAY or P.kind == kind.SET or P.kind == kind.MAP then
    P.item_field = items
    P.item = type(items) == "table" and M.of_field(items) or nil
    P.deep = holds_others(P.item)
  end
  return P
end

--- A field with the rules of `match` laid over those of `base`, for the conditions of entity checks.
function M.overlaid(match, base)
  local field = {}
  for k, v in next, base or {} do
    field[k] = v
  end
  field.deprecation = nil
  for k, v in next, match do
    field[k] = v
  end
  return field
end

local AUTO_TIMES = { created_at = auto.CREATED, updated_at = auto.UPDATED }

local function auto_of(name, field)
  if not field.auto then
    return false
  elseif field.uuid then
    return auto.UUID
  elseif field.type == "string" then
    return auto.STRING
  elseif field.type == "number" or field.type == "integer" then
    return AUTO_TIMES[name] or false
  end
  return false
end

local function add(R, name, field, required)
  local n = R.n + 1
  R.n = n
  R.index[name] = n
  R.names[n], R.fields[n], R.plans[n] = name, field, M.of_field(field)
  R.required[n] = required
  R.autos[n] = auto_of(name, field)
  R.immutable = R.immutable or field.immutable == true
end

local function shorthands(definitions)
  if not definitions then
    return nil
  end
  local list = {}
  for i = 1, #definitions do
    local name, field = next(definitions[i])
    list[i] = { name = name, field = field, plan = M.of_field(field) }
  end
  return list
end

-- The plan of a record, or of a record with the fields of one of its subschemas.
local function build(def, subschema)
  local R = {
    n = 0, names = {}, fields = {}, plans = {}, required = {}, autos = {}, index = {},
    immutable = false,
    ttl = def.ttl,
    shorthands = shorthands(def.shorthand_fields),
  }
  for i = 1, #def.fields do
    local name, field = next(def.fields[i])
    -- What is required is the parent's to say: a subschema speaks of values that are there.
    local required = field.required and true or false
    add(R, name, subschema and subschema.fields[name] or field, required)
  end
  -- These may be in an entity and are judged by nobody.
  R.skipped = {}
  for i = 1, R.n do
    local k = R.plans[i].kind
    R.skipped[i] = k ~= kind.JSON and k ~= kind.SELF
      and (R.names[i] == "updated_at" or (R.names[i] == "ttl" and def.ttl)) and true or false
  end
  return R
end

local function expect_fields(def)
  if type(def.fields) ~= "table" then
    error(texts.cannot_validate, 0)
  end
end

--- The plan of a record (a schema, or a field of type record) without its subschemas.
function M.of_record(def)
  local R = records[def]
  if not R then
    expect_fields(def)
    R = build(def)
    records[def] = R
  end
  return R
end

--- The subschema that an input belongs to.
function M.subschema(def, input)
  local subschemas, key = def.subschemas, def.subschema_key
  if not subschemas or not key then
    return nil
  end
  local value = input[key]
  if type(value) == "string" then
    return subschemas[value]
  elseif type(value) == "table" then
    for i = 1, #value do
      local found = subschemas[value[i]]
      if found then
        return found
      end
    end
  end
  return nil
end

--- The plan of a record for this input: with the fields of its subschema. And the subschema.
function M.for_input(def, input)
  local R = records[def] or M.of_record(def)
  local subschema = M.subschema(def, input)
  if not subschema then
    return R
  end
  local merged = R.merged
  if not merged then
    merged = setmetatable({}, weak)
    R.merged = merged
  end
  local special = merged[subschema]
  if not special then
    special = build(def, subschema)
    merged[subschema] = special
  end
  return special, subschema
end

--- The field of a schema or record at a dotted path.
function M.field_at(def, path)
  for part in path:gmatch("[^.]+") do
    local found
    if type(def) == "table" and type(def.fields) == "table" then
      found = def.fields[part]
      for i = 1, found == nil and #def.fields or 0 do
        local name, field = next(def.fields[i])
        if rawequal(name, part) then
          found = field
        end
      end
    end
    def = found
    if def == nil then
      return nil
    end
  end
  return def
end

local runs_code

-- A custom check gets only the fields that it names: it can write to those that are tables.
local function check_writes(def, check)
  if type(check) ~= "table" or type(check.field_sources) ~= "table" then
    return type(check) == "table"
  end
  for _, path in ipairs(check.field_sources) do
    local field = M.field_at(def, path)
    if not field or M.of_field(field).kind >= kind.ANY then
      return true
    end
  end
  return false
end

local function has_checks_of_its_own(def)
  if def.check then
    return true
  end
  local checks = type(def.entity_checks) == "table" and def.entity_checks or {}
  for i = 1, #checks do
    if check_writes(def, checks[i].custom_entity_check) then
      return true
    end
  end
  return false
end

local function field_runs_code(field, P)
  if P.kind < kind.ARRAY or P.kind > kind.RECORD then
    return P.kind > kind.RECORD
  elseif field.custom_validator then
    return true
  elseif P.kind == kind.RECORD then
    return not P.abstract and runs_code(field)
  end
  return P.deep and field_runs_code(P.item_field, P.item) or false
end

--- Whether a function of the schema's author gets hold of tables of this record: it is then given a copy, as it
--- may write to it.
function runs_code(def)
  local R = M.of_record(def)
  if R.code == nil then
    R.code = false -- ends the recursion of records that contain themselves
    local code = has_checks_of_its_own(def)
    for _, subschema in next, def.subschemas or {} do
      code = code or runs_code(subschema)
    end
    for i = 1, R.n do
      code = code or field_runs_code(R.fields[i], R.plans[i])
    end
    R.code = code
  end
  return R.code
end
M.runs_code = runs_code

--- Has a record's plan made anew: it got a subschema.
function M.forget(def)
  records[def] = nil
end

return M
