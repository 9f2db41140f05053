-- A tree of errors as text, in the lines that users know: places by their names, entries of a list by their
-- numbers.

local concat, sort, type, tostring = table.concat, table.sort, type, tostring

-- Numbers first, then names.
local function before(a, b)
  local ta, tb = type(a), type(b)
  if ta ~= tb then
    return ta == "number" or tb ~= "number" and ta < tb
  elseif ta == "number" or ta == "string" then
    return a < b
  end
  return tostring(a) < tostring(b)
end

-- Errors that a schema's own function made may contain themselves.
local MAX_INDENT = 2 * 100

local function lines(out, tree, item, indent)
  local keys = {}
  for k in pairs(tree) do
    keys[#keys + 1] = k
  end
  sort(keys, before)
  for i = 1, #keys do
    local k = keys[i]
    local v = tree[k]
    local place
    if type(k) == "number" then
      place = "- in entry " .. k .. " of '" .. tostring(item) .. "'"
    else
      place = "in '" .. tostring(k) .. "'"
    end
    if type(v) == "table" then
      out[#out + 1] = indent .. place .. ":"
      if next(v) == nil then
        out[#out + 1] = ""
      elseif #indent > MAX_INDENT then
        out[#out + 1] = indent .. "  ..."
      else
        lines(out, v, k, indent .. "  ")
      end
    else
      out[#out + 1] = indent .. place .. ": " .. tostring(v)
    end
  end
end

--- The text of a tree that belongs to `item`.
return function(tree, item, indent)
  local out = {}
  lines(out, tree, item, indent or "")
  return concat(out, "\n")
end
