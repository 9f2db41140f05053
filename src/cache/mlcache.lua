-- kong.resty.mlcache: values by key in two tiers, the worker's own and one shared by all workers, filled by a
-- callback that runs once.

local lrucache = require("resty.lrucache")
local bulk = require("moongate.cache.bulk")
local callback = require("moongate.cache.callback")
local options = require("moongate.cache.options")
local tiers = require("moongate.cache.tiers")
local turn = require("moongate.cache.turn")

local of_call, look, MISS = options.of_call, tiers.look, tiers.MISS
local setmetatable, type, error, pairs, xpcall, tostring = setmetatable, type, error, pairs, xpcall, tostring
local shared = ngx.shared
local traceback = debug.traceback

local M = {
  _VERSION = "2.6.0",
  NO_TTL_FLAG = tiers.NO_TTL,
  new_bulk = bulk.new,
  each_bulk_res = bulk.each,
  get_bulk = bulk.get,
}
local mt = { __index = M }

-- Caches of one name share their own tier, as long as one of them lives.
local own_tiers = setmetatable({}, { __mode = "v" })

local function empty_own(self)
  if self.lru then
    return self.lru:flush_all()
  end
  local lru = own_tiers[self.name] or lrucache.new(self.lru_size)
  own_tiers[self.name], self.lru = lru, lru
end

-- How this cache tells others what is no longer true, and hears it from them.
local function connect(self, opts)
  if not opts.ipc_shm and not opts.ipc then
    return true
  end
  self.events = {
    invalidation = {
      channel = "mlcache:invalidations:" .. self.name,
      handler = function(key)
        self.lru:delete(key)
      end,
    },
    purge = {
      channel = "mlcache:purge:" .. self.name,
      handler = function()
        empty_own(self)
      end,
    },
  }
  if opts.ipc then
    local ok, err = opts.ipc.register_listeners(self.events)
    if not ok and err ~= nil then
      return nil, "failed to initialize custom IPC (opts.ipc.register_listeners returned an error): " .. err
    end
    self.broadcast, self.poll, self.ipc = opts.ipc.broadcast, opts.ipc.poll, true
    return true
  end
  local ipc, err = require("kong.resty.mlcache.ipc").new(opts.ipc_shm, opts.debug)
  if not ipc then
    return nil, "failed to initialize mlcache IPC (could not instantiate mlcache.ipc): " .. err
  end
  for _, event in pairs(self.events) do
    ipc:subscribe(event.channel, event.handler)
  end
  ipc.on_lost = self.events.purge.handler
  self.ipc, self.log = ipc, ipc
  -- with `follow`, each get looks whether something happened; otherwise update() does
  self.follows = opts.follow and ipc or nil
  self.broadcast = function(channel, data)
    return ipc:broadcast(channel, data)
  end
  self.poll = function(timeout)
    return ipc:poll(timeout)
  end
  return true
end

--- A cache over the shared dictionary `shm`; see lua-resty-mlcache for the options.
function M.new(name, shm, opts)
  if type(name) ~= "string" then
    error("name must be a string", 2)
  elseif type(shm) ~= "string" then
    error("shm must be a string", 2)
  end
  local fault = opts ~= nil and options.fault_of_new(opts)
  if fault then
    error(fault, 2)
  end
  opts = opts or {}
  if not shared[shm] then
    return nil, "no such lua_shared_dict: " .. shm
  elseif opts.shm_miss and not shared[opts.shm_miss] then
    return nil, "no such lua_shared_dict for opts.shm_miss: " .. opts.shm_miss
  elseif opts.shm_locks and not shared[opts.shm_locks] then
    return nil, "no such lua_shared_dict for opts.shm_locks: " .. opts.shm_locks
  end
  local timeout, exptime = turn.limits(opts.resty_lock_opts)
  local self = setmetatable({
    name = name,
    shm = shm,
    dict = shared[shm],
    number = turn.open(shm),
    shm_miss = opts.shm_miss,
    dict_miss = opts.shm_miss and shared[opts.shm_miss],
    miss_number = opts.shm_miss and turn.open(opts.shm_miss),
    shm_locks = opts.shm_locks or shm,
    locks_number = turn.open(opts.shm_locks or shm),
    resty_lock_opts = opts.resty_lock_opts,
    lock_timeout = timeout,
    lock_exptime = exptime,
    ttl = opts.ttl or 30,
    neg_ttl = opts.neg_ttl or 5,
    resurrect_ttl = opts.resurrect_ttl,
    lru_size = opts.lru_size or 100,
    l1_serializer = opts.l1_serializer,
    shm_set_tries = opts.shm_set_tries or 3,
    debug = opts.debug,
    lru = opts.lru,
  }, mt)
  local ok, err = connect(self, opts)
  if not ok then
    return nil, err
  elseif not self.lru then
    empty_own(self)
  end
  return self
end

-- A key that the own tier does not have.
local function get_below(self, key, opts, cb, ...)
  local fault, ttl, neg_ttl, resurrect_ttl, serializer, tries = of_call(self, opts)
  if fault then
    error(fault, 3)
  end
  local shm_key = self.name .. key
  local value, err, stale, resurrected = look(self, key, shm_key, serializer)
  if err then
    return nil, err
  elseif value ~= nil and not stale then
    if value == MISS then
      value = nil
    end
    return value, nil, resurrected and 4 or 2
  elseif cb == nil then
    return nil, nil, -1
  end
  local old = stale and { value = value } or nil
  return callback.run(self, key, shm_key, old, ttl, neg_ttl, resurrect_ttl, serializer, tries, cb, ...)
end

--- The value of `key`; if no tier has it, what `cb(...)` returns: a value, an error, a ttl of its own.
-- @return value, err, hit level: 1 own tier, 2 shared tier, 3 callback, 4 a stale value, -1 nothing and no
-- callback
function M:get(key, opts, cb, ...)
  if type(key) ~= "string" then
    error("key must be a string", 2)
  elseif cb ~= nil and type(cb) ~= "function" then
    error("callback must be nil or a function", 2)
  end
  local log = self.follows
  if log and log.cell[0] ~= log.seen then
    log:poll()
  end
  local value = self.lru:get(key)
  if value ~= nil then
    if value == MISS then
      value = nil
    end
    return value, nil, 1
  end
  -- not a tail call: a fault in the options is raised where the user called
  local v, err, level = get_below(self, key, opts, cb, ...)
  return v, err, level
end

local function renewed_meanwhile(self, shm_key, before, answer)
  local encoded, flags, stale, left = tiers.read(self, shm_key)
  if encoded == nil or tiers.version_of(flags) == before then
    return false
  end
  answer.value, answer.err = tiers.decode(encoded)
  answer.ttl = left
  return not stale
end

--- Runs the callback whatever the tiers hold, and keeps what it brings; one who waited for another's renewal
-- takes what that one brought.
-- @return value, err, ttl
function M:renew(key, opts, cb, ...)
  if not self.broadcast then
    error("no ipc to propagate renew, specify opts.ipc_shm or opts.ipc", 2)
  elseif type(key) ~= "string" then
    error("key must be a string", 2)
  end
  local fault, ttl, neg_ttl, _, serializer, tries = of_call(self, opts)
  if fault then
    error(fault, 2)
  elseif type(cb) ~= "function" then
    error("callback must be a function", 2)
  end
  local shm_key = self.name .. key
  local _, flags_before = tiers.read(self, shm_key)
  local before = tiers.version_of(flags_before or 0)
  local answer = {}
  local done = callback.done
  local held, err, found = callback.turn(self, callback.PREFIX .. shm_key, renewed_meanwhile, self, shm_key,
    before, answer)
  if found or renewed_meanwhile(self, shm_key, before, answer) then
    return done(held, answer.value, answer.err, answer.ttl)
  elseif err then
    return nil, err
  end

  local mark = self.log and self.log:mark()
  local ok, value, cb_err, cb_ttl = xpcall(cb, traceback, ...)
  if not ok then
    return done(held, nil, "callback threw an error: " .. tostring(value))
  elseif cb_err then
    return done(held, value, tostring(cb_err))
  elseif type(cb_ttl) == "number" then
    if cb_ttl < 0 then
      return done(held, value, nil, cb_ttl)
    end
    ttl, neg_ttl = cb_ttl, cb_ttl
  end
  local lasting = value == nil and neg_ttl or ttl
  local encoded, encode_err = tiers.encode(value)
  if not encoded then
    done(held)
    error(encode_err, 0)
  elseif callback.touched(self, mark, key) then
    return done(held, value, nil, lasting)
  end
  local version = value ~= nil and (before >= 65535 and 1 or before + 1) or 0
  if self.dict_miss then
    local other = value == nil and self.dict or self.dict_miss
    other:delete(shm_key)
  end
  value, err = tiers.keep(self, key, shm_key, value, encoded, ttl, neg_ttl, tiers.flags_of(version), tries,
    serializer)
  if err then
    return done(held, nil, err)
  elseif value == MISS then
    value = nil
  end
  _, err = self.broadcast(self.events.invalidation.channel, key)
  if err then
    return done(held, nil, "could not broadcast renew: " .. err)
  end
  return done(held, value, nil, lasting)
end

--- What the shared tier has, without taking it into the own tier.
-- @return the seconds left (0 without an end), err, the value, whether it is stale, whether it has no end
function M:peek(key, stale)
  if type(key) ~= "string" then
    error("key must be a string", 2)
  end
  local encoded, flags, is_stale, left = tiers.read(self, self.name .. key)
  if encoded == nil or (is_stale and not stale) then
    return nil
  end
  local value, err = tiers.decode(encoded)
  if err then
    return nil, err
  end
  return left, nil, value, is_stale, tiers.is_endless(flags)
end

--- Puts a value into both tiers and tells the other workers.
function M:set(key, opts, value)
  if not self.broadcast then
    error("no ipc to propagate update, specify opts.ipc_shm or opts.ipc", 2)
  elseif type(key) ~= "string" then
    error("key must be a string", 2)
  end
  local fault, ttl, neg_ttl, _, serializer, tries = of_call(self, opts)
  if fault then
    error(fault, 2)
  end
  local encoded, bad = tiers.encode(value)
  if not encoded then
    error(bad, 2)
  end
  local shm_key = self.name .. key
  if self.dict_miss then
    local other = value == nil and self.dict or self.dict_miss
    other:delete(shm_key)
  end
  local _, err = tiers.keep(self, key, shm_key, value, encoded, ttl, neg_ttl, nil, tries, serializer, true)
  if err then
    return nil, err
  end
  _, err = self.broadcast(self.events.invalidation.channel, key)
  if err then
    return nil, "could not broadcast update: " .. err
  end
  return true
end

--- Removes a key from both tiers and tells the other workers.
function M:delete(key)
  if not self.broadcast then
    error("no ipc to propagate deletion, specify opts.ipc_shm or opts.ipc", 2)
  elseif type(key) ~= "string" then
    error("key must be a string", 2)
  end
  local shm_key = self.name .. key
  self.dict:delete(shm_key)
  if self.dict_miss then
    self.dict_miss:delete(shm_key)
  end
  self.lru:delete(key)
  local _, err = self.broadcast(self.events.invalidation.channel, key)
  if err then
    return nil, "could not broadcast deletion: " .. err
  end
  return true
end

--- Empties both tiers and tells the other workers; with `flush_expired`, stale values are gone too.
function M:purge(flush_expired)
  if not self.broadcast then
    error("no ipc to propagate purge, specify opts.ipc_shm or opts.ipc", 2)
  end
  for _, dict in pairs({ self.dict, self.dict_miss }) do
    dict:flush_all()
    if flush_expired then
      dict:flush_expired()
    end
  end
  empty_own(self)
  local _, err = self.broadcast(self.events.purge.channel, "")
  if err then
    return nil, "could not broadcast purge: " .. err
  end
  return true
end

--- Hears what the other workers told.
function M:update(timeout)
  if not self.poll then
    error("no polling configured, specify opts.ipc_shm or opts.ipc.poll", 2)
  end
  local _, err = self.poll(timeout)
  if err then
    return nil, "could not poll ipc events: " .. err
  end
  return true
end

return M
