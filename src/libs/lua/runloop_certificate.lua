-- kong.runloop.certificate: certificates and stores of CAs, for plugins that ask it as they do Kong. The listeners
-- themselves choose in Rust.

local ipairs, tostring, type, error, sort, concat = ipairs, tostring, type, error, table.sort, table.concat

local M = {}

-- The names with a star under which a certificate for `sni` may stand: `*.example.com`, `example.*`.
function M.produce_wild_snis(sni)
  if type(sni) ~= "string" then
    error("sni must be a string", 2)
  end
  local star = sni:find("*", 1, true)
  if star then
    return star == 1 and sni or nil, star == #sni and sni or nil
  end
  local rest = sni:match("^[^.]+(%.[^.]+%.%S+)")
  local front = sni:match("^(.-[^.]+%.)[^.]+$")
  return rest and "*" .. rest, front and front .. "*"
end

local function parsed(row)
  local ssl = require "ngx.ssl"
  local found = { ["$refs"] = row["$refs"] }
  for _, pair in ipairs { { "cert", "key" }, { "cert_alt", "key_alt" } } do
    local cert, key = row[pair[1]], row[pair[2]]
    if type(cert) == "string" and type(key) == "string" then
      local err
      found[pair[1]], err = ssl.parse_pem_cert(cert)
      if err then
        return nil, "could not parse PEM certificate: " .. err
      end
      found[pair[2]], err = ssl.parse_pem_priv_key(key)
      if err then
        return nil, "could not parse PEM private key: " .. err
      end
    end
  end
  return found
end

local function fetch(pk, sni_name)
  local row, err = kong.db.certificates:select(pk)
  if err then
    return nil, sni_name and "failed to fetch certificate for '" .. sni_name .. "' SNI: " .. err
                or "failed to fetch certificate " .. pk.id
  end
  if not row then
    return nil, sni_name and "no SSL certificate configured for sni: " .. sni_name
                or "certificate " .. pk.id .. " not found"
  end
  return row
end

function M.get_certificate(pk, sni_name)
  local row, err = fetch(pk, sni_name)
  if not row then
    return nil, err
  end
  return parsed(row)
end

--- The certificate for a name; nil where the listener's own is shown.
function M.find_certificate(sni)
  if not sni then
    return nil
  end
  local prefix, suffix = M.produce_wild_snis(sni)
  local names = { sni }
  names[#names + 1] = prefix
  names[#names + 1] = suffix
  names[#names + 1] = "*"
  for _, name in ipairs(names) do
    local row = kong.db.snis:select_by_name(name)
    if row then
      return M.get_certificate(row.certificate, row.name)
    end
  end
end

function M.ca_ids_cache_key(ca_ids)
  sort(ca_ids)
  return "ca_stores:" .. ngx.md5(concat(ca_ids, ":"))
end

local function store_of(ca_ids)
  local rows = {}
  for i, id in ipairs(ca_ids) do
    local row, err = kong.db.ca_certificates:select({ id = id })
    if not row then
      return nil, err or "CA Certificate '" .. tostring(id) .. "' does not exist"
    end
    rows[i] = row
  end
  return rows
end

local function serialized(rows)
  local store, err = require("resty.openssl.x509.store").new()
  if not store then
    return nil, err
  end
  for _, row in ipairs(rows) do
    local x509, wrong = require("resty.openssl.x509").new(row.cert, "PEM")
    if not x509 then
      return nil, wrong
    end
    local _, refused = store:add(x509)
    if refused then
      return nil, refused
    end
  end
  return store
end

local OPTIONS = { l1_serializer = serialized }

function M.get_ca_certificate_store(ca_ids)
  return kong.core_cache:get(M.ca_ids_cache_key(ca_ids), OPTIONS, store_of, ca_ids)
end

function M.get_ca_certificate_store_for_plugin(ca_ids)
  return kong.cache:get(M.ca_ids_cache_key(ca_ids), OPTIONS, store_of, ca_ids)
end

for _, name in ipairs {
  "init", "execute", "get_ca_certificate_reference_entities", "get_ca_certificate_reference_plugins",
} do
  M[name] = function()
    error("not supported: kong.runloop.certificate." .. name, 2)
  end
end

return M
