-- kong.cache: what `kong.cache` and `kong.core_cache` are. Errors in Kong's words over mlcache's.

local buffer = require("string.buffer")
local mlcache = require("kong.resty.mlcache")
local worker_events = require("moongate.worker_events")

local encode, max = buffer.encode, math.max
local pairs, type, error, setmetatable, pcall = pairs, type, error, setmetatable, pcall
local shared, ngx_log, get_phase = ngx.shared, ngx.log, ngx.get_phase
local ERR, NOTICE, DEBUG = ngx.ERR, ngx.NOTICE, ngx.DEBUG

local CHANNEL = "mlcache"
local LRU_SIZE = 5e5

local M = {}
local mt = { __index = M }

local created = {}

local function log(level, ...)
  return ngx_log(level, "[DB cache] ", ...)
end

local function fault_of(opts)
  if type(opts.shm_name) ~= "string" then
    return "opts.shm_name must be a string"
  elseif created[opts.shm_name] then
    return "kong.cache (" .. opts.shm_name .. ") was already created"
  elseif not opts.cluster_events then
    return "opts.cluster_events is required"
  elseif not opts.worker_events then
    return "opts.worker_events is required"
  elseif opts.ttl and type(opts.ttl) ~= "number" then
    return "opts.ttl must be a number"
  elseif opts.neg_ttl and type(opts.neg_ttl) ~= "number" then
    return "opts.neg_ttl must be a number"
  elseif opts.cache_pages and opts.cache_pages ~= 1 and opts.cache_pages ~= 2 then
    return "opts.cache_pages must be 1 or 2"
  elseif opts.resty_lock_opts and type(opts.resty_lock_opts) ~= "table" then
    return "opts.resty_lock_opts must be a table"
  elseif opts.invalidation_channel and type(opts.invalidation_channel) ~= "string" then
    return "opts.invalidation_channel must be a string"
  end
end

-- The caches' own news go through the log that each get looks at. Events of another make are used as they
-- are.
local function ipc_over(events)
  if events == worker_events then
    return nil
  end
  return {
    register_listeners = function(listeners)
      for _, listener in pairs(listeners) do
        events.register(function(data)
          listener.handler(data)
        end, CHANNEL, listener.channel)
      end
    end,
    broadcast = function(channel, data)
      local ok, err = events.post(CHANNEL, channel, data)
      if not ok then
        log(ERR, "failed to post event '", CHANNEL, "', '", channel, "': ", err)
      end
    end,
  }
end

-- The cache behind `new`, which the gateway's own two are made by as well.
function M.make(opts)
  local name = opts.shm_name
  for _, dict in pairs({ name, name .. "_miss" }) do
    if not shared[dict] then
      log(ERR, "shared dictionary ", dict, " not found")
    end
  end
  local ttl, neg_ttl = max(opts.ttl or 3600, 0), max(opts.neg_ttl or 300, 0)
  local ipc = ipc_over(opts.worker_events)
  local below, err = mlcache.new(name, name, {
    shm_miss = name .. "_miss",
    shm_locks = "kong_locks",
    shm_set_tries = 3,
    lru_size = opts.lru_size or LRU_SIZE,
    ttl = ttl,
    neg_ttl = neg_ttl,
    resurrect_ttl = opts.resurrect_ttl or 30,
    resty_lock_opts = opts.resty_lock_opts,
    ipc = ipc,
    ipc_shm = not ipc and name or nil,
    follow = true,
  })
  if not below then
    return nil, "failed to instantiate mlcache: " .. err
  end
  local self = setmetatable({
    cluster_events = opts.cluster_events,
    mlcache = below,
    dict = shared[name],
    shm_name = name,
    ttl = ttl,
    neg_ttl = neg_ttl,
    invalidation_channel = opts.invalidation_channel or "invalidations_" .. name,
  }, mt)
  local ok
  ok, err = self.cluster_events:subscribe(self.invalidation_channel, function(key)
    log(DEBUG, name .. " received invalidate event from cluster for key: '", key, "'")
    self:invalidate_local(key)
  end)
  if not ok then
    return nil, "failed to subscribe to invalidations cluster events channel: " .. err
  end
  return self
end

--- A cache over the shared dictionaries `opts.shm_name` and `<shm_name>_miss`.
function M.new(opts)
  opts = opts or {}
  local fault = fault_of(opts)
  if fault then
    error(fault, 2)
  end
  local self, err = M.make(opts)
  if self then
    created[opts.shm_name] = true
  end
  return self, err
end

--- The value of `key`, from what `cb(...)` returned once: value, err, ttl.
-- @return value, err, hit level (see mlcache)
function M:get(key, opts, cb, ...)
  if type(key) ~= "string" then
    error("key must be a string", 2)
  end
  local value, err, level = self.mlcache:get(key, opts, cb, ...)
  if err then
    return nil, "failed to get from node cache: " .. err
  end
  return value, nil, level
end

--- Runs `cb(...)` whatever is cached, and keeps what it returns.
function M:renew(key, opts, cb, ...)
  if type(key) ~= "string" then
    error("key must be a string", 2)
  end
  local value, err, ttl = self.mlcache:renew(key, opts, cb, ...)
  if err then
    return nil, "failed to renew key in node cache: " .. err
  end
  return value, nil, ttl
end

--- Many keys; see mlcache.
function M:get_bulk(bulk, opts)
  if type(bulk) ~= "table" then
    error("bulk must be a table", 2)
  elseif opts ~= nil and type(opts) ~= "table" then
    error("opts must be a table", 2)
  end
  local res, err = self.mlcache:get_bulk(bulk, opts)
  if err then
    return nil, "failed to get_bulk from node cache: " .. err
  end
  return res
end

--- Puts a value into the shared tier if that has room without letting go of another; `nil, "no memory"` if
-- not.
function M:safe_set(key, value)
  local ok, encoded = pcall(encode, value)
  if not ok then
    return nil, encoded
  end
  local flags = self.ttl == 0 and mlcache.NO_TTL_FLAG or 0
  return self.dict:safe_set(self.shm_name .. key, encoded, self.ttl, flags)
end

--- What the shared tier has: seconds left, err, value.
function M:probe(key)
  if type(key) ~= "string" then
    error("key must be a string", 2)
  end
  local ttl, err, value = self.mlcache:peek(key)
  if err then
    return nil, "failed to probe from node cache: " .. err
  end
  return ttl, nil, value
end

--- Forgets a key on this node: its own tiers and those of all its workers.
function M:invalidate_local(key)
  if type(key) ~= "string" then
    error("key must be a string", 2)
  end
  log(DEBUG, self.shm_name, " invalidating (local): '", key, "'")
  local ok, err = self.mlcache:delete(key)
  if not ok then
    log(ERR, "failed to delete entity from node cache: ", err)
  end
end

--- Forgets a key on all nodes.
function M:invalidate(key)
  if type(key) ~= "string" then
    error("key must be a string", 2)
  end
  self:invalidate_local(key)
  log(DEBUG, "broadcasting (cluster) invalidation for key: '", key, "'")
  local ok, err = self.cluster_events:broadcast(self.invalidation_channel, key)
  if not ok then
    log(ERR, "failed to broadcast cached entity invalidation: ", err)
  end
end

--- Forgets everything on this node.
function M:purge()
  if get_phase() ~= "timer" then
    log(NOTICE, "purging (local) cache")
  end
  local ok, err = self.mlcache:purge(true)
  if not ok then
    log(ERR, "failed to purge cache: ", err)
  end
end

return M
