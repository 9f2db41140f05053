-- ngx.run_worker_thread: a function of a module, run by another OS thread in a Lua state of its own. What goes there
-- and comes back is copied.

local ngx = ...
local ops = require("moongate.ops")
local run, take = ops.ngx_worker_thread.run, ops.vm.take
local running, buffer = require "moongate.running", require "string.buffer"
local type, pairs, pcall, select, error, tostring = type, pairs, pcall, select, error, tostring
local null = ngx.null

local DEPTH = 100

local UNFIT = {
  ["function"] = "unsupported Lua type: LUA_TFUNCTION",
  ["userdata"] = "unsupported Lua type: LUA_TUSERDATA",
  ["thread"] = "unsupported Lua type: LUA_TTHREAD",
  ["cdata"] = "unsupported Lua type",
}

-- Why a value cannot be copied, if so.
local function unfit(value, depth)
  if type(value) ~= "table" then
    return value ~= null and UNFIT[type(value)] or nil
  elseif depth >= DEPTH then
    return "suspicious circular references, table depth exceed max depth: " .. DEPTH
  end
  for k, v in pairs(value) do
    local why = unfit(k, depth + 1) or unfit(v, depth + 1)
    if why then
      return why
    end
  end
end

-- The values as a string; or nil and why not.
local function encode(...)
  local out = buffer.new()
  for i = 1, select("#", ...) do
    local value = (select(i, ...))
    local why = unfit(value, 1)
    if why then
      return nil, why
    end
    out:encode(value)
  end
  return out:get()
end

local function decode(from, n)
  if n > 0 then
    return from:decode(), decode(from, n - 1)
  end
end

local function text_of(value)
  return (type(value) == "string" or type(value) == "number") and tostring(value) or nil
end

local function results(ok, n, text)
  if not ok then
    return false, n
  end
  return true, decode(buffer.new():set(text), n)
end

function ngx.run_worker_thread(...)
  if running[1] == 0 then
    error("no request found", 2)
  end
  local disabled = ops.ngx_worker_thread.disabled()
  if disabled then
    error(disabled, 2)
  end
  local n = select("#", ...)
  if n < 3 then
    return false, "expecting at least 3 arguments"
  end
  local pool, module, name = ...
  pool, module, name = text_of(pool), text_of(module), text_of(name)
  if not pool then
    return false, "threadpool should be a string"
  elseif not ops.ngx_worker_thread.known(pool) then
    return false, "thread pool " .. pool .. " not found"
  elseif not module then
    return false, "module name should be a string"
  elseif not name then
    return false, "function name should be a string"
  end
  local text, why = encode(select(4, ...))
  if not text then
    return false, why .. " in the argument"
  end
  local ok, err = run(pool, module, name, n - 3, text)
  if ok == false then
    return false, err
  end
  return results(take())
end

-- The other side: what the thread's state runs.

local function finished(ok, ...)
  if not ok then
    return false, text_of((...)) or ""
  end
  local text, why = encode(...)
  if not text then
    return false, why .. " in the return value"
  end
  return true, select("#", ...), text
end

local THERE = {
  "encode_args", "decode_args", "quote_sql_str", "hmac_sha1", "md5", "md5_bin", "sha1_bin", "crc32_short",
  "crc32_long", "encode_base64", "decode_base64", "decode_base64mime", "config", "shared",
}

package.loaded["moongate.ngx.worker_thread"] = {
  -- Leaves of ngx what OpenResty has there.
  confine = function()
    local there = {}
    for _, key in pairs(THERE) do
      there[key] = ngx[key]
    end
    _G.ngx, package.loaded.ngx = there, there
  end,

  call = function(module, name, n, text)
    local ok, m = pcall(require, module)
    if not ok then
      return false, text_of(m) or ""
    elseif type(m) ~= "table" then
      return false, "invalid lua module"
    end
    local f = m[name]
    if type(f) ~= "function" then
      return false, "invalid function"
    end
    return finished(pcall(f, decode(buffer.new():set(text), n)))
  end,
}
