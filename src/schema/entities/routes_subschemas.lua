-- `kong.db.schema.entities.routes_subschemas`: what routes of HTTP, streams and gRPC match by; the first of a
-- route's protocols decides.

local typedefs = require "kong.db.schema.typedefs"

local expressions = kong and kong.configuration and kong.configuration.router_flavor == "expressions"

-- With expressions, routes over HTTP match by addresses as well, and an expression is criterion enough.
local function criteria(...)
  local fields = { ... }
  if expressions then
    fields[#fields + 1] = "expression"
  end
  return fields
end

local function refuse(field, type_of, protocols)
  return { [field] = type_of { err = "cannot set '" .. field .. "' when 'protocols' is " .. protocols } }
end

local function needs_one(protocol_match, fields, message, other_match, other_fields, other_message)
  return {
    conditional_at_least_one_of = {
      if_field = "protocols",
      if_match = protocol_match,
      then_at_least_one_of = fields,
      then_err = message,
      else_match = other_match,
      else_then_at_least_one_of = other_fields,
      else_then_err = other_message,
    },
  }
end

local HTTP = "'http' or 'https'"
local STREAM = "'tcp', 'tls', 'tls_passthrough' or 'udp'"
local GRPC = "'grpc' or 'grpcs'"

local http = {
  name = "http",
  fields = {},
  entity_checks = {
    needs_one(
      { contains = "https" },
      criteria("methods", "hosts", "headers", "paths", "snis"),
      "must set one of %s when 'protocols' is 'https'",
      { contains = "http" },
      criteria("methods", "hosts", "headers", "paths"),
      "must set one of %s when 'protocols' is 'http'"
    ),
  },
}

local stream = {
  name = "tcp",
  fields = {
    refuse("methods", typedefs.no_methods, STREAM),
    refuse("hosts", typedefs.no_hosts, STREAM),
    refuse("paths", typedefs.no_paths, STREAM),
    refuse("headers", typedefs.no_headers, STREAM),
  },
  entity_checks = {
    needs_one(
      { elements = { type = "string", one_of = { "tcp", "tls", "udp" } } },
      criteria("sources", "destinations", "snis"),
      "must set one of %s when 'protocols' is 'tcp', 'tls' or 'udp'"
    ),
    needs_one(
      { elements = { type = "string", one_of = { "tls_passthrough" } } },
      criteria("snis"),
      "must set snis when 'protocols' is 'tls_passthrough'"
    ),
  },
}

local grpc = {
  name = "grpc",
  fields = {
    {
      strip_path = {
        type = "boolean",
        required = true,
        default = false,
        ne = true,
        err = "cannot set 'strip_path' when 'protocols' is " .. GRPC,
        description = "Never: the path is the method that is called.",
      },
    },
    refuse("methods", typedefs.no_methods, GRPC),
  },
  entity_checks = {
    needs_one(
      { contains = "grpcs" },
      criteria("hosts", "headers", "paths", "snis"),
      "must set one of %s when 'protocols' is 'grpcs'",
      { contains = "grpc" },
      criteria("hosts", "headers", "paths"),
      "must set one of %s when 'protocols' is 'grpc'"
    ),
  },
}

if not expressions then
  for schema, protocols in pairs { [http] = HTTP, [grpc] = GRPC } do
    local fields = schema.fields
    fields[#fields + 1] = refuse("sources", typedefs.no_sources, protocols)
    fields[#fields + 1] = refuse("destinations", typedefs.no_destinations, protocols)
  end
end

return {
  http = http,
  https = http,
  tcp = stream,
  tls = stream,
  udp = stream,
  tls_passthrough = stream,
  grpc = grpc,
  grpcs = grpc,
}
