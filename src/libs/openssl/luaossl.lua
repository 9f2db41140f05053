--- luaossl's names and manners on the modules of `resty.openssl`.

local error, ipairs, pairs, rawget, setmetatable = error, ipairs, pairs, rawget, setmetatable
local select, tostring, type, unpack = select, tostring, type, unpack

-- ours by theirs, where more than the spelling differs
local ALIASES = {
  csr = { setSubject = "set_subject_name", setPublicKey = "set_pubkey" },
  x509 = {
    setPublicKey = "set_pubkey",
    getPublicKey = "get_pubkey",
    setSerial = "set_serial_number",
    getSerial = "get_serial_number",
    setSubject = "set_subject_name",
    getSubject = "get_subject_name",
    setIssuer = "set_issuer_name",
    getIssuer = "get_issuer_name",
    getOCSP = "get_ocsp_url",
  },
  crl = { add = "add_revoked", lookupSerial = "get_by_serial" },
}

local KDF = {
  iter = "pbkdf2_iter",
  key = "hkdf_key",
  info = "hkdf_info",
  secret = "tls1_prf_secret",
  seed = "tls1_prf_seed",
  maxmem_bytes = "scrypt_maxmem",
  N = "scrypt_N",
  r = "scrypt_r",
  p = "scrypt_p",
}

local function manners(openssl)
  local pkey, cipher, digest, store, kdf = openssl.pkey, openssl.cipher, openssl.digest, openssl.store, openssl.kdf
  local new, init, update, verify, derive = pkey.new, cipher.init, digest.update, store.verify, kdf.derive

  function pkey.new(some, options)
    if type(some) == "string" then
      return new(some, options and unpack(options))
    end
    return new(some, options)
  end

  function cipher:encrypt(key, iv, padding)
    return self, init(self, key, iv, { is_encrypt = true, no_padding = not padding })
  end

  function cipher:decrypt(key, iv, padding)
    return self, init(self, key, iv, { is_encrypt = false, no_padding = not padding })
  end

  function digest:update(...)
    local ok, err = update(self, ...)
    return ok and self or nil, err
  end

  function store.verify(...)
    local chain, err = verify(...)
    if err then
      return false, err
    end
    return true, chain
  end

  function kdf.derive(options)
    local own = {}
    for k, v in pairs(options) do
      own[KDF[k] or k] = v
    end
    if type(own.hkdf_mode) == "string" then
      own.hkdf_mode = kdf["HKDEF_MODE_" .. own.hkdf_mode:upper()]
    end
    return derive(own)
  end
end

local function files(openssl)
  local pkcs12, x509 = openssl.pkcs12, openssl.x509
  local encode, decode = pkcs12.encode, pkcs12.decode

  function pkcs12.new(options)
    if not options.key then
      return nil, "key must be set"
    end
    local own = { key = options.key, friendly_name = options.friendly_name, cacerts = {} }
    for _, cert in ipairs(options.certs) do
      if not x509.istype(cert) then
        return nil, "certs must contains only x509 instance"
      elseif not own.cert and cert:check_private_key(options.key) then
        own.cert = cert
      else
        own.cacerts[#own.cacerts + 1] = cert
      end
    end
    return encode(own, options.passphrase)
  end

  function pkcs12.parse(p12, passphrase)
    local found, err = decode(p12, passphrase)
    if not found then
      error(err, 2)
    end
    return found.key, found.cert, found.cacerts
  end
end

local function raising(name, f)
  local function checked(...)
    local n = select("#", ...)
    local last = n > 1 and select(n, ...)
    if last and not (...) then
      error(name .. "(): " .. tostring(last), 3)
    end
    return ...
  end
  return function(...)
    return checked(f(...))
  end
end

local done

--- Does it, once.
return function(openssl)
  if done then
    return
  end
  done = true
  manners(openssl)
  files(openssl)
  for name, aliases in pairs(ALIASES) do
    for theirs, ours in pairs(aliases) do
      openssl[name][theirs] = openssl[name][ours]
    end
  end
  for name, module in pairs(openssl) do
    if type(module) == "table" and name ~= "bignum" and name ~= "version" then
      local wrapped = {}
      for k, f in pairs(module) do
        if type(f) == "function" and k:sub(1, 1) ~= "_" and k ~= "parse" and k ~= "istype" then
          wrapped[k] = raising(name .. "." .. k, f)
        end
      end
      for k, f in pairs(wrapped) do
        module[k] = f
      end
      setmetatable(module, {
        __index = function(_, k)
          local spelled = type(k) == "string" and k:gsub("PEM$", "_PEM"):gsub("(%l)(%u)", function(a, b)
            return a .. "_" .. b:lower()
          end)
          local f = spelled ~= k and rawget(module, spelled)
          return type(f) == "function" and f or nil
        end,
      })
    end
  end
end
