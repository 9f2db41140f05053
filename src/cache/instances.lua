-- kong.cache, kong.core_cache and the events they speak through, for the `kong` table of a state.

local M = {}

-- As Kong: a callback's turn ends after 10 s, and is waited for half of that.
local LOCK_OPTS = { exptime = 10, timeout = 5 }
local SIZES = { k = 2 ^ 10, m = 2 ^ 20, g = 2 ^ 30 }

local function settings()
  local all = require("moongate.ops")["kong.configuration"].all()
  return type(all) == "table" and all or {}
end

local function bytes(text)
  local number, unit = tostring(text):lower():match("^%s*(%d+)%s*([kmg]?)b?%s*$")
  return number and tonumber(number) * (SIZES[unit] or 1)
end

-- How many values a worker keeps. Kong says 500,000, at 1 KiB each; here they have to leave room in the
-- state's memory, and both caches together get half of it.
local function lru_size(conf)
  local limit = bytes(conf.moongate_lua_memory_limit)
  if not limit or limit == 0 then
    return nil
  end
  return math.max(1000, math.min(5e5, math.floor(limit / 4 / 1024)))
end

local function make(kong, conf, name, channel)
  local ttl, neg_ttl = conf.db_cache_ttl, conf.db_cache_neg_ttl
  if conf.database == nil or conf.database == "off" then
    -- the entities cannot change but by a swap, which empties the caches
    ttl, neg_ttl = 0, 0
  end
  return require("kong.cache").make({
    shm_name = name,
    cluster_events = kong.cluster_events,
    worker_events = kong.worker_events,
    ttl = ttl,
    neg_ttl = neg_ttl or ttl,
    resurrect_ttl = conf.db_resurrect_ttl,
    resty_lock_opts = LOCK_OPTS,
    lru_size = lru_size(conf),
    invalidation_channel = channel,
  })
end

--- Puts the caches into `kong`; not where there are no shared dictionaries for them.
function M.attach(kong)
  kong.worker_events = require("moongate.worker_events")
  kong.cluster_events = require("kong.cluster_events").new()
  local shared = ngx.shared
  if not (shared.kong_db_cache and shared.kong_core_db_cache and shared.kong_locks) then
    return
  end
  local conf = settings()
  local payload = tonumber(conf.worker_events_max_payload)
  kong.worker_events.configure({ max_payload_len = payload or 65535 })
  kong.core_cache = assert(make(kong, conf, "kong_core_db_cache"))
  kong.cache = assert(make(kong, conf, "kong_db_cache", "invalidations"))
end

return M
