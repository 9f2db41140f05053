-- ngx.log, print and the levels. Below the configured level a call costs a comparison.

local ngx = ...
local ops = require("moongate.ops").ngx_log
local write = ops.write
local threshold = ops.threshold()
local getinfo, getmetatable, tostring, tonumber, type, select, error = debug.getinfo, getmetatable, tostring,
  tonumber, type, select, error
local concat = table.concat

-- what other rooms see of it; `observer` is run_hook of kong.dynamic_hook, once something wants to see the lines
local self = {}

ngx.STDERR, ngx.EMERG, ngx.ALERT, ngx.CRIT, ngx.ERR = 0, 1, 2, 3, 4
ngx.WARN, ngx.NOTICE, ngx.INFO, ngx.DEBUG = 5, 6, 7, 8

local function prefix(level)
  local info = getinfo(level, "Snl")
  if not info then
    return "[lua] "
  end
  local file = info.short_src:match("([^/\\]*)$")
  local line = info.currentline > 0 and info.currentline or info.linedefined
  if info.what == "Lua" and info.namewhat ~= "" then
    return "[lua] " .. file .. ":" .. line .. ": " .. info.name .. "(): "
  end
  return "[lua] " .. file .. ":" .. line .. ": "
end

local function piece(value, i, name)
  local kind = type(value)
  if kind == "string" then
    return value
  elseif kind == "number" or kind == "boolean" or kind == "nil" then
    return tostring(value)
  elseif kind == "table" then
    local mt = getmetatable(value)
    if type(mt) ~= "table" or not mt.__tostring then
      error("bad argument #" .. i .. " to '" .. name .. "' (expected table to have __tostring metamethod)", 4)
    end
    return tostring(value)
  elseif value == ngx.null then
    return "null"
  end
  error("bad argument #" .. i .. " to '" .. name .. "' (string, number, boolean, or nil expected, got "
    .. kind .. ")", 4)
end

-- the arguments as one string; `name` is the function to blame
local function joined(name, ...)
  local n = select("#", ...)
  if n == 1 then
    return piece(..., 1, name)
  end
  local parts = { ... }
  for i = 1, n do
    parts[i] = piece(parts[i], i, name)
  end
  return concat(parts, "", 1, n)
end

local function bad_level(level)
  local n = tonumber(level)
  if not n then
    error("bad argument #1 to 'log' (number expected, got " .. (level == nil and "no value" or type(level)) .. ")", 3)
  end
  if n < 0 or n > 8 then
    error(("bad argument #1 to 'log' (bad log level: %d)"):format(n), 3)
  end
  return n
end

function ngx.log(level, ...)
  if type(level) ~= "number" or level < 0 or level > 8 then
    level = bad_level(level)
  end
  if level > threshold then
    return
  end
  local text = joined("log", ...)
  local observer = self.observer
  if observer then
    -- 5 calls up from the observer's hook (pcall, run_hook, this) is who logs
    observer("observability_logs", "push", 5, nil, level, ...)
  end
  write(level, prefix(3) .. text)
end

function print(...)
  if 6 > threshold then
    return
  end
  local text = joined("print", ...)
  write(6, prefix(3) .. text)
end

-- for the other rooms (kong.log): the level, changing it, the raw writer
self.write = write
self.get_level = function() return threshold end
self.set_level = function(level) threshold = level end
package.loaded["moongate.ngx.log"] = self
