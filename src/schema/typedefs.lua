-- `kong.db.schema.typedefs`: the types that plugins' schemas name.

local Schema = require "kong.db.schema"
local constants = require "kong.constants"
local http = require "kong.tools.http"
local ip = require "kong.tools.ip"
local ops = require("moongate.ops").schema
local strings = require "kong.tools.string"
local url = require "socket.url"

local null = require("cjson").null

local typedefs = {}

local function text(rule, description)
  return Schema.define { type = "string", custom_validator = rule, description = description }
end

-- === hosts, addresses, urls ===

local function parsed(host)
  local res, port = ip.normalize_ip(host)
  if not res and port ~= "invalid port number" then
    return nil, "invalid value: " .. host
  end
  if not res or type(res.port) == "number" then
    return nil, "must not have a port"
  end
  return res
end

local function host(value)
  local res, err = parsed(value)
  return res and true, err
end

local function named_host(value)
  local res, err = ip.normalize_ip(value)
  if res and res.type ~= "name" then
    return nil, "must not be an IP"
  end
  if not res and err ~= "invalid port number" then
    return nil, "invalid value: " .. value
  end
  return host(value)
end

local function host_with_optional_port(value)
  local res, err = ip.normalize_ip(value)
  return res and true, err
end

local function wildcard_host(value)
  local at = value:find("*", 1, true)
  if at and at ~= 1 and at ~= #value then
    return nil, "wildcard must be leftmost or rightmost character"
  end
  local name, stars = value:gsub("%*", "wildcard")
  if stars > 1 then
    return nil, "only one wildcard must be specified"
  end
  return named_host(name)
end

local function valid(test, complaint, after)
  return function(value)
    if test(value) then
      return true
    end
    return nil, complaint .. value .. (after or "")
  end
end

local function a_url(value)
  local parts, err = url.parse(value)
  if not parts then
    return nil, "could not parse url. " .. tostring(err)
  end
  if not parts.host then
    return nil, "missing host in url"
  end
  if not parts.scheme then
    return nil, "missing scheme in url"
  end
  return true
end

local function path(value)
  if not value:match("^/[%w%.%-_~/%%:@!$&'()*+,;=]*$") then
    return nil, "invalid path: '" .. value .. "' (characters outside of the reserved list of RFC 3986 found)",
      "rfc3986"
  end
  local bad = value:gsub("%%%x%x", "___"):match("%%.?.?")
  if bad then
    return nil, "invalid url-encoded value: '" .. bad .. "'", "percent"
  end
  return true
end

local function router_path(value)
  local ok, err, code = path(value)
  if code == "percent" then
    return ok, err, code
  end
  if value:sub(1, 1) ~= "~" then
    local normal = require("kong.tools.uri").normalize(value, true)
    if normal ~= value then
      return nil, "non-normalized path, consider use '" .. normal .. "' instead"
    end
    return true
  end
  local fine, why = ops.is_regex(value:sub(2))
  if not fine then
    return nil, ("invalid regex: '%s' (PCRE returned: %s)"):format(value:sub(2), why)
  end
  return true
end

typedefs.host = text(host, "A host name, such as example.com.")
typedefs.redis_host = text(host, "The address of the Redis server.")
typedefs.host_with_optional_port = text(host_with_optional_port, "A host name with an optional port.")
typedefs.wildcard_host = text(wildcard_host, "A host name that may begin or end with a wildcard.")
typedefs.sni = text(named_host, "A server name indication for TLS.")
typedefs.redis_server_name = text(named_host, "The server name indication towards the Redis server.")
typedefs.ip = text(valid(ip.is_valid_ip, "not an ip address: "), "An IP address.")
typedefs.ip_or_cidr = text(valid(ip.is_valid_ip_or_cidr, "invalid ip or cidr range: '", "'"),
  "An IP address or CIDR block.")
typedefs.cidr_v4 = text(valid(ip.is_valid_ip_or_cidr_v4, "invalid ipv4 cidr range: '", "'"), "An IPv4 CIDR block.")
typedefs.cidr = typedefs.cidr_v4
typedefs.url = text(a_url, "A URL.")
typedefs.port = Schema.define { type = "integer", between = { 0, 65535 }, description = "A port number." }
typedefs.path = Schema.define {
  type = "string",
  starts_with = "/",
  match_none = { { pattern = "//", err = "must not have empty segments" } },
  custom_validator = path,
  description = "A URL path.",
}

-- === names, methods, headers ===

local function utf8(value)
  local ok, at = strings.validate_utf8(value)
  if ok then
    return true
  end
  return nil, "invalid utf-8 character sequence detected at position " .. at
end

local function name(value)
  if value:match("^[%w%.%-_~]+$") then
    return true
  end
  return nil, "invalid value '" .. value .. "': it must only contain alphanumeric and '., -, _, ~' characters"
end

local function utf8_name(value)
  local ok, err = utf8(value)
  if not ok then
    return nil, err
  end
  if value:match("^[%w%.%-_~\128-\244]+$") then
    return true
  end
  return nil, "invalid value '" .. value
    .. "': the only accepted ascii characters are alphanumerics or ., -, _, and ~"
end

local function tag(value)
  local ok, err = utf8(value)
  if not ok then
    return nil, err
  end
  if value:match("^[^%c,/\127]+$") then
    return true
  end
  return nil, "invalid tag '" .. value .. "': expected printable ascii (except `,` and `/`) or valid utf-8 sequences"
end

typedefs.name = Schema.define { type = "string", unique = true, custom_validator = name }
typedefs.utf8_name = Schema.define { type = "string", unique = true, custom_validator = utf8_name }
typedefs.tag = Schema.define { type = "string", required = true, custom_validator = tag }
typedefs.tags = Schema.define { type = "set", elements = typedefs.tag }
typedefs.http_method = Schema.define { type = "string", match = "^%u+$", description = "An HTTP method." }
typedefs.header_name = text(http.validate_header_name, "An HTTP header name.")
typedefs.cookie_name = text(http.validate_cookie_name, "An HTTP token.")
typedefs.headers = Schema.define {
  type = "map",
  keys = typedefs.header_name,
  values = { type = "array", elements = { type = "string" } },
}
typedefs.methods = Schema.define { type = "set", elements = typedefs.http_method }
typedefs.hosts = Schema.define {
  type = "array",
  elements = {
    type = "string",
    match_all = { { pattern = "^[^*]*%*?[^*]*$", err = "invalid wildcard: must have at most one wildcard" } },
    match_any = {
      patterns = { "^%*%.", "%.%*$", "^[^*]*$" },
      err = "invalid wildcard: must be placed at leftmost or rightmost label",
    },
    custom_validator = function(value)
      return host_with_optional_port((value:gsub("%*", "abc")))
    end,
  },
}
typedefs.router_path = Schema.define {
  type = "string",
  match_any = { patterns = { "^/", "^~/" }, err = "should start with: / (fixed path) or ~/ (regex path)" },
  match_none = { { pattern = "//", err = "must not have empty segments" } },
  custom_validator = router_path,
}
typedefs.router_paths = Schema.define { type = "array", elements = typedefs.router_path }
typedefs.semantic_version = Schema.define {
  type = "string",
  match_any = {
    patterns = { "^%d+[%.%d]*$", "^%d+[%.%d]*%-?.*$" },
    err = "invalid version number: must be in format of X.Y.Z",
  },
  match_none = { { pattern = "%.%.", err = "must not have empty version segments" } },
}
typedefs.capability = Schema.define { type = "string" }

-- === protocols ===

local http_protocols = {}
for protocol, subsystem in pairs(constants.PROTOCOLS_WITH_SUBSYSTEM) do
  if subsystem == "http" then
    http_protocols[#http_protocols + 1] = protocol
  end
end
table.sort(http_protocols)

typedefs.protocol = Schema.define { type = "string", one_of = constants.PROTOCOLS }
typedefs.protocols = Schema.define {
  type = "set",
  required = true,
  default = http_protocols,
  elements = typedefs.protocol,
}
typedefs.protocols_http = Schema.define {
  type = "set",
  required = true,
  default = http_protocols,
  elements = { type = "string", one_of = http_protocols },
}
typedefs.protocols_https = Schema.define {
  type = "set",
  required = true,
  default = { "https" },
  elements = { type = "string", one_of = { "https", "grpcs" } },
}

-- === numbers, times, ids ===

typedefs.timeout = Schema.define { type = "integer", between = { 0, 2 ^ 31 - 2 }, description = "Milliseconds." }
typedefs.ttl = Schema.define { type = "number", between = { 0, constants.DATABASE.DAO_MAX_TTL } }
typedefs.uuid = Schema.define { type = "string", uuid = true, auto = true }
typedefs.auto_timestamp_s = Schema.define { type = "integer", timestamp = true, auto = true }
typedefs.auto_timestamp_ms = Schema.define { type = "number", timestamp = true, auto = true }

-- === certificates, keys, code ===

typedefs.certificate = text(function(value)
  local ok, err = ops.is_pem(value, "CERTIFICATE")
  return ok or nil, not ok and "invalid certificate: " .. err or nil
end)
typedefs.cert = typedefs.certificate
typedefs.key = text(function(value)
  local ok, err = ops.is_pem(value, "PRIVATE KEY")
  return ok or nil, not ok and "invalid key: " .. err or nil
end)

typedefs.lua_code = Schema.define {
  type = "map",
  keys = { type = "string", len_min = 1 },
  values = {
    type = "string",
    len_min = 1,
    custom_validator = function(code)
      local chunk, err = loadstring("return " .. code)
      if not chunk then
        chunk, err = loadstring(code)
      end
      return chunk and true, err and "error parsing expression: " .. err
    end,
  },
}

-- === what an entity must not have ===

local function never(reference)
  return Schema.define { type = "foreign", reference = reference, eq = null }
end

typedefs.no_consumer = never "consumers"
typedefs.no_route = never "routes"
typedefs.no_service = never "services"
for field, base in pairs { methods = "methods", hosts = "hosts", paths = "router_paths", headers = "headers" } do
  typedefs["no_" .. field] = Schema.define(typedefs[base] { eq = null })
end

-- === sources and destinations of streams ===

for _, field in ipairs { "sources", "destinations" } do
  typedefs[field] = Schema.define {
    type = "set",
    elements = {
      type = "record",
      fields = { { ip = typedefs.ip_or_cidr }, { port = typedefs.port } },
      entity_checks = { { at_least_one_of = { "ip", "port" } } },
    },
  }
  typedefs["no_" .. field] = Schema.define(typedefs[field] { eq = null })
end

typedefs.queue = require "kong.tools.queue_schema"

return setmetatable(typedefs, {
  __index = function(_, missing)
    error("schema typedef error: definition " .. tostring(missing) .. " does not exist", 2)
  end,
})
