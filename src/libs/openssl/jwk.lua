--- JSON Web Keys, as `resty.openssl.pkey` reads and writes them.

local cjson = require "cjson.safe"
local b64 = require "ngx.base64"
local free = require("moongate.ops").cdata.free
local ops = require("moongate.ops").openssl

local ipairs, tostring, type = ipairs, tostring, type

local _M = {}

local RSA_FIELDS = { "n", "e", "d", "p", "q", "dp", "dq", "qi" }
local RSA_PARTS = { n = "n", e = "e", d = "d", p = "p", q = "q", dp = "dmp1", dq = "dmq1", qi = "iqmp" }
local EC_SIZES = { ["P-256"] = 32, ["P-384"] = 48, ["P-521"] = 66, secp256k1 = 32 }
local CURVES = { prime256v1 = "P-256", secp384r1 = "P-384", secp521r1 = "P-521", secp256k1 = "secp256k1" }
local OKP = { ED25519 = "Ed25519", ED448 = "Ed448", X25519 = "X25519" }

-- the bytes of a field; nil when it is not there, and why when it cannot be read
local function field(jwk, name, required)
  local text = jwk[name]
  if type(text) ~= "string" then
    if required then
      return nil, 'jwk:load_jwk: missing required parameter "' .. name .. '"'
    end
    return nil
  end
  local bytes = b64.decode_base64url(text)
  if not bytes then
    return nil, 'jwk:load_jwk: cannot decode parameter "' .. name .. '" from base64 ' .. text
  end
  return bytes
end

local function fromdata(id, err)
  if not id then
    return nil, "jwk:load_jwk: EVP_PKEY_fromdata(): " .. err
  end
  return id
end

local function load_rsa(jwk, public_only)
  local parts = {}
  for i, name in ipairs(RSA_FIELDS) do
    if i <= 2 or not public_only then
      local err
      parts[i], err = field(jwk, name, i <= 2)
      if err then
        return nil, err
      end
    end
  end
  local p = parts
  return fromdata(ops.key_from_rsa(p[1], p[2], p[3], p[4], p[5], p[6], p[7], p[8]))
end

local function load_ec(jwk, public_only)
  local crv = jwk.crv
  if type(crv) ~= "string" then
    return nil, 'jwk:load_jwk: missing required parameter "crv"'
  end
  local x, y, d, err
  x, err = field(jwk, "x", true)
  if err then
    return nil, err
  end
  y, err = field(jwk, "y", true)
  if err then
    return nil, err
  end
  if not public_only then
    d, err = field(jwk, "d")
    if err then
      return nil, err
    end
  end
  local size = EC_SIZES[crv]
  if not size then
    return nil, "jwk:load_jwk: pad_ec_coordinate: unsupported curve " .. crv
  end
  local longest = #x > size and #x or #y
  if longest > size then
    return nil, ("jwk:load_jwk: pad_ec_coordinate: coordinate length %d is longer than expected %d")
      :format(longest, size)
  end
  return fromdata(ops.key_from_ec(crv, x, y, d))
end

local function load_okp(jwk, public_only)
  local crv = jwk.crv
  if not crv then
    return nil, 'jwk:load_jwk: missing "crv" parameter from OKP JWK'
  elseif not jwk.x and not jwk.d then
    return nil, 'jwk:load_jwk: missing at least one of "x" or "d" parameter from OKP JWK'
  end
  local x, d, err
  x, err = field(jwk, "x")
  if err then
    return nil, err
  end
  d, err = field(jwk, "d")
  if err then
    return nil, err
  end
  if not OKP[tostring(crv):upper()] then
    return nil, "jwk:load_jwk: EVP_PKEY_CTX_new_from_name() failed"
  end
  local id
  id, err = fromdata(ops.key_from_okp(crv, x, d))
  if id and d and public_only then
    local public = ops.key_part(id, "public")
    free(id)
    return fromdata(ops.key_from_okp(crv, public))
  end
  return id, err
end

local LOADERS = { RSA = load_rsa, EC = load_ec, OKP = load_okp }

--- The number of the key that a JSON text describes; `part` is "pu" for the public part only. Or nil and why.
function _M.load(text, part)
  local jwk, err = cjson.decode(text)
  if err then
    return nil, "jwk:load_jwk: error decoding JSON from JWK: " .. err
  elseif type(jwk) ~= "table" then
    return nil, "jwk:load_jwk: except input to be decoded as a table, got " .. type(jwk)
  elseif not jwk.kty then
    return nil, 'jwk:load_jwk: missing "kty" parameter from JWK'
  end
  local load = LOADERS[jwk.kty]
  if not load then
    return nil, "jwk:load_jwk: EVP_PKEY_CTX_new_from_name() failed"
  end
  return load(jwk, part == "pu")
end

--- The JSON text of a key object, with the private part if wanted. Or nil and why.
function _M.dump(pkey, private)
  if private and not pkey:is_private() then
    return nil, "jwk.dump_jwk: could not dump public key as private key"
  end
  local id = pkey.ctx.id
  local name, _, curve = ops.key_info(id)
  local function part(which)
    return b64.encode_base64url(ops.key_part(id, which))
  end
  local jwk
  if name == "rsaEncryption" then
    jwk = { kty = "RSA" }
    for i = 1, private and #RSA_FIELDS or 2 do
      local field_name = RSA_FIELDS[i]
      jwk[field_name] = part(RSA_PARTS[field_name])
    end
  elseif curve then
    jwk = { kty = "EC", crv = CURVES[curve], x = part("x"), y = part("y") }
    if private then
      jwk.d = part("private")
    end
  else
    jwk = { kty = "OKP", crv = OKP[name], x = part("public") }
    if private then
      jwk.d = part("private")
    end
  end
  local der = ops.key_write(id, private, "DER")
  jwk.kid = b64.encode_base64url(require("moongate.ops").libs.digest("sha256", der))
  return cjson.encode(jwk)
end

return _M
