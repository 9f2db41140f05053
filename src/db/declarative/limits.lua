-- What a file may be at all: so deep and so large. Text cannot nest without end, but a table made by hand
-- can.

local lap = require("moongate.ops").vm.lap
local pairs, type, tostring = pairs, type, tostring

local MAX_DEPTH = 200
local MAX_VALUES = 2e7

local M = {}

local function place(path)
  local parts = {}
  for i = 1, 5 do
    parts[i] = tostring(path[i])
  end
  return table.concat(parts, ".") .. "..."
end

--- The error tree of a file that nests too deeply (as one does that contains itself) or has too many values;
-- nil otherwise.
function M.check(input)
  local tables, names, depths = { input }, { false }, { 0 }
  local n, values = 1, 0
  -- The names on the way to the table at hand: what is pushed last is visited first, so they are always its
  -- own.
  local path = {}
  while n > 0 do
    local t, depth = tables[n], depths[n]
    path[depth] = names[n]
    n = n - 1
    if depth > MAX_DEPTH then
      return { [path[1]] = "nested too deeply (at " .. place(path) .. ")" }
    end
    for k, v in pairs(t) do
      values = values + 1
      if values % 100000 == 0 then
        lap()
      end
      if type(v) == "table" then
        n = n + 1
        tables[n], names[n], depths[n] = v, k, depth + 1
      end
    end
    if values > MAX_VALUES then
      return { error = ("more than %d values"):format(MAX_VALUES) }
    end
  end
end

return M
