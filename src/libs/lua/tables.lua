-- What OpenResty's LuaJIT adds to `table`: modules by name, and fields of `table`, which they are once required.

local floor, type, next, error, getinfo = math.floor, type, next, error, debug.getinfo

local M = {}

-- As Lua says it of a C function: by the name it was called by.
local function refuse(...)
  local got = select("#", ...) == 0 and "no value" or type((...))
  local name = getinfo(2, "n").name or "?"
  error("bad argument #1 to '" .. name .. "' (table expected, got " .. got .. ")", 3)
end

--- Whether a table has no fields at all.
M["table.isempty"] = function(...)
  local t = ...
  if type(t) ~= "table" then
    refuse(...)
  end
  return next(t) == nil
end

--- Whether all keys of a table are whole numbers.
M["table.isarray"] = function(...)
  local t = ...
  if type(t) ~= "table" then
    refuse(...)
  end
  for k in next, t do
    if type(k) ~= "number" or floor(k) ~= k then
      return false
    end
  end
  return true
end

--- The number of fields.
M["table.nkeys"] = function(...)
  local t = ...
  if type(t) ~= "table" then
    refuse(...)
  end
  local n = 0
  for _ in next, t do
    n = n + 1
  end
  return n
end

--- A copy of the outermost table, without its metatable.
M["table.clone"] = function(...)
  local t = ...
  if type(t) ~= "table" then
    refuse(...)
  end
  local new = {}
  for k, v in next, t do
    new[k] = v
  end
  return new
end

for name, f in next, M do
  table[name:sub(7)] = f
end

return M
