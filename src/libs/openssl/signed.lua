--- What the faces of certificates, requests and revocation lists have in common: text, signature, extensions.

local ops = require("moongate.ops").openssl
local object = require "moongate.openssl.object"
local altname = require "resty.openssl.x509.altname"
local digest = require "resty.openssl.digest"
local extension = require "resty.openssl.x509.extension"
local name = require "resty.openssl.x509.name"
local pkey = require "resty.openssl.pkey"

local setmetatable, tostring, type = setmetatable, tostring, type

local message = object.message

local function texts(_M, label, op, from)
  local load, empty, write, dup = op("load"), op("empty"), op("write"), op("dup")

  --- One from PEM or DER (`format` says which, either by default), or one with nothing in it yet.
  function _M.new(text, format)
    if not text then
      return from(empty())
    elseif type(text) ~= "string" then
      return nil, label .. ".new: expect nil or a string at #1"
    end
    local id, err = load(text, format or "*")
    if not id then
      return nil, message(label .. ".new", err)
    end
    return from(id)
  end

  --- A copy of what is behind a `ctx`.
  function _M.dup(ctx)
    if not _M._is_ctx(ctx) then
      return nil, label .. ".dup: expect a " .. label .. " ctx at #1"
    end
    return from(dup(ctx.id))
  end

  --- As "PEM" (default) or "DER".
  function _M:tostring(format)
    if format and format ~= "PEM" and format ~= "DER" then
      return nil, label .. ":tostring: can only write PEM or DER format, not " .. tostring(format)
    end
    local text = write(self.ctx.id, format)
    if not text then
      return nil, label .. ":tostring: cannot be written"
    end
    return text
  end

  function _M:to_PEM()
    return self:tostring("PEM")
  end
end

local function signatures(_M, label, op)
  local sign, verify, signature = op("sign"), op("verify"), op("signature")

  --- Signs with a key, over a digest object's algorithm (sha256 without one).
  function _M:sign(key, md)
    if not pkey.istype(key) then
      return false, label .. ":sign: expect a pkey instance at #1"
    elseif md and not digest.istype(md) then
      return false, label .. ":sign: expect a digest instance at #2"
    end
    local ok, err = sign(self.ctx.id, key.ctx.id, md and md.ctx.id)
    if not ok then
      return false, message(label .. ":sign", err)
    end
    return true
  end

  --- Whether a key made the signature.
  function _M:verify(key)
    if not pkey.istype(key) then
      return false, label .. ":verify: expect a pkey instance at #1"
    end
    local good, err = verify(self.ctx.id, key.ctx.id)
    if good == nil then
      return false, label .. ":verify: code: -1 " .. tostring(err)
    end
    return good
  end

  local function algorithm(self, what)
    local id = signature(self.ctx.id)
    local found = id and ops.object(id)
    if not found or found.nid == 0 then
      return nil, label .. ":" .. what .. " failed"
    end
    return found
  end

  function _M:get_signature_nid()
    local found, err = algorithm(self, "get_signature_nid")
    return found and found.nid, err
  end

  --- The short name of the signature's algorithm.
  function _M:get_signature_name()
    local found, err = algorithm(self, "get_signature_name")
    return found and found.sn, err
  end

  --- The short name of the signature's digest.
  function _M:get_signature_digest_name()
    local found, err = algorithm(self, "get_signature_digest_name")
    if not found then
      return nil, err
    end
    local nid = require("resty.openssl.objects").find_sigid_algs(found.nid)
    return nid == 0 and "UNDEF" or ops.object(nid).sn
  end
end

local function extensions(_M, label, op, more)
  local list, set = op("extensions"), op("set_extension")
  local absent = more.absent

  -- the place of the first extension of a kind after `last_pos`, and all of them; nil and why
  local function place(self, id, last_pos)
    local wanted, err = object.identifier(id)
    if not wanted then
      return nil, nil, err
    end
    local all = list(self.ctx.id)
    for i = (last_pos or 0) + 1, #all / 3 do
      if all[3 * i - 2] == wanted.id then
        return i, all
      end
    end
    return nil, nil, absent and absent(wanted)
  end

  local function at(all, i)
    return extension._from(ops.extension_new(all[3 * i - 2], all[3 * i - 1], all[3 * i]))
  end

  --- The first extension of a kind after `last_pos`, and its place.
  function _M:get_extension(id, last_pos)
    local i, all, err = place(self, id, last_pos)
    if err then
      return nil, nil, label .. ":get_extension: " .. err
    elseif not i then
      return nil
    end
    return at(all, i), i
  end

  -- all of them, as a list of extensions
  function _M:_extensions()
    local all, found = list(self.ctx.id), {}
    for i = 1, #all / 3 do
      found[i] = at(all, i)
    end
    return found
  end

  local function put(self, ext, i)
    local kind, critical, der = ops.extension_get(ext.ctx.id)
    return set(self.ctx.id, kind.id, critical, der, i)
  end

  --- Adds an extension at the end.
  function _M:add_extension(ext)
    if not extension.istype(ext) then
      return false, (more.adding or label .. ":add_extension") .. ": expect a x509.extension instance at #1"
    end
    return put(self, ext)
  end

  --- Puts an extension in place of the one of its kind, or at the end.
  function _M:set_extension(ext, last_pos)
    if not extension.istype(ext) then
      return false, (more.adding or label .. ":set_extension") .. ": expect a x509.extension instance at #1"
    end
    return put(self, ext, (place(self, ext:get_object().id, last_pos)))
  end

  --- Whether the first extension of a kind is critical.
  function _M:get_extension_critical(id, last_pos)
    local i, all, err = place(self, id, last_pos)
    if not i then
      return nil, label .. ":get_extension_critical: " .. (err or "not found")
    end
    return all[3 * i - 1]
  end

  --- Says whether the first extension of a kind is critical.
  function _M:set_extension_critical(id, critical, last_pos)
    local i, all, err = place(self, id, last_pos)
    if not i then
      return nil, label .. ":set_extension_critical: " .. (err or "not found")
    end
    return set(self.ctx.id, all[3 * i - 2], critical, all[3 * i], i)
  end

  --- Gives the first extension `id` other bytes, or adds it.
  function _M:_set_value(id, der)
    local i, all = place(self, id)
    return set(self.ctx.id, ops.object(id).id, i and all[3 * i - 1], der, i)
  end

  --- `get_FIELD`, `set_FIELD` and the two of whether it is critical, of the extension `id`, whose value is a
  --- list of the module `lib`, called `kind` in errors.
  function _M._list_of(field, id, lib, kind)
    _M["get_" .. field] = function(self)
      local i, all = place(self, id)
      if not i then
        return nil
      elseif place(self, id, i) then
        return nil, label .. ":get_" .. field .. ": extension of " .. field .. " occurs more than one times, "
          .. "this is not yet implemented. Please use get_extension instead."
      end
      local found, err = lib._read(all[3 * i])
      if not found then
        return nil, label .. ":get_" .. field .. ": " .. err
      end
      return found
    end
    _M["set_" .. field] = function(self, toset)
      if not lib.istype(toset) then
        return false, label .. ":set_" .. field .. ": expect a " .. kind .. " instance at #1"
      end
      return self:_set_value(id, lib._write(toset))
    end
    _M._critical_of(field, id)
  end

  --- `set_FIELD_critical` and `get_FIELD_critical` of the extension `id`.
  function _M._critical_of(field, id)
    _M["set_" .. field .. "_critical"] = function(self, critical)
      return self:set_extension_critical(id, critical)
    end
    _M["get_" .. field .. "_critical"] = function(self)
      return self:get_extension_critical(id)
    end
  end
end

local function accessors(_M, label, op)
  local get, set = op("get"), op("set")

  local READ = { name = name._from, pkey = pkey._from }
  local LIBS = { name = { name, "x509.name" }, pkey = { pkey, "pkey" } }

  --- `get_WHAT` and `set_WHAT` of a field that is a number, or an object of one of the modules above.
  function _M._field(what, kind)
    local read, lib = READ[kind], LIBS[kind]
    _M["get_" .. what] = function(self)
      local v = get(self.ctx.id, what)
      if read then
        return read(v)
      end
      return v
    end
    _M["set_" .. what] = function(self, v)
      if lib and not lib[1].istype(v) then
        return false, ("%s:set_%s: expect a %s instance at #1"):format(label, what, lib[2])
      elseif not lib and type(v) ~= "number" then
        return false, label .. ":set_" .. what .. ": expect a number at #1"
      elseif not set(self.ctx.id, what, lib and v.ctx.id or v) then
        return false, label .. ":set_" .. what .. " failed"
      end
      return true
    end
  end
end

local function private_key(_M, label, op, more)
  local matches = op("matches")

  --- Whether a private key is the document's.
  function _M:check_private_key(key)
    if not pkey.istype(key) then
      return false, label .. ":check_private_key: except a pkey instance at #1"
    elseif not key:is_private() then
      return false, label .. ":check_private_key: not a private key"
    elseif matches(self.ctx.id, key.ctx.id) then
      return true
    end
    local own = self:get_pubkey()
    local code, reason, line = "5800073", "key type mismatch", 408
    if own and own.key_type == key.key_type then
      code, reason, line = "5800074", "key values mismatch", 405
    end
    return false, ("%s:check_private_key: error:%s:x509 certificate routines:"):format(label, code)
      .. more.mismatch:format(reason, line)
  end
end

--- The module of a kind of document: `label` is its name in errors, `kind` how its ops begin. `more` may have
--- `absent` (the error for an extension that isn't there), `adding` (who speaks when none is given) and
--- `mismatch` (OpenSSL's words for a key of another).
return function(label, kind, more)
  local wrap, istype, is_ctx = object.kind()
  local _M = { istype = istype, _is_ctx = is_ctx }
  local mt = { __index = _M }

  local function op(what)
    return ops[kind .. "_" .. what]
  end

  --- From a number in Rust (nil stays nil).
  function _M._from(id)
    return id and setmetatable({ ctx = wrap(id) }, mt)
  end

  texts(_M, label, op, _M._from)
  signatures(_M, label, op)
  extensions(_M, label, op, more)
  accessors(_M, label, op)
  if more.mismatch then
    private_key(_M, label, op, more)
  end
  mt.__tostring = function(self)
    return self:tostring()
  end
  return _M, mt, altname
end
