-- Rows in place of the snapshot's: the ops of room `db` over plain tables, for specs.

local ops = require "moongate.ops"

local M = {}

local function copy(t)
  if type(t) ~= "table" then
    return t
  end
  local c = {}
  for k, v in pairs(t) do
    c[k] = copy(v)
  end
  return c
end

local function sorted(rows)
  local list = {}
  for _, row in ipairs(rows or {}) do
    list[#list + 1] = row
  end
  table.sort(list, function(a, b) return a.id < b.id end)
  return list
end

local function page(list, size, after)
  local rows = {}
  after = after or 0
  for i = after + 1, math.min(after + size, #list) do
    rows[#rows + 1] = copy(list[i])
  end
  return rows, list[after + size + 1] and after + size or nil
end

local function pick(list, keep)
  local kept = {}
  for _, row in ipairs(list) do
    if keep(row) then
      kept[#kept + 1] = row
    end
  end
  return kept
end

local function carries(row, tag)
  for _, t in ipairs(row.tags or {}) do
    if t == tag then
      return true
    end
  end
  return false
end

--- Makes `rows` (by entity; `cache_keys` by entity and key) what the ops answer with. The returned table
-- counts calls by op.
function M.install(rows, cache_keys)
  local calls = { get = 0, get_by = 0, page = 0, tagged = 0 }
  ops.db = {
    get = function(entity, id)
      calls.get = calls.get + 1
      local found = pick(sorted(rows[entity]), function(row) return row.id == id end)
      return copy(found[1])
    end,
    get_by = function(entity, field, value)
      calls.get_by = calls.get_by + 1
      if field == "cache_key" then
        return copy(((cache_keys or {})[entity] or {})[value])
      end
      local found = pick(sorted(rows[entity]), function(row)
        local own = row[field]
        return own == value or (type(own) == "table" and own.id == value)
      end)
      return copy(found[1])
    end,
    page = function(entity, size, after, field, parent_id)
      calls.page = calls.page + 1
      local list = sorted(rows[entity])
      if field then
        list = pick(list, function(row) return row[field] ~= nil and row[field].id == parent_id end)
      end
      return page(list, size, after)
    end,
    tagged = function(entity, joined, cond, size, after)
      calls.tagged = calls.tagged + 1
      local tags = {}
      for tag in joined:gmatch("[^\n]+") do
        tags[#tags + 1] = tag
      end
      local list = pick(sorted(rows[entity]), function(row)
        local n = 0
        for _, tag in ipairs(tags) do
          n = n + (carries(row, tag) and 1 or 0)
        end
        return n == #tags or (cond == "or" and n > 0)
      end)
      return page(list, size, after)
    end,
    hash = function()
      return ("0"):rep(32)
    end,
  }
  return calls
end

local before, own = ops.db, {}

--- Makes `kong[field]` this until `restore`.
function M.replace(field, value)
  own[field] = own[field] or { kong[field] }
  kong[field] = value
end

--- Puts the gateway's own ops back.
function M.remove()
  ops.db = before
end

--- Puts back the ops, and what `replace` replaced.
function M.restore()
  M.remove()
  for field, value in pairs(own) do
    kong[field] = value[1]
  end
  own = {}
end

return M
