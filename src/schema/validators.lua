-- Validators of one value: `validators[name](value, argument, field)` answers true, or nil and maybe a text.

local errors = require "moongate.schema.errors"
local ops = require("moongate.ops").schema

local texts = errors.texts
local null = require("cjson").null

local function any(list, test)
  for i = 1, #list do
    if test(list[i]) then
      return true
    end
  end
  return false
end

local function length(test, text)
  return function(value, n, field)
    local len = #value
    if field.type == "map" then
      len = 0
      for _ in pairs(value) do
        len = len + 1
      end
    end
    if test(len, n) then
      return true
    end
    return nil, text:format(n)
  end
end

local function shown(value)
  return value == null and "null" or tostring(value)
end

local V = {}

function V.eq(value, wanted)
  if value == wanted then
    return true
  end
  return nil, texts.eq:format(shown(wanted))
end

function V.ne(value, unwanted)
  if value ~= unwanted then
    return true
  end
  return nil, texts.ne:format(shown(unwanted))
end

function V.gt(value, limit)
  if value > limit then
    return true
  end
  return nil, texts.gt:format(tostring(limit))
end

function V.between(value, limits)
  if value >= limits[1] and value <= limits[2] then
    return true
  end
  return nil, texts.between:format(limits[1], limits[2])
end

function V.one_of(value, options)
  if any(options, function(o) return o == value end) then
    return true
  end
  return nil, texts.one_of:format(table.concat(options, ", "))
end

function V.not_one_of(value, options)
  if not any(options, function(o) return o == value end) then
    return true
  end
  return nil, texts.not_one_of:format(table.concat(options, ", "))
end

V.len_eq = length(function(len, n) return len == n end, texts.len_eq)
V.len_min = length(function(len, n) return len >= n end, texts.len_min)
V.len_max = length(function(len, n) return len <= n end, texts.len_max)

function V.match(value, pattern)
  if value:match(pattern) then
    return true
  end
  return nil, texts.match:format(value)
end

function V.not_match(value, pattern)
  if not value:match(pattern) then
    return true
  end
  return nil, texts.match:format(value)
end

function V.match_all(value, rules)
  for _, rule in ipairs(rules) do
    if not value:match(rule.pattern) then
      return nil, rule.err
    end
  end
  return true
end

function V.match_none(value, rules)
  for _, rule in ipairs(rules) do
    if value:match(rule.pattern) then
      return nil, rule.err
    end
  end
  return true
end

function V.match_any(value, rule)
  if any(rule.patterns, function(p) return value:match(p) end) then
    return true
  end
  return nil, rule.err
end

function V.starts_with(value, prefix)
  if value:sub(1, #prefix) == prefix then
    return true
  end
  return nil, texts.starts_with:format(prefix)
end

function V.is_regex(value)
  return ops.is_regex(value) or nil
end

function V.uuid(value)
  local hex, groups = value:gsub("^(%x+)%-(%x+)%-(%x+)%-(%x+)%-(%x+)$", "%1%2%3%4%5")
  return #value == 36 and groups == 1 and #hex == 32
    and value:find("^........%-....%-....%-....%-............$") and true or nil
end

function V.timestamp(value)
  return value > 0 or nil
end

function V.contains(value, wanted)
  if any(value, function(v) return v == wanted end) then
    return true
  end
  return nil, texts.contains:format(tostring(wanted))
end

function V.mutually_exclusive_subsets(value, subsets)
  local met = {}
  for _, subset in ipairs(subsets) do
    if any(value, function(v) return any(subset, function(s) return s == v end) end) then
      met[#met + 1] = subset
    end
  end
  if #met <= 1 then
    return true
  end
  return nil, texts.mutually_exclusive_sets:format(errors.quoted(met))
end

function V.custom_validator(value, fn)
  local ran, ok, err = pcall(fn, value)
  if not ran then
    return nil, "custom_validator failed: " .. tostring(ok)
  end
  return ok, err
end

--- The order in which a field's validators run (the first failure is the field's error).
V.order = {
  "eq", "ne", "not_one_of", "one_of",
  "gt", "timestamp", "uuid", "is_regex", "between",
  "len_eq", "len_min", "len_max",
  "starts_with", "not_match", "match_none", "match", "match_all", "match_any",
  "contains", "custom_validator", "mutually_exclusive_subsets",
}

return V
