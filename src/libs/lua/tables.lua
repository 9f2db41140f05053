-- What OpenResty's LuaJIT adds to `table` and `thread`; answers the modules by name.

local M = {}

--- Whether a table has no fields at all.
M["table.isempty"] = function(t)
  return next(t) == nil
end

--- Whether all keys of a table are whole numbers.
M["table.isarray"] = function(t)
  for k in next, t do
    if type(k) ~= "number" or k % 1 ~= 0 then
      return false
    end
  end
  return true
end

--- The number of fields.
M["table.nkeys"] = function(t)
  local n = 0
  for _ in next, t do
    n = n + 1
  end
  return n
end

--- A copy of the outermost table, without its metatable.
M["table.clone"] = function(t)
  local new = {}
  for k, v in next, t do
    new[k] = v
  end
  return new
end

-- they are fields of `table`, too, once asked for
for name, f in pairs(M) do
  local field = name:match("^table%.(.*)$")
  if field then
    table[field] = f
  end
end

return M
