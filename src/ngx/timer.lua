-- ngx.timer. Callbacks and their arguments wait here under a number.

local ngx = ...
local ops = require("moongate.ops").ngx_timer
local start = ops.start
local type, error, select, tonumber, unpack = type, error, select, tonumber, unpack

local waiting = {}
local last = 0

local function begin(name, every, delay, callback, ...)
  local given = delay
  delay = tonumber(delay)
  if not delay then
    error("bad argument #1 to '" .. name .. "' (number expected, got "
      .. (given == nil and "no value" or type(given)) .. ")", 3)
  elseif type(callback) ~= "function" then
    error("bad argument #2 to '" .. name .. "' (Lua function expected)", 3)
  elseif delay < 0 or delay ~= delay then
    delay = 0
  end
  if every and delay == 0 then
    error("delay cannot be zero", 3)
  end
  last = last + 1
  local number = last
  waiting[number] = { callback, every, select("#", ...), ... }
  local ok, err = start(number, delay, every)
  if not ok then
    waiting[number] = nil
  end
  return ok, err
end

ngx.timer = {
  at = function(delay, callback, ...)
    return begin("at", false, delay, callback, ...)
  end,
  every = function(delay, callback, ...)
    return begin("every", true, delay, callback, ...)
  end,
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
