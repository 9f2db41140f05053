-- Validators of one value: `functions[name](value, argument, field)` answers true, or nil and maybe a text.

local guard = require "moongate.schema.engine.guard"
local ops = require("moongate.ops").schema
local words = require "moongate.schema.engine.texts"

local texts = words.texts
local null = require("cjson").null
local find, sub = string.find, string.sub
local next, tostring = next, tostring

local V = {}

--- The order in which a field's validators run (the first failure is the field's error).
local order = {
  "eq", "ne", "not_one_of", "one_of",
  "gt", "timestamp", "uuid", "is_regex", "between",
  "len_eq", "len_min", "len_max",
  "starts_with", "not_match", "match_none", "match", "match_all", "match_any",
  "contains",
  "custom_validator", "mutually_exclusive_subsets",
}

local function has(list, value)
  for i = 1, #list do
    if list[i] == value then
      return true
    end
  end
  return false
end

local function listed(options)
  local out = {}
  for i = 1, #options do
    out[i] = tostring(options[i])
  end
  return table.concat(out, ", ")
end

local function length(value, field)
  local len = #value
  if field and field.type == "map" then
    for _ in next, value do
      len = len + 1
    end
  end
  return len
end

function V.eq(value, wanted)
  if value == wanted then
    return true
  end
  return nil, texts.eq:format(wanted == null and "null" or tostring(wanted))
end

function V.ne(value, unwanted)
  if value ~= unwanted then
    return true
  end
  return nil, texts.ne:format(unwanted == null and "null" or tostring(value))
end

function V.gt(value, limit)
  if value > limit then
    return true
  end
  return nil, texts.gt:format(tostring(limit))
end

function V.between(value, limits)
  local low, high = limits[1], limits[2]
  if value < low or value > high then
    return nil, texts.between:format(low, high)
  end
  return true
end

function V.one_of(value, options)
  if has(options, value) then
    return true
  end
  return nil, texts.one_of:format(listed(options))
end

function V.not_one_of(value, options)
  if not has(options, value) then
    return true
  end
  return nil, texts.not_one_of:format(listed(options))
end

function V.len_eq(value, n, field)
  if length(value, field) == n then
    return true
  end
  return nil, texts.len_eq:format(n)
end

function V.len_min(value, n, field)
  if length(value, field) >= n then
    return true
  end
  return nil, texts.len_min:format(n)
end

function V.len_max(value, n, field)
  if length(value, field) <= n then
    return true
  end
  return nil, texts.len_max:format(n)
end

function V.match(value, pattern)
  if find(value, pattern) then
    return true
  end
  return nil, texts.match:format(value)
end

function V.not_match(value, pattern)
  if not find(value, pattern) then
    return true
  end
  return nil, texts.not_match:format(value)
end

function V.match_all(value, rules)
  for i = 1, #rules do
    if not find(value, rules[i].pattern) then
      return nil, rules[i].err
    end
  end
  return true
end

function V.match_none(value, rules)
  for i = 1, #rules do
    if find(value, rules[i].pattern) then
      return nil, rules[i].err
    end
  end
  return true
end

function V.match_any(value, rule)
  local patterns = rule.patterns
  for i = 1, #patterns do
    if find(value, patterns[i]) then
      return true
    end
  end
  return nil, rule.err
end

function V.starts_with(value, prefix)
  if sub(value, 1, #prefix) == prefix then
    return true
  end
  return nil, texts.starts_with:format(prefix)
end

function V.is_regex(value)
  return ops.is_regex(value) or nil
end

local X4 = "%x%x%x%x"
local UUID = "^" .. X4 .. X4 .. "%-" .. X4 .. "%-" .. X4 .. "%-" .. X4 .. "%-" .. X4 .. X4 .. X4 .. "$"

function V.uuid(value)
  return #value == 36 and find(value, UUID) ~= nil or nil
end

function V.timestamp(value)
  return value > 0 or nil
end

function V.contains(value, wanted)
  if has(value, wanted) then
    return true
  end
  return nil, texts.contains:format(tostring(wanted))
end

-- A value that several subsets have belongs to the last of them.
function V.mutually_exclusive_subsets(value, subsets)
  local home
  for i = 1, #value do
    local mine
    for j = #subsets, 1, -1 do
      if has(subsets[j], value[i]) then
        mine = subsets[j]
        break
      end
    end
    if mine and not home then
      home = { mine }
    elseif mine and not has(home, mine) then
      home[#home + 1] = mine
    end
  end
  if not home or #home == 1 then
    return true
  end
  return nil, texts.mutually_exclusive_sets:format(words.quoted(home))
end

function V.custom_validator(value, fn)
  if guard.on then
    return guard.call("custom_validator", fn, value)
  end
  return fn(value)
end

return { functions = V, order = order }
