-- Filling a key: its callback runs once across workers, the others wait for what it brings.

local tiers = require("moongate.cache.tiers")
local turn = require("moongate.cache.turn")
local clock = require("moongate.clock")

local look, keep, encode, MISS = tiers.look, tiers.keep, tiers.encode, tiers.MISS
local traceback = debug.traceback
local ngx_log, WARN = ngx.log, ngx.WARN
local type, error, tostring, xpcall = type, error, tostring, xpcall

local PREFIX = "lua-resty-mlcache:lock:"
local TIMEOUT = "could not acquire callback lock: timeout"

local M = { PREFIX = PREFIX, TIMEOUT = TIMEOUT }

local function done(held, ...)
  if held then
    turn.give_back(held)
  end
  return ...
end
M.done = done

--- Whether `key` was invalidated, or everything purged, since `mark`: what a callback brought then is what
-- was true before, and may not be kept.
local function touched(self, mark, key)
  return mark and self.log:touched(mark, self.events.invalidation.channel, key, self.events.purge.channel)
end
M.touched = touched

--- The turn at a key. Where waiting is not possible (header_filter, body_filter, log), nobody's turn is
-- waited for: the caller goes on without one.
-- @param fresh `fresh(...)` is asked after each wait; if it answers true, nobody needs the turn any more
-- @return the turn or nil, an error, whether `fresh` said so
function M.turn(self, lock_key, fresh, ...)
  local locks, exptime = self.locks_number, self.lock_exptime
  local held, err = turn.take(locks, lock_key, exptime)
  if held then
    return held
  elseif err ~= "exists" then
    return nil, "could not acquire callback lock: " .. err
  elseif self.lock_timeout > 0 and not turn.can_wait() then
    return nil
  end
  local start = clock()
  local left = self.lock_timeout
  while left > 0 do
    turn.wait(locks, lock_key, left)
    if fresh(...) then
      return nil, nil, true
    end
    held, err = turn.take(locks, lock_key, exptime)
    if held then
      return held
    elseif err ~= "exists" then
      return nil, "could not acquire callback lock: " .. err
    end
    left = self.lock_timeout - (clock() - start)
  end
  return nil, TIMEOUT
end

-- What the shared tier has by now, in `answer`: another worker's callback may have brought it.
local function another_did(self, key, shm_key, serializer, answer)
  local value, err, stale, resurrected = look(self, key, shm_key, serializer)
  if err then
    answer.err = err
    return true
  elseif value ~= nil and not stale then
    if value ~= MISS then
      answer.value = value
    end
    answer.level = resurrected and 4 or 2
    return true
  end
  return false
end

-- The callback failed softly. A stale value, if there is one and `resurrect_ttl` wants it, lives on.
local function failed(self, held, mark, key, shm_key, value, err, old, resurrect_ttl, serializer, tries)
  -- whatever it is that the callback gave as its error
  err = tostring(err)
  if not old or not resurrect_ttl or touched(self, mark, key) then
    return done(held, value, err)
  end
  ngx_log(WARN, "callback returned an error (", err, ") but stale value found in shm will be resurrected ",
    "for ", resurrect_ttl, "s (resurrect_ttl)")
  local kept, kept_err = keep(self, key, shm_key, old.value, nil, resurrect_ttl, resurrect_ttl, tiers.STALE,
    tries, serializer)
  if kept_err then
    ngx_log(WARN, "could not resurrect stale data (", kept_err, ")")
  end
  if kept == MISS then
    kept = nil
  end
  return done(held, kept, nil, 4)
end

--- Runs `cb(...)` for a key that neither tier has.
-- @param old the stale value as `{ value = … }`, if there is one
-- @return value, err, hit level
function M.run(self, key, shm_key, old, ttl, neg_ttl, resurrect_ttl, serializer, tries, cb, ...)
  local answer = {}
  local held, err, found = M.turn(self, PREFIX .. shm_key, another_did, self, key, shm_key, serializer,
    answer)
  if not found and another_did(self, key, shm_key, serializer, answer) then
    found = true
  end
  if found then
    return done(held, answer.value, answer.err, answer.level)
  elseif err == TIMEOUT and old and resurrect_ttl then
    -- the one whose turn it is brings the new value, or resurrects this one
    ngx_log(WARN, TIMEOUT)
    return old.value, nil, 4
  elseif err then
    return nil, err
  end

  local mark = self.log and self.log:mark()
  local ok, value, cb_err, cb_ttl = xpcall(cb, traceback, ...)
  if not ok then
    return done(held, nil, "callback threw an error: " .. tostring(value))
  elseif cb_err then
    return failed(self, held, mark, key, shm_key, value, cb_err, old, resurrect_ttl, serializer, tries)
  end

  if type(cb_ttl) == "number" then
    if cb_ttl < 0 then
      return done(held, value, nil, 3)
    end
    ttl, neg_ttl = cb_ttl, cb_ttl
  end
  local encoded, encode_err = encode(value)
  if not encoded then
    done(held)
    error(encode_err, 0)
  elseif touched(self, mark, key) then
    return done(held, value, nil, 3)
  end
  value, err = keep(self, key, shm_key, value, encoded, ttl, neg_ttl, nil, tries, serializer)
  if err then
    return done(held, nil, err)
  elseif value == MISS then
    value = nil
  end
  return done(held, value, nil, 3)
end

return M
