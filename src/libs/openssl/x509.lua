--- `resty.openssl.x509`: certificates.

local ops = require("moongate.ops").openssl
local object = require "moongate.openssl.object"
local altname = require "resty.openssl.x509.altname"
local bn = require "resty.openssl.bn"
local digest = require "resty.openssl.digest"
local extension = require "resty.openssl.x509.extension"
local name = require "resty.openssl.x509.name"
local pkey = require "resty.openssl.pkey"

local error, ipairs, pairs, setmetatable = error, ipairs, pairs, setmetatable
local tonumber, tostring, type = tonumber, tostring, type

local wrap, istype, is_ctx = object.kind()
local message = object.message

local _M = { istype = istype }

local mt = { __index = _M }

local function from(id)
  return id and setmetatable({ ctx = wrap(id) }, mt)
end
_M._from = from

--- A certificate from PEM or DER (`format` says which, either by default), or one with nothing in it yet.
function _M.new(cert, format)
  if not cert then
    local new = from(ops.cert_empty())
    local now = ngx.time()
    new:set_lifetime(now, now)
    return new
  elseif type(cert) == "string" then
    local id, err = ops.cert_load(cert, format or "*")
    if not id then
      return nil, message("x509.new", err)
    end
    return from(id)
  elseif is_ctx(cert) then
    return setmetatable({ ctx = cert }, mt)
  elseif type(cert) == "cdata" then
    return nil, "x509.new: expect a X509* cdata at #1"
  end
  return nil, "x509.new: expect nil or a string at #1"
end

--- A copy of the certificate behind a `ctx`.
function _M.dup(ctx)
  if not is_ctx(ctx) then
    return nil, "x509.dup: expect a x509 ctx at #1"
  end
  return from(ops.cert_dup(ctx.id))
end

--- The certificate as "PEM" (default) or "DER".
function _M:tostring(format)
  if format and format ~= "PEM" and format ~= "DER" then
    return nil, "x509:tostring: can only write PEM or DER format, not " .. tostring(format)
  end
  local text = ops.cert_write(self.ctx.id, format)
  if not text then
    return nil, "x509:tostring: cannot be written"
  end
  return text
end

--- The certificate as PEM.
function _M:to_PEM()
  return self:tostring("PEM")
end

mt.__tostring = function(self)
  return self:tostring()
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

--- Whether a private key is the certificate's.
function _M:check_private_key(key)
  if not pkey.istype(key) then
    return false, "x509:check_private_key: except a pkey instance at #1"
  elseif not key:is_private() then
    return false, "x509:check_private_key: not a private key"
  elseif ops.cert_matches(self.ctx.id, key.ctx.id) then
    return true
  end
  local same_kind = self:get_pubkey()
  same_kind = same_kind and same_kind.key_type == key.key_type
  local code, reason, line = "5800073", "key type mismatch", 408
  if same_kind then
    code, reason, line = "5800074", "key values mismatch", 405
  end
  return false, ("x509:check_private_key: error:%s:x509 certificate routines:X509_check_private_key:"
    .. "%s:x509/x509_cmp.c:%d:"):format(code, reason, line)
end

--- Signs with a key, over a digest object's algorithm (sha256 without one).
function _M:sign(key, md)
  if not pkey.istype(key) then
    return false, "x509:sign: expect a pkey instance at #1"
  elseif md and not digest.istype(md) then
    return false, "x509:sign: expect a digest instance at #2"
  end
  local ok, err = ops.cert_sign(self.ctx.id, key.ctx.id, md and md.ctx.id)
  if not ok then
    return false, message("x509:sign", err)
  end
  return true
end

--- Whether a key made the certificate's signature.
function _M:verify(key)
  if not pkey.istype(key) then
    return false, "x509:verify: expect a pkey instance at #1"
  end
  local good, err = ops.cert_verify(self.ctx.id, key.ctx.id)
  if good == nil then
    return false, "x509:verify: code: -1 " .. tostring(err)
  end
  return good
end

--- Whether issuer and subject are the same name.
function _M:is_self_issued()
  return ops.cert_get(self.ctx.id, "self_issued")
end

function _M:get_not_before()
  return ops.cert_get(self.ctx.id, "not_before")
end

function _M:get_not_after()
  return ops.cert_get(self.ctx.id, "not_after")
end

--- Both ends of the certificate's life, in seconds since 1970.
function _M:get_lifetime()
  return self:get_not_before(), self:get_not_after()
end

function _M:get_version()
  return ops.cert_get(self.ctx.id, "version")
end

function _M:get_serial_number()
  return bn._from_integer(ops.cert_get(self.ctx.id, "serial_number"))
end

function _M:get_subject_name()
  return name._from(ops.cert_get(self.ctx.id, "subject_name"))
end

function _M:get_issuer_name()
  return name._from(ops.cert_get(self.ctx.id, "issuer_name"))
end

--- The public key; nil when it is of a kind that is not known.
function _M:get_pubkey()
  return pkey._from(ops.cert_get(self.ctx.id, "pubkey"))
end

local function set_number(what)
  local label = "x509:set_" .. what
  return function(self, n)
    if type(n) ~= "number" then
      return false, label .. ": expect a number at #1"
    elseif not ops.cert_set(self.ctx.id, what, n) then
      return false, label .. " failed"
    end
    return true
  end
end

_M.set_not_before = set_number("not_before")
_M.set_not_after = set_number("not_after")
_M.set_version = set_number("version")

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

local function set_object(what, lib, kind, value)
  local label = "x509:set_" .. what
  return function(self, v)
    if not lib.istype(v) then
      return false, label .. ": expect a " .. kind .. " instance at #1"
    elseif not ops.cert_set(self.ctx.id, what, value(v)) then
      return false, label .. " failed"
    end
    return true
  end
end

local function number_of(v)
  return v.ctx.id
end

_M.set_serial_number = set_object("serial_number", bn, "bn", bn._to_integer)
_M.set_subject_name = set_object("subject_name", name, "x509.name", number_of)
_M.set_issuer_name = set_object("issuer_name", name, "x509.name", number_of)
_M.set_pubkey = set_object("pubkey", pkey, "pkey", number_of)

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

-- the place of the first extension of a kind after `last_pos`, and all of them; nil and why
local function place(self, id, last_pos)
  local wanted, err = object.identifier(id)
  if not wanted then
    return nil, nil, err
  end
  local all = ops.cert_extensions(self.ctx.id)
  for i = (last_pos or 0) + 1, #all / 3 do
    if all[3 * i - 2] == wanted.id then
      return i, all
    end
  end
end

--- The first extension of a kind after `last_pos`, and its place.
function _M:get_extension(id, last_pos)
  local i, all, err = place(self, id, last_pos)
  if err then
    return nil, nil, "x509:get_extension: " .. err
  elseif not i then
    return nil
  end
  return extension._from(ops.extension_new(all[3 * i - 2], all[3 * i - 1], all[3 * i])), i
end

local function put(self, ext, i)
  local object_of, critical, der = ops.extension_get(ext.ctx.id)
  return ops.cert_set_extension(self.ctx.id, object_of.id, critical, der, i)
end

--- Adds an extension at the end.
function _M:add_extension(ext)
  if not extension.istype(ext) then
    return false, "x509:add_extension: expect a x509.extension instance at #1"
  end
  return put(self, ext)
end

--- Puts an extension in place of the one of its kind, or at the end.
function _M:set_extension(ext, last_pos)
  if not extension.istype(ext) then
    return false, "x509:set_extension: expect a x509.extension instance at #1"
  end
  return put(self, ext, (place(self, ext:get_object().id, last_pos)))
end

--- Whether the first extension of a kind is critical.
function _M:get_extension_critical(id, last_pos)
  local i, all, err = place(self, id, last_pos)
  if not i then
    return nil, "x509:get_extension_critical: " .. (err or "not found")
  end
  return all[3 * i - 1]
end

--- Says whether the first extension of a kind is critical.
function _M:set_extension_critical(id, critical, last_pos)
  local i, all, err = place(self, id, last_pos)
  if not i then
    return nil, "x509:set_extension_critical: " .. (err or "not found")
  end
  return ops.cert_set_extension(self.ctx.id, all[3 * i - 2], critical, all[3 * i], i)
end

local function put_value(self, id, der)
  local i, all = place(self, id)
  return ops.cert_set_extension(self.ctx.id, ops.object(id).id, i and all[3 * i - 1], der, i)
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
  return put_value(self, "basicConstraints", ops.basic_constraints(ca, pathlen))
end

local function alt_names(field, id)
  local label = "x509:get_" .. field
  _M["get_" .. field] = function(self)
    local i, all = place(self, id)
    if not i then
      return nil
    elseif place(self, id, i) then
      return nil, label .. ": extension of " .. field .. " occurs more than one times, "
        .. "this is not yet implemented. Please use get_extension instead."
    end
    local names, err = ops.names_new(all[3 * i])
    if not names then
      return nil, label .. ": " .. err
    end
    return altname._from(names)
  end
  _M["set_" .. field] = function(self, toset)
    if not altname.istype(toset) then
      return false, "x509:set_" .. field .. ": expect a x509.altname instance at #1"
    end
    return put_value(self, id, ops.names_write(toset.ctx.id))
  end
end

alt_names("subject_alt_name", "subjectAltName")
alt_names("issuer_alt_name", "issuerAltName")

for field, id in pairs({
  subject_alt_name = "subjectAltName",
  issuer_alt_name = "issuerAltName",
  basic_constraints = "basicConstraints",
}) do
  _M["set_" .. field .. "_critical"] = function(self, critical)
    return self:set_extension_critical(id, critical)
  end
  _M["get_" .. field .. "_critical"] = function(self)
    return self:get_extension_critical(id)
  end
end

for _, field in ipairs({ "info_access", "crl_distribution_points" }) do
  for _, verb in ipairs({ "get_", "set_" }) do
    _M[verb .. field] = function()
      error("not supported: resty.openssl.x509:" .. verb .. field, 2)
    end
  end
end

for _, field in ipairs({ "get_ocsp_url", "get_ocsp_request", "get_crl_url" }) do
  _M[field] = function()
    error("not supported: resty.openssl.x509:" .. field, 2)
  end
end

local function signature(self, label)
  local id = ops.cert_get(self.ctx.id, "signature")
  local found = id and ops.object(id)
  if not found or found.nid == 0 then
    return nil, label .. " failed"
  end
  return found
end

function _M:get_signature_nid()
  local found, err = signature(self, "x509:get_signature_nid")
  return found and found.nid, err
end

--- The short name of the signature's algorithm.
function _M:get_signature_name()
  local found, err = signature(self, "x509:get_signature_name")
  return found and found.sn, err
end

--- The short name of the signature's digest.
function _M:get_signature_digest_name()
  local found, err = signature(self, "x509:get_signature_digest_name")
  if not found then
    return nil, err
  end
  local nid = require("resty.openssl.objects").find_sigid_algs(found.nid)
  return nid == 0 and "UNDEF" or ops.object(nid).sn
end

return _M
