-- `kong.constants`: names and values that plugins look up.

local function set(list)
  local t = {}
  for _, name in ipairs(list) do
    t[name] = true
  end
  return t
end

local subsystems = {
  http = "http", https = "http", grpc = "http", grpcs = "http",
  tcp = "stream", tls = "stream", udp = "stream", tls_passthrough = "stream",
}
local protocols = {}
for protocol in pairs(subsystems) do
  protocols[#protocols + 1] = protocol
end
table.sort(protocols)

local levels = { "emerg", "alert", "crit", "error", "warn", "notice", "info", "debug" }
local log_levels = {}
for i, name in ipairs(levels) do
  -- nginx: EMERG is 1 and so on; STDERR, 0, has no name here. ngx.ERR is 4.
  log_levels[name], log_levels[i] = i, name
end

local entities = {
  "workspaces", "consumers", "certificates", "services", "routes", "snis", "upstreams", "targets", "plugins",
  "tags", "ca_certificates", "clustering_data_planes", "parameters", "vaults", "key_sets", "keys",
  "filter_chains",
}
for _, name in ipairs(entities) do
  entities[name] = true
end

local core = {}
for _, name in ipairs {
  "certificates", "services", "routes", "snis", "upstreams", "targets", "plugins", "ca_certificates", "vaults",
  "key_sets", "keys",
} do
  core[name] = "core_cache"
end

return {
  CJSON_MAX_PRECISION = 16,
  BUNDLED_PLUGINS = {},
  DEPRECATED_PLUGINS = {},
  BUNDLED_VAULTS = set { "env" },
  DEPRECATED_VAULTS = {},
  HEADERS = {
    HOST_OVERRIDE = "X-Host-Override",
    PROXY_LATENCY = "X-Kong-Proxy-Latency",
    RESPONSE_LATENCY = "X-Kong-Response-Latency",
    ADMIN_LATENCY = "X-Kong-Admin-Latency",
    UPSTREAM_LATENCY = "X-Kong-Upstream-Latency",
    UPSTREAM_STATUS = "X-Kong-Upstream-Status",
    CONSUMER_ID = "X-Consumer-ID",
    CONSUMER_CUSTOM_ID = "X-Consumer-Custom-ID",
    CONSUMER_USERNAME = "X-Consumer-Username",
    CREDENTIAL_IDENTIFIER = "X-Credential-Identifier",
    CREDENTIAL_USERNAME = "X-Credential-Username",
    RATELIMIT_LIMIT = "X-RateLimit-Limit",
    RATELIMIT_REMAINING = "X-RateLimit-Remaining",
    CONSUMER_GROUPS = "X-Consumer-Groups",
    AUTHENTICATED_GROUPS = "X-Authenticated-Groups",
    FORWARDED_HOST = "X-Forwarded-Host",
    FORWARDED_PATH = "X-Forwarded-Path",
    FORWARDED_PREFIX = "X-Forwarded-Prefix",
    ANONYMOUS = "X-Anonymous-Consumer",
    REQUEST_ID = "X-Kong-Request-Id",
    VIA = "Via",
    SERVER = "Server",
  },
  CORE_ENTITIES = entities,
  ENTITY_CACHE_STORE = setmetatable(core, { __index = function() return "cache" end }),
  RATELIMIT = { PERIODS = { "second", "minute", "hour", "day", "month", "year" } },
  DICTS = {
    "kong", "kong_locks", "kong_db_cache", "kong_db_cache_miss", "kong_cluster_events", "kong_healthchecks",
    "kong_rate_limiting_counters", "kong_secrets",
  },
  DATABASE = { POSTGRES = { MIN = "9.5" }, DAO_MAX_TTL = 1e8 },
  PROTOCOLS = protocols,
  PROTOCOLS_WITH_SUBSYSTEM = subsystems,
  DECLARATIVE_DEFAULT_WORKSPACE_ID = "0dc6f45b-8f8d-40d2-a504-473544ee190b",
  DECLARATIVE_LOAD_KEY = "declarative_config:loaded",
  DECLARATIVE_HASH_KEY = "declarative_config:hash",
  DECLARATIVE_EMPTY_CONFIG_HASH = ("0"):rep(32),
  CLUSTER_ID_PARAM_KEY = "cluster_id",
  CLEAR_HEALTH_STATUS_DELAY = 300,
  KEY_FORMATS_MAP = { jwk = true, pem = true },
  KEY_FORMATS = { "jwk", "pem" },
  LOG_LEVELS = log_levels,
  SCHEMA_NAMESPACES = { PROXY_WASM_FILTERS = "proxy-wasm-filters" },
  RESPONSE_SOURCE = {
    TYPES = { ERROR = "error", EXIT = "exit", SERVICE = "service" },
    NAMES = { error = "kong", exit = "kong", service = "upstream" },
  },
}
