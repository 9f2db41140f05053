--- `resty.openssl.x509`: certificates.

local ops = require("moongate.ops").openssl
local altname = require "resty.openssl.x509.altname"
local bn = require "resty.openssl.bn"
local dist_points = require "resty.openssl.x509.extension.dist_points"
local info_access = require "resty.openssl.x509.extension.info_access"
local signed = require "moongate.openssl.signed"

local error, pairs, setmetatable = error, pairs, setmetatable
local insert, tonumber, tostring, type = table.insert, tonumber, tostring, type

local _M, mt = signed("x509", "cert", { mismatch = "X509_check_private_key:%s:x509/x509_cmp.c:%d:" })

local load = _M.new

--- A certificate from PEM or DER (`format` says which, either by default), or one with nothing in it yet.
function _M.new(cert, format)
  if _M._is_ctx(cert) then
    return setmetatable({ ctx = cert }, mt)
  elseif type(cert) == "cdata" then
    return nil, "x509.new: expect a X509* cdata at #1"
  end
  local new, err = load(cert, format)
  if new and not cert then
    local now = ngx.time()
    new:set_lifetime(now, now)
  end
  return new, err
end

local function digest_of(self, md, public)
  md = md or "sha1"
  local hash = ops.cert_digest(self.ctx.id, md, public)
  if not hash then
    return nil, ('x509:digest: invalid digest type "%s"'):format(tostring(md))
  end
  return hash
end

--- The digest of the whole certificate.
function _M:digest(md)
  return digest_of(self, md, false)
end

--- The digest of the public key.
function _M:pubkey_digest(md)
  return digest_of(self, md, true)
end

--- Whether issuer and subject are the same name.
function _M:is_self_issued()
  return ops.cert_get(self.ctx.id, "self_issued")
end

for _, what in pairs({ "not_before", "not_after", "version" }) do
  _M._field(what)
end
_M._field("subject_name", "name")
_M._field("issuer_name", "name")
_M._field("pubkey", "pkey")

function _M:get_serial_number()
  return bn._from_integer(ops.cert_get(self.ctx.id, "serial_number"))
end

function _M:set_serial_number(number)
  if not bn.istype(number) then
    return false, "x509:set_serial_number: expect a bn instance at #1"
  end
  return ops.cert_set(self.ctx.id, "serial_number", number:_to_integer())
end

--- Both ends of the certificate's life, in seconds since 1970.
function _M:get_lifetime()
  return self:get_not_before(), self:get_not_after()
end

--- Sets both ends of the certificate's life, those that are given.
function _M:set_lifetime(not_before, not_after)
  if not_before then
    local ok, err = self:set_not_before(not_before)
    if not ok then
      return ok, err
    end
  end
  if not_after then
    local ok, err = self:set_not_after(not_after)
    if not ok then
      return ok, err
    end
  end
  return true
end

--- What the basic constraints say: a table, or one field ("CA", "pathLen"). Nil without them.
function _M:get_basic_constraints(field)
  local found, ca, pathlen = ops.cert_basic_constraints(self.ctx.id)
  if found == nil then
    return nil, "x509:get_basic_constraints: " .. ca
  elseif not found then
    return nil
  end
  pathlen = pathlen or 0
  if type(field) ~= "string" then
    return { ca = ca, pathlen = pathlen }
  end
  field = field:lower()
  if field == "ca" then
    return ca
  elseif field == "pathlen" then
    return pathlen
  end
end

--- Sets the basic constraints: `{ CA = true, pathLen = 0 }`.
function _M:set_basic_constraints(toset)
  if type(toset) ~= "table" then
    return false, "x509:set_basic_constraints: expect a table at #1"
  end
  local ca, pathlen
  for k, v in pairs(toset) do
    k = k:lower()
    if k == "ca" then
      ca = v
    elseif k == "pathlen" then
      pathlen = tonumber(v)
    end
  end
  return self:_set_value("basicConstraints", ops.basic_constraints(ca, pathlen))
end

_M._critical_of("basic_constraints", "basicConstraints")
_M._list_of("subject_alt_name", "subjectAltName", altname, "x509.altname")
_M._list_of("issuer_alt_name", "issuerAltName", altname, "x509.altname")
_M._list_of("info_access", "authorityInfoAccess", info_access, "x509.extension.info_access")
_M._list_of("crl_distribution_points", "crlDistributionPoints", dist_points, "x509.extension.dist_points")

local NID_OCSP = ops.object("OCSP").nid

--- Where the issuer answers OCSP: the first address, or all.
function _M:get_ocsp_url(return_all)
  local urls = {}
  for _, access in (self:get_info_access() or altname.new()):each() do
    if access[1] == NID_OCSP and access[2] == "URI" then
      insert(urls, access[3])
    end
  end
  if #urls > 0 then
    return return_all and urls or urls[1]
  end
end

--- Where the issuer's revocation lists lie: the first address, or all.
function _M:get_crl_url(return_all)
  local points, err = self:get_crl_distribution_points()
  if err then
    return nil, err
  elseif not points or #points == 0 then
    return nil
  end
  local urls = {}
  for i, point in points:each() do
    for kind, url in point:each() do
      if kind == "URI" and (return_all or i == 1) then
        insert(urls, url)
      end
    end
  end
  return return_all and urls or urls[1]
end

function _M.get_ocsp_request()
  error("not supported: resty.openssl.x509:get_ocsp_request", 2)
end

return _M
