-- `kong.db.schema.entities.routes`: which requests go to which service. What a route may match by depends on its
-- protocols: `routes_subschemas`.

local deprecation = require "kong.deprecation"
local rules = require "moongate.schema.route_rules"
local typedefs = require "kong.db.schema.typedefs"

local flavor = kong and kong.configuration and kong.configuration.router_flavor

local V1 = "path_handling='v1' is deprecated and "
  .. (flavor == "traditional" and "will be removed in future version, "
    or "will not work under 'expressions' or 'traditional_compatible' router_flavor, ")
  .. "please use path_handling='v0' instead"

local function warn_of_v1(entity)
  if entity.path_handling == "v1" then
    deprecation(V1, { after = "3.0" })
  end
  return true
end

local entity_checks = {
  {
    conditional = {
      if_field = "protocols",
      if_match = { elements = { type = "string", not_one_of = { "grpcs", "https", "tls", "tls_passthrough" } } },
      then_field = "snis",
      then_match = { len_eq = 0 },
      then_err = "'snis' can only be set when 'protocols' is 'grpcs', 'https', 'tls' or 'tls_passthrough'",
    },
  },
  { custom_entity_check = { field_sources = { "path_handling" }, fn = warn_of_v1 } },
}

if flavor == "traditional_compatible" or flavor == "expressions" then
  entity_checks[3] = {
    custom_entity_check = {
      field_sources = {
        "id", "protocols", "snis", "sources", "destinations", "methods", "hosts", "paths", "headers", "expression",
        "regex_priority", "priority",
      },
      run_with_missing_fields = true,
      fn = rules.check,
    },
  }
end

local function switch(default, description)
  return { type = "boolean", required = true, default = default, description = description }
end

local fields = {
  { id = typedefs.uuid },
  { created_at = typedefs.auto_timestamp_s },
  { updated_at = typedefs.auto_timestamp_s },
  { name = typedefs.utf8_name },
  {
    protocols = {
      type = "set",
      len_min = 1,
      required = true,
      elements = typedefs.protocol,
      mutually_exclusive_subsets = {
        { "http", "https" },
        { "tcp", "tls", "udp" },
        { "tls_passthrough" },
        { "grpc", "grpcs" },
      },
      default = { "http", "https" },
      description = "The protocols it takes.",
    },
  },
  {
    https_redirect_status_code = {
      type = "integer",
      one_of = { 426, 301, 302, 307, 308 },
      default = 426,
      required = true,
      description = "The answer to what matches in all but the protocol.",
    },
  },
  { strip_path = switch(true, "Whether the upstream sees the path without the part that matched.") },
  { preserve_host = switch(false, "Whether the upstream sees the Host of the request.") },
  { request_buffering = switch(true, "Whether requests are read whole before they are sent on.") },
  { response_buffering = switch(true, "Whether responses are read whole before they are sent on.") },
  { tags = typedefs.tags },
  { service = { type = "foreign", reference = "services", description = "Where its requests go." } },
  {
    snis = {
      type = "set",
      elements = flavor == "traditional" and typedefs.sni or typedefs.wildcard_host,
      description = "Server names of TLS connections.",
    },
  },
  { sources = typedefs.sources },
  { destinations = typedefs.destinations },
  { methods = typedefs.methods },
  { hosts = typedefs.hosts },
  { paths = typedefs.router_paths },
  {
    headers = typedefs.headers {
      keys = typedefs.header_name {
        match_none = {
          {
            pattern = "^[Hh][Oo][Ss][Tt]$",
            err = "cannot contain 'host' header, which must be specified in the 'hosts' attribute",
          },
        },
      },
    },
  },
  {
    regex_priority = {
      type = "integer",
      default = 0,
      description = "Which route comes first when the regular expressions of several match.",
    },
  },
  {
    path_handling = {
      type = "string",
      default = "v0",
      one_of = { "v0", "v1" },
      description = "How the paths of service, route and request become the upstream's.",
    },
  },
}

if flavor == "expressions" then
  fields[#fields + 1] = { expression = { type = "string", description = "What it matches by." } }
  fields[#fields + 1] = {
    priority = {
      type = "integer",
      between = { 0, 2 ^ 46 - 1 },
      required = true,
      default = 0,
      description = "Which route with an expression comes first.",
    },
  }
end

return {
  name = "routes",
  primary_key = { "id" },
  endpoint_key = "name",
  workspaceable = true,
  subschema_key = "protocols",
  fields = fields,
  entity_checks = entity_checks,
}
