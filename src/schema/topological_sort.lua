-- `kong.db.schema.topological_sort`: schemas in an order in which each comes after those it refers to.

local CORE = require("kong.constants").CORE_ENTITIES

local rank = {}
for _, name in ipairs(CORE) do
  rank[name] = 1
end
rank.workspaces = 2

-- Workspaces, then the core's, then plugins'; by name within.
local function before(a, b)
  local x, y = rank[a.name] or 0, rank[b.name] or 0
  if x ~= y then
    return x > y
  end
  return a.name < b.name
end

-- Who refers to whom, among the schemas given: { [schema] = { those that refer to it } }.
local function referrers(schemas)
  local by_name, refer = {}, {}
  for _, schema in ipairs(schemas) do
    by_name[schema.name] = schema
    refer[schema] = {}
  end
  for _, schema in ipairs(schemas) do
    for _, field in schema:each_field() do
      local target = field.type == "foreign" and by_name[field.reference]
      if target then
        table.insert(refer[target], schema)
      end
    end
  end
  return refer
end

--- A sorted copy of a list of schemas; nil and a text if they refer to each other in a circle.
return function(schemas)
  local sorted, n = {}, 0
  local list = {}
  for i, schema in ipairs(schemas) do
    list[i] = schema
  end
  table.sort(list, before)
  local refer = referrers(list)
  local state = {}

  -- Depth first, from the last on: what is finished goes in front of all that is there.
  local function visit(schema)
    if state[schema] == "done" then
      return true
    elseif state[schema] then
      return nil
    end
    state[schema] = "open"
    local others = refer[schema]
    for i = #others, 1, -1 do
      if not visit(others[i]) then
        return nil
      end
    end
    state[schema] = "done"
    n = n + 1
    sorted[n] = schema
    return true
  end

  for i = #list, 1, -1 do
    if not visit(list[i]) then
      return nil, "Cycle detected, cannot sort topologically"
    end
  end
  for i = 1, math.floor(n / 2) do
    sorted[i], sorted[n + 1 - i] = sorted[n + 1 - i], sorted[i]
  end
  return sorted
end
