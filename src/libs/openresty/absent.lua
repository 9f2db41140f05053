-- Modules of lua-resty-core for parts of nginx that the gateway does not have: each function says so. Answers the
-- modules by name.

local function absent(module, names, fields)
  local M = { version = "0.1.31" }
  for name in names:gmatch("%S+") do
    M[name] = function()
      error("not supported: " .. module .. "." .. name, 2)
    end
  end
  for key, value in pairs(fields or {}) do
    M[key] = value
  end
  return M
end

local M = {}

local function module(name, ...)
  M[name] = absent(name, ...)
end

module("ngx.proxyssl", "get_tls1_version get_tls1_version_str", {
  SSL3_VERSION = 0x0300, TLS1_VERSION = 0x0301, TLS1_1_VERSION = 0x0302, TLS1_2_VERSION = 0x0303,
  TLS1_3_VERSION = 0x0304,
})
module("ngx.ssl.proxysslcert", "clear_certs set_der_cert set_der_priv_key set_cert set_priv_key")
module("ngx.ssl.proxysslverify", "set_verify_result get_verify_result get_verify_cert")
module("ngx.ssl.session", "get_serialized_session get_session_id set_serialized_session")

return M
