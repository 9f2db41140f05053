-- `tablepool`: tables that are used again, by tag.

local clear, new = require "table.clear", require "table.new"
local setmetatable, error = setmetatable, error

local M = { version = 0.02 }

local MOST_RELEASED, MOST_KEPT = 100000, 200

local pools = {}

-- A pool: tables from 1 to `kept`; `released` counts how often one came back.
local function pool_of(tag)
  local pool = pools[tag]
  if not pool then
    pool = { kept = 0, released = 0 }
    pools[tag] = pool
  end
  return pool
end

--- A table of the pool `tag`, or a new one with that much room.
function M.fetch(tag, narr, nrec)
  local pool = pool_of(tag)
  local n = pool.kept
  if n > 0 then
    local t = pool[n]
    pool[n], pool.kept = nil, n - 1
    return t
  end
  return new(narr, nrec)
end

--- Gives a table back; it is emptied unless the caller has done so.
function M.release(tag, t, noclear)
  if not t then
    error("object empty", 2)
  end
  local pool = pool_of(tag)
  pool.released = pool.released + 1
  if pool.released > MOST_RELEASED then
    -- what has grown large goes now and then
    pool.kept, pool.released = 0, 0
    for i = #pool, 1, -1 do
      pool[i] = nil
    end
    return
  end
  if not noclear then
    setmetatable(t, nil)
    clear(t)
  end
  if pool.kept < MOST_KEPT then
    pool.kept = pool.kept + 1
    pool[pool.kept] = t
  end
end

return M
