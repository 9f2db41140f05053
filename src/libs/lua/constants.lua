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

-- Both a list and, for each status, its name.
local statuses = {
  { UNKNOWN = "unknown" },
  { NORMAL = "normal" },
  { KONG_VERSION_INCOMPATIBLE = "kong_version_incompatible" },
  { PLUGIN_SET_INCOMPATIBLE = "plugin_set_incompatible" },
  { PLUGIN_VERSION_INCOMPATIBLE = "plugin_version_incompatible" },
  { FILTER_SET_INCOMPATIBLE = "filter_set_incompatible" },
}
for _, status in ipairs(statuses) do
  local name, text = next(status)
  statuses[name] = text
end

local cached = { consumers = "cache", tags = "cache" }
for _, name in ipairs {
  "certificates", "services", "routes", "snis", "upstreams", "targets", "plugins", "ca_certificates", "vaults",
  "key_sets", "keys",
} do
  cached[name] = "core_cache"
end

return {
  CJSON_MAX_PRECISION = 16,
  -- What `plugins = bundled` stands for: the names that Kong bundles.
  BUNDLED_PLUGINS = set {
    "acl", "acme", "ai-prompt-decorator", "ai-prompt-guard", "ai-prompt-template", "ai-proxy",
    "ai-request-transformer", "ai-response-transformer", "aws-lambda", "azure-functions", "basic-auth",
    "bot-detection", "correlation-id", "cors", "datadog", "file-log", "grpc-gateway", "grpc-web", "hmac-auth",
    "http-log", "ip-restriction", "jwt", "key-auth", "ldap-auth", "loggly", "oauth2", "opentelemetry",
    "post-function", "pre-function", "prometheus", "proxy-cache", "rate-limiting", "redirect",
    "request-size-limiting", "request-termination", "request-transformer", "response-ratelimiting",
    "response-transformer", "session", "standard-webhooks", "statsd", "syslog", "tcp-log", "udp-log", "zipkin",
  },
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
    -- Before 3.0; plugins of that time still name it.
    CREDENTIAL_USERNAME = "X-Credential-Username",
    CREDENTIAL_IDENTIFIER = "X-Credential-Identifier",
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
  ENTITY_CACHE_STORE = setmetatable(cached, { __index = function() return "cache" end }),
  RATELIMIT = { PERIODS = { "second", "minute", "hour", "day", "month", "year" } },
  REPORTS = { ADDRESS = "kong-hf.konghq.com", STATS_TLS_PORT = 61833 },
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
  DECLARATIVE_DEFAULT_WORKSPACE_KEY = "declarative_config:default_workspace",
  PLUGINS_REBUILD_COUNTER_KEY = "readiness_probe_config:plugins_rebuild_counter",
  ROUTERS_REBUILD_COUNTER_KEY = "readiness_probe_config:routers_rebuild_counter",
  DECLARATIVE_EMPTY_CONFIG_HASH = ("0"):rep(32),
  CLUSTER_ID_PARAM_KEY = "cluster_id",
  CLUSTERING_SYNC_STATUS = statuses,
  CLUSTERING_TIMEOUT = 5000,
  CLUSTERING_PING_INTERVAL = 30,
  CLUSTERING_OCSP_TIMEOUT = 5000,
  CLUSTERING_DATA_PLANE_ERROR = {
    CONFIG_PARSE = "declarative configuration parse failure",
    DELTAS_PARSE = "sync deltas parse failure",
    RELOAD = "configuration reload failed",
    GENERIC = "generic or unknown error",
  },
  CLUSTERING_DATA_PLANES_LATEST_VERSION_KEY = "clustering_data_planes:latest_version",
  CLEAR_HEALTH_STATUS_DELAY = 300,
  KEY_FORMATS_MAP = { jwk = true, pem = true },
  KEY_FORMATS = { "jwk", "pem" },
  LOG_LEVELS = log_levels,
  DYN_LOG_LEVEL_KEY = "kong:dyn_log_level",
  DYN_LOG_LEVEL_TIMEOUT_AT_KEY = "kong:dyn_log_level_timeout_at",
  DYN_LOG_LEVEL_DEFAULT_TIMEOUT = 60,
  ADMIN_GUI_KCONFIG_CACHE_KEY = "admin:gui:kconfig",
  REQUEST_DEBUG_TOKEN_FILE = ".request_debug_token",
  REQUEST_DEBUG_LOG_PREFIX = "[request-debug]",
  SCHEMA_NAMESPACES = { PROXY_WASM_FILTERS = "proxy-wasm-filters" },
  RESPONSE_SOURCE = {
    TYPES = { ERROR = "error", EXIT = "exit", SERVICE = "service" },
    NAMES = { error = "kong", exit = "kong", service = "upstream" },
  },
  SOCKET_DIRECTORY = "sockets",
  SOCKETS = {
    WORKER_EVENTS = "we",
    STREAM_WORKER_EVENTS = "sw",
    CLUSTER_PROXY_SSL_TERMINATOR = "cp",
    STREAM_CONFIG = "sc",
    STREAM_TLS_TERMINATE = "st",
    STREAM_TLS_PASSTHROUGH = "sp",
    STREAM_RPC = "rp",
  },
}
