-- Types of hosts, addresses, ports, URLs and protocols.
--
-- Host names are judged by `kong.tools.ip.parse_host`, which makes no table: a load judges them by the ten
-- thousand.

local Schema = require "kong.db.schema"
local constants = require "kong.constants"
local tools_ip = require "kong.tools.ip"
local url = require "socket.url"

local parse_host = tools_ip.parse_host
local find, gsub = string.find, string.gsub

local BAD_PORT = "invalid port number"
local HAS_PORT = "must not have a port"

-- What `parse_host` says of a host that has to stand alone: kind, host and port, or nil and an error.
local function without_port(value, kind, at, port)
  if not kind then
    -- A port out of range is a port all the same.
    return nil, at == BAD_PORT and HAS_PORT or "invalid value: " .. value
  end
  if port then
    return nil, HAS_PORT
  end
  return true
end

local function host(value)
  return without_port(value, parse_host(value))
end

local function host_name(value)
  local kind, at, port = parse_host(value)
  if kind and kind ~= "name" then
    return nil, "must not be an IP"
  end
  return without_port(value, kind, at, port)
end

local function host_with_optional_port(value)
  local kind, at = parse_host(value)
  if kind then
    return true
  end
  return nil, at
end

local function wildcard_host(value)
  local at = find(value, "*", 1, true)
  if not at then
    return host_name(value)
  end
  if at ~= 1 and at ~= #value then
    return nil, "wildcard must be leftmost or rightmost character"
  end
  local name, stars = gsub(value, "%*", "wildcard")
  if stars > 1 then
    return nil, "only one wildcard must be specified"
  end
  return host_name(name)
end

local function ip(value)
  if tools_ip.is_valid_ip(value) then
    return true
  end
  return nil, "not an ip address: " .. value
end

local function ip_or_cidr(value)
  if tools_ip.is_valid_ip_or_cidr(value) then
    return true
  end
  return nil, "invalid ip or cidr range: '" .. value .. "'"
end

local function ip_or_cidr_v4(value)
  if tools_ip.is_valid_ip_or_cidr_v4(value) then
    return true
  end
  return nil, "invalid ipv4 cidr range: '" .. value .. "'"
end

local function a_url(value)
  local parts, err = url.parse(value)
  if not parts then
    return nil, "could not parse url. " .. tostring(err)
  elseif not parts.host then
    return nil, "missing host in url"
  elseif not parts.scheme then
    return nil, "missing scheme in url"
  end
  return true
end

local function text(validator, description)
  return Schema.define { type = "string", custom_validator = validator, description = description }
end

local http_protocols = {}
for _, protocol in ipairs(constants.PROTOCOLS) do
  if constants.PROTOCOLS_WITH_SUBSYSTEM[protocol] == "http" then
    http_protocols[#http_protocols + 1] = protocol
  end
end

local protocol = Schema.define {
  type = "string",
  one_of = constants.PROTOCOLS,
  description = "A protocol, such as http or tcp.",
}

local cidr_v4 = text(ip_or_cidr_v4, "An IPv4 address or CIDR block.")

return {
  host = text(host, "A host name or address, such as example.com."),
  redis_host = text(host, "The address of the Redis server."),
  host_with_optional_port = text(host_with_optional_port, "A host, with a port if need be (example.com:8080)."),
  wildcard_host = text(wildcard_host, "A host name that may begin or end in a wildcard."),
  sni = text(host_name, "A server name for TLS (SNI)."),
  redis_server_name = text(host_name, "The server name (SNI) for TLS towards the Redis server."),
  ip = text(ip, "An IP address."),
  ip_or_cidr = text(ip_or_cidr, "An IP address or CIDR block."),
  cidr_v4 = cidr_v4,
  cidr = cidr_v4,
  url = text(a_url, "A URL with scheme and host."),
  port = Schema.define { type = "integer", between = { 0, 65535 }, description = "A port number." },

  protocol = protocol,
  protocols = Schema.define {
    type = "set",
    required = true,
    default = http_protocols,
    elements = protocol,
    description = "Protocols.",
  },
  protocols_http = Schema.define {
    type = "set",
    required = true,
    default = http_protocols,
    elements = { type = "string", one_of = http_protocols },
    description = "Protocols over HTTP.",
  },
}
