-- `tablepool`: tables to use again, by the pool's name.

local new_tab, clear = require "table.new", require "table.clear"

local M = { _VERSION = "0.03" }

local MOST = 200
local pools = {}

function M.fetch(tag, narr, nrec)
  local pool = pools[tag]
  local n = pool and pool.n or 0
  if n == 0 then
    return new_tab(narr, nrec)
  end
  local t = pool[n]
  pool[n], pool.n = nil, n - 1
  return t
end

--- Gives a table back, cleared unless told not to.
function M.release(tag, t, noclear)
  if not t then
    error("object empty", 2)
  end
  local pool = pools[tag]
  if not pool then
    pool = { n = 0 }
    pools[tag] = pool
  end
  if not noclear then
    setmetatable(t, nil)
    clear(t)
  end
  if pool.n < MOST then
    pool.n = pool.n + 1
    pool[pool.n] = t
  end
end

return M
