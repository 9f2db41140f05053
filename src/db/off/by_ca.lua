-- Rows that name a CA certificate, found by looking at all rows: the `select_by_ca_certificate` of the
-- strategies of services and plugins.

local PAGE_SIZE = 100

local M = {}

local function names(list, id)
  if type(list) == "table" then
    for _, name in ipairs(list) do
      if name == id then
        return true
      end
    end
  end
  return false
end

--- The first `limit` rows (all without a limit) whose list of CA certificates has `ca_id`; `list_of(row)` is
-- that list, or nil.
function M.find(strategy, ca_id, limit, list_of)
  local found = {}
  local offset
  repeat
    local rows, err
    rows, err, offset = strategy:page(PAGE_SIZE, offset)
    if err then
      return nil, err
    end
    for _, row in ipairs(rows) do
      if limit and #found >= limit then
        return found
      end
      if names(list_of(row), ca_id) then
        found[#found + 1] = row
      end
    end
  until not offset
  return found
end

function M.check(ca_id, limit)
  if type(ca_id) ~= "string" then
    error("the arg#1 `ca_id` is invalid", 3)
  elseif limit and type(limit) ~= "number" then
    error("the arg#2 `limit` is invalid", 3)
  end
end

return M
