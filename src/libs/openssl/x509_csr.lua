--- `resty.openssl.x509.csr`: requests for certificates.

local ops = require("moongate.ops").openssl
local object = require "moongate.openssl.object"
local altname = require "resty.openssl.x509.altname"
local digest = require "resty.openssl.digest"
local extension = require "resty.openssl.x509.extension"
local name = require "resty.openssl.x509.name"
local pkey = require "resty.openssl.pkey"

local error, setmetatable, tostring, type = error, setmetatable, tostring, type

local SUBJECT_ALT_NAME = "subjectAltName"

local wrap, istype = object.kind()
local message = object.message

local _M = { istype = istype }
local mt = { __index = _M }

--- A request from PEM or DER (`format` says which, either by default), or one with nothing in it yet.
function _M.new(csr, format)
  local id, err
  if not csr then
    id = ops.csr_empty()
  elseif type(csr) == "string" then
    id, err = ops.csr_load(csr, format or "*")
    if not id then
      return nil, message("x509.csr.new", err)
    end
  else
    return nil, "x509.csr.new: expect nil or a string at #1"
  end
  return setmetatable({ ctx = wrap(id) }, mt)
end

--- The request as "PEM" (default) or "DER".
function _M:tostring(format)
  if format and format ~= "PEM" and format ~= "DER" then
    return nil, "x509.csr:tostring: can only write PEM or DER format, not " .. tostring(format)
  end
  local text = ops.csr_write(self.ctx.id, format)
  if not text then
    return nil, "x509.csr:tostring: cannot be written"
  end
  return text
end

--- The request as PEM.
function _M:to_PEM()
  return self:tostring("PEM")
end

mt.__tostring = function(self)
  return self:tostring()
end

--- Whether a private key is the request's.
function _M:check_private_key(key)
  if not pkey.istype(key) then
    return false, "x509.csr:check_private_key: except a pkey instance at #1"
  elseif not key:is_private() then
    return false, "x509.csr:check_private_key: not a private key"
  elseif ops.csr_matches(self.ctx.id, key.ctx.id) then
    return true
  end
  local own = self:get_pubkey()
  local code, reason = "5800073", "key type mismatch"
  if own and own.key_type == key.key_type then
    code, reason = "5800074", "key values mismatch"
  end
  return false, ("x509.csr:check_private_key: error:%s:x509 certificate routines:X509_REQ_check_private_key:%s")
    :format(code, reason)
end

-- the place of the first extension of a kind after `last_pos`, and all of them; nil and why
local function place(self, id, last_pos)
  local wanted, err = object.identifier(id)
  if not wanted then
    return nil, nil, err
  end
  local all = ops.csr_extensions(self.ctx.id)
  for i = (last_pos or 0) + 1, #all / 3 do
    if all[3 * i - 2] == wanted.id then
      return i, all
    end
  end
  return nil, nil, ("X509v3_get_ext_by_NID extension for %d not found"):format(wanted.nid)
end

--- The first extension of a kind after `last_pos`, and its place.
function _M:get_extension(id, last_pos)
  local i, all, err = place(self, id, last_pos)
  if not i then
    return nil, nil, "x509.csr:get_extension: " .. err
  end
  return extension._from(ops.extension_new(all[3 * i - 2], all[3 * i - 1], all[3 * i])), i
end

function _M.get_extensions()
  error("not supported: resty.openssl.x509.csr:get_extensions", 2)
end

local function put(self, ext, i)
  local kind, critical, der = ops.extension_get(ext.ctx.id)
  return ops.csr_set_extension(self.ctx.id, kind.id, critical, der, i)
end

--- Adds an extension at the end.
function _M:add_extension(ext)
  if not extension.istype(ext) then
    return false, "x509:set_extension: expect a x509.extension instance at #1"
  end
  return put(self, ext)
end

--- Puts an extension in place of the one of its kind, or at the end.
function _M:set_extension(ext)
  if not extension.istype(ext) then
    return false, "x509:set_extension: expect a x509.extension instance at #1"
  end
  return put(self, ext, (place(self, ext:get_object().id)))
end

--- Whether the first extension of a kind is critical.
function _M:get_extension_critical(id, last_pos)
  local i, all, err = place(self, id, last_pos)
  if not i then
    return nil, "x509.csr:get_extension_critical: " .. err
  end
  return all[3 * i - 1]
end

--- Says whether the first extension of a kind is critical.
function _M:set_extension_critical(id, critical, last_pos)
  local i, all, err = place(self, id, last_pos)
  if not i then
    return nil, "x509.csr:set_extension_critical: " .. err
  end
  return ops.csr_set_extension(self.ctx.id, all[3 * i - 2], critical, all[3 * i], i)
end

function _M:get_subject_alt_name_critical()
  return self:get_extension_critical(SUBJECT_ALT_NAME)
end

function _M:set_subject_alt_name_critical(critical)
  return self:set_extension_critical(SUBJECT_ALT_NAME, critical)
end

--- The names it is also for; nil without any.
function _M:get_subject_alt_name()
  local i, all = place(self, SUBJECT_ALT_NAME)
  if not i then
    return nil
  elseif place(self, SUBJECT_ALT_NAME, i) then
    return nil, "x509.csr:get_subject_alt_name: extension of subject_alt_name occurs more than one times, "
      .. "this is not yet implemented. Please use get_extension instead."
  end
  local names, err = ops.names_new(all[3 * i])
  if not names then
    return nil, "x509.csr:get_subject_alt_name: " .. err
  end
  return altname._from(names)
end

function _M:set_subject_alt_name(toset)
  if not altname.istype(toset) then
    return false, "x509.csr:set_subject_alt_name: expect a x509.altname instance at #1"
  end
  local i = place(self, SUBJECT_ALT_NAME)
  return ops.csr_set_extension(self.ctx.id, ops.object(SUBJECT_ALT_NAME).id, false, ops.names_write(toset.ctx.id), i)
end

--- Signs with a key, over a digest object's algorithm (sha256 without one).
function _M:sign(key, md)
  if not pkey.istype(key) then
    return false, "x509.csr:sign: expect a pkey instance at #1"
  elseif md and not digest.istype(md) then
    return false, "x509.csr:sign: expect a digest instance at #2"
  end
  local ok, err = ops.csr_sign(self.ctx.id, key.ctx.id, md and md.ctx.id)
  if not ok then
    return false, message("x509.csr:sign", err)
  end
  return true
end

--- Whether a key made the request's signature.
function _M:verify(key)
  if not pkey.istype(key) then
    return false, "x509.csr:verify: expect a pkey instance at #1"
  end
  local good, err = ops.csr_verify(self.ctx.id, key.ctx.id)
  if good == nil then
    return false, "x509.csr:verify: code: -1 " .. tostring(err)
  end
  return good
end

function _M:get_version()
  return ops.csr_get(self.ctx.id, "version")
end

function _M:get_subject_name()
  return name._from(ops.csr_get(self.ctx.id, "subject_name"))
end

--- The public key; nil when it is of a kind that is not known.
function _M:get_pubkey()
  return pkey._from(ops.csr_get(self.ctx.id, "pubkey"))
end

function _M:set_version(version)
  if type(version) ~= "number" then
    return false, "x509.csr:set_version: expect a number at #1"
  elseif not ops.csr_set(self.ctx.id, "version", version) then
    return false, "x509.csr:set_version failed"
  end
  return true
end

function _M:set_subject_name(toset)
  if not name.istype(toset) then
    return false, "x509.csr:set_subject_name: expect a x509.name instance at #1"
  end
  return ops.csr_set(self.ctx.id, "subject_name", toset.ctx.id)
end

function _M:set_pubkey(toset)
  if not pkey.istype(toset) then
    return false, "x509.csr:set_pubkey: expect a pkey instance at #1"
  end
  return ops.csr_set(self.ctx.id, "pubkey", toset.ctx.id)
end

local function signature(self, label)
  local id = ops.csr_get(self.ctx.id, "signature")
  local found = id and ops.object(id)
  if not found or found.nid == 0 then
    return nil, label .. " failed"
  end
  return found
end

function _M:get_signature_nid()
  local found, err = signature(self, "x509.csr:get_signature_nid")
  return found and found.nid, err
end

--- The short name of the signature's algorithm.
function _M:get_signature_name()
  local found, err = signature(self, "x509.csr:get_signature_name")
  return found and found.sn, err
end

--- The short name of the signature's digest.
function _M:get_signature_digest_name()
  local found, err = signature(self, "x509.csr:get_signature_digest_name")
  if not found then
    return nil, err
  end
  local nid = require("resty.openssl.objects").find_sigid_algs(found.nid)
  return nid == 0 and "UNDEF" or ops.object(nid).sn
end

return _M
