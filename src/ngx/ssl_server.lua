-- ngx.ssl towards clients, ngx.ssl.clienthello, resty.kong.tls' part of them.

local ops = require("moongate.ops").ngx_ssl
local error, type, ipairs, tonumber = error, type, ipairs, tonumber

local M = package.loaded["ngx.ssl"] or {}

local id = require("moongate.cdata").id

for _, name in ipairs({
  "clear_certs", "set_der_cert", "set_der_priv_key", "server_name", "server_port", "raw_server_addr",
  "raw_client_addr",
}) do
  M[name] = ops[name]
end

-- Refuses what C's `void *` cannot be made of, in LuaJIT's words.
local function pointer(i, name, value)
  local kind = type(value)
  if value ~= nil and kind ~= "cdata" and kind ~= "userdata" then
    error("bad argument #" .. i .. " to 'ngx_http_lua_ffi_" .. name .. "' (cannot convert '" .. kind
          .. "' to 'void *')", 3)
  end
end

function M.set_cert(chain)
  pointer(2, "set_cert", chain)
  return ops.set_cert(id(chain))
end

function M.set_priv_key(key)
  pointer(2, "set_priv_key", key)
  return ops.set_priv_key(id(key))
end

function M.verify_client(authorities, depth, trusted)
  pointer(2, "ssl_verify_client", authorities)
  pointer(3, "ssl_verify_client", trusted)
  return ops.verify_client(authorities and (id(authorities) or 0), depth, trusted and (id(trusted) or 0))
end

M.get_tls1_version = ops.version
M.get_client_random = ops.client_random

function M.get_req_shared_ssl_ciphers()
  return ops.shared_ciphers()
end

M.SSL3_VERSION = 0x0300
M.TLS1_VERSION = 0x0301
M.TLS1_1_VERSION = 0x0302
M.TLS1_2_VERSION = 0x0303
M.TLS1_3_VERSION = 0x0304

local names = {
  [M.SSL3_VERSION] = "SSLv3",
  [M.TLS1_VERSION] = "TLSv1",
  [M.TLS1_1_VERSION] = "TLSv1.1",
  [M.TLS1_2_VERSION] = "TLSv1.2",
  [M.TLS1_3_VERSION] = "TLSv1.3",
}

function M.get_tls1_version_str()
  local version, err = ops.version()
  if not version then
    return nil, err
  end
  return names[version]
end

function M.ssl_session_reused(ssl)
  if type(ssl) ~= "cdata" then
    return nil, "bad ssl"
  end
  error("not supported: ngx.ssl.ssl_session_reused", 2)
end

local function absent(name)
  return function()
    error("not supported: " .. name, 2)
  end
end

for _, name in ipairs({
  "export_keying_material", "export_keying_material_early", "get_req_ssl_pointer", "get_upstream_ssl_pointer",
  "get_server_random", "get_session_master_key",
}) do
  M[name] = absent("ngx.ssl." .. name)
end

package.loaded["ngx.ssl"] = M

local hello = {}

local SERVER_NAME, SUPPORTED_VERSIONS = 0, 43

function hello.get_client_hello_server_name()
  local name = ops.hello_extension(SERVER_NAME)
  if not name then
    return nil
  end
  return (ops.server_name())
end

function hello.get_client_hello_ext(kind)
  local found = ops.hello_extension(tonumber(kind))
  if type(kind) ~= "number" then
    error("bad argument #2 to 'ngx_http_lua_ffi_ssl_get_client_hello_ext' (cannot convert '" .. type(kind)
          .. "' to 'unsigned int')", 2)
  end
  return found
end

hello.get_client_hello_ext_present = ops.hello_extensions
hello.get_client_hello_ciphers = ops.hello_ciphers

-- the client's last comes first, as with OpenResty
function hello.get_supported_versions()
  local list = ops.hello_extension(SUPPORTED_VERSIONS)
  if not list or #list == 0 or list:byte(1) ~= #list - 1 then
    return nil
  end
  local versions = {}
  for i = #list - 1, 2, -2 do
    versions[#versions + 1] = names[list:byte(i) * 256 + list:byte(i + 1)]
  end
  return versions
end

function hello.set_protocols(protocols)
  -- the phase counts first
  ops.hello_ciphers()
  local wanted = {}
  for _, name in ipairs(protocols) do
    if name ~= "SSLv2" and name ~= "SSLv3" and name ~= "TLSv1" and name ~= "TLSv1.1" and name ~= "TLSv1.2"
       and name ~= "TLSv1.3" then
      return nil, "invalid protocols failed"
    end
    wanted[name] = true
  end
  return ops.set_protocols(wanted["TLSv1.2"], wanted["TLSv1.3"])
end

package.loaded["ngx.ssl.clienthello"] = hello
