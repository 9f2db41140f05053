-- Lua values as JSON text, for reports. Functions and what would recurse are left out.

local ESCAPES = {
  ['"'] = '\\"', ["\\"] = "\\\\", ["\n"] = "\\n", ["\r"] = "\\r", ["\t"] = "\\t", ["\b"] = "\\b", ["\f"] = "\\f",
}

local function quote(text)
  return '"' .. text:gsub('[%c"\\\127]', function(c)
    return ESCAPES[c] or ("\\u%04x"):format(c:byte())
  end) .. '"'
end

local write

local function write_table(value, open)
  if open[value] then return "null" end
  open[value] = true
  local parts = {}
  local text
  if #value > 0 or next(value) == nil then
    for i, item in ipairs(value) do
      parts[i] = write(item, open) or "null"
    end
    text = "[" .. table.concat(parts, ",") .. "]"
  else
    local keys = {}
    for key in next, value do
      if type(key) == "string" then keys[#keys + 1] = key end
    end
    table.sort(keys)
    for _, key in ipairs(keys) do
      local item = write(value[key], open)
      if item then parts[#parts + 1] = quote(key) .. ":" .. item end
    end
    text = "{" .. table.concat(parts, ",") .. "}"
  end
  open[value] = nil
  return text
end

function write(value, open)
  local kind = type(value)
  if kind == "string" then
    return quote(value)
  elseif kind == "number" then
    if value ~= value or value == math.huge or value == -math.huge then return "null" end
    return (("%.14g"):format(value))
  elseif kind == "boolean" then
    return tostring(value)
  elseif kind == "table" then
    return write_table(value, open)
  end
  return nil
end

return function(value)
  return write(value, {}) or "null"
end
