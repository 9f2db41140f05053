-- kong.node

local op = require("moongate.ops")["kong.node"]

local type, error, pcall, floor, tonumber = type, error, pcall, math.floor, tonumber
local lower, match, insert, sort = string.lower, string.match, table.insert, table.sort

local to_text
local function bytes_to_str(bytes, unit, scale)
  to_text = to_text or require("kong.tools.string").bytes_to_str
  return to_text(bytes, unit, scale)
end

local function in_unit(bytes, unit, scale)
  if lower(unit) == "b" then
    return floor(bytes)
  end
  return bytes_to_str(bytes, unit, scale)
end

local node = {}

function node.get_id()
  return (op.get_id())
end

function node.get_hostname()
  return (op.get_hostname())
end

local function by_pid(a, b)
  return a.pid < b.pid
end

-- A worker's line. `kilobytes` is what it reported, in the shared dictionary too.
local function worker(pid, kilobytes, unit, scale)
  local line = { pid = pid }
  if type(kilobytes) == "number" then
    line.http_allocated_gc = in_unit(kilobytes * 1024, unit, scale)
  else
    line.err = "could not get worker's HTTP Lua VM memory (pid: " .. pid .. "): reported value is corrupted"
  end
  return line
end

local function reported(lines, unit, scale)
  local shm = ngx and ngx.shared and ngx.shared.kong
  if not shm then
    return
  end
  local keys, err = shm:get_keys()
  if not keys then
    lines.err = "could not get kong shm keys: " .. err
    return
  end
  for _, key in ipairs(keys) do
    local pid = match(key, "^kong:mem:(%d+)")
    if pid then
      insert(lines, worker(tonumber(pid), shm:get(key), unit, scale))
    end
  end
end

-- The memory of the workers' states and of the shared dictionaries. Workers are threads of one process: a
-- worker's `pid` is its thread's.
function node.get_memory_stats(unit, scale)
  unit, scale = unit or "b", scale or 2
  local ok, err = pcall(bytes_to_str, 0, unit, scale)
  if not ok then
    error(err, 2)
  end
  local lines, dicts = {}, {}
  op.note(ngx and ngx.worker and ngx.worker.pid() or 0, collectgarbage("count") * 1024)
  for pid, bytes in pairs(op.memory()) do
    insert(lines, worker(pid, bytes / 1024, unit, scale))
  end
  reported(lines, unit, scale)
  sort(lines, by_pid)
  for name, dict in pairs(ngx and ngx.shared or {}) do
    local capacity = dict:capacity()
    dicts[name] = {
      capacity = in_unit(capacity, unit, scale),
      allocated_slabs = in_unit(capacity - dict:free_space(), unit, scale),
    }
  end
  return { workers_lua_vms = lines, lua_shared_dicts = dicts }
end

return {
  new = function()
    return node
  end,
}
