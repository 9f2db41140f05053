--- OpenSSL's parameters of keys, for `resty.openssl.pkey`.

local ops = require("moongate.ops").openssl
local bn = require "resty.openssl.bn"
local params = require "moongate.openssl.params"

local ipairs, tonumber, tostring = ipairs, tonumber, tostring

local U, TEXT, OCTETS = params.UNSIGNED, params.UTF8, params.OCTETS
local GETTABLE = {
  { "bits", params.INTEGER, 4 },
  { "security-bits", params.INTEGER, 4 },
  { "max-size", params.INTEGER, 4 },
}
-- of each kind more: OpenSSL's name, the type, ours
local MORE = {
  RSA = { { "n", U }, { "e", U }, { "d", U }, { "rsa-factor1", U, nil, "p" }, { "rsa-factor2", U, nil, "q" },
    { "rsa-exponent1", U, nil, "dmp1" }, { "rsa-exponent2", U, nil, "dmq1" },
    { "rsa-coefficient1", U, nil, "iqmp" } },
  EC = { { "group", TEXT }, { "encoding", TEXT }, { "point-format", TEXT }, { "pub", OCTETS, nil, "public" },
    { "qx", U, nil, "x" }, { "qy", U, nil, "y" }, { "priv", U, nil, "private" } },
  DH = { { "p", U }, { "q", U }, { "g", U }, { "pub", U, nil, "public" }, { "priv", U, nil, "private" } },
  OKP = { { "pub", OCTETS, nil, "public" }, { "priv", OCTETS, nil, "private" } },
}
local SETTABLE = { EC = { { "encoding", TEXT }, { "point-format", TEXT } } }
local ONLY = { encoding = "named_curve", ["point-format"] = "uncompressed" }
-- NIST's strength of an RSA modulus, and of a group's, by its bits
local STRENGTH = { { 15360, 256 }, { 8192, 200 }, { 7680, 192 }, { 4096, 152 }, { 3072, 128 }, { 2048, 112 },
  { 1024, 80 }, { 0, 56 } }
local OKP_BITS = { ED25519 = { 256, 128 }, X25519 = { 253, 128 }, ED448 = { 456, 224 }, X448 = { 448, 224 } }

--- Gives the module its functions; `kinds` are the names of kinds by those of objects.
return function(_M, kinds)
  local function kind_of(self)
    local name, _, curve, size = ops.key_info(self.ctx.id)
    return kinds[name] or "OKP", name, curve, size
  end

  local function bits_of(self)
    local kind, name, curve = kind_of(self)
    if kind == "OKP" then
      return OKP_BITS[name][1], OKP_BITS[name][2]
    elseif kind == "EC" then
      local bits = tonumber(curve:match("%d%d%d"))
      return bits, bits == 521 and 256 or bits / 2
    end
    local modulus = ops.key_part(self.ctx.id, kind == "DH" and "p" or "n")
    local bits, first = #modulus * 8, modulus:byte()
    while first < 128 do
      bits, first = bits - 1, first * 2
    end
    for _, step in ipairs(STRENGTH) do
      if bits >= step[1] then
        return bits, step[2]
      end
    end
  end

  params.install(_M, "pkey", function(self)
    local all = {}
    for i, p in ipairs(GETTABLE) do
      all[i] = p
    end
    for _, p in ipairs(MORE[kind_of(self)]) do
      all[#all + 1] = p
    end
    return all
  end, function(self, name)
    if name == "bits" then
      return (bits_of(self))
    elseif name == "security-bits" then
      local _, strength = bits_of(self)
      return strength
    elseif name == "max-size" then
      return self:get_size()
    end
    local kind, _, curve = kind_of(self)
    if name == "group" then
      return curve
    end
    for _, p in ipairs(MORE[kind]) do
      if p[1] == name then
        local bytes = not ONLY[name] and ops.key_part(self.ctx.id, p[4] or name)
        return ONLY[name] or bytes and (p[2] == U and bn.from_binary(bytes) or bytes)
      end
    end
  end, function(self)
    return SETTABLE[kind_of(self)] or {}
  end, function(_, name, value)
    if tostring(value):lower() ~= ONLY[name] then
      return nil, "not supported: " .. name .. " " .. tostring(value)
    end
    return true
  end)
end
