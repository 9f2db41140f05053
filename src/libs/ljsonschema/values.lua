-- What the JSON schema validator asks about values.

local isarray = require "table.isarray"

local M = {}

--- 0 for an object, 1 for an empty table, 2 for an array; without `array_mt` it is told by the keys.
function M.kind(t, array_mt)
  if array_mt then
    return getmetatable(t) == array_mt and 2 or 0
  end
  if next(t) == nil then
    return 1
  end
  return isarray(t) and 2 or 0
end

--- The JSON type's name, for messages.
function M.name(v, how)
  local kind = type(v)
  if kind == "table" then
    return M.kind(v, how.array_mt) < 2 and "object" or "array"
  elseif kind == "number" then
    return math.floor(v) == v and "integer" or "number"
  elseif v == how.null then
    return "null"
  end
  return kind
end

--- A number with as many digits as it takes to read it back.
function M.number(n)
  if type(n) ~= "number" then
    return tostring(n)
  end
  for digits = 6, 17 do
    local text = ("%." .. digits .. "g"):format(n)
    if tonumber(text) == n then
      return text
    end
  end
  return tostring(n)
end

--- Whether two values are equal, tables by what is in them.
function M.equal(a, b, seen)
  if a == b then
    return true
  elseif type(a) ~= "table" or type(b) ~= "table" then
    return false
  end
  seen = seen or {}
  if seen[a] then
    return seen[a] == b
  end
  seen[a] = b
  for k, v in pairs(a) do
    if not M.equal(v, b[k], seen) then
      return false
    end
  end
  for k in pairs(b) do
    if a[k] == nil then
      return false
    end
  end
  return true
end

--- The number of characters, or of bytes where the text is not UTF-8.
function M.length(s)
  if not s:find("[\128-\255]") then
    return #s
  elseif not require("moongate.ops").libs.validate_utf8(s) then
    return #s
  end
  local _, n = s:gsub("[^\128-\191]", "")
  return n
end

local DAYS = { 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 }

--- Whether text is a date; false and "leap" if only the 29th of February is wrong.
function M.is_date(text)
  local year, month, day = text:match("^(%d%d%d%d)-(%d%d)-(%d%d)$")
  if not year then
    return false
  end
  year, month, day = tonumber(year), tonumber(month), tonumber(day)
  if month > 12 or day > 31 then
    return false
  end
  local leap = year % 400 == 0 or year % 100 ~= 0 and year % 4 == 0
  if month == 2 then
    if leap then
      if day > 29 then
        return false, "leap"
      end
      return true
    end
    return day <= 28
  end
  return day <= (DAYS[month] or 31)
end

--- Whether text is a time of RFC 3339, with its offset.
function M.is_time(text)
  local hour, seconds, sign, rest = text:match("^(%d%d):[0-5]%d:([%d.]+)([Zz+%-])(.*)$")
  seconds = tonumber(seconds)
  if not hour or not seconds or tonumber(hour) > 23 or seconds > 60 then
    return false
  elseif sign == "Z" or sign == "z" then
    return true
  end
  local offset = rest:match("^(%d%d):[0-5]%d$")
  return offset ~= nil and tonumber(offset) <= 23
end

return M
