--- `resty.openssl.pkey` and `.cipher`: what two keys agree on, signatures over octets as they are, ciphers in
--- pieces. The values are OpenSSL's.

local cipher = require "resty.openssl.cipher"
local pkey = require "resty.openssl.pkey"

local function hex(text)
  return (text:gsub("%x%x", function(pair)
    return string.char(tonumber(pair, 16))
  end))
end

local PAIRS = {
  prime256v1 = {
    [[
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgeEicDyaGwyhfT2D9
2vGEGfmFmgoWN1HTl+0vj7IPOLKhRANCAAQSaZvIsE5rrgkYtuEgcQ3ixDs8mnci
Q1i5YC6I8DfDU5j9pbmK9WftHKeiS/sMKtxEKJQ0kMucS0JH1CpEpS4Z
-----END PRIVATE KEY-----]],
    [[
-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAELYPsVytgGrfPntqsNbKTGEtTzz16
wt6V7TTjpbTpe71h+2MP+cl2yXXO9xGcAjdWo+V4uu80RUpu6Lx6CI9fZw==
-----END PUBLIC KEY-----]],
    "3e9927aefd89f8708e27f93a57b42a020c56e388a9a323133b7efa15781d1cfb",
  },
  secp521r1 = {
    [[
-----BEGIN PRIVATE KEY-----
MIHuAgEAMBAGByqGSM49AgEGBSuBBAAjBIHWMIHTAgEBBEIAg8Ahq+kiPQFfr/RD
fJVa7/XGmo2MYnxWuaKGU9GJP2vQi1g9mVXSuFb+a/VtORTBvS+mKORCbwWkk8kh
KM1ysJehgYkDgYYABAFBvwOYKzTvhfpAdUfospzebTO2D42nsQx/IsMAU6mZ9KeY
i2GKOryvwdvBPJtVxDXvPnUXJEs7guw+OP5oiTkbTwEdhL5DZ0cf4maq/JBoUMMM
DR7ZeGm9Si2T7NcNoFax/6gpgxVn7+H3HI5aOewwtV86X3OX7L+zZPa2gR4LUoiY
xQ==
-----END PRIVATE KEY-----]],
    [[
-----BEGIN PUBLIC KEY-----
MIGbMBAGByqGSM49AgEGBSuBBAAjA4GGAAQAxjZG0M0ltlmWsTCn15eY11rvGtZk
9qjqp0hW/Oyn+jlruZDQDou0Dy9aviPW3f9rcNUyI3eDAnrAHz4+bzlQcnEBgsOr
iJ/Nm14Aa6JYkFhabQS5IFGWcf4rYm39vZ59ElA5k3BBsiJsKwFQ+x/dSR6ppZ2v
wBJPPjh9TahCVjbfVwA=
-----END PUBLIC KEY-----]],
    "0151309f626f74a0184cfea7078bf9ad0228b00c2cb4e213df2d71262c329320e7"
      .. "6efeed8aae588924966d1824cc6b0ca6a746e649e85567d76bf5f5fe098bdf1d0a",
  },
  secp256k1 = {
    [[
-----BEGIN PRIVATE KEY-----
MIGEAgEAMBAGByqGSM49AgEGBSuBBAAKBG0wawIBAQQg4CnV3VmUQwUnyar10aS5
z40Dn2G+WpO583a53+bffR6hRANCAARjNUByXqdFcTcDPJ5OQ+UKmmmOapA+lMRT
b64AYG3U+jTucJYUpYEbGtvzSY2YQdDUnMDqnv7puHQzPPAzKfnF
-----END PRIVATE KEY-----]],
    [[
-----BEGIN PUBLIC KEY-----
MFYwEAYHKoZIzj0CAQYFK4EEAAoDQgAE9zxSpzQTKFCdMgCrLg1jWNC3YP6z5lyg
t5vIGlC73ZQAiYNw9dobsh+EwOr9Q6hRirAD7UhIij9ba30f+MGjwg==
-----END PUBLIC KEY-----]],
    "dbe268fbc095198cb2ff5f64f75104a3c607d8a1fa34642d32c08fd3a3877605",
  },
  X25519 = {
    [[
-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VuBCIEILh2CRILUKwmvMQZJVGGH8sEuhhzgqRjg1rEfYWK8lJ0
-----END PRIVATE KEY-----]],
    [[
-----BEGIN PUBLIC KEY-----
MCowBQYDK2VuAyEAgsBFO3dnewZb0i4b38TNt+dFQwbcykrLDX6Ds/Nw/y8=
-----END PUBLIC KEY-----]],
    "60e76ca837702b934d534b6bbc3822413f59fe6ca2be2704608c7f6379bbfe26",
  },
}

local ED448 = [[
-----BEGIN PRIVATE KEY-----
MEcCAQAwBQYDK2VxBDsEOZWWjZwBH1EIgQ6zQhBvGM6QhcLuTYmxx75adySC1R+t
+ytx/uj59cRBFB3TRWFVjlVJzByzdrZJ4g==
-----END PRIVATE KEY-----]]
local ED448_PUBLIC = [[
-----BEGIN PUBLIC KEY-----
MEMwBQYDK2VxAzoA4RLBcL3birwoPzRZ4Xl+6wUWgfzw371sNusc3FH5E0kQyxqt
91qZVeeqdOdk4hpo4I6Heaw1zHmA
-----END PUBLIC KEY-----]]
local ED448_SIGNATURE = "de5571ad92a8b665b8a4b011add2ef59b71abfc2cdc8a0fb361ef30cb096607e4fc4e05434c8c158"
  .. "b7973b840ff70501dda3a3ee2d956f70805ca43344a0bb81a73c6fe7dbbd254efc8869996ce9308fc4b8ae32b02ce39ed9abd1"
  .. "f13a9d8342e4ac2968e44d0e8bf8036bc995cd14fd2b00"
-- its second number is above half of the curve's order
local K256_SIGNATURE = "3045022012fc86b64451532d997a43ba8383d1c34e9859a0a3f61ecd8718dec1681d7057022100"
  .. "9b79a39d6f051f216b62cedc4db31e7efc8334783ff9b493f999519b6bfbfa32"

describe("D4 resty.openssl.pkey", function()
  it("derive gives what both keys agree on", function()
    for kind, pair in pairs(PAIRS) do
      local key, peer = pkey.new(pair[1]), pkey.new(pair[2])
      assert.equal(hex(pair[3]), key:derive(peer), kind)
      local shared, err = peer:derive(key)
      assert.is_nil(shared)
      assert.equal("pkey:derive: EVP_PKEY_derive: missing private key", err)
    end
  end)

  it("derive says why there is nothing", function()
    local key = pkey.new(PAIRS.prime256v1[1])
    assert.same({ nil, "pkey:derive: expect a pkey instance at #1" }, { key:derive("x") })
    for _, other in ipairs({ PAIRS.secp256k1[2], PAIRS.X25519[2], ED448_PUBLIC }) do
      local shared, err = key:derive(pkey.new(other))
      assert.is_nil(shared)
      assert.matches("^pkey:derive: EVP_PKEY_derive: error:different ", err)
    end
    local rsa = pkey.new()
    assert.same({ nil, "pkey:derive: EVP_PKEY_derive: error:operation not supported for this keytype" },
      { rsa:derive(rsa) })
  end)

  it("Ed448 signs as OpenSSL does", function()
    local key, public = pkey.new(ED448), pkey.new(ED448_PUBLIC)
    assert.equal("ED448", key:get_key_type().sn)
    assert.equal(114, key:get_size())
    assert.equal(hex(ED448_SIGNATURE), key:sign("hello"))
    assert.is_true(public:verify(hex(ED448_SIGNATURE), "hello"))
    assert.is_false(public:verify(hex(ED448_SIGNATURE), "hellO"))
    assert.is_false(public:is_private())
    assert.equal(ED448_PUBLIC, (key:to_PEM("public"):gsub("\n$", "")))
    assert.equal(ED448, (key:to_PEM("private"):gsub("\n$", "")))
    local again = pkey.new(key:tostring("private", "JWK"), { format = "JWK" })
    assert.equal(key:to_PEM("private"), again:to_PEM("private"))
    assert.is_true(pkey.new({ type = "Ed448" }):is_private())
  end)

  it("secp256k1 verifies either of two mirrored signatures", function()
    local key = pkey.new(PAIRS.secp256k1[1])
    assert.is_true(key:verify(hex(K256_SIGNATURE), "hello", "sha256"))
    assert.is_true(key:verify(key:sign("hello", "sha256"), "hello", "sha256"))
    assert.is_false(key:verify(hex(K256_SIGNATURE), "hellO", "sha256"))
    local raw = key:sign("hello", "sha256", nil, { ecdsa_use_raw = true })
    assert.equal(64, #raw)
    assert.is_true(key:verify(raw, "hello", "sha256", nil, { ecdsa_use_raw = true }))
    local jwk = require("cjson").decode(key:tostring("public", "JWK"))
    assert.equal("secp256k1", jwk.crv)
    assert.equal(714, key:get_parameters().group)
  end)

  it("signs octets as they are, and tells what was signed", function()
    local key = pkey.new()
    local digest = require("resty.openssl.digest").new("sha256"):final("text")
    local signature = key:sign_raw("text")
    assert.equal("text", key:verify_recover(signature))
    assert.is_true(key:verify_raw(signature, "text"))
    assert.is_false(key:verify_raw(signature, "another"))
    -- an ordinary signature: the digest with its name before it
    assert.equal(digest, key:verify_recover(key:sign("text", "sha256")):sub(-32))
    assert.is_true(key:verify_raw(key:sign("text", "sha256"), digest, "sha256"))
    local pss = key.PADDINGS.RSA_PKCS1_PSS_PADDING
    assert.is_true(key:verify_raw(key:sign("text", "sha256", pss), digest, "sha256", pss))
    local _, err = key:sign_raw(("x"):rep(300))
    assert.equal("pkey:asymmetric_routine EVP_PKEY_sign: error:data too large for key size", err)
    _, err = key:verify_recover(("x"):rep(256))
    assert.matches("^pkey:asymmetric_routine EVP_PKEY_verify_recover: error:", err)
    _, err = key:sign_raw({})
    assert.equal("pkey:asymmetric_routine: expect a string at #1", err)
    local ec = pkey.new(PAIRS.prime256v1[1])
    assert.is_true(ec:verify_raw(ec:sign_raw(digest), digest))
    assert.is_true(ec:verify(ec:sign_raw(digest), "text", "sha256"))
  end)
end)

describe("D4 resty.openssl.cipher", function()
  local key, iv = ("0"):rep(32), ("1"):rep(16)

  it("gives each block when it is whole", function()
    local c = cipher.new("aes-256-cbc")
    local whole = c:encrypt(key, iv, ("abcdefghi"):rep(5))
    c:init(key, iv, { is_encrypt = true })
    assert.equal("", c:update("abcdefghi"))
    assert.equal(whole:sub(1, 32), c:update("abcdefghi", ("abcdefghi"):rep(2)))
    assert.equal(whole:sub(33), c:final("abcdefghi"))

    c:init(key, iv)
    assert.equal("", c:update(whole:sub(1, 16)))
    assert.equal("abcdefghiabcdefg", c:update(whole:sub(17, 31)))
    local out, err = c:final()
    assert.is_nil(out)
    assert.matches("wrong final block length", err)
    assert.equal("hiabcdefghiabcdefghiabcdefghi", c:final(whole:sub(32)))
  end)

  it("streams GCM, with the tag of the whole", function()
    local c = cipher.new("aes-256-gcm")
    local text = ("abcdefghi"):rep(500)
    local whole = c:encrypt(key, iv:sub(1, 12), text, false, "aad")
    local tag = c:get_aead_tag(16)
    c:init(key, iv:sub(1, 12), { is_encrypt = true })
    c:update_aead_aad("aad")
    assert.equal(whole, c:update(text:sub(1, 1000)) .. c:update(text:sub(1001)) .. c:final())
    assert.equal(tag, c:get_aead_tag(16))
    c:init(key, iv:sub(1, 12))
    c:update_aead_aad("aad")
    c:set_aead_tag(tag)
    assert.equal(text, c:update(whole) .. c:final())
    c:init(key, iv:sub(1, 12))
    c:set_aead_tag(tag)
    c:update(whole)
    assert.same({ nil, "cipher:final: EVP_CipherFinal_ex failed" }, { c:final() })
    assert.same({ nil, "cipher:get_aead_tag failed" }, { c:get_aead_tag() })
  end)

  it("wraps keys", function()
    local c = cipher.new("aes-128-wrap")
    assert.same({ 16, 8, 8 }, { c.key_size, c.iv_size, c.block_size })
    local kek, plain = hex("000102030405060708090A0B0C0D0E0F"), hex("00112233445566778899AABBCCDDEEFF")
    local wrapped = c:encrypt(kek, ("\166"):rep(8), plain)
    assert.equal(hex("1FA68B0A8112B447AEF34BD8FB5A7B829D3E862371D2CFE5"), wrapped)
    assert.equal(plain, c:decrypt(kek, ("\166"):rep(8), wrapped))
    assert.same({ nil, "cipher:final failed" }, { c:decrypt(plain, ("\166"):rep(8), wrapped) })
    assert.same({ nil, "cipher:init: not supported: key wrap with an initial value of one's own" },
      { c:encrypt(kek, ("x"):rep(8), plain) })
  end)
end)
