-- Shows the upstream the client certificate that a request header names, and trusts whom another one names.

local ssl = require "ngx.ssl"
local store = require "resty.openssl.x509.store"
local x509 = require "resty.openssl.x509"

local ClientIdentity = {
  PRIORITY = 790,
  VERSION = "1.0.0",
}

-- What was made of a PEM text, by the configuration it stands in and its name there. Parsing takes longer than a
-- request should, and a secret that changes changes its text.
local made = setmetatable({}, { __mode = "k" })

local function once(conf, kind, name, text, make)
  local of_conf = made[conf]
  if not of_conf then
    of_conf = {}
    made[conf] = of_conf
  end

  local key = kind .. ":" .. name
  local entry = of_conf[key]
  if not entry or entry.text ~= text then
    local value, err = make(text)
    if not value then
      return nil, err
    end
    entry = { text = text, value = value }
    of_conf[key] = entry
  end
  return entry.value
end

local function make_store(text)
  local certificate, err = x509.new(text, "PEM")
  if not certificate then
    return nil, err
  end

  local trusted
  trusted, err = store.new()
  if not trusted then
    return nil, err
  end

  local ok
  ok, err = trusted:add(certificate)
  if not ok then
    return nil, err
  end
  return trusted
end

local function failed(what, name, err)
  kong.log.err("could not use the ", what, " of ", name, ": ", err)
  return kong.response.exit(500, { message = "could not use the " .. what .. " of " .. name })
end

local function show(conf, name)
  local chain, err = once(conf, "certificate", name, conf.certificates[name], ssl.parse_pem_cert)
  if not chain then
    return failed("certificate", name, err)
  end

  local key
  key, err = once(conf, "key", name, conf.keys[name], ssl.parse_pem_priv_key)
  if not key then
    return failed("key", name, err)
  end

  local ok
  ok, err = kong.service.set_tls_cert_key(chain, key)
  if not ok then
    return failed("identity", name, err)
  end
end

local function verify(conf, name)
  local trusted, err = once(conf, "trust", name, conf.trust[name], make_store)
  if not trusted then
    return failed("authority", name, err)
  end

  kong.service.set_tls_verify(true)
  kong.service.set_tls_verify_depth(conf.verify_depth)
  kong.service.set_tls_verify_store(trusted)
end

function ClientIdentity:access(conf)
  local name = kong.request.get_header(conf.header)
  if name then
    if not (conf.certificates[name] and conf.keys[name]) then
      return kong.response.exit(400, { message = "no identity is called " .. name })
    end
    show(conf, name)
  end

  local trust = kong.request.get_header(conf.trust_header)
  if trust then
    if not conf.trust[trust] then
      return kong.response.exit(400, { message = "no authority is called " .. trust })
    end
    verify(conf, trust)
  end
end

return ClientIdentity
