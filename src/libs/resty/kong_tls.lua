-- resty.kong.tls: what plugins written for Kong's nginx module ask of it, by the PDK's functions.

local error, ipairs, type, get_phase = error, ipairs, type, ngx.get_phase

local M = {}

local LATER = { rewrite = true, balancer = true, access = true, content = true, log = true }
local BEFORE = { rewrite = true, balancer = true, access = true }

local function only(phases)
  if not phases[get_phase()] then
    error("API disabled in the current context", 3)
  end
end

function M.disable_session_reuse()
  only({ ssl_cert = true })
  return kong.client.tls.disable_session_reuse()
end

function M.get_full_client_certificate_chain()
  only(LATER)
  return kong.client.tls.get_full_client_certificate_chain()
end

function M.set_upstream_cert_and_key(chain, key)
  only(BEFORE)
  if not chain or not key then
    error("chain and key must not be nil", 2)
  end
  return kong.service.set_tls_cert_key(chain, key)
end

function M.set_upstream_ssl_trusted_store(store)
  only(BEFORE)
  return kong.service.set_tls_verify_store(store)
end

function M.set_upstream_ssl_verify(verify)
  only(BEFORE)
  if type(verify) ~= "boolean" then
    error("verify expects a boolean but found " .. type(verify), 2)
  end
  return kong.service.set_tls_verify(verify)
end

function M.set_upstream_ssl_verify_depth(depth)
  only(BEFORE)
  if type(depth) ~= "number" then
    error("depth expects a number but found " .. type(depth), 2)
  end
  return kong.service.set_tls_verify_depth(depth)
end

for _, name in ipairs {
  "get_ssl_pointer", "get_request_ssl_pointer", "set_upstream_ssl_sans_dnsnames", "set_upstream_ssl_sans_uris",
} do
  M[name] = function()
    error("not supported: resty.kong.tls." .. name, 2)
  end
end

return M
