-- Transformations: functions of a schema that change an entity when it is written or read (a password becomes its
-- hash). `{ input = { fields }, needs = { fields }, on_write = fn, on_read = fn }`: run when all of `input` (and
-- `needs`) are there; without either, on the whole entity.

local values = require "moongate.schema.engine.values"
local words = require "moongate.schema.engine.texts"

local texts = words.texts
local get, given = values.get, values.given
local ipairs, unpack = ipairs, unpack

local M = {}

-- Whether all of the fields are there or none, else the text.
local function all_or_none(entity, names)
  local n = 0
  for _, name in ipairs(names) do
    if given(get(entity, name)) then
      n = n + 1
    end
  end
  if n ~= 0 and n ~= #names then
    return texts.mutually_required:format(words.quoted(names))
  end
end

local function joined(a, b)
  local list = {}
  for _, name in ipairs(a or {}) do
    list[#list + 1] = name
  end
  for _, name in ipairs(b or {}) do
    list[#list + 1] = name
  end
  return list
end

-- Whether one of the `input` fields is given, and whether one of the `needs` differs from what it was.
local function touched(transformation, entity, before)
  local set, changed = false, false
  for _, name in ipairs(transformation.input or {}) do
    set = set or given(get(entity, name))
  end
  for _, name in ipairs(before and transformation.needs or {}) do
    changed = changed or get(entity, name) ~= get(before, name)
  end
  return set, changed
end

local function check_one(transformation, input, original, before, errors)
  local set, changed = touched(transformation, original or input, before)
  if not set and not changed then
    return errors
  end
  local whole = changed and original or input
  local err = all_or_none(whole, joined(transformation.input, transformation.needs))
    or all_or_none(original or input, transformation.input or {})
  if err then
    errors = errors or {}
    words.of_entity(errors, err)
  end
  return errors
end

local function check_list(list, input, original, before, errors)
  for _, transformation in ipairs(list or {}) do
    if transformation.input or transformation.needs then
      errors = check_one(transformation, input, original, before, errors)
    end
  end
  return errors
end

--- Fields that are transformed together are given together. Returns the errors, if any.
function M.check(def, subschema, input, original, before, errors)
  errors = check_list(def.transformations, input, original, before, errors)
  return check_list(subschema and subschema.transformations, input, original, before, errors)
end

-- The arguments of a transformation, or nil if one of the fields is not there.
local function arguments(transformation, input, original, output)
  local args, n = {}, 0
  for _, name in ipairs(transformation.input or {}) do
    if not given(get(output or original or input, name)) then
      return nil
    end
    n = n + 1
    args[n] = get(output or input, name)
  end
  for _, name in ipairs(transformation.needs or {}) do
    local value = get(output or input, name)
    if not given(value) then
      return nil
    end
    n = n + 1
    args[n] = value
  end
  return args, n
end

--- Runs a list of transformations for `schema`; the changed entity, or nil and a text.
function M.run(schema, list, input, original, context)
  if schema.type == "json" and context == "select" then
    local decoded, err = require("cjson.safe").decode(input)
    if err then
      return nil, texts.json_decode:format(err)
    end
    input = decoded
  end
  local output
  for _, transformation in ipairs(list) do
    local fn = transformation.on_write
    if context == "select" then
      fn = transformation.on_read
    end
    local args, n = { output or input }, 1
    if fn and (transformation.input or transformation.needs) then
      args, n = arguments(transformation, input, original, output)
    end
    if fn and args then
      local data, err = fn(unpack(args, 1, n))
      if err then
        return nil, texts.transformation:format(tostring(err))
      end
      output = schema:merge_values(data or {}, output or input)
    end
  end
  return output or input
end

return M
