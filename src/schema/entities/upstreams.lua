-- `kong.db.schema.entities.upstreams`: names that are balanced over targets.

local Schema = require "kong.db.schema"
local typedefs = require "kong.db.schema.typedefs"
local parse_host = require("kong.tools.ip").parse_host
local validate_utf8 = require("kong.tools.string").validate_utf8

local null = ngx.null

-- === the name ===

local function complaint(name, what)
  if validate_utf8(name) then
    return "Invalid name ('" .. name .. "'); " .. what
  end
  return "Invalid name; " .. what
end

local function valid_name(name)
  local kind, _, port = parse_host(name)
  if not kind then
    return nil, complaint(name, "must be a valid hostname")
  elseif kind ~= "name" then
    return nil, complaint(name, "no ip addresses allowed")
  elseif port then
    return nil, complaint(name, "no port allowed")
  end
  return true
end

-- === health checks ===

local count = Schema.define { type = "integer", between = { 0, 255 } }
local seconds = Schema.define { type = "number", between = { 0, 65535 } }
local statuses = Schema.define { type = "array", elements = { type = "integer", between = { 100, 999 } } }
local probe = Schema.define {
  type = "string",
  one_of = { "tcp", "http", "https", "grpc", "grpcs" },
  default = "http",
}
local verify = Schema.define { type = "boolean", default = true, required = true }
local concurrency = Schema.define { type = "integer", between = { 1, 2 ^ 31 } }

-- A record whose default is made of its fields' defaults. An entry is { name, type, default }; a field without
-- a default is not required.
local function record(entries)
  local fields, defaults = {}, {}
  for i, entry in ipairs(entries) do
    local name, definition, default = entry[1], entry[2], entry[3]
    if definition.fields then
      default = definition.default
    elseif default == nil then
      definition = definition { required = false }
    else
      definition = definition { default = default }
    end
    fields[i], defaults[name] = { [name] = definition }, default
  end
  return { type = "record", fields = fields, default = defaults }
end

local healthchecks = record {
  {
    "active",
    record {
      { "type", probe, "http" },
      { "timeout", seconds, 1 },
      { "concurrency", concurrency, 10 },
      { "http_path", typedefs.path, "/" },
      { "https_sni", typedefs.sni },
      { "https_verify_certificate", verify, true },
      { "headers", typedefs.headers },
      {
        "healthy",
        record {
          { "interval", seconds, 0 },
          { "http_statuses", statuses, { 200, 302 } },
          { "successes", count, 0 },
        },
      },
      {
        "unhealthy",
        record {
          { "interval", seconds, 0 },
          { "http_statuses", statuses, { 429, 404, 500, 501, 502, 503, 504, 505 } },
          { "tcp_failures", count, 0 },
          { "timeouts", count, 0 },
          { "http_failures", count, 0 },
        },
      },
    },
  },
  {
    "passive",
    record {
      { "type", probe, "http" },
      {
        "healthy",
        record {
          {
            "http_statuses",
            statuses,
            {
              200, 201, 202, 203, 204, 205, 206, 207, 208, 226,
              300, 301, 302, 303, 304, 305, 306, 307, 308,
            },
          },
          { "successes", count, 0 },
        },
      },
      {
        "unhealthy",
        record {
          { "http_statuses", statuses, { 429, 500, 503 } },
          { "tcp_failures", count, 0 },
          { "timeouts", count, 0 },
          { "http_failures", count, 0 },
        },
      },
    },
  },
}
-- Not among the defaults of the whole, which its own default completes.
healthchecks.fields[3] = { threshold = { type = "number", default = 0, between = { 0, 100 } } }
healthchecks.description = "How the targets' health is found out, by probes and by what is proxied."

-- === hashing ===

local hash_on = Schema.define {
  type = "string",
  default = "none",
  one_of = { "none", "consumer", "ip", "header", "cookie", "path", "query_arg", "uri_capture" },
}
local hash_input = Schema.define { type = "string", len_min = 1 }

local entity_checks = {}

local function check(name, arguments)
  entity_checks[#entity_checks + 1] = { [name] = arguments }
end

local function when(field, value, then_field, then_match)
  check("conditional", {
    if_field = field,
    if_match = { match = "^" .. value .. "$" },
    then_field = then_field,
    then_match = then_match,
  })
end

local function needs(value, field, fallback_field)
  when("hash_on", value, field, { required = true })
  when("hash_fallback", value, fallback_field, { required = true })
end

needs("header", "hash_on_header", "hash_fallback_header")
needs("cookie", "hash_on_cookie", "hash_on_cookie")
-- Nothing to fall back from; and a cookie is set where there is none.
when("hash_on", "none", "hash_fallback", { one_of = { "none" } })
when("hash_on", "cookie", "hash_fallback", { one_of = { "none" } })
-- The fallback is another input, or another header, argument or capture.
when("hash_on", "consumer", "hash_fallback", {
  one_of = { "none", "ip", "header", "cookie", "path", "query_arg", "uri_capture" },
})
when("hash_on", "ip", "hash_fallback", {
  one_of = { "none", "consumer", "header", "cookie", "path", "query_arg", "uri_capture" },
})
when("hash_on", "path", "hash_fallback", {
  one_of = { "none", "consumer", "header", "cookie", "query_arg", "ip", "uri_capture" },
})
check("distinct", { "hash_on_header", "hash_fallback_header" })
needs("query_arg", "hash_on_query_arg", "hash_fallback_query_arg")
check("distinct", { "hash_on_query_arg", "hash_fallback_query_arg" })
needs("uri_capture", "hash_on_uri_capture", "hash_fallback_uri_capture")
check("distinct", { "hash_on_uri_capture", "hash_fallback_uri_capture" })

-- Algorithm and hash_on decide about each other: what hashes is balanced consistently, and what follows the load
-- does not hash.
local function from_algorithm(algorithm)
  if algorithm == "least-connections" or algorithm == "latency" then
    return { algorithm = algorithm, hash_on = null }
  end
  return { algorithm = algorithm }
end

local function from_hash_on(value)
  if value == null then
    return { hash_on = "none" }
  end
  return { hash_on = value, algorithm = value == "none" and "round-robin" or "consistent-hashing" }
end

return {
  name = "upstreams",
  primary_key = { "id" },
  endpoint_key = "name",
  workspaceable = true,

  fields = {
    { id = typedefs.uuid },
    { created_at = typedefs.auto_timestamp_s },
    {
      name = {
        type = "string",
        required = true,
        unique = true,
        custom_validator = valid_name,
        description = "A host name; a service with this host is balanced.",
      },
    },
    { updated_at = typedefs.auto_timestamp_s },
    {
      algorithm = {
        type = "string",
        default = "round-robin",
        one_of = { "consistent-hashing", "least-connections", "round-robin", "latency" },
        description = "How a target is chosen.",
      },
    },
    { hash_on = hash_on },
    { hash_fallback = hash_on },
    { hash_on_header = typedefs.header_name },
    { hash_fallback_header = typedefs.header_name },
    { hash_on_cookie = typedefs.cookie_name { description = "The cookie whose value is hashed." } },
    { hash_on_cookie_path = typedefs.path { default = "/" } },
    { hash_on_query_arg = hash_input },
    { hash_fallback_query_arg = hash_input },
    { hash_on_uri_capture = hash_input },
    { hash_fallback_uri_capture = hash_input },
    {
      slots = {
        type = "integer",
        default = 10000,
        between = { 10, 2 ^ 16 },
        description = "How fine the balancer divides.",
      },
    },
    { healthchecks = healthchecks },
    { tags = typedefs.tags },
    { host_header = typedefs.host_with_optional_port },
    {
      client_certificate = {
        type = "foreign",
        reference = "certificates",
        description = "The certificate that is shown to the targets.",
      },
    },
    {
      use_srv_name = {
        type = "boolean",
        default = false,
        description = "Whether the name in the SRV record is the Host.",
      },
    },
  },

  entity_checks = entity_checks,

  shorthand_fields = {
    { algorithm = { type = "string", func = from_algorithm } },
    { hash_on = { type = "string", func = from_hash_on } },
  },
}
