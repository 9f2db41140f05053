-- coroutine.* as OpenResty gives it. A wait or an exit of the gateway passes outward through user coroutines to
-- the driver; while it does, they are "running" or "normal", and nobody else may resume them. No closure is built
-- per resume.

local WAIT, EXIT, YIELDABLE, away, running, ops, trail = ...
local std = {}
for name, f in pairs(coroutine) do
  std[name] = f
end
local raw_resume, raw_yield, raw_create, current = std.resume, std.yield, std.create, std.running
local error, type, getinfo, format, band = error, type, debug.getinfo, string.format, require("bit").band
local status, refused, context = ops.status, ops.refused, ops.context

-- Where they work: in the filters they are Lua's own, elsewhere they are not to be used.
local HERE = YIELDABLE + 0x200 + 0x400

-- Raises what is wrong with a call of one of the functions below, in the words of luaL_argerror.
local function refuse(message)
  error(format(message, getinfo(2, "n").name or "?"), 3)
end

-- Why not here; nil where the table of what runs is older than the truth (set-up code).
local function disabled()
  local where = context()
  return where and "API disabled in the context of " .. where
end

local resumed

local function go_on(co, ...)
  away[co] = nil
  return resumed(co, raw_resume(co, ...))
end

function resumed(co, ok, ...)
  if ok then
    local first, outer = ...
    if first == WAIT or first == EXIT then
      -- the innermost runs; who resumed it has lent it its turn
      away[co] = outer and "normal" or "running"
      return go_on(co, raw_yield(first, true))
    end
  end
  return ok, ...
end

-- OpenResty tells normal from running; LuaJIT calls both running.
local function named(co, ok, ...)
  if not ok and (...) == "cannot resume running coroutine" and band(running[2], YIELDABLE) ~= 0 then
    return false, "cannot resume " .. status(co) .. " coroutine"
  end
  return ok, ...
end

local function resume(co, ...)
  if away[co] then
    return false, "cannot resume " .. status(co) .. " coroutine"
  end
  return named(co, resumed(co, raw_resume(co, ...)))
end

function coroutine.resume(co, ...)
  if type(co) ~= "thread" then
    refuse("bad argument #1 to '%s' (coroutine expected)")
  elseif band(running[2], HERE) == 0 then
    local why = disabled()
    if why then
      refuse(why)
    end
  end
  return resume(co, ...)
end

function coroutine.yield(...)
  if band(running[2], HERE) == 0 then
    local why = disabled()
    if why then
      refuse(why)
    end
  end
  return raw_yield(...)
end

function coroutine.create(f)
  local why = refused(f)
  if why then
    refuse(why)
  elseif band(running[2], HERE) == 0 then
    why = disabled()
    if why then
      refuse(why)
    end
  end
  return raw_create(f)
end

-- For the traceback of whom an error ends: the coroutines it came through (vm/trace.rs).
local function came_through(co, text)
  local n = trail[1] == co and trail[2] == text and trail[3] or 0
  if n < 5 then
    n = n + 1
    trail[3 + n] = co
    trail[4 + n] = nil
  end
  trail[1], trail[2], trail[3] = current(), text, n
end

local function unwrapped(co, ok, ...)
  if ok then
    return ...
  end
  if band(running[2], YIELDABLE) == 0 then
    -- as Lua's own has it: with the position of who called
    return error((...), 1)
  elseif status(co) == "dead" and (...) == "cannot resume dead coroutine" then
    return false, ...
  end
  came_through(co, (...))
  return error((...), 0)
end

function coroutine.wrap(f)
  local why = refused(f)
  if why then
    refuse(why)
  elseif band(running[2], HERE) == 0 then
    why = disabled()
    if why then
      refuse(why)
    end
  end
  local co = raw_create(f)
  return function(...)
    return unwrapped(co, resume(co, ...))
  end
end

coroutine.status = status

for _, name in ipairs({ "create", "resume", "status", "wrap", "yield" }) do
  coroutine["_" .. name] = std[name]
  coroutine["__" .. name] = coroutine[name]
end
