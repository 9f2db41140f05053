-- `kong.db.utils`: sorting by dependency.

local M = {}

--- The items such that whatever `needs(item)` lists comes before the item, or nil and an error when they
-- depend on each other in a circle.
function M.topological_sort(items, needs)
  local needed_by = {}
  for _, item in ipairs(items) do
    for _, need in ipairs(needs(item)) do
      local list = needed_by[need]
      if not list then
        list = {}
        needed_by[need] = list
      end
      list[#list + 1] = item
    end
  end

  local OPEN, DONE = 1, 2
  local state, backward = {}, {}

  local function visit(item)
    if state[item] == DONE then
      return true
    elseif state[item] == OPEN then
      return false
    end
    state[item] = OPEN
    for _, dependent in ipairs(needed_by[item] or {}) do
      if not visit(dependent) then
        return false
      end
    end
    state[item] = DONE
    backward[#backward + 1] = item
    return true
  end

  for _, item in ipairs(items) do
    if not visit(item) then
      return nil, "Cycle detected, cannot sort topologically"
    end
  end

  local sorted, n = {}, #backward
  for i = 1, n do
    sorted[i] = backward[n + 1 - i]
  end
  return sorted
end

return M
