-- Turns: one holder of a key in a shared dictionary, across all workers; who waits is woken when it is given
-- back. `resty.lock` and the caches' callbacks are made of them.

local ffi = require("ffi")
local ops = require("moongate.ops")
local clock = require("moongate.clock")

local cache, take_results = ops.cache, ops.vm.take
local take, give_back, extend = cache.turn_take, cache.turn_end, cache.turn_extend
local wait, can_wait = cache.turn_wait, cache.can_wait
local isyieldable, min, tonumber = coroutine.isyieldable, math.min, tonumber

-- A number that no other state has, in the upper bits of each holder's number (a double counts to 2^53).
local holders = cache.origin() % 2 ^ 28 * 2 ^ 24
local last = 0

-- What a holder has, by its number. The cdata in a turn gives a turn back that was forgotten: its handler was
-- abandoned (the client went, ngx.exit, an error).
local held = {}

local function let_go(number)
  local turn = held[number]
  if turn then
    held[number] = nil
    return give_back(turn.dict, turn.key, number)
  end
  return false
end

local Guard = ffi.metatype("struct { double number; }", {
  __gc = function(guard)
    let_go(tonumber(guard.number))
  end,
})

local M = {}

--- The number of a shared dictionary, for the functions here; nil if there is none of that name.
M.open = cache.open

--- Whether the running code may wait for a turn.
function M.can_wait()
  return can_wait() and isyieldable()
end

--- Takes a turn for `exptime` seconds at most. `nil, "exists"` while another has it.
function M.take(dict, key, exptime)
  last = (last + 1) % 2 ^ 24
  local number = holders + last
  local ok, err = take(dict, key, number, exptime)
  if not ok then
    return nil, err
  end
  held[number] = { dict = dict, key = key }
  return Guard(number)
end

--- Waits until another's turn ends, `seconds` at most.
function M.wait(dict, key, seconds)
  wait(dict, key, seconds)
  return take_results()
end

--- Takes a turn, waiting for it `timeout` seconds at most; the turn and the seconds it took, or `nil, err`:
-- `"timeout"`, also where waiting is not possible.
function M.await(dict, key, exptime, timeout)
  local turn, err = M.take(dict, key, exptime)
  if turn then
    return turn, 0
  elseif err ~= "exists" then
    return nil, err
  elseif timeout <= 0 or not M.can_wait() then
    return nil, "timeout"
  end
  local start = clock()
  local left = timeout
  repeat
    M.wait(dict, key, left)
    turn, err = M.take(dict, key, exptime)
    if turn then
      return turn, clock() - start
    elseif err ~= "exists" then
      return nil, err
    end
    left = timeout - (clock() - start)
  until left <= 0
  return nil, "timeout"
end

--- Gives a turn back; whether its time was not over yet.
function M.give_back(turn)
  return let_go(tonumber(turn.number))
end

--- Gives a turn another length from now; whether its time was not over yet.
function M.extend(turn, exptime)
  local number = tonumber(turn.number)
  local mine = held[number]
  return mine ~= nil and extend(mine.dict, mine.key, number, exptime)
end

--- The timeout and the exptime that `resty.lock`'s options name.
function M.limits(opts)
  local exptime = opts and opts.exptime or 30
  return min(opts and opts.timeout or 5, exptime), exptime
end

return M
