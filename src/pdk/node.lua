-- kong.node

local op = require("moongate.ops")["kong.node"]

local type, error, floor = type, error, math.floor
local DIVISORS = { k = 2 ^ 10, m = 2 ^ 20, g = 2 ^ 30 }

local function in_unit(bytes, unit, scale)
  local name = unit:lower()
  if name == "" or name == "b" then
    return floor(bytes)
  end
  if type(scale) ~= "number" or scale < 0 then
    error("scale must be equal or greater than 0", 3)
  end
  local divisor = DIVISORS[name]
  if not divisor then
    error("invalid unit '" .. unit .. "' (expected 'k/K', 'm/M', or 'g/G')", 3)
  end
  return ("%." .. scale .. "f %siB"):format(bytes / divisor, name:upper())
end

local node = {}

function node.get_id()
  return (op.get_id())
end

function node.get_hostname()
  return (op.get_hostname())
end

-- The memory of this worker's state and of the shared dictionaries.
function node.get_memory_stats(unit, scale)
  unit, scale = unit or "b", scale or 2
  in_unit(0, unit, scale)
  local pid = ngx and ngx.worker and ngx.worker.pid and ngx.worker.pid() or op.pid()
  local stats = {
    workers_lua_vms = { { pid = pid, http_allocated_gc = in_unit(collectgarbage("count") * 1024, unit, scale) } },
    lua_shared_dicts = {},
  }
  for name, dict in pairs(ngx and ngx.shared or {}) do
    local capacity = dict:capacity()
    stats.lua_shared_dicts[name] = {
      capacity = in_unit(capacity, unit, scale),
      allocated_slabs = in_unit(capacity - dict:free_space(), unit, scale),
    }
  end
  return stats
end

return {
  new = function()
    return node
  end,
}
