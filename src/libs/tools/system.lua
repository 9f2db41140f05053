-- `kong.tools.system`: the machine the gateway runs on.

local path = require "pl.path"

local M = {}

-- The first line that a command of the system writes.
local function answer(command)
  local pipe = io.popen(command)
  local line = pipe and pipe:read("*l")
  if pipe then
    pipe:close()
  end
  return line
end

local infos

--- `{ cores, uname }`: how many processors there are, and the system's name and machine.
function M.get_system_infos()
  if not infos then
    local uname = answer("uname -ms 2>/dev/null")
    infos = {
      cores = tonumber(answer("getconf _NPROCESSORS_ONLN 2>/dev/null") or nil),
      uname = uname and (uname:gsub(";", ",")),
    }
  end
  return infos
end

local BUNDLES = {
  "/etc/ssl/certs/ca-certificates.crt", -- Debian, Ubuntu, Gentoo
  "/etc/pki/tls/certs/ca-bundle.crt", -- Fedora, RHEL 6
  "/etc/ssl/ca-bundle.pem", -- openSUSE
  "/etc/pki/tls/cacert.pem", -- OpenELEC
  "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem", -- CentOS, RHEL 7
  "/etc/ssl/cert.pem", -- OpenBSD, Alpine
}

--- The system's bundle of CA certificates, or nil and why.
function M.get_system_trusted_certs_filepath()
  for _, file in ipairs(BUNDLES) do
    if path.exists(file) then
      return file
    end
  end
  return nil, "Could not find trusted certs file in any of the `system`-predefined locations. "
    .. "Please install a certs file there or set `lua_ssl_trusted_certificate` to a specific file path instead of "
    .. "`system`"
end

return M
