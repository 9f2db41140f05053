-- Shorthand fields: names under which a value may be given that belongs in other fields, mostly because a
-- field was renamed. `shorthand_fields = { { old_name = { type = ..., func = function(v) return { new = v }
-- end } } }`.

local guard = require "moongate.schema.engine.guard"
local texts = require("moongate.schema.engine.texts").texts

local null = require("cjson").null
local ipairs, next, pairs, type = ipairs, next, pairs, type

local M = {
  judge = false, -- set by `judge`, which needs this module
}

local function at(t, path)
  for _, key in ipairs(path) do
    if type(t) ~= "table" then
      return nil
    end
    t = t[key]
  end
  return t
end

-- Where the value of a shorthand lies today: a list of { path =, map = }.
local function homes(field)
  local deprecation = field.deprecation
  if deprecation and deprecation.replaced_with then
    local list = {}
    for i, home in ipairs(deprecation.replaced_with) do
      list[i] = { path = home.path, map = home.reverse_mapping_function }
    end
    return list
  elseif field.translate_backwards then
    return { { path = field.translate_backwards, map = field.translate_backwards_with } }
  end
  return {}
end

local function value_of(home, data)
  if home.map then
    return home.map(data)
  end
  return at(data, home.path)
end

-- A deprecated field and the one that replaced it may both be given, if they say the same.
local function mismatch(data, name, field, value)
  if value == null or not field.deprecation then
    return nil
  end
  for _, home in ipairs(homes(field)) do
    local now = value_of(home, data)
    if now and now ~= null and not require("pl.tablex").deepcompare(now, value) then
      local path = table.concat(home.path, ".")
      return texts.shorthand_mismatch:format(name, tostring(value), path, tostring(now))
    end
  end
end

-- The fields of both; `over` wins, but not with a null where `under` has something if `nulls_lose`.
local function laid_over(under, over, nulls_lose)
  local new = {}
  for k, v in pairs(under) do
    new[k] = v
  end
  for k, v in pairs(over) do
    if not nulls_lose or v ~= null or new[k] == nil then
      new[k] = v
    end
  end
  return new
end

-- A deprecated shorthand gives way to the fields it stands for; any other wins over them.
local function merge(data, meant, deprecated)
  for k, v in pairs(meant) do
    local given = data[k]
    if given == null or given == false then
      given = nil
    end
    if type(v) == "table" then
      given = type(given) == "table" and given or {}
      if deprecated then
        data[k] = laid_over(v, given, true)
      else
        data[k] = laid_over(given, v, false)
      end
    elseif not deprecated or data[k] == nil or data[k] == null then
      data[k] = v
    end
  end
end

local function expand_one(data, short, value)
  local field, name = short.field, short.name
  local ok, err = M.judge(field, value)
  if not ok then
    return err
  end
  err = mismatch(data, name, field, value)
  if err then
    return err
  end
  data[name] = nil
  local meant
  if guard.on then
    meant, err = guard.call("shorthand field's func", field.func, value)
    if not meant and err then
      return err
    end
  else
    meant = field.func(value)
  end
  if meant then
    merge(data, meant, field.deprecation ~= nil)
  end
end

--- Replaces the shorthand fields in `data`; the errors by name, if there are any.
function M.expand(shorthands, data)
  local errors
  for i = 1, #shorthands do
    local short = shorthands[i]
    local value = data[short.name]
    if value ~= nil then
      local err = expand_one(data, short, value)
      if err then
        errors = errors or {}
        errors[short.name] = err
      end
    end
  end
  return errors
end

--- Whether the old name is shown beside the new one when an entity is read.
function M.is_shown(short)
  return next(homes(short.field)) ~= nil
end

--- The value of a shorthand field, found where it lies today.
function M.back(short, data)
  local home = homes(short.field)[1]
  if not home then
    return nil
  end
  local replaced = short.field.deprecation and short.field.deprecation.replaced_with
  if replaced then
    return value_of(home, data)
  end
  return at(data, home.path)
end

return M
