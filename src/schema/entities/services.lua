-- `kong.db.schema.entities.services`: what requests are proxied to.

local Schema = require "kong.db.schema"
local typedefs = require "kong.db.schema.typedefs"
local url = require "socket.url"

local null = ngx.null

local DEFAULT_PROTOCOL, DEFAULT_PORT = "http", 80
local PROTOCOL_OF = { [80] = "http", [443] = "https" }
local PORT_OF = { http = 80, https = 443 }

local wait = Schema.define { type = "integer", between = { 1, 2 ^ 31 - 2 } }

-- Port and scheme stand in for each other.
local function from_url(value)
  local parts = url.parse(tostring(value))
  if not parts then
    return
  end
  local port = tonumber(parts.port)
  local protocol = parts.scheme or PROTOCOL_OF[port] or DEFAULT_PROTOCOL
  return {
    protocol = protocol,
    host = parts.host or null,
    port = port or parts.port or PORT_OF[protocol] or DEFAULT_PORT,
    path = parts.path or null,
  }
end

local entity_checks = {
  {
    conditional = {
      if_field = "protocol",
      if_match = { one_of = { "tcp", "tls", "udp", "grpc", "grpcs" } },
      then_field = "path",
      then_match = { eq = null },
    },
  },
}

for i, field in ipairs { "client_certificate", "tls_verify", "tls_verify_depth", "ca_certificates" } do
  entity_checks[i + 1] = {
    conditional = {
      if_field = "protocol",
      if_match = { not_one_of = { "https", "tls" } },
      then_field = field,
      then_match = { eq = null },
    },
  }
end

return {
  name = "services",
  primary_key = { "id" },
  workspaceable = true,
  endpoint_key = "name",
  dao = "kong.db.dao.services",

  fields = {
    { id = typedefs.uuid },
    { created_at = typedefs.auto_timestamp_s },
    { updated_at = typedefs.auto_timestamp_s },
    { name = typedefs.utf8_name },
    {
      retries = {
        type = "integer",
        default = 5,
        between = { 0, 32767 },
        description = "How often proxying is tried again when it failed.",
      },
    },
    { protocol = typedefs.protocol { required = true, default = DEFAULT_PROTOCOL } },
    { host = typedefs.host { required = true } },
    { port = typedefs.port { required = true, default = DEFAULT_PORT } },
    { path = typedefs.path },
    { connect_timeout = wait { default = 60000 } },
    { write_timeout = wait { default = 60000 } },
    { read_timeout = wait { default = 60000 } },
    { tags = typedefs.tags },
    {
      client_certificate = {
        type = "foreign",
        reference = "certificates",
        description = "The certificate that is shown to the upstream server.",
      },
    },
    {
      tls_verify = {
        type = "boolean",
        description = "Whether the upstream server's certificate is verified; unset, proxy_ssl_verify decides.",
      },
    },
    {
      tls_verify_depth = {
        type = "integer",
        default = null,
        between = { 0, 64 },
        description = "How long the upstream server's chain of certificates may be.",
      },
    },
    {
      ca_certificates = {
        type = "array",
        elements = { type = "string", uuid = true },
        description = "Ids of the CA certificates that the upstream server's may come from.",
      },
    },
    { enabled = { type = "boolean", required = true, default = true, description = "Whether it is proxied to." } },
  },

  entity_checks = entity_checks,

  shorthand_fields = {
    { url = { type = "string", func = from_url } },
  },
}
