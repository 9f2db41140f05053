-- What each type accepts. `check(schema, field, value)` judges one value against one field definition; records
-- are judged by a schema of their own, reached through `schema.of(field)`.

local errors = require "moongate.schema.errors"
local validators = require "moongate.schema.validators"

local texts = errors.texts
local null = require("cjson").null
local floor = math.floor

local types = {}

--- Whether `value` is a table with only the keys 1..n.
function types.is_sequence(value)
  if type(value) ~= "table" then
    return false
  end
  local n, max = 0, 0
  for k in pairs(value) do
    if type(k) ~= "number" or k < 1 or floor(k) ~= k then
      return false
    end
    n = n + 1
    max = math.max(max, k)
  end
  return n == max
end

--- Whether a string is a reference to a secret, resolved elsewhere.
function types.is_reference(value)
  return type(value) == "string" and value:sub(1, 9) == "{vault://" and value:sub(-1) == "}"
end

local function elements(schema, field, value)
  if not types.is_sequence(value) then
    return nil, texts[field.type]
  end
  local errs
  for i = 1, #value do
    local ok, err = schema:validate_field(field.elements, value[i], true)
    if not ok then
      errs = errs or {}
      errs[i] = err
    end
  end
  return not errs, errs
end

local accept = { array = elements, set = elements }

function accept.map(schema, field, value)
  if type(value) ~= "table" then
    return nil, texts.map
  end
  for k, v in pairs(value) do
    local ok, err = schema:validate_field(field.keys, k, true)
    if ok then
      ok, err = schema:validate_field(field.values, v, true)
    end
    if not ok then
      return nil, err
    end
  end
  return true
end

function accept.record(schema, field, value)
  if type(value) ~= "table" then
    return nil, texts.record
  end
  local inner = schema.of(field)
  local complete, err = inner:process_auto_fields(value, "insert")
  if not complete then
    return nil, err
  end
  return inner:validate(complete)
end

function accept.integer(_, _, value)
  if type(value) == "number" and floor(value) == value and value - value == 0 then
    return true
  end
  return nil, texts.integer
end

local function plain(name)
  return function(_, _, value)
    if type(value) == name then
      return true
    end
    return nil, texts[name]
  end
end

accept.string = plain "string"
accept.number = plain "number"
accept.boolean = plain "boolean"
accept["function"] = plain "function"

function accept.json(_, field)
  if field.json_schema then
    return nil, "not supported: json_schema"
  end
  return true
end

-- What a foreign key points to is for whoever knows the entities.
function accept.foreign()
  return true
end

function accept.any()
  return true
end

local function of_null(field, required)
  if field.ne == null then
    return nil, field.err or texts.ne:format("null")
  end
  if field.eq ~= nil and field.eq ~= null then
    return nil, texts.eq:format(tostring(field.eq))
  end
  if required or field.required then
    return nil, texts.required
  end
  return true
end

--- Judges `value` (maybe null) by `field`.
function types.check(schema, field, value, required)
  if value == null then
    return of_null(field, required)
  end
  if field.eq == null then
    return nil, field.err or texts.eq:format("null")
  end
  if field.abstract then
    return nil, texts.abstract
  end
  local accepts = accept[field.type]
  if not accepts then
    return nil, texts.bad_type:format(tostring(field.type))
  end
  local ok, err = accepts(schema, field, value)
  if not ok then
    return nil, err
  end
  if field.referenceable and types.is_reference(value) then
    return true
  end
  for _, name in ipairs(validators.order) do
    local arg = field[name]
    if arg == nil and name == "len_min" and field.type == "string" then
      arg = 1
    end
    if arg ~= nil then
      ok, err = validators[name](value, arg, field)
      if not ok then
        return nil, field.err or err or (texts[name] or texts.validation):format(tostring(value))
      end
    end
  end
  return true
end

return types
