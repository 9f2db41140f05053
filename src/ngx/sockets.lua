-- What the faces of cosockets share: errors as the C functions raise them, and what may be sent.

local type, tostring, error, pairs, select = type, tostring, error, pairs, select
local getinfo, concat, floor = debug.getinfo, table.concat, math.floor

local M = {}

--- `bad argument #n to 'name' (why)`: n counts the object; to be called by the method itself, not in its tail, or by
--- what it calls, `up` levels above it.
function M.argerror(n, why, up)
  up = up or 0
  local info = getinfo(2 + up, "n")
  local name = info and info.name or "?"
  if info and info.namewhat == "method" then
    n = n - 1
    if n == 0 then
      error("calling '" .. name .. "' on bad self (" .. why .. ")", 3 + up)
    end
  end
  error("bad argument #" .. n .. " to '" .. name .. "' (" .. why .. ")", 3 + up)
end

--- That the object is a table; to be called by the method.
function M.checked(sock)
  if type(sock) ~= "table" then
    M.argerror(1, "table expected, got " .. type(sock), 1)
  end
end

-- why it may not be sent, or nil
local function flatten(parts, t, depth)
  local max = 0
  for key in pairs(t) do
    if type(key) ~= "number" or key < 1 or floor(key) ~= key then
      return "non-array table found"
    elseif key > max then
      max = key
    end
  end
  for i = 1, max do
    local value = t[i]
    local kind = type(value)
    if kind == "string" then
      parts[#parts + 1] = value
    elseif kind == "number" then
      parts[#parts + 1] = tostring(value)
    elseif kind == "table" and depth < 100 then
      local why = flatten(parts, value, depth + 1)
      if why then
        return why
      end
    else
      return "bad data type " .. kind .. " found"
    end
  end
end

--- What goes out for a value; or nil and why it may not.
function M.bytes(data)
  local kind = type(data)
  if kind == "string" then
    return data
  elseif kind == "table" then
    local parts = {}
    local why = flatten(parts, data, 0)
    if why then
      return nil, why
    end
    return concat(parts)
  elseif kind == "number" or kind == "nil" or kind == "boolean" then
    return tostring(data)
  end
  return nil, "string, number, boolean, nil, or array table expected, got " .. kind
end

local ops = require("moongate.ops")
local take = ops.vm.take

--- `lua_socket_pool_size`.
M.pool_size = ops.ngx_sockets.pool_size

--- The results of an op that may wait.
function M.done(...)
  if select("#", ...) == 0 then
    return take()
  end
  return ...
end

package.loaded["moongate.ngx.sockets"] = M
