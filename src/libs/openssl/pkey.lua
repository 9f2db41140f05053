--- `resty.openssl.pkey`: keys of the kinds RSA, EC (P-192, P-256, P-384, P-521, secp256k1), Ed25519, Ed448,
--- X25519, X448 and DH.

local ops = require("moongate.ops").openssl
local object = require "moongate.openssl.object"
local jwk = require "moongate.openssl.jwk"
local bn = require "resty.openssl.bn"
local digest = require "resty.openssl.digest"

local ipairs, pairs, setmetatable = ipairs, pairs, setmetatable
local tonumber, tostring, type = tonumber, tostring, type

local wrap, istype, is_ctx = object.kind()
local message = object.message
local new_digest_type = digest.istype

local _M = { istype = istype }

local PKCS1, OAEP, PSS = 1, 4, 6

_M.PADDINGS = {
  RSA_PKCS1_PADDING = PKCS1,
  RSA_SSLV23_PADDING = 2,
  RSA_NO_PADDING = 3,
  RSA_PKCS1_OAEP_PADDING = OAEP,
  RSA_X931_PADDING = 5,
  RSA_PKCS1_PSS_PADDING = PSS,
}

local FORMATS = { PEM = true, DER = true, JWK = true, ["*"] = true }
local TYPES = { pu = true, pr = true, ["*"] = true }

-- key types' names in the tables that make keys
local OKP = { Ed25519 = true, Ed448 = true, X25519 = true, X448 = true, ED25519 = true, ED448 = true }

local function load(text, opts)
  local format = opts.format or "*"
  if not FORMATS[format] then
    return nil, "expecting 'DER', 'PEM', 'JWK' or '*' as \"format\""
  end
  local part = opts.type or "*"
  if not TYPES[part] then
    return nil, "expecting 'pr', 'pu' or '*' as \"type\""
  end
  if format == "JWK" then
    return jwk.load(text, part)
  end
  local passphrase = opts.passphrase
  if passphrase == nil and opts.passphrase_cb and format ~= "DER" and text:find("ENCRYPTED", 1, true) then
    passphrase = opts.passphrase_cb()
  end
  if passphrase ~= nil and type(passphrase) ~= "string" then
    return nil, "passphrase must be a string"
  end
  local id, err = ops.key_load(text, format, part, passphrase)
  if not id and format == "*" and text:find("^%s*{") then
    local from_jwk = jwk.load(text, part)
    if from_jwk then
      return from_jwk
    end
  end
  if not id then
    return nil, err or "nil failed"
  end
  return id
end

local function octets(params, name)
  local v = params[name]
  if v == nil then
    return nil
  elseif not bn.istype(v) then
    return nil, "expect parameter \"" .. name .. "\" to be a bn instance"
  end
  return v:to_binary()
end

-- a key from its numbers: { type =, params = { n = bn, ... } }
local function compose(config)
  local kind = config.type
  local params = config.params
  local got = {}
  local id, err
  if kind == "RSA" then
    for i, name in ipairs({ "n", "e", "d", "p", "q", "dmp1", "dmq1", "iqmp" }) do
      got[i], err = octets(params, name)
      if err then
        return nil, "failed to construct RSA key from parameters: " .. err
      end
    end
    id, err = ops.key_from_rsa(got[1], got[2], got[3], got[4], got[5], got[6], got[7], got[8])
  elseif kind == "EC" then
    for i, name in ipairs({ "x", "y", "public", "private" }) do
      got[i], err = octets(params, name)
      if err then
        return nil, "failed to construct EC key from parameters: " .. err
      end
    end
    local group = params.group and ops.object(params.group)
    id, err = ops.key_from_ec(group and group.sn, got[3] or got[1], got[2], got[4])
  elseif kind == "DH" then
    for i, name in ipairs({ "p", "q", "g", "public", "private" }) do
      got[i], err = octets(params, name)
      if err then
        return nil, "failed to construct DH key from parameters: " .. err
      end
    end
    id, err = ops.key_from_dh(got[1], got[2], got[3], got[4], got[5])
  elseif OKP[kind] then
    id, err = ops.key_from_okp(kind, params.public, params.private)
  else
    return nil, "unsupported type " .. tostring(kind)
  end
  if not id then
    return nil, "failed to construct " .. kind .. " key from parameters: " .. err
  end
  return id
end

-- OpenSSL's words for what a key is to be, and ours
local WORDS = {
  dh_param = "group",
  dh_paramgen_prime_len = "bits",
  ec_paramgen_curve = "curve",
  rsa_keygen_bits = "bits",
  rsa_keygen_pubexp = "exp",
}

local function worded(config)
  local all = config
  for _, word in ipairs(config) do
    local k, v = tostring(word):match("^([%w_]+):(.+)$")
    if not WORDS[k] then
      return nil, "unknown ctrl str: " .. tostring(word)
    end
    all = setmetatable({ [WORDS[k]] = tonumber(v) or v }, { __index = all })
  end
  return all
end

local function generate(config)
  local kind, err = config.type or "RSA", nil
  config, err = worded(config)
  if not config then
    return nil, err
  elseif config.param and (kind == "EC" or kind == "DH") then
    return ops.params_key(config.param)
  elseif kind == "DH" then
    return ops.key_generate_dh(config.group, config.bits)
  end
  if kind == "RSA" then
    local exp = config.exp
    exp = type(exp) == "table" and exp:to_number() or tonumber(exp)
    return ops.key_generate_rsa(config.bits or 2048, exp)
  elseif kind == "EC" then
    return ops.key_generate_ec(config.curve or "prime192v1")
  end
  return ops.key_generate_okp(tostring(kind))
end

local mt = { __index = _M }

local function from(id)
  local name = ops.key_info(id)
  local key_type = ops.object(name).nid
  return setmetatable({ ctx = wrap(id), key_type = key_type }, mt)
end

--- A key from its number in Rust (nil stays nil).
function _M._from(id)
  return id and from(id)
end

--- A key from a text (PEM, DER, JWK), or one made as a table says: `type`, `bits`, `curve`, or `params`.
function _M.new(some, opts)
  some = some or {}
  local id, err
  if type(some) == "table" then
    if some.params then
      id, err = compose(some)
    else
      id, err = generate(some)
    end
    if not id then
      return nil, "pkey.new:new_key: " .. err
    end
  elseif type(some) == "string" then
    id, err = load(some, type(opts) == "table" and opts or {})
    if not id then
      return nil, "pkey.new:load_key: " .. err
    end
  elseif is_ctx(some) then
    local name = ops.key_info(some.id)
    return setmetatable({ ctx = some, key_type = ops.object(name).nid }, mt)
  elseif type(some) == "cdata" then
    -- an `EVP_PKEY *` to what `ngx.ssl` parsed; whoever takes it says by `ffi.gc(key.ctx, nil)` that it is not his
    local behind = object.behind(some, object.KEY)
    id = behind and ops.key_held(behind)
    if not id then
      return nil, "pkey.new: expect a EVP_PKEY* cdata at #1"
    end
    local key = setmetatable({ key_type = ops.object(ops.key_info(id)).nid }, mt)
    key.ctx = wrap(id, key)
    return key
  else
    return nil, "pkey.new: unexpected type " .. type(some) .. " at #1"
  end
  return from(id)
end

--- The object that says what kind of key it is, or only its number.
function _M:get_key_type(nid_only)
  if nid_only then
    return self.key_type
  end
  return ops.object(self.key_type)
end

--- The most bytes that a signature of the key takes.
function _M:get_size()
  local _, _, _, size = ops.key_info(self.ctx.id)
  return size
end

--- The digest that signatures are made over unless another is named.
function _M:get_default_digest_type()
  local name = ops.key_info(self.ctx.id)
  if name == "X25519" or name == "X448" or name == "dhKeyAgreement" then
    return nil, "operation is not supported by the public key algorithm"
  end
  local okp = name == "ED25519" or name == "ED448"
  local d = ops.object(okp and 0 or "SHA256") or { id = "", nid = 0, sn = "UNDEF", ln = "undefined" }
  d.mandatory = okp
  return d
end

function _M:get_provider_name()
  return "default"
end

--- The key's numbers, by name: `bn` objects, but octets of Ed25519 and X25519.
function _M:get_parameters()
  local id = self.ctx.id
  local name, _, curve = ops.key_info(id)
  -- the cdata stays in reach, so that the number stays valid
  local holder = self.ctx
  return setmetatable({}, {
    __index = function(_, k)
      if curve and k == "group" then
        return ops.object(curve).nid
      end
      local bytes = ops.key_part(holder.id, k)
      if not bytes or (name ~= "rsaEncryption" and name ~= "dhKeyAgreement" and not curve) then
        return bytes
      end
      return bn.from_binary(bytes)
    end,
  })
end

local KINDS = { rsaEncryption = "RSA", ["id-ecPublicKey"] = "EC", dhKeyAgreement = "DH" }
local NAMES = {
  RSA = { "n", "e", "d", "p", "q", "dmp1", "dmq1", "iqmp" },
  EC = { "group", "public", "private" },
  DH = { "p", "q", "g", "public", "private" },
  OKP = { "public", "private" },
}

--- Gives the key other numbers; those that are not named stay, but for what another prime or private part says.
function _M:set_parameters(new)
  local name = ops.key_info(self.ctx.id)
  local kind = KINDS[name] or name
  local old, params = self:get_parameters(), {}
  for _, k in ipairs(NAMES[kind] or NAMES.OKP) do
    params[k] = old[k]
  end
  if new.private and not new.public then
    params.public = nil
  elseif new.x or new.y or new.public then
    params.public, params.private = nil, nil
  end
  if new.p and kind == "DH" then
    params.q = nil
  end
  for k, v in pairs(new) do
    params[k] = v
  end
  local id, err = compose({ type = kind, params = params })
  if not id then
    return false, "pkey:set_parameters: " .. err
  end
  self.ctx = wrap(id)
  return true
end

function _M:is_private()
  local _, private = ops.key_info(self.ctx.id)
  return private
end

-- padding, salt length and digest names, in the order of the ops; nil and why
local function options(self, padding, opts, prefix)
  local rsa = ops.key_info(self.ctx.id) == "rsaEncryption"
  if not rsa then
    return true, nil
  end
  if padding ~= nil then
    local number = tonumber(padding)
    if not number then
      return nil, "invalid padding: " .. tostring(padding)
    end
    padding = number
  end
  if not opts then
    return true, padding
  end
  local salt, oaep, mgf1 = opts.pss_saltlen, opts.oaep_md, opts.mgf1_md
  for _, c in ipairs(opts) do
    if type(c) == "string" then
      local k, v = c:match("([_%w]+):([_%w]+)")
      if not k then
        return nil, prefix .. ": unknown ctrl str: " .. c
      elseif k == "rsa_pss_saltlen" then
        salt = v == "digest" and -1 or tonumber(v)
      elseif k == "rsa_mgf1_md" then
        mgf1 = v
      elseif k == "rsa_oaep_md" then
        oaep = v
      elseif k == "rsa_padding_mode" then
        padding = ({ pkcs1 = PKCS1, none = 3, oaep = OAEP, pss = PSS })[v]
      end
    end
  end
  return true, padding, salt, oaep, mgf1
end

local CALLS = { sign_raw = "sign", recover = "verify_recover" }

local function crypt(self, name, s, padding, opts)
  if type(s) ~= "string" then
    return nil, "pkey:asymmetric_routine: expect a string at #1"
  end
  local ok, pad, salt, oaep, mgf1 = options(self, padding, opts, "pkey:asymmetric_routine")
  if not ok then
    return nil, pad
  end
  local out, err = ops["key_" .. name](self.ctx.id, s, pad, salt, oaep, mgf1)
  if not out then
    return nil, message("pkey:asymmetric_routine EVP_PKEY_" .. (CALLS[name] or name), err)
  end
  return out
end

--- Encrypts with RSA.
function _M:encrypt(s, padding, opts)
  return crypt(self, "encrypt", s, padding, opts)
end

--- Decrypts with RSA.
function _M:decrypt(s, padding, opts)
  return crypt(self, "decrypt", s, padding, opts)
end

--- What a signature of an RSA key was made over.
function _M:verify_recover(s, padding, opts)
  return crypt(self, "recover", s, padding, opts)
end

--- Signs octets as they are: with RSA under a padding, with EC as a digest.
function _M:sign_raw(s, padding, opts)
  local name, private, curve = ops.key_info(self.ctx.id)
  if name ~= "rsaEncryption" and not curve and not private then
    return nil, "pkey:sign_raw: missing private key"
  end
  return crypt(self, "sign_raw", s, padding, opts)
end

--- Whether `signature` is the key's for a digest that `md` made, or for octets as they are.
function _M:verify_raw(signature, digested, md, padding, opts)
  if type(signature) ~= "string" or type(digested) ~= "string" then
    return nil, "pkey:asymmetric_routine: expect a string at #1"
  end
  local ok, pad, salt, _, mgf1 = options(self, padding, opts, "pkey:asymmetric_routine")
  if not ok then
    return nil, pad
  end
  local good, err = ops.key_verify_raw(self.ctx.id, signature, digested, md, pad, salt, nil, mgf1)
  if good == nil then
    return nil, message("pkey:asymmetric_routine EVP_PKEY_verify", err)
  end
  return good
end

--- What this key and another's public part agree on.
function _M:derive(peerkey)
  if not istype(peerkey) then
    return nil, "pkey:derive: expect a pkey instance at #1"
  end
  local shared, err = ops.key_derive(self.ctx.id, peerkey.ctx.id)
  if not shared then
    return nil, message("pkey:derive: EVP_PKEY_derive", err)
  end
  return shared
end

object.missing(_M, "resty.openssl.pkey:", { "encapsulate", "decapsulate" })

-- what the ops sign: a string, or the number of a digest under way
local function signed(v)
  if type(v) == "string" then
    return v
  elseif type(v) == "table" and new_digest_type(v) then
    return v.ctx.id
  end
end

local function prepare(self, what, md, padding, opts)
  if type(what) == "string" and md ~= nil and not digest.new(md) then
    return nil, ('pkey:sign_verify_prepare: invalid digest type "%s"'):format(tostring(md))
  end
  local ok, pad, salt, oaep, mgf1 = options(self, padding, opts, "pkey:sign_verify_prepare")
  if not ok then
    return nil, pad
  end
  return true, pad, salt, oaep, mgf1
end

--- Signs a string (`md` names the digest), or a digest object.
function _M:sign(s, md, padding, opts)
  local name, private, curve = ops.key_info(self.ctx.id)
  if name ~= "rsaEncryption" and not curve and not private then
    return nil, "pkey:sign: missing private key"
  end
  local what = signed(s)
  if not what then
    return nil, "pkey:sign: expect a digest instance or a string at #1"
  end
  local ok, pad, salt, oaep, mgf1 = prepare(self, what, md, padding, opts)
  if not ok then
    return nil, pad
  end
  local signature, err = ops.key_sign(self.ctx.id, what, md, pad, salt, oaep, mgf1)
  if not signature then
    local step = type(what) == "string" and "EVP_DigestSign" or "EVP_SignFinal"
    return nil, message("pkey:sign: " .. step, err)
  end
  if curve and opts and opts.ecdsa_use_raw then
    return ops.ecdsa_to_raw(self.ctx.id, signature)
  end
  return signature
end

local RAW_SIZES = { prime192v1 = 48, prime256v1 = 64, secp256k1 = 64, secp384r1 = 96, secp521r1 = 132 }

--- Whether `signature` is the key's for a string (`md` names the digest) or a digest object.
function _M:verify(signature, s, md, padding, opts)
  if type(signature) ~= "string" then
    return nil, "pkey:verify: expect a string at #1"
  end
  local name, _, curve = ops.key_info(self.ctx.id)
  if curve and opts and opts.ecdsa_use_raw then
    local size = RAW_SIZES[curve]
    if #signature ~= size then
      return nil, ("pkey:sign: ecdsa.sig_raw2der: invalid signature length, expect %d but got %d")
        :format(size, #signature)
    end
    signature = ops.ecdsa_to_der(self.ctx.id, signature) or ""
  end
  local what = signed(s)
  if not what then
    return nil, "pkey:verify: expect a digest instance or a string at #2"
  end
  local ok, pad, salt, oaep, mgf1 = prepare(self, what, md, padding, opts)
  if not ok then
    return nil, pad
  end
  local good, err = ops.key_verify(self.ctx.id, signature, what, md, pad, salt, oaep, mgf1)
  if good then
    return true, nil
  elseif good == nil then
    return nil, message("pkey:sign_verify_prepare: Init failed", err)
  elseif name == "rsaEncryption" then
    return false, "pkey:verify: error:1C880004:Provider routines:rsa_verify:RSA lib:"
      .. "providers/implementations/signature/rsa_sig.c:774:"
  end
  return false, "pkey:verify failed"
end

require("moongate.openssl.pkey_params")(_M, KINDS)

--- The parameters that keys of a type are made in, as PEM.
function _M.paramgen(config)
  local kind, err = config.type, nil
  config, err = worded(config)
  if not config then
    return nil, "pkey.paramgen: generate_param: pkey:generate_param: " .. err
  elseif kind ~= "EC" and kind ~= "DH" then
    return nil, "pkey.paramgen: unsupported type " .. tostring(kind)
  end
  local pem
  pem, err = ops.params_new(kind == "EC" and (config.curve or "prime192v1") or nil, config.group, config.bits)
  if not pem then
    return nil, "pkey.paramgen: generate_param: " .. err
  end
  return pem
end

local PRIVATE = { private = true, PrivateKey = true }
local PUBLIC = { public = true, PublicKey = true }

--- The key as text: the "public" (default) or "private" part, in "PEM" (default), "DER" or "JWK".
function _M:tostring(part, format, pkcs1)
  if part and not PRIVATE[part] and not PUBLIC[part] then
    return nil, "pkey:tostring: can only export private or public key, not " .. tostring(part)
  end
  local private = PRIVATE[part] or false
  if format == "JWK" then
    return jwk.dump(self, private)
  elseif pkcs1 then
    if format ~= "PEM" or ops.key_info(self.ctx.id) ~= "rsaEncryption" then
      return nil, "PKCS#1 format is only supported to encode RSA key in \"PEM\" format"
    end
    return nil, "writing out RSA key in PKCS#1 format is not supported in OpenSSL 3.0"
  end
  local text = ops.key_write(self.ctx.id, private, format)
  if not text then
    return nil, "pkey:tostring: missing private key"
  end
  return text
end

--- The key as PEM.
function _M:to_PEM(part, pkcs1)
  return self:tostring(part, "PEM", pkcs1)
end

mt.__tostring = function(self)
  return self:tostring("public", "PEM")
end

return _M
