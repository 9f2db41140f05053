-- kong.service

local op = require("moongate.ops")["kong.service"]
local phases = require "kong.pdk.private.phases"

local check = phases.check
local PHASES = phases.phases
local type, error, floor = type, error, math.floor

local ACCESS = PHASES.access
local BEFORE_CONNECT = phases.new(PHASES.rewrite, PHASES.access, PHASES.balancer, PHASES.preread)

local service = {}

local function check_integer(name, value, least, most)
  if type(value) ~= "number" or floor(value) ~= value then
    error(name .. " must be an integer", 3)
  end
  if value < least or value > most then
    error(name .. " must be an integer between " .. least .. " and " .. most .. ": given " .. value, 3)
  end
end

function service.set_upstream(host)
  check(ACCESS)
  if type(host) ~= "string" then
    error("host must be a string", 2)
  end
  if not op.set_upstream(host) then
    return nil, "could not find an Upstream named '" .. host .. "'"
  end
  return true
end

function service.set_target(host, port)
  check(BEFORE_CONNECT)
  if type(host) ~= "string" then
    error("host must be a string", 2)
  end
  check_integer("port", port, 0, 65535)
  op.set_target(host, port)
end

function service.set_retries(retries)
  check(ACCESS)
  check_integer("retries", retries, 0, 32767)
  op.set_retries(retries)
end

function service.set_timeouts(connect_timeout, write_timeout, read_timeout)
  check(ACCESS)
  check_integer("connect_timeout", connect_timeout, 1, 2147483646)
  check_integer("write_timeout", write_timeout, 1, 2147483646)
  check_integer("read_timeout", read_timeout, 1, 2147483646)
  op.set_timeouts(connect_timeout, write_timeout, read_timeout)
end

for _, name in ipairs {
  "set_target_retry_callback", "set_tls_cert_key", "set_tls_verify", "set_tls_verify_depth",
  "set_tls_verify_store",
} do
  service[name] = function()
    error("not supported: kong.service." .. name, 2)
  end
end

return {
  new = function()
    return service
  end,
}
