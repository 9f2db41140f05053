-- `tablepool`: tables used again, by tag.

local new_table, clear = require("table.new"), require("table.clear")
local error, setmetatable = error, setmetatable

-- How many tables of one tag are kept.
local MOST = 200

local pools = {}

local M = {}

--- A table of the tag; a new one, with room for `narr` and `nrec` elements, if none is kept.
function M.fetch(tag, narr, nrec)
  local pool = pools[tag]
  local n = pool and pool.n or 0
  if n == 0 then
    return new_table(narr, nrec)
  end
  local kept = pool[n]
  pool[n], pool.n = nil, n - 1
  return kept
end

--- Takes a table back; emptied, and without a metatable, unless `noclear`.
function M.release(tag, obj, noclear)
  if not obj then
    error("object empty", 2)
  end
  if not noclear then
    setmetatable(obj, nil)
    clear(obj)
  end
  local pool = pools[tag]
  if not pool then
    pool = { n = 0 }
    pools[tag] = pool
  end
  local n = pool.n + 1
  if n <= MOST then
    pool[n], pool.n = obj, n
  end
end

return M
