-- Judges values by their fields, and entities by their schemas. `judge(field, plan, value, own, depth)` answers true,
-- or nil and the error; `own` says that the value is a completed copy made here.

local checks = require "moongate.schema.engine.entity_checks"
local fill = require "moongate.schema.engine.fill"
local plan = require "moongate.schema.engine.plan"
local shorthand = require "moongate.schema.engine.shorthand"
local transformations = require "moongate.schema.engine.transformations"
local values = require "moongate.schema.engine.values"
local texts = require("moongate.schema.engine.texts").texts

local null = require("cjson").null
local is_reference, sequence = values.is_reference, values.sequence
local floor = math.floor
local next, type, tostring = next, type, tostring
local kind = plan.kind
local STRING, NUMBER, INTEGER, BOOLEAN, FUNCTION = kind.STRING, kind.NUMBER, kind.INTEGER, kind.BOOLEAN, kind.FUNCTION
local FOREIGN, ANY, ARRAY, SET, MAP, RECORD = kind.FOREIGN, kind.ANY, kind.ARRAY, kind.SET, kind.MAP, kind.RECORD
local JSON, SELF = kind.JSON, kind.SELF

local M = {}

local judge, judge_record

local function role()
  local kong = kong
  local configuration = kong and kong.configuration
  return configuration and configuration.role
end

-- Says that a deprecated field is used, unless it only has its old default.
local function warn(field, value)
  local note = field.deprecation
  local is = role()
  if not is or is == "data_plane" then
    return
  end
  if note.old_default == nil or not require("pl.tablex").deepcompare(value, note.old_default) then
    require "kong.deprecation"(note.message, { after = note.removal_in_version })
  end
end

local function judge_items(field, P, list, own, depth)
  local n = sequence(list)
  if not n then
    return nil, P.kind == ARRAY and texts.array or texts.set
  end
  local item, item_field = P.item, P.item_field
  if not item then
    error(texts.cannot_validate, 0)
  end
  local errors
  for i = 1, n do
    local v, ok, err = list[i], nil, nil
    if v == null then
      err = item.null_error or texts.required
    else
      ok, err = judge(item_field, item, v, own, depth)
    end
    if not ok then
      errors = errors or {}
      errors[i] = err
    end
  end
  return errors == nil, errors
end

local function judge_map(field, P, map, own, depth)
  local key, key_field, item, item_field = P.key, P.key_field, P.item, P.item_field
  if not key or not item then
    error(texts.cannot_validate, 0)
  end
  for k, v in next, map do
    local ok, err = judge(key_field, key, k, own, depth)
    if ok then
      if v == null then
        return nil, item.null_error or texts.required
      end
      ok, err = judge(item_field, item, v, own, depth)
    end
    if not ok then
      return nil, err
    end
  end
  return true
end

-- A record is judged as if its missing fields had been filled in; where some have to be, it is a copy that is.
local function judge_inner(field, value, own, depth)
  if not own and (plan.runs_code(field) or not fill.complete(field, value, depth)) then
    local err
    value, err = fill.fill(field, value, "insert", nil, depth)
    if not value then
      return nil, err
    end
    own = true
  end
  local errors = judge_record(field, value, true, own, depth)
  return errors == nil, errors
end

-- A foreign key has the primary key of what it points to; whatever else it has is judged too when that is wrong.
local function judge_foreign(field, value)
  local schema = field.schema
  if not schema or not schema.validate_primary_key then
    return true
  end
  local ok, errors = schema:validate_primary_key(value, true)
  if not ok and type(value) == "table" and schema.validate then
    local whole, others = schema:validate(value, false)
    if not whole then
      return nil, others
    end
  end
  return ok, errors
end

-- Whether the value is of the field's type (and well inside); a third result says that nothing else is asked.
local function judge_type(field, P, value, own, depth)
  local k, t = P.kind, type(value)
  if k == STRING then
    if t ~= "string" then
      return nil, texts.string
    end
    return true, nil, P.referenceable and is_reference(value)
  elseif k == SET or k == ARRAY then
    if t ~= "table" then
      return nil, k == SET and texts.set or texts.array
    end
    return judge_items(field, P, value, own, depth)
  elseif k == RECORD then
    if t ~= "table" then
      return nil, texts.record
    end
    return judge_inner(field, value, own, depth)
  elseif k == FOREIGN then
    return judge_foreign(field, value)
  elseif k == MAP then
    if t ~= "table" then
      return nil, texts.map
    end
    return judge_map(field, P, value, own, depth)
  elseif k == FUNCTION then
    return t == "function", texts["function"]
  elseif k == ANY then
    return true
  elseif k == JSON then
    return nil, texts.cannot_validate
  end
  return nil, texts.bad_type:format(tostring(field.type))
end

-- Kinds that are judged by type() alone do not get that far.
local function judge_plain(k, value)
  if k == BOOLEAN then
    return type(value) == "boolean", texts.boolean
  elseif type(value) ~= "number" then
    return nil, k == INTEGER and texts.integer or texts.number
  elseif k == INTEGER then
    return value == floor(value) and value - value == 0, texts.integer
  end
  return true
end

function judge(field, P, value, own, depth)
  if depth > values.MAX_DEPTH then
    return nil, values.TOO_DEEP
  end
  if P.odd then
    if P.eq_null then
      return nil, P.eq_null
    elseif P.abstract then
      return nil, texts.abstract
    end
    warn(field, value)
  end
  local k = P.kind
  local ok, err, done
  if k >= NUMBER and k <= BOOLEAN then
    ok, err = judge_plain(k, value)
  else
    ok, err, done = judge_type(field, P, value, own, depth + 1)
  end
  if not ok then
    return nil, err
  elseif done then
    return true
  end
  local fns, args = P.fns, P.args
  for i = 1, P.n do
    ok, err = fns[i](value, args[i], field)
    if not ok then
      return nil, field.err or err or (texts[P.names[i]] or texts.validation):format(tostring(value))
    end
  end
  return true
end

-- Fields of type `json` are judged by a JSON schema that may depend on another field.
local function judge_json(field, name, input)
  local json = require "kong.db.schema.json"
  local rule = field.json_schema
  local schema = rule.inline
  if not schema then
    local parent = input[rule.parent_subschema_key]
    if not parent then
      return rule.optional, texts.json_parent_missing:format(name, tostring(rule.parent_subschema_key))
    end
    local key = tostring(rule.namespace) .. "/" .. tostring(parent)
    schema = json.get_schema(key) or rule.default
    if not schema then
      return rule.optional, texts.json_schema_missing:format(key)
    end
  end
  return json.validate(input[name], schema)
end

-- A value of the type that the input itself describes: the default of a field, in the metaschema.
local function judge_self(input, value)
  if value == null then
    local err = plan.of_field(input).null_error
    return err == nil, err
  end
  local ran, ok, err = pcall(function()
    return judge(input, plan.of_field(input), value, false, 1)
  end)
  if not ran then
    return nil, texts.cannot_validate
  end
  return ok, err
end

-- Keys of the input that are no fields by that name.
local function judge_others(def, R, input, errors, depth)
  for k, v in next, input do
    if R.index[k] == nil then
      local i = R.index[tostring(k)]
      local err
      if i then
        local ok
        ok, err = M.value(R.fields[i], v, depth)
        err = not ok and err or nil
      elseif k == "updated_at" or (k == "ttl" and def.ttl) or (v == null and role() == "data_plane") then
        err = nil
      else
        err = texts.unknown
      end
      if err then
        errors = errors or {}
        errors[k] = err
      end
    end
  end
  return errors
end

local function judge_fields(def, R, input, full, own, depth)
  local errors
  local names, fields, plans, required, skipped = R.names, R.fields, R.plans, R.required, R.skipped
  local present = 0
  for i = 1, R.n do
    local name = names[i]
    local v = input[name]
    local err
    if v == nil then
      if full and required[i] then
        err = texts.required
      end
    else
      present = present + 1
      local P = plans[i]
      local ok
      if P.kind == JSON then
        ok, err = judge_json(fields[i], name, input)
      elseif P.kind == SELF then
        ok, err = judge_self(input, v)
      elseif v == null then
        err = not skipped[i] and P.null_error or nil
      elseif not skipped[i] then
        ok, err = judge(fields[i], P, v, own, depth)
      end
      if ok then
        err = nil
      end
      if v == null and required[i] then
        err = texts.required
      end
    end
    if err then
      errors = errors or {}
      errors[name] = err
    end
  end
  local count = 0
  for _ in next, input do
    count = count + 1
  end
  if count ~= present then
    errors = judge_others(def, R, input, errors, depth)
  end
  return errors
end

-- An entity whose schema has subschemas must say which is its own.
local function refuse_subschema(def, input)
  local key = def.subschema_key
  local value = input[key]
  if value == null or value == nil then
    return { [key] = texts.required }
  end
  local which = type(value) == "table" and value[1] or value
  return { [key] = (def.subschema_error or texts.subschema_unknown):format(tostring(which)) }
end

--- The errors of an input, or nil. `full`: missing required fields are errors. `original` and `before` are for the
--- transformations: the input as it was given, and the entity as it was.
function judge_record(def, input, full, own, depth, original, before, updating)
  local R, subschema = plan.for_input(def, input)
  if def.subschema_key and not subschema then
    return refuse_subschema(def, input)
  end
  local errors = judge_fields(def, R, input, full, own, depth)
  errors = checks.run(def, R, subschema, input, full, errors, updating)
  if def.transformations or subschema and subschema.transformations then
    errors = transformations.check(def, subschema, input, original, before, errors)
  end
  return errors
end

M.record = judge_record

--- Judges a value, maybe null, by any field.
function M.value(field, value, depth)
  local P = plan.of_field(field)
  if value == null then
    return P.null_error == nil or nil, P.null_error
  end
  return judge(field, P, value, false, depth or 1)
end

checks.judge = M.value
shorthand.judge = M.value

return M
