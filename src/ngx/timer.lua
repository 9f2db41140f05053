-- ngx.timer. Callbacks and their arguments wait here under a number.

local ngx = ...
local ops, refused = require("moongate.ops").ngx_timer, require("moongate.ops").vm.refused
local running = require "moongate.running"
local start = ops.start
local type, error, select, tonumber, unpack = type, error, select, tonumber, unpack
local floor, format, getinfo = math.floor, string.format, debug.getinfo

local waiting = {}
local last = 0

-- Raises what is wrong with a call of `at` or `every`, in the words of luaL_argerror.
local function refuse(message)
  error(format(message, getinfo(3, "n").name or "?"), 4)
end

local function begin(every, ...)
  local n = select("#", ...)
  if n < 2 then
    refuse("expecting at least 2 arguments but got " .. n)
  end
  local given, callback = ...
  local delay = type(given) ~= "boolean" and tonumber(given)
  if not delay then
    refuse("bad argument #1 to '%s' (number expected, got " .. type(given) .. ")")
  end
  delay = floor(delay * 1000)
  if every and delay == 0 then
    refuse("delay cannot be zero")
  elseif type(callback) ~= "function" or refused(callback) then
    refuse("bad argument #2 to '%s' (Lua function expected)")
  elseif running[1] == 0 then
    refuse("no request")
  end
  -- one that should have run before runs at once; what is no number, too
  if not (delay >= 0) then
    delay = every and 1 or 0
  end
  last = last + 1
  local number = last
  waiting[number] = { callback, every, n - 2, select(3, ...) }
  local ok, err = start(number, delay / 1000, every)
  if not ok then
    waiting[number] = nil
  end
  return ok, err
end

local function at(...)
  local ok, err = begin(false, ...)
  if ok then
    return ok
  end
  return nil, err
end

local function every(...)
  local ok, err = begin(true, ...)
  if ok then
    return ok
  end
  return nil, err
end

ngx.timer = {
  at = at,
  every = every,
  pending_count = ops.pending_count,
  running_count = ops.running_count,
}

-- what the clock runs; `premature` is 0, 1, or 2 for a timer that cannot run and is only forgotten
package.loaded["moongate.ngx.timer"] = {
  run = function(number, premature)
    local timer = waiting[number]
    if not timer then
      return
    end
    if not timer[2] or premature == 1 then
      waiting[number] = nil
    end
    if premature == 2 then
      return
    end
    premature = premature == 1
    timer[1](premature, unpack(timer, 4, 3 + timer[3]))
  end,
}
