-- kong.client.tls

local ops = require "moongate.ops"
local phases = require "kong.pdk.private.phases"
local scope = require "moongate.scope"

local op = ops.ngx_ssl
local check = phases.check
local PHASES = phases.phases
local type, error, tostring, sub = type, error, tostring, string.sub

local CERTIFICATE = PHASES.certificate
local LATER = phases.new(PHASES.rewrite, PHASES.access, PHASES.response, PHASES.balancer, PHASES.log)
local BEFORE_LOG = phases.new(PHASES.rewrite, PHASES.access, PHASES.response, PHASES.balancer)

local tls = {}

function tls.request_client_certificate(ca_certs)
  check(CERTIFICATE)
  return require("ngx.ssl").verify_client(ca_certs, 0)
end

function tls.disable_session_reuse()
  check(CERTIFICATE)
  return op.no_reuse()
end

function tls.get_full_client_certificate_chain()
  check(LATER)
  local chain = op.client_chain()
  if chain == false then
    return nil, "connection is not TLS or TLS support for Nginx not enabled"
  end
  return chain
end

function tls.set_client_verify(v)
  check(BEFORE_LOG)
  if type(v) ~= "string" then
    error("assertion failed!", 2)
  end
  if v ~= "SUCCESS" and v ~= "NONE" and sub(v, 1, 7) ~= "FAILED:" then
    error("unknown client verify value: " .. tostring(v)
          .. " accepted values are: \"SUCCESS\", \"NONE\" or \"FAILED:<reason>\"", 2)
  end
  scope.ctx().CLIENT_VERIFY_OVERRIDE = v
end

return {
  new = function()
    return tls
  end,
}
