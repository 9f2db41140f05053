-- `kong.global`: makes a `kong` table from a configuration, as specs and commands do for themselves, and gives
-- names to tables and logs of the request.

local phases = require("kong.pdk.private.phases")
local meta = require("kong.meta")
local named = require("moongate.named")

local type, error, tonumber = type, error, tonumber

local M = { phases = phases.phases }

--- A `kong` without anything but its version.
function M.new()
  local v = meta._VERSION_TABLE
  return {
    version = meta._VERSION,
    version_num = tonumber(("%d%.2d%.2d"):format(v.major * 100, v.minor * 10, v.patch)),
  }
end

local function check_self(self)
  if not self then
    error("arg #1 cannot be nil", 3)
  end
end

local function check_name(name)
  if type(name) ~= "string" then
    error("name must be a string", 3)
  elseif name == "" then
    error("name cannot be an empty string", 3)
  end
end

--- Makes `kong.ctx[name]` the table that ngx.ctx has under `key`.
function M.set_named_ctx(self, name, key, ctx)
  check_self(self)
  check_name(name)
  if key == nil then
    error("key cannot be nil", 2)
  elseif not self.table then
    error("ctx PDK module not initialized", 2)
  end
  named.set(self, name, key, ctx)
end

--- Takes the name away.
function M.del_named_ctx(self, name, ctx)
  check_self(self)
  check_name(name)
  named.delete(self, name, ctx)
end

local logs = {}

--- Makes `kong.log` mark its lines with `namespace`.
function M.set_namespaced_log(self, namespace, ctx)
  check_self(self)
  if type(namespace) ~= "string" then
    error("namespace (arg #2) must be a string", 2)
  end
  local log = logs[namespace]
  if not log then
    log = self._log.new(namespace)
    logs[namespace] = log
  end
  named.set_log(log, ctx)
end

--- Makes `kong.log` the gateway's own again.
function M.reset_log(self, ctx)
  check_self(self)
  named.set_log(self._log, ctx)
end

--- Puts the PDK into such a table.
function M.init_pdk(self, configuration)
  check_self(self)
  require("kong.pdk.private.node").init_node_id(configuration)
  require("kong.pdk").new(configuration, self)
end

--- The times of requests, phase by phase, for `X-Kong-Request-Debug`.
function M.init_timing()
  error("not supported: kong.global.init_timing", 2)
end

local function module(name, what)
  local found, loaded = pcall(require, name)
  if not found then
    error("not supported: kong.global." .. what, 3)
  end
  return loaded
end

function M.init_worker_events(configuration)
  local events = module("moongate.worker_events", "init_worker_events")
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
