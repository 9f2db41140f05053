-- `kong.global`: makes a `kong` table from a configuration, as specs and commands do for themselves.

local phases = require("kong.pdk.private.phases")
local meta = require("kong.meta")

local M = { phases = phases.phases }

--- A `kong` without anything but its version.
function M.new()
  local v = meta._VERSION_TABLE
  return {
    version = meta._VERSION,
    version_num = tonumber(("%d%.2d%.2d"):format(v.major * 100, v.minor * 10, v.patch)),
  }
end

--- Puts the PDK into such a table.
function M.init_pdk(self, configuration)
  if not self then
    error("arg #1 cannot be nil", 2)
  end
  require("kong.pdk").new(configuration, self)
end

local function absent(name)
  return function()
    error("not supported: kong.global." .. name, 2)
  end
end

-- Which plugin runs is the gateway's to know, not a name in ngx.ctx.
for _, name in ipairs {
  "set_named_ctx", "del_named_ctx", "set_namespaced_log", "reset_log", "init_timing",
} do
  M[name] = absent(name)
end

local function module(name, what)
  local found, loaded = pcall(require, name)
  if not found then
    error("not supported: kong.global." .. what, 3)
  end
  return loaded
end

function M.init_worker_events(configuration)
  local events = module("resty.events.compat", "init_worker_events")
  local ok, err = events.configure {
    unique_timeout = 5,
    max_payload_len = configuration.worker_events_max_payload,
  }
  if not ok then
    return nil, err
  end
  return events
end

function M.init_cluster_events(configuration, db)
  return module("kong.cluster_events", "init_cluster_events").new {
    db = db,
    poll_interval = configuration.db_update_frequency,
    poll_offset = configuration.db_update_propagation,
    poll_delay = configuration.db_update_propagation,
  }
end

local function cache(dictionary, channel, configuration, cluster_events, worker_events)
  local off = configuration.database == "off"
  local ttl = off and 0 or configuration.db_cache_ttl
  return require("kong.cache").new {
    shm_name = dictionary,
    cluster_events = cluster_events,
    worker_events = worker_events,
    ttl = ttl,
    neg_ttl = off and 0 or configuration.db_cache_neg_ttl or ttl,
    resurrect_ttl = configuration.db_resurrect_ttl,
    page = 1,
    cache_pages = 1,
    resty_lock_opts = { exptime = 10, timeout = 5 },
    invalidation_channel = channel,
  }
end

--- The cache of plugins.
function M.init_cache(configuration, cluster_events, worker_events)
  return cache("kong_db_cache", "invalidations", configuration, cluster_events, worker_events)
end

--- The cache of the gateway's own entities.
function M.init_core_cache(configuration, cluster_events, worker_events)
  return cache("kong_core_db_cache", nil, configuration, cluster_events, worker_events)
end

return M
