-- Completes what was given: shorthand fields become the fields they stand for, missing fields get their
-- defaults, arrays and sets get the metatables that keep them lists when empty.

local cjson = require "cjson"
local types = require "moongate.schema.types"

local null = cjson.null

local defaults = {}

local members = setmetatable({}, { __mode = "k" })

--- The metatable of a set in a handler's configuration: `conf.methods.GET` is true if "GET" is in it.
defaults.set_mt = {
  __index = function(set, key)
    local has = members[set]
    return has and has[key]
  end,
}

--- A copy that shares no table with the original.
function defaults.copy(value, seen)
  if type(value) ~= "table" then
    return value
  end
  seen = seen or {}
  if seen[value] then
    return seen[value]
  end
  local new = {}
  seen[value] = new
  for k, v in pairs(value) do
    new[k] = defaults.copy(v, seen)
  end
  return setmetatable(new, getmetatable(value))
end

--- Marks a list as an array.
function defaults.as_array(list)
  if types.is_sequence(list) then
    setmetatable(list, cjson.array_mt)
  end
  return list
end

--- A list without doubles, marked as a set.
function defaults.as_set(list)
  if not types.is_sequence(list) then
    return list
  end
  if #list == 0 then
    return setmetatable(list, cjson.array_mt)
  end
  local has, set = {}, {}
  for _, v in ipairs(list) do
    if not has[v] then
      has[v] = true
      set[#set + 1] = v
    end
  end
  members[set] = has
  return setmetatable(set, defaults.set_mt)
end

local function missing(schema, field)
  if field.default ~= nil then
    local value = defaults.copy(field.default)
    if type(value) == "table" and (field.type == "array" or field.type == "set") and not getmetatable(value) then
      setmetatable(value, cjson.array_mt)
    end
    return value
  end
  if field.nilable then
    return nil
  end
  if field.required ~= true then
    return null
  end
  if field.type == "record" and not field.abstract then
    return schema.of(field):process_auto_fields({}, "insert")
  end
  return nil
end

local adjust

local function inside(schema, field, value)
  local sub = field.elements
  if field.type == "array" then
    value = defaults.as_array(value)
  elseif field.type == "set" then
    value = defaults.as_set(value)
  elseif field.type == "map" then
    sub = field.values
  end
  if sub then
    for k, v in pairs(value) do
      local new, err = adjust(schema, sub, v)
      if err then
        return nil, err
      end
      value[k] = new
    end
  end
  return value
end

function adjust(schema, field, value)
  if field.abstract then
    return value
  end
  if value == nil then
    value = missing(schema, field)
  end
  if type(value) ~= "table" then
    return value
  end
  if field.type == "record" then
    return schema.of(field):process_auto_fields(value, "insert")
  end
  return inside(schema, field, value)
end

local function merge(into, from)
  local new = {}
  for k, v in pairs(into) do new[k] = v end
  for k, v in pairs(from) do new[k] = v end
  return new
end

-- A deprecated shorthand gives way to the field it was replaced by; any other wins over it.
local function expand(schema, name, field, data, errs)
  local value = data[name]
  if value == nil then
    return
  end
  local ok, err = schema:validate_field(field, value)
  if not ok then
    errs[name] = err
    return
  end
  data[name] = nil
  for k, v in pairs(field.func(value) or {}) do
    local given = data[k]
    if given == null then
      given = nil
    end
    if type(v) == "table" then
      given = type(given) == "table" and given or {}
      data[k] = field.deprecation and merge(v, given) or merge(given, v)
    elseif given == nil or not field.deprecation then
      data[k] = v
    end
  end
end

local function automatic(field, key, value)
  if value ~= nil then
    return value
  end
  if field.uuid then
    return require("kong.tools.uuid").uuid()
  elseif field.type == "string" then
    return require("kong.tools.rand").random_string()
  elseif key == "created_at" or key == "updated_at" then
    return field.type == "integer" and os.time() or require("kong.tools.time").get_updated_now()
  end
end

--- A completed copy of `data`; unset optional fields are null. nil and an error tree if a shorthand is refused.
function defaults.fill(schema, data)
  data = defaults.copy(data)
  local errs = {}
  for _, entry in ipairs(schema.shorthand_fields or {}) do
    local name, field = next(entry)
    expand(schema, name, field, data, errs)
  end
  for name, field in schema:each_field() do
    local value = data[name]
    if field.auto then
      value = automatic(field, name, value)
    end
    local err
    data[name], err = adjust(schema, field, value)
    errs[name] = err
  end
  if next(errs) then
    return nil, errs
  end
  return data
end

return defaults
