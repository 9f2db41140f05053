-- Values as text for people: the form of kong.log.inspect.

local type, tostring, pairs, ipairs = type, tostring, pairs, ipairs
local fmt, rep, find = string.format, string.rep, string.find

local MAX_DEPTH = 16

local function quote(text)
  local quoted = fmt("%q", text):gsub("\\\n", "\\n"):gsub("\r", "\\r"):gsub("%z", "\\0")
  return quoted
end

local function is_name(key)
  return type(key) == "string" and find(key, "^[%a_][%w_]*$")
end

local function sorted_keys(value, n)
  local keys = {}
  for key in pairs(value) do
    if not (type(key) == "number" and key >= 1 and key <= n and key % 1 == 0) then
      keys[#keys + 1] = key
    end
  end
  table.sort(keys, function(a, b)
    local ta, tb = type(a), type(b)
    if ta ~= tb then
      return ta < tb
    end
    if ta == "string" or ta == "number" then
      return a < b
    end
    return tostring(a) < tostring(b)
  end)
  return keys
end

local write

local function write_table(value, depth, seen)
  if seen[value] then
    return "<table>"
  end
  if depth >= MAX_DEPTH then
    return "{...}"
  end
  seen[value] = true
  local parts, n = {}, #value
  for i = 1, n do
    parts[i] = write(value[i], depth + 1, seen)
  end
  local keys = sorted_keys(value, n)
  local lines = #keys > 0
  for _, key in ipairs(keys) do
    local name = is_name(key) and key or "[" .. write(key, depth + 1, seen) .. "]"
    parts[#parts + 1] = name .. " = " .. write(value[key], depth + 1, seen)
  end
  seen[value] = nil
  if #parts == 0 then
    return "{}"
  end
  if not lines then
    return "{ " .. table.concat(parts, ", ") .. " }"
  end
  local indent = rep("  ", depth + 1)
  return "{\n" .. indent .. table.concat(parts, ",\n" .. indent) .. "\n" .. rep("  ", depth) .. "}"
end

function write(value, depth, seen)
  local kind = type(value)
  if kind == "string" then
    return quote(value)
  elseif kind == "table" then
    return write_table(value, depth, seen)
  elseif kind == "number" or kind == "boolean" or kind == "nil" then
    return tostring(value)
  end
  return "<" .. tostring(value) .. ">"
end

return function(value)
  return write(value, 0, {})
end
