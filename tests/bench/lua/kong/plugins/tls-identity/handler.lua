-- Shows the upstream the client certificate that a request header names, each parsed once.
local kong = kong
local ssl = require "ngx.ssl"

local TlsIdentity = { PRIORITY = 1000, VERSION = "1.0.0" }

local identities = {}

local function read(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read("*a")
  file:close()
  return text
end

function TlsIdentity:access(conf)
  local id = kong.request.get_header("x-identity")
  if not id or not id:find("^c%d+$") then
    return kong.response.exit(401)
  end

  local identity = identities[id]
  if not identity then
    identity = {
      assert(ssl.parse_pem_cert(read(conf.dir .. "/" .. id .. ".crt"))),
      assert(ssl.parse_pem_priv_key(read(conf.dir .. "/" .. id .. ".key"))),
    }
    identities[id] = identity
  end
  assert(kong.service.set_tls_cert_key(identity[1], identity[2]))
end

return TlsIdentity
