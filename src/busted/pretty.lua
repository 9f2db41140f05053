-- A value as Lua source, for error messages that are tables.

local KEYWORDS = {}
for word in ([[and break do else elseif end false for function goto if in local nil not or
  repeat return then true until while]]):gmatch("%a+") do
  KEYWORDS[word] = true
end

local MAX_DEPTH = 16

local function write(value, indent, open, depth)
  if type(value) == "string" then
    return ("%q"):format(value)
  elseif type(value) ~= "table" then
    return tostring(value)
  elseif open[value] then
    return "<cycle>"
  elseif depth > MAX_DEPTH then
    return "<...>"
  elseif next(value) == nil then
    return "{\n" .. indent .. "}"
  end

  open[value] = true
  local inner = indent .. "  "
  local lines, listed = {}, {}
  for i, item in ipairs(value) do
    listed[i] = true
    lines[#lines + 1] = inner .. write(item, inner, open, depth + 1)
  end
  local rest = {}
  for key in next, value do
    if not listed[key] then rest[#rest + 1] = key end
  end
  table.sort(rest, function(a, b) return tostring(a) < tostring(b) end)
  for _, key in ipairs(rest) do
    local name = type(key) == "string" and key:find("^[%a_][%w_]*$") and not KEYWORDS[key] and key
      or "[" .. write(key, inner, open, depth + 1) .. "]"
    lines[#lines + 1] = inner .. name .. " = " .. write(value[key], inner, open, depth + 1)
  end
  open[value] = nil
  return "{\n" .. table.concat(lines, ",\n") .. "\n" .. indent .. "}"
end

return {
  write = function(value)
    return write(value, "", {}, 0)
  end,
}
