--- `resty.openssl.kdf`: PBKDF2, HKDF, scrypt and TLS 1's PRF, in the newer way (`new`, then `derive`) and the
--- older one (`derive` with a table that names the type).

local ops = require("moongate.ops").openssl
local version_text = require("resty.openssl.version").version_text
local hmac = require "resty.openssl.hmac"
local bn = require "resty.openssl.bn"
local digest = require "resty.openssl.digest"
local params = require "moongate.openssl.params"

local ipairs, pairs, rawget, setmetatable = ipairs, pairs, rawget, setmetatable
local concat, tonumber, tostring, type = table.concat, tonumber, tostring, type

local EXTRACT_AND_EXPAND, EXTRACT_ONLY, EXPAND_ONLY = 0, 1, 2

-- the types have OpenSSL's numbers
local _M = {
  HKDEF_MODE_EXTRACT_AND_EXPAND = EXTRACT_AND_EXPAND,
  HKDEF_MODE_EXTRACT_ONLY = EXTRACT_ONLY,
  HKDEF_MODE_EXPAND_ONLY = EXPAND_ONLY,
  PBKDF2 = 69,
  SCRYPT = 973,
  TLS1_PRF = 1021,
  HKDF = 1036,
}
local mt = { __index = _M }

local MODES = {
  EXTRACT_AND_EXPAND = EXTRACT_AND_EXPAND,
  EXTRACT_ONLY = EXTRACT_ONLY,
  EXPAND_ONLY = EXPAND_ONLY,
}

local FAILED = "error:30000DF:digital envelope routines:EVP_KDF_derive:invalid data"

local function pbkdf2(o, length)
  return ops.pbkdf2(o.digest or "sha1", o.pass or "", o.salt or "", tonumber(o.iter) or 2048, length)
end

local function hkdf(o, length)
  local mode = MODES[o.mode] or tonumber(o.mode) or EXTRACT_AND_EXPAND
  return ops.hkdf(o.digest or "sha1", mode, o.key or "", o.salt or "", o.info or "", length)
end

local function scrypt(o, length)
  local n, r, p = tonumber(o.n) or 1048576, tonumber(o.r) or 8, tonumber(o.p) or 1
  return ops.scrypt(o.pass or "", o.salt or "", n, r, p, length)
end

-- RFC 5246, 5: what the digest makes of a secret and a seed, over and over
local function prf(md, secret, seed, length)
  if not hmac.new(secret, md) then
    return nil
  end
  local function of(text)
    return hmac.new(secret, md):final(text)
  end
  local out, size, a = {}, 0, seed
  while size < length do
    a = of(a)
    out[#out + 1] = of(a .. seed)
    size = size + #out[#out]
  end
  return concat(out):sub(1, length)
end

local function tls1_prf(o, length)
  return prf(o.digest or "sha1", o.secret or "", o.seed or "", length)
end

local KINDS = {
  PBKDF2 = pbkdf2,
  HKDF = hkdf,
  SCRYPT = scrypt,
  ["ID-SCRYPT"] = scrypt,
  ["TLS1-PRF"] = tls1_prf,
}
-- what each cannot do without
local NEEDED = { [pbkdf2] = { "pass", "salt" }, [hkdf] = { "key" }, [tls1_prf] = { "secret", "seed" } }

--- A key derivation by name.
function _M.new(name)
  local derive = KINDS[tostring(name):upper()]
  if not derive then
    return nil, ('mac.new: invalid mac type "%s": '):format(tostring(name))
      .. "error:308010C:digital envelope routines:inner_evp_generic_fetch:unsupported:evp/evp_fetch.c:355:"
  end
  return setmetatable({ ctx = name, _derive = derive, _params = {} }, mt)
end

--- Whether `v` is a key derivation.
function _M.istype(v)
  return type(v) == "table" and rawget(v, "_derive") ~= nil
end

-- the older way: fields, whether they are numbers, and for which type they are needed ("all" for all)
local FIELDS = {
  { "outlen", true, "all" },
  { "pass" },
  { "salt" },
  { "md" },
  { "pbkdf2_iter", true },
  { "hkdf_key", false, _M.HKDF },
  { "hkdf_mode", true },
  { "hkdf_info" },
  { "scrypt_maxmem", true },
  { "scrypt_N", true, _M.SCRYPT },
  { "scrypt_r", true, _M.SCRYPT },
  { "scrypt_p", true, _M.SCRYPT },
  { "tls1_prf_secret", false, _M.TLS1_PRF },
  { "tls1_prf_seed", false, _M.TLS1_PRF },
}

local function checked(options, kind)
  local o = {}
  for i = 1, #FIELDS do
    local name, is_number, needed = FIELDS[i][1], FIELDS[i][2], FIELDS[i][3]
    local v = options[name]
    if not v then
      if needed == "all" or needed == kind then
        return nil, '"' .. name .. '" must be set'
      end
    elseif is_number then
      o[name] = tonumber(v)
    elseif type(v) ~= "string" then
      return nil, 'except a string as "' .. name .. '"'
    else
      o[name] = v
    end
  end
  return o
end

local function hkdf_needs(o)
  local mode = o.hkdf_mode or EXTRACT_AND_EXPAND
  if mode == EXTRACT_AND_EXPAND and not (o.salt and o.hkdf_info) then
    return '""salt" and "hkdf_info" are required for EXTRACT_AND_EXPAND mode'
  elseif mode == EXTRACT_ONLY and not o.salt then
    return '"salt" is required for EXTRACT_ONLY mode'
  end
end

local function derive_by_table(options)
  local kind = options.type
  if not kind then
    return nil, 'kdf.derive: "type" must be set'
  elseif type(kind) ~= "number" then
    return nil, 'kdf.derive: expect a number as "type"'
  elseif kind <= 0 then
    return nil, "kdf.derive: kdf type " .. kind .. " not supported in " .. version_text
  end
  local o, err = checked(options, kind)
  err = err or kind == _M.HKDF and hkdf_needs(o)
  if err then
    return nil, "kdf.derive: " .. err
  end
  local md = o.md or "sha1"
  local out
  if kind == _M.PBKDF2 then
    out = ops.pbkdf2(md, o.pass or "", o.salt or "", o.pbkdf2_iter or 1, o.outlen)
  elseif kind == _M.SCRYPT then
    out = ops.scrypt(o.pass or "", o.salt or "", o.scrypt_N, o.scrypt_r, o.scrypt_p, o.outlen)
  elseif kind == _M.HKDF then
    local mode = o.hkdf_mode or EXTRACT_AND_EXPAND
    out = ops.hkdf(md, mode, o.hkdf_key or "", o.salt or "", o.hkdf_info or "", o.outlen)
  elseif kind == _M.TLS1_PRF then
    out = prf(md, o.tls1_prf_secret, o.tls1_prf_seed, o.outlen)
  else
    return nil, ("kdf.derive: unknown type %d"):format(kind)
  end
  if not out then
    return nil, "kdf.derive: " .. FAILED
  end
  return out
end

--- Derives `length` bytes as `options` say (`pass`, `salt`, `iter`, `digest`; `key`, `info`, `mode`; `n`, `r`,
--- `p`).
function _M:derive(length, options)
  if not _M.istype(self) then
    return derive_by_table(self)
  end
  local o = {}
  for k, v in pairs(self._params) do
    o[k] = v
  end
  for k, v in pairs(options or {}) do
    o[k] = v
  end
  for _, name in ipairs(NEEDED[self._derive] or {}) do
    if o[name] == nil then
      return nil, "kdf:derive: error:1C800000:Provider routines::missing " .. name
    end
  end
  local out = self._derive(o, length)
  if not out then
    return nil, "kdf:derive: " .. FAILED
  end
  return out
end

local U, TEXT, OCTETS = params.UNSIGNED, params.UTF8, params.OCTETS
local DIGEST, PROPERTIES = { "digest", TEXT }, { "properties", TEXT }
local SETTABLE = {
  [pbkdf2] = { PROPERTIES, DIGEST, { "pass", OCTETS }, { "salt", OCTETS }, { "iter", U, 8 },
    { "pkcs5", params.INTEGER, 4 } },
  [hkdf] = { { "mode", TEXT }, { "mode", params.INTEGER, 4 }, PROPERTIES, DIGEST, { "key", OCTETS },
    { "salt", OCTETS }, { "info", OCTETS } },
  [scrypt] = { { "pass", OCTETS }, { "salt", OCTETS }, { "n", U, 8 }, { "r", U, 4 }, { "p", U, 4 },
    { "maxmem_bytes", U, 8 }, PROPERTIES },
  [tls1_prf] = { PROPERTIES, DIGEST, { "secret", OCTETS }, { "seed", OCTETS } },
}
local GETTABLE = { { "size", U, 8 } }
-- what C calls SIZE_MAX: the most that may be derived
local UNLIMITED = bn.new("18446744073709551615")

-- `set_params` keeps options for `derive`
params.install(_M, "kdf", function()
  return GETTABLE
end, function(self)
  local o = self._params
  if self._derive == hkdf and (MODES[o.mode] or tonumber(o.mode)) == EXTRACT_ONLY then
    return #digest.new(o.digest):final("")
  end
  return UNLIMITED
end, function(self)
  return SETTABLE[self._derive]
end, function(self, name, value)
  self._params[name] = value
  return true
end)

--- Forgets what was kept.
function _M:reset()
  self._params = {}
  return true
end

--- Where OpenSSL would have found the algorithm.
function _M:get_provider_name()
  return "default"
end

return _M
