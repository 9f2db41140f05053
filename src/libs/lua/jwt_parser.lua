-- `kong.plugins.jwt.jwt_parser`: tokens (RFC 7519) read, verified and made, as the parser of Kong's jwt plugin does.
-- Plugins of others require it. Who drops in Kong's jwt plugin gets the plugin's own.

local json, b64 = require("cjson"), require("ngx.base64")
local openssl_mac, openssl_pkey = require("resty.openssl.mac"), require("resty.openssl.pkey")

local assert, error, pcall, type, tostring = assert, error, pcall, type, tostring
local setmetatable, getmetatable = setmetatable, getmetatable
local encode, decode = b64.encode_base64url, b64.decode_base64url

local RAW = { ecdsa_use_raw = true }

-- algorithm -> digest, kind, length of a signature
local ALGORITHMS = {
  HS256 = { "sha256", "hmac" }, HS384 = { "sha384", "hmac" }, HS512 = { "sha512", "hmac" },
  RS256 = { "sha256", "rsa" }, RS384 = { "sha384", "rsa" }, RS512 = { "sha512", "rsa" },
  ES256 = { "sha256", "ec", 64 }, ES384 = { "sha384", "ec", 96 }, ES512 = { "sha512", "ec", 132 },
  PS256 = { "sha256", "pss", 256 }, PS384 = { "sha384", "pss", 256 }, PS512 = { "sha512", "pss", 256 },
  EdDSA = { nil, "eddsa" },
}

-- What pkey's sign and verify take after the data.
local function terms(algorithm)
  local digest, kind = algorithm[1], algorithm[2]
  if kind == "ec" then
    return digest, nil, RAW
  elseif kind == "pss" then
    return digest, openssl_pkey.PADDINGS.RSA_PKCS1_PSS_PADDING
  end
  return digest
end

local function signature_of(algorithm, data, key)
  if algorithm[2] == "hmac" then
    return openssl_mac.new(key, "HMAC", nil, algorithm[1]):final(data)
  end
  return assert(assert(openssl_pkey.new(key)):sign(data, terms(algorithm)))
end

local function verifies(algorithm, data, signature, key)
  if algorithm[2] == "hmac" then
    return signature == signature_of(algorithm, data, key)
  end
  local pkey = openssl_pkey.new(key)
  assert(pkey, "Consumer Public Key is Invalid")
  local length = algorithm[3]
  if length and #signature ~= length then
    error("Signature must be " .. length .. " bytes" .. (algorithm[2] == "ec" and "." or ""), 0)
  end
  return pkey:verify(signature, data, terms(algorithm))
end

-- Read from the end: a pattern would look at each run of signs again from each of them, and a token is a stranger's.
local function unpadded(text)
  local n = #text
  while n > 0 and text:byte(n) == 61 do
    n = n - 1
  end
  return decode(text:sub(1, n))
end

-- The three parts; the last has what is left.
local function split(token)
  local first = token:find(".", 1, true)
  if not first then
    return token
  end
  local second = token:find(".", first + 1, true)
  if not second then
    return token:sub(1, first - 1), token:sub(first + 1)
  end
  return token:sub(1, first - 1), token:sub(first + 1, second - 1), token:sub(second + 1)
end

local function parse(token)
  local header_64, claims_64, signature_64 = split(token)
  local ok, header, claims, signature = pcall(function()
    return json.decode(unpadded(header_64)), json.decode(unpadded(claims_64)), unpadded(signature_64)
  end)
  if not ok then
    return nil, "invalid JSON"
  end
  local alg = type(header) == "table" and header.alg
  if type(alg) ~= "string" or not ALGORITHMS[alg] then
    return nil, "invalid alg"
  elseif not claims then
    return nil, "invalid claims"
  elseif not signature then
    return nil, "invalid signature"
  end
  return {
    token = token, header_64 = header_64, claims_64 = claims_64, signature_64 = signature_64,
    header = header, claims = claims, signature = signature,
  }
end

local M = {}
M.__index = M

--- Reads a token: its parts with the methods below, or nil and an error.
function M:new(token)
  if type(token) ~= "string" then
    error("Token must be a string, got " .. tostring(token), 2)
  end
  local jwt, err = parse(token)
  if not jwt then
    return nil, err
  end
  return setmetatable(jwt, M)
end

--- Whether the signature was made with the key: a secret, or a public key as PEM.
function M:verify_signature(key)
  return verifies(ALGORITHMS[self.header.alg], self.header_64 .. "." .. self.claims_64, self.signature, key)
end

function M:base64_decode(text) -- luacheck: ignore self
  return unpadded(text)
end

-- What registered claims mean now; an error's text, or nil.
local CLAIMS = {
  nbf = function(at)
    return at > ngx.time() and "token not valid yet" or nil
  end,
  exp = function(at)
    return at <= ngx.time() and "token expired" or nil
  end,
}

local several = {}

local function add(errors, name, err)
  errors = errors or {}
  local before = errors[name]
  if before == nil then
    errors[name] = err
  elseif getmetatable(before) == several then
    before[#before + 1] = err
  else
    errors[name] = setmetatable({ before, err }, several)
  end
  return errors
end

--- Judges the claims that are named, `exp` and `nbf`: true, or false and errors by claim.
function M:verify_registered_claims(names)
  local errors
  for _, name in pairs(names or {}) do
    local check, claim = CLAIMS[name], self.claims[name]
    if type(claim) ~= "number" then
      errors = add(errors, name, "must be a number")
    else
      local err = check(claim)
      if err then
        errors = add(errors, name, err)
      end
    end
  end
  return errors == nil, errors
end

--- Whether it expires within so many seconds; 0 is no limit.
function M:check_maximum_expiration(seconds)
  if seconds <= 0 then
    return true
  end
  local exp = self.claims.exp
  if exp == nil or exp - ngx.time() > seconds then
    return false, { exp = "exceeds maximum allowed expiration" }
  end
  return true
end

--- Makes a token of claims.
function M.encode(data, key, alg, header)
  if type(data) ~= "table" then
    error("Argument #1 must be table", 2)
  elseif type(key) ~= "string" then
    error("Argument #2 must be string", 2)
  elseif header and type(header) ~= "table" then
    error("Argument #4 must be a table", 2)
  end
  alg = alg or "HS256"
  local algorithm = ALGORITHMS[alg]
  if not algorithm then
    error("Algorithm not supported", 2)
  end
  local signed = encode(json.encode(header or { typ = "JWT", alg = alg })) .. "." .. encode(json.encode(data))
  return signed .. "." .. encode(signature_of(algorithm, signed, key))
end

return M
