-- `kong.tools.string`: cutting and joining strings.

local base64 = require "ngx.base64"
local ops = require("moongate.ops").libs
local stringx = require "pl.stringx"

local find, sub = string.find, string.sub

local M = {
  join = stringx.join,
  split = stringx.split,
}

--- `value` without white space at both ends; "" for nil.
function M.strip(value)
  if value == nil then
    return ""
  end
  value = tostring(value)
  local from = find(value, "[^ \t-\r]")
  return from and value:match("^(.*[^ \t-\r])", from) or ""
end

local function once(value, delim, plain)
  if value == nil or delim == nil then
    return value, nil
  elseif delim == "" then
    return "", value
  end
  local from, to = find(value, delim, 1, plain)
  if not from then
    return value, nil
  end
  return sub(value, 1, from - 1), sub(value, to + 1)
end

--- What is before and after the first `delim`.
function M.split_once(value, delim)
  return once(value, delim, true)
end

--- As `split_once`, at a pattern.
function M.psplit_once(value, pattern)
  return once(value, pattern, false)
end

-- Between "" delimiters lie the characters, with "" at both ends.
local function characters(value, limit)
  local parts = { "" }
  for i = 1, #value do
    if #parts == limit - 1 then
      parts[#parts + 1] = sub(value, i)
      return parts, #parts
    end
    parts[#parts + 1] = sub(value, i, i)
  end
  parts[#parts + 1] = ""
  return parts, #parts
end

local function splitn(value, delim, n, plain)
  local limit = n or math.huge
  if value == nil or limit < 1 then
    return {}, 0
  elseif limit == 1 or delim == nil then
    return { value }, 1
  elseif delim == "" then
    return characters(value, limit)
  end
  local parts, count, at = {}, 0, 1
  while count < limit - 1 do
    local from, to = find(value, delim, at, plain)
    if not from then
      break
    end
    count = count + 1
    parts[count] = sub(value, at, from - 1)
    at = to + 1
  end
  count = count + 1
  parts[count] = sub(value, at)
  return parts, count
end

--- The parts between at most n - 1 delimiters, and their number.
function M.splitn(value, delim, n)
  return splitn(value, delim, n, true)
end

--- As `splitn`, at patterns.
function M.psplitn(value, pattern, n)
  return splitn(value, pattern, n, false)
end

local function iterate(parts)
  local i = 0
  return function()
    i = i + 1
    return parts[i]
  end
end

--- Iterates over what `splitn` gives.
function M.isplitn(value, delim, n)
  return iterate((splitn(value, delim, n, true)))
end

--- Iterates over what `psplitn` gives.
function M.ipsplitn(value, pattern, n)
  return iterate((splitn(value, pattern, n, false)))
end

--- true, or false and the position of the first byte that is not UTF-8.
function M.validate_utf8(value)
  return ops.validate_utf8(tostring(value))
end

local UNITS = { k = { 10, "KiB" }, m = { 20, "MiB" }, g = { 30, "GiB" } }

--- A number of bytes as text in a unit.
function M.bytes_to_str(bytes, unit, scale)
  local u = (unit or ""):lower()
  if u == "" or u == "b" then
    return ("%d"):format(bytes)
  end
  scale = scale or 2
  if type(scale) ~= "number" or scale < 0 then
    error("scale must be equal or greater than 0", 2)
  end
  local known = UNITS[u]
  if not known then
    error("invalid unit '" .. unit .. "' (expected 'k/K', 'm/M', or 'g/G')", 2)
  end
  return ("%%.%df %%s"):format(scale):format(bytes / 2 ^ known[1], known[2])
end

--- A size of nginx's configuration ("8k", "1m") in bytes.
function M.parse_ngx_size(str)
  assert(type(str) == "string", "Parameter #1 must be a string")
  local number, unit = str:match("^(.-)([kKmMgG]?)$")
  local known = UNITS[unit:lower()]
  return (tonumber(number) or 0) * (known and 2 ^ known[1] or 1)
end

local function decoded(value)
  return type(value) == "string" and (base64.decode_base64(value) or base64.decode_base64url(value)) or value
end

--- The value decoded from base64 (or base64url) if it is that, else as it is; lists item by item.
function M.try_decode_base64(value)
  if type(value) ~= "table" then
    return decoded(value)
  end
  for i, v in ipairs(value) do
    value[i] = decoded(v)
  end
  return value
end

--- `-` becomes `_`.
function M.replace_dashes(str)
  return (str:gsub("-", "_"))
end

--- As `replace_dashes`, in lower case.
function M.replace_dashes_lower(str)
  return (str:lower():gsub("-", "_"))
end

return M
