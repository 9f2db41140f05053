-- The order of files and tests.

local order = {}

-- Shuffles in place; the same seed gives the same order.
function order.shuffle(list, seed)
  if seed then (math.native_randomseed or math.randomseed)(seed) end
  for n = #list, 2, -1 do
    local k = math.random(n)
    list[n], list[k] = list[k], list[n]
  end
  return list
end

-- Sorts in place by name; what has no name comes first. Equal names keep their order.
function order.sort_by_name(list)
  local position = {}
  for i, element in ipairs(list) do
    position[element] = i
  end
  table.sort(list, function(a, b)
    local name_a, name_b = a.name or "", b.name or ""
    if name_a ~= name_b then return name_a < name_b end
    return position[a] < position[b]
  end)
  return list
end

-- A seed for when none was asked for.
function order.new_seed(host)
  return (os.time() * 1000 + math.floor(host.monotonic() * 1e6)) % 2 ^ 31
end

return order
