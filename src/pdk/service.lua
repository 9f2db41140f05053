-- kong.service

local op = require("moongate.ops")["kong.service"]
local balancer = require "moongate.balancer"
local cdata = require "moongate.cdata"
local phases = require "kong.pdk.private.phases"

local check, data = phases.check, balancer.data
local PHASES = phases.phases
local type, error, floor, tostring = type, error, math.floor, tostring

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

-- Whether somebody put Upstreams of his own in the place of the gateway's (a test).
local function known_elsewhere(host)
  local module = package.loaded["kong.runloop.balancer"]
  return module and module.get_upstream_by_name and module.get_upstream_by_name(host)
end

function service.set_upstream(host)
  check(ACCESS, true)
  if type(host) ~= "string" then
    error("host must be a string", 2)
  end
  if not op.set_upstream(host) and not known_elsewhere(host) then
    return nil, "could not find an Upstream named '" .. host .. "'"
  end
  local seen = data()
  if seen then
    seen.host = host
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
  local seen = data()
  if seen then
    seen.host, seen.port = host, port
  end
end

function service.set_target_retry_callback(retry_callback)
  check(ACCESS, true)
  if type(retry_callback) ~= "function" then
    error("retry_callback must be a function", 2)
  end
  balancer.table().retry_callback = retry_callback
  op.set_retry_callback()
end

function service.set_retries(retries)
  check(ACCESS, true)
  check_integer("retries", retries, 0, 32767)
  op.set_retries(retries)
  local seen = data()
  if seen then
    seen.retries = retries
  end
end

function service.set_timeouts(connect_timeout, write_timeout, read_timeout)
  check(ACCESS, true)
  check_integer("connect_timeout", connect_timeout, 1, 2147483646)
  check_integer("write_timeout", write_timeout, 1, 2147483646)
  check_integer("read_timeout", read_timeout, 1, 2147483646)
  op.set_timeouts(connect_timeout, write_timeout, read_timeout)
  local seen = data()
  if seen then
    seen.connect_timeout, seen.read_timeout = connect_timeout, read_timeout
    seen.write_timeout, seen.send_timeout = write_timeout, write_timeout
  end
end

-- The Rust object behind a certificate, a key or a store, whoever made it: ngx.ssl gives the cdata itself,
-- resty.openssl keeps it in `ctx`.
local id = cdata.id

function service.set_tls_cert_key(chain, key)
  check(BEFORE_CONNECT)
  if type(chain) ~= "cdata" then
    error("chain must be a parsed cdata object", 2)
  end
  if type(key) ~= "cdata" then
    error("key must be a parsed cdata object", 2)
  end
  return op.set_tls_cert_key(id(chain), id(key))
end

function service.set_tls_verify(on)
  check(BEFORE_CONNECT)
  if type(on) ~= "boolean" then
    error("argument must be a boolean", 2)
  end
  op.set_tls_verify(on)
  return true
end

function service.set_tls_verify_depth(depth)
  check(BEFORE_CONNECT)
  if type(depth) ~= "number" then
    error("argument must be a number", 2)
  end
  -- NaN is no depth either
  if not (depth >= 0) then
    error("depth expects a non-negative integer but found " .. tostring(depth), 2)
  end
  op.set_tls_verify_depth(depth)
  return true
end

function service.set_tls_verify_store(store)
  check(BEFORE_CONNECT)
  if type(store) ~= "table" then
    error("argument must be a resty.openssl.x509.store object", 2)
  end
  if not require("resty.openssl.x509.store").istype(store) then
    error("store expects a resty.openssl.x509.store object but found " .. type(store), 2)
  end
  return op.set_tls_verify_store(id(store.ctx))
end

return {
  new = function()
    return service
  end,
}
