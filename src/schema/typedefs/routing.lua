-- Types of what a route matches by: paths, hosts, methods, headers, sources and destinations of streams; and, for
-- each, a type that takes nothing but null (`no_paths`), with which a subschema refuses the field.

local Schema = require "kong.db.schema"
local hosts = require "moongate.schema.typedefs.hosts"
local names = require "moongate.schema.typedefs.names"
local ops = require("moongate.ops").schema
local normalize = require("kong.tools.uri").normalize

local null = ngx.null
local byte, find, gsub, match, sub = string.byte, string.find, string.gsub, string.match, string.sub

local TILDE = byte "~"

-- === paths ===

-- The third value says which rule was broken: router paths keep only to the second.
local function path(value)
  if not find(value, "^/[%w%.%-_~/%%:@!$&'()*+,;=]*$") then
    return nil,
      "invalid path: '" .. value .. "' (characters outside of the reserved list of RFC 3986 found)",
      "rfc3986"
  end
  if find(value, "%", 1, true) then
    local bad = match(gsub(value, "%%%x%x", "___"), "%%.?.?")
    if bad then
      return nil, "invalid url-encoded value: '" .. bad .. "'", "percent"
    end
  end
  return true
end

local function router_path(value)
  local ok, err, rule = path(value)
  if rule == "percent" then
    return ok, err, rule
  end
  if byte(value) ~= TILDE then
    local normal = normalize(value, true)
    if normal ~= value then
      return nil, "non-normalized path, consider use '" .. normal .. "' instead"
    end
    return true
  end
  local pattern = sub(value, 2)
  local valid, why = ops.is_regex(pattern)
  if valid then
    return true
  end
  -- nginx's words, where it says any.
  local _, _, said = ngx.re.find("", pattern, "aj")
  return nil, "invalid regex: '" .. pattern .. "' (PCRE returned: " .. (said or why) .. ")"
end

local a_router_path = Schema.define {
  type = "string",
  match_any = { patterns = { "^/", "^~/" }, err = "should start with: / (fixed path) or ~/ (regex path)" },
  match_none = { { pattern = "//", err = "must not have empty segments" } },
  custom_validator = router_path,
  description = "A prefix that starts with a slash, or a regular expression after a tilde.",
}

-- === hosts ===

local with_port = hosts.host_with_optional_port.custom_validator

local function route_host(value)
  if find(value, "*", 1, true) then
    value = gsub(value, "%*", "abc")
  end
  return with_port(value)
end

-- === streams ===

local function ends(description)
  return Schema.define {
    type = "set",
    elements = {
      type = "record",
      fields = { { ip = hosts.ip_or_cidr }, { port = hosts.port } },
      entity_checks = { { at_least_one_of = { "ip", "port" } } },
    },
    description = description,
  }
end

local types = {
  path = Schema.define {
    type = "string",
    starts_with = "/",
    match_none = { { pattern = "//", err = "must not have empty segments" } },
    custom_validator = path,
    description = "A path of a URL: it starts with a slash and has no empty segments.",
  },
  router_path = a_router_path,
  router_paths = Schema.define { type = "array", elements = a_router_path, description = "Paths that a route matches." },
  hosts = Schema.define {
    type = "array",
    elements = {
      type = "string",
      match_all = { { pattern = "^[^*]*%*?[^*]*$", err = "invalid wildcard: must have at most one wildcard" } },
      match_any = {
        patterns = { "^%*%.", "%.%*$", "^[^*]*$" },
        err = "invalid wildcard: must be placed at leftmost or rightmost label",
      },
      custom_validator = route_host,
    },
    description = "Host names, each with a wildcard for its first or last label perhaps.",
  },
  methods = Schema.define { type = "set", elements = names.http_method, description = "HTTP methods." },
  headers = Schema.define {
    type = "map",
    keys = names.header_name,
    values = { type = "array", elements = { type = "string" } },
    description = "Values of headers, by name.",
  },
  sources = ends "Where a stream may come from.",
  destinations = ends "Where a stream may have been sent to.",
}

local function never(kind)
  return Schema.define(kind { eq = null, description = "Not to be set." })
end

types.no_paths = never(types.router_paths)
types.no_hosts = never(types.hosts)
types.no_methods = never(types.methods)
types.no_headers = never(types.headers)
types.no_sources = never(types.sources)
types.no_destinations = never(types.destinations)

return types
