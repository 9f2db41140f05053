--- `resty.openssl`: primes, Diffie-Hellman, parameters, PKCS#12 files, luaossl's names. The files are OpenSSL's.

local bn = require "resty.openssl.bn"
local cipher = require "resty.openssl.cipher"
local digest = require "resty.openssl.digest"
local kdf = require "resty.openssl.kdf"
local mac = require "resty.openssl.mac"
local openssl = require "resty.openssl"
local pkcs12 = require "resty.openssl.pkcs12"
local pkey = require "resty.openssl.pkey"
local provider = require "resty.openssl.provider"
local x509 = require "resty.openssl.x509"

local function hex(text)
  return (text:gsub("%x%x", function(pair)
    return string.char(tonumber(pair, 16))
  end))
end

local function sha256(text)
  return (digest.new("sha256"):final(text):gsub(".", function(c)
    return ("%02x"):format(c:byte())
  end))
end

local function dh(group)
  return assert(pkey.new({ type = "DH", group = group }))
end

local function p256()
  return assert(pkey.new({ type = "EC", curve = "prime256v1" }))
end

local MODP = [[
-----BEGIN PRIVATE KEY-----
MIH4AgEAMIHVBgkqhkiG9w0BAwEwgccCgcEA///////////JD9qiIWjCNMTGYouA
3BzRKQJOCIpnzHQCC76mOxObIlFKCHmONATd75UZs806QxswKwpt8l8UN0/hNW1t
UcJF5IW1dmJefsb0TELppjftawv/XLb0Brft7jhr+1qJn6WunyQRfEsf5kkoZlHs
5Fs9wgB8uKFjvwWY2kg2HFXTmmkWP6j9JM9fg2VdI9yjrZYcYvNWIIVSu57VKQdw
lpZtZww1Tkq8mATxdGwIyiNzJ///////////AgECBBsCGRm9Ij+d760fS20ytjvl
Hr3J5RYRPCqG47I=
-----END PRIVATE KEY-----]]
local PEER = [[
-----BEGIN PUBLIC KEY-----
MIIBnzCB1QYJKoZIhvcNAQMBMIHHAoHBAP//////////yQ/aoiFowjTExmKLgNwc
0SkCTgiKZ8x0Agu+pjsTmyJRSgh5jjQE3e+VGbPNOkMbMCsKbfJfFDdP4TVtbVHC
ReSFtXZiXn7G9ExC6aY37WsL/1y29Aa37e44a/taiZ+lrp8kEXxLH+ZJKGZR7ORb
PcIAfLihY78FmNpINhxV05ppFj+o/STPX4NlXSPco62WHGLzViCFUrue1SkHcJaW
bWcMNU5KvJgE8XRsCMojcyf//////////wIBAgOBxAACgcBHvAjBEAFSawKHbrtE
gRI+9aokyHvNJ6CAAHQVc8viGF+h77kndkE+dcEXmlRkphNvGy69/NJ06h4+3njR
krkvkflDNkNR0du9H3lmcoQ/7ftsraofJOTAdcDzzs7/+lEqz5y0nrpdJ8RKLlAI
hzanedbTf9esog+DZKE1CriDScTTpZBicAGbex6vI/lXdeKAyE+e/VjXxber3rwb
yTh4Tesu01RxEhMpP/zBoP0ad79iQvL71aYe9lbSca4SmZ0=
-----END PUBLIC KEY-----]]

-- encrypted by RC2 and triple DES, as files were before OpenSSL 3; the passphrase is "old"
local OLD = ngx.decode_base64(([[
MIIDwwIBAzCCA4kGCSqGSIb3DQEHAaCCA3oEggN2MIIDcjCCAj8GCSqGSIb3DQEHBqCCAjAwggIsAgEAMIICJQYJKoZIhvcNAQcB
MBwGCiqGSIb3DQEMAQYwDgQIpPu20ipgXGUCAggAgIIB+LBvTc4KZCLYc5w6YEEuuS2ko08euBvQs97rc3wvRDgWg9o+AGpGE2ec
5FsB27iy4Wpl0VWjyhPKblUeomUor23/UwowHSG+hv9+5dpT6CCP3HDeqD3U9CpDb7Fxf0dktC2vo99wLEe9r9CCWkNo5BbTw3xR
oNXY4SzTKzPbyhCtglQba2O4sKsgCp95/WNY0lcW5IKTJdEXXKhFISFcfRhRpAkKuO8O+/PYm5CU5m5/blhtDeBcQhBHe5oRPW+H
416+l0xzvT5oK+axI9MQiUneEr13kQiVS+2cv4z5kRbf7LovcV/OjQOuzxx9p/5HR+BDCh1y+WOfvyGoyN1GntL7sBleE0i1s7qn
YX3Jy85sCgizjOxOFRgzzcdxPtZhT+CiEJWxhPyqskw3mlOqSZrcxpLk9UoTPataBLtjSjIyjjCsDs/BSY1lfcGxBqLQGJGTdxHo
XFm1Cz7yITpLgzMuKGeFrcSjrWuiV/noGYE1oD9fnwuMVnTtdguI5/y59FmxhNLgiXMkje7FLxU0BucOjbuFOZH3RSZ42znpfSOo
zS1U977QCXahSoTnBJeUYb+1ULEyGtkTTNytTTqpcKm8p3pLOwDQAHpp+ZcgQ3VmzBLunRjqCd232lKWFxlp0ObrO+o2e7f76KvG
G6mJ0gP2/+xp/saMZzCCASsGCSqGSIb3DQEHAaCCARwEggEYMIIBFDCCARAGCyqGSIb3DQEMCgECoIG0MIGxMBwGCiqGSIb3DQEM
AQMwDgQImPUZy8iJMY8CAggABIGQnE8B8WLFz9cKC6s25lkpmi76X0axHdo1teq+3/jJYHZGOmtpFW/rlr4HkO2WRF9J7p/vciXd
izlo7eyPAbngLzebSoU8h7+P+a3+0LIoAEA0k0FR7Xjk/WHkDuOgdbG2jzYNGZ4wked+iaFiCWizo+ban9Nsg0sjDkTvw7KwRCb9
NTU9Cad1GeGpA7281jKlMUowIwYJKoZIhvcNAQkUMRYeFABhAG4AIABvAGwAZAAgAG8AbgBlMCMGCSqGSIb3DQEJFTEWBBQRpuz9
+8PLB0Agg5T/0dG1ba7tWzAxMCEwCQYFKw4DAhoFAAQUmhzRhpgoVO3JhF8HeE9zRIaT2QAECKBw5Prv7GMOAgIIAA==]]):gsub("%s", ""))
-- of today, with an empty passphrase
local EMPTY = ngx.decode_base64(([[
MIID/AIBAzCCA7IGCSqGSIb3DQEHAaCCA6MEggOfMIIDmzCCAlIGCSqGSIb3DQEHBqCCAkMwggI/AgEAMIICOAYJKoZIhvcNAQcB
MFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAh5+V4YcWN+TgICCAAwDAYIKoZIhvcNAgkFADAdBglghkgBZQMEASoEEAad
KvZKE1xkyLAhRT890TOAggHQkDa01wS7ApRWU+HUiga1MWCgMQKJaP2jrdJtG9LcZoj3+txyvs++mvlS9mfwa7sxQQWEm8lLgVjc
HhHww6KeTChElt71F+LUeSvSva/wGYQ04eSlDpe7OnAwfxF3ttju8CcmsQEXDqiw1iorA3AP41cFVo6bYzjaQXBHD+RqbSW4VMIe
yZKkozyrplD8ZadR8glHIOtimI7DxdDFIWfHtBmQGspYKOPK7sxFZiPiR3dV880/qjDj3Cbi36C026ohcgzB419gClFFDWKZ0jQ4
JMdQ+HU/it7ztXfWlb7m+BXj4YZatpdtbr5t/zklFg9Q44wEn9OmhOFqnfq+X5PddYSvNsX4L6YVNFI6DKAN59opC0f7dP4pPXQ9
J+P3BoaSKj9HjglRLfVTQPgX2xSky4uZcCa4WcJUYKLvoF63a1XHy7BZQwxh1VGbi5hVtliGl3PMYbfMxaZsaVLNGxZTfY0qn1hC
1ufply98v0aPAV19Y1dB3EuQOmZN0CGX8IChO7hjo3tdwsOqe5n5cMaYAfsvRLMAO1Mwl/TlwvhLXPkxAMx9TLKBGj8ktNWO+H6T
DrWmsNPp//3dtTEHZGnNjztDrj+byuJJk1cAXCM7e4swggFBBgkqhkiG9w0BBwGgggEyBIIBLjCCASowggEmBgsqhkiG9w0BDAoB
AqCB7zCB7DBXBgkqhkiG9w0BBQ0wSjApBgkqhkiG9w0BBQwwHAQImxgs3B25E7oCAggAMAwGCCqGSIb3DQIJBQAwHQYJYIZIAWUD
BAEqBBDK8GR/U90pqHOVPoGtSrIcBIGQibnvg1thbgneeaP+RUrzHRDgCzKYfR5IWIelEAWIU4u74hFmhnZcTc6cqoW9WQ6Tpj1j
KRhqb0Y6VCFRBfTWBjQYffZhbS/xvtYYHyyRGxw+y3CHBb2ivoUK3W+Rl4PcUyn0YqRNorNpUibL849JyN++eYPIAYZ4K+DZCc4h
GPLWGJqKxVOAPo48TbVAqiMuMSUwIwYJKoZIhvcNAQkVMRYEFBGm7P37w8sHQCCDlP/R0bVtru1bMEEwMTANBglghkgBZQMEAgEF
AAQgehMQtWLC8n6Ilof/AgCYTN487bEjiFvdA27b4V8JPYMECJx+Q0LRin6tAgIIAA==]]):gsub("%s", ""))
local CERT = [[
-----BEGIN CERTIFICATE-----
MIIBczCCARmgAwIBAgIUI3GoJbJayG/PT4EZDVsmvlVdaG4wCgYIKoZIzj0EAwIw
DjEMMAoGA1UEAwwDb3duMCAXDTI2MTEyNjE1MDEwNloYDzIwNTQwNDEyMTUwMTA2
WjAOMQwwCgYDVQQDDANvd24wWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAASD6bHy
sXYLiL+2QYoP2zmsx2BC71rH7a8Uy3A5vQQ/05XARTE5v5uKyPQdgMg+ecoIV1uS
B04WhFaChlj1Wryfo1MwUTAdBgNVHQ4EFgQUIdRfTQPMMcIkXdG8mElPQPlrCOcw
HwYDVR0jBBgwFoAUIdRfTQPMMcIkXdG8mElPQPlrCOcwDwYDVR0TAQH/BAUwAwEB
/zAKBggqhkjOPQQDAgNIADBFAiAYIQ49z9nqb0l99fNpIipjdjoW5Mq6k8zWq+gd
0FrWVgIhANMBAdAmgH1IhB1WIVodO6C97cMT9eVnqBOOwxZwezNg
-----END CERTIFICATE-----]]

describe("D1 resty.openssl.bn primes", function()
  it("are found, of the bits that are asked for", function()
    for bits = 2, 64 do
      local n = assert(bn.generate_prime(bits))
      assert.is_true(n:is_prime())
      assert.is_true(n < bn.new(1):lshift(bits) and n >= bn.new(1):lshift(bits - 1))
    end
    local safe = assert(bn.generate_prime(96, true))
    assert.is_true(safe:is_prime() and safe:rshift(1):is_prime())
  end)

  it("are told from other numbers", function()
    for _, n in ipairs({ 2, 3, 5, 65537, 4294967291 }) do
      assert.is_true(bn.new(n):is_prime())
    end
    -- the last three deceive simple tests
    for _, n in ipairs({ 0, 1, 4, 561, 1105, 3215031751 }) do
      assert.is_false(bn.new(n):is_prime())
    end
    assert.is_false((-bn.new(7)):is_prime())
    assert.same({ nil, "not supported: primes of more than 16384 bits" }, { bn.new(1):lshift(16384):is_prime() })
    assert.same({ nil, "bn:is_prime: expect a number at #1" }, { bn.new(7):is_prime("x") })
  end)

  it("have limits", function()
    local _, err = bn.generate_prime(1)
    assert.equal("bn.BN_generate_prime_ex: error:1800007B:bignum routines:BN_generate_prime_ex2:"
      .. "bits too small:bn/bn_prime.c:145:", err)
    _, err = bn.generate_prime(100000)
    assert.equal("bn.BN_generate_prime_ex: not supported: primes of more than 4096 bits", err)
    _, err = bn.generate_prime("x")
    assert.matches("bits too small", err)
  end)
end)

describe("D1 resty.openssl.pkey Diffie-Hellman", function()
  it("agrees on what OpenSSL agrees on", function()
    local key, peer = assert(pkey.new(MODP)), assert(pkey.new(PEER))
    assert.equal("dhKeyAgreement", key:get_key_type().sn)
    assert.is_true(key:is_private())
    assert.is_false(peer:is_private())
    local shared = sha256(assert(key:derive(peer)))
    assert.equal("36bdabe78c87828be53261b6f2e00a65491448f595da028e16d6b6921262d47f", shared)
    assert.equal(MODP, (key:to_PEM("private"):gsub("%s+$", "")))
    assert.equal(PEER, (peer:to_PEM("public"):gsub("%s+$", "")))
    assert.matches("missing private key", select(2, peer:derive(key)))
    assert.matches("different key types", select(2, key:derive(pkey.new({ type = "EC" }))))
    assert.matches("pkey:sign: ", select(2, key:sign("text", "sha256")))
  end)

  it("makes keys in named groups, in new ones and from numbers", function()
    for _, group in ipairs({ "dh_1024_160", "dh_2048_224", "dh_2048_256", "ffdhe2048", "modp_2048" }) do
      local a, b = dh(group), dh(group)
      assert.equal(assert(a:derive(b)), assert(b:derive(pkey.new(a:to_PEM()))))
    end
    local other = assert(pkey.new({ type = "DH", bits = 512 }))
    local p = other:get_parameters()
    assert.is_true(p.p:is_prime() and p.p:rshift(1):is_prime())
    assert.equal("2", tostring(p.g))
    assert.matches("invalid public key", select(2, other:derive(dh("dh_1024_160"))))
    local same = assert(pkey.new({ type = "DH", params = { p = p.p, g = p.g, private = p.private } }))
    assert.equal(tostring(p.public), tostring(same:get_parameters().public))
    local _, err = pkey.new({ type = "DH", group = "x" })
    assert.equal("pkey.new:new_key: generate_param: unknown pre-defined group x", err)
    _, err = pkey.new({ type = "DH", params = { p = p.p, g = bn.new(1), private = p.private } })
    assert.matches("invalid parameter", err)
  end)

  it("refuses a peer in a small subgroup", function()
    local own = dh("dh_1024_160")
    local p = own:get_parameters()
    -- to the power q, what is left of a number lies in the others
    local q = bn.from_hex("F518AA8781A8DF278ABA4E7D64B7CB9D49462353")
    assert.equal("1", tostring(bn.mod_exp(p.g, q, p.p)))
    local small = bn.mod_exp(bn.new(2), q, p.p)
    local peer = assert(pkey.new({ type = "DH", params = { p = p.p, g = p.g, public = small } }))
    assert.matches("invalid public key", select(2, own:derive(peer)))
    -- PEM does not say the order
    assert.matches("invalid public key", select(2, pkey.new(own:to_PEM("private")):derive(peer)))
    assert.is_string(own:derive(dh("dh_1024_160")))
  end)

  it("takes other numbers", function()
    local from, to = dh("dh_1024_160"), dh("ffdhe2048")
    local p = from:get_parameters()
    assert.is_true(to:set_parameters({ p = p.p, g = p.g, private = p.private, public = p.public }))
    assert.equal(from:to_PEM("private"), to:to_PEM("private"))
    local ec, other = p256(), p256()
    assert.is_true(ec:set_parameters({ private = other:get_parameters().private }))
    assert.equal(other:to_PEM("private"), ec:to_PEM("private"))
    local ok, err = ec:set_parameters({ x = bn.new(1), y = bn.new(1) })
    assert.is_false(ok)
    assert.matches("^pkey:set_parameters: failed to construct EC key", err)
    assert.equal(other:to_PEM("private"), ec:to_PEM("private"))
  end)

  it("X448 is RFC 7748's", function()
    local private = hex("9a8f4925d1519f5775cf46b04b5800d4ee9ee8bae8bc5565d498c28dd9c9baf574a94197448973910063"
      .. "82a6f127ab1d9ac2d8c0a598726b")
    local public = hex("3eb7a829b0cd20f5bcfc0b599b6feccf6da4627107bdb0d4f345b43027d8b972fc3e34fb4232a13ca706"
      .. "dcb57aec3dae07bdc1c67bf33609")
    local alice = assert(pkey.new({ type = "X448", params = { private = private } }))
    local bob = assert(pkey.new({ type = "X448", params = { public = public } }))
    assert.equal(hex("07fff4181ac6cc95ec1c16a94a0f74d12da232ce40a77552281d282bb60c0b56fd2464c335543936521c2440"
      .. "3085d59a449a5037514a879d"), alice:derive(bob))
    assert.equal(56, #pkey.new(alice:to_PEM("private")):get_parameters().private)
    local low = assert(pkey.new({ type = "X448", params = { public = ("\0"):rep(56) } }))
    assert.matches("failed during derivation", select(2, alice:derive(low)))
  end)

  it("parameters go out and come back", function()
    for _, config in ipairs({ { type = "DH", group = "dh_1024_160" }, { type = "EC", curve = "secp384r1" },
      { type = "EC", "ec_paramgen_curve:secp384r1" } }) do
      local pem = assert(pkey.paramgen(config))
      local key = assert(pkey.new({ type = config.type, param = pem }))
      assert.equal(config.type == "EC" and 715 or nil, key:get_parameters().group)
      assert.is_true(key:is_private())
    end
    assert.same({ nil, "pkey.paramgen: unsupported type RSA" }, { pkey.paramgen({ type = "RSA" }) })
    assert.same({ nil, "pkey.paramgen: generate_param: unknown curve x" },
      { pkey.paramgen({ type = "EC", curve = "x" }) })
    assert.matches("load_pem_der: ", select(2, pkey.new({ type = "EC", param = "none" })))
  end)
end)

describe("D1 resty.openssl.pkcs12", function()
  it("reads OpenSSL's files, old and new", function()
    local found = assert(pkcs12.decode(OLD, "old"))
    assert.equal("an old one", found.friendly_name)
    assert.equal(CERT, (found.cert:tostring():gsub("%s+$", "")))
    assert.is_true(found.cert:check_private_key(found.key))
    assert.is_nil(found.cacerts)
    for _, passphrase in ipairs({ "", false }) do
      found = assert(pkcs12.loads(EMPTY, passphrase or nil))
      assert.equal(CERT, (found.cert:tostring():gsub("%s+$", "")))
    end
  end)

  it("says what is wrong", function()
    for _, wrong in ipairs({ "", "new", "OLD" }) do
      local none, err = pkcs12.decode(OLD, wrong)
      assert.is_nil(none)
      assert.matches("^pkcs12.decode: PKCS12_parse: error:11800071:PKCS12 routines:PKCS12_parse:mac verify", err)
    end
    assert.matches("^pkcs12.decode: d2i_PKCS12_bio: error:", select(2, pkcs12.decode(OLD:sub(1, 500), "old")))
    assert.matches("^pkcs12.decode: d2i_PKCS12_bio", select(2, pkcs12.decode("", "old")))
    assert.same({ nil, "pkcs12.decode: expect a string at #1" }, { pkcs12.decode(1) })
    local key, cert = p256(), x509.new(CERT)
    assert.matches("key doesn't match cert: .+key values mismatch",
      select(2, pkcs12.encode({ key = key, cert = cert })))
    assert.same({ nil, "pkcs12.encode: expect key to be a pkey instance" }, { pkcs12.encode({}) })
    assert.same({ nil, "pkcs12.encode: expect cert to be a x509 instance" }, { pkcs12.encode({ key = key }) })
    assert.same({ nil, "pkcs12.encode: expect passphrase to be a string" }, { pkcs12.encode({}, 1) })
    key = pkcs12.decode(OLD, "old").key
    local options = { key = key, cert = cert, nid_key = "x" }
    assert.same({ nil, "pkcs12.encode: invalid nid_key" }, { pkcs12.encode(options) })
    options.nid_key = "PBE-SHA1-RC2-40"
    assert.matches("encrypt error", select(2, pkcs12.encode(options)))
  end)

  it("writes what it reads", function()
    local from = pkcs12.decode(OLD, "old")
    for _, nid in ipairs({ 0, "aes-128-cbc", "AES-192-CBC", "PBE-SHA1-3DES" }) do
      local text = assert(pkcs12.encode({
        key = from.key,
        cert = from.cert,
        cacerts = { from.cert },
        friendly_name = "m\195\182",
        nid_key = nid,
        nid_cert = nid,
        mac_iter = 10,
        iter = 10,
      }, "p\195\164ss"))
      local found = assert(pkcs12.decode(text, "p\195\164ss"))
      assert.equal("m\195\182", found.friendly_name)
      assert.equal(from.key:to_PEM("private"), found.key:to_PEM("private"))
      assert.equal(1, #found.cacerts)
    end
    assert.is_false(provider.is_available("legacy"))
    local legacy = assert(provider.load("legacy"))
    assert.is_true(provider.is_available("legacy"))
    assert.equal("OpenSSL Legacy Provider", legacy:get_params("name"))
    assert.is_true(legacy:unload())
    assert.is_false(provider.is_available("legacy"))
    assert.is_nil((provider.load("fips")))
  end)
end)

describe("D1 resty.openssl parameters", function()
  it("of ciphers", function()
    local key, iv = ("0"):rep(32), ("0"):rep(12)
    local c = cipher.new("aes-256-gcm")
    local text = c:encrypt(key, iv, "secret", false, "aad")
    local tag = assert(c:get_param("tag", 16))
    assert.same({ 32, 12, iv }, { c:get_param("keylen"), c:get_param("ivlen"), c:get_param("iv") })
    local d = cipher.new("aes-256-gcm")
    assert(d:init(key, iv))
    assert.is_true(d:set_params({ tag = tag }))
    d:update_aead_aad("aad")
    assert.equal("secret", d:final(text))
    assert.same({ false, 'cipher:set_params: param:construct: unknown key "x"' }, { d:set_params({ x = 1 }) })
    assert.same({ nil, 'cipher:get_param: unknown key "x"' }, { d:get_param("x") })
    local cbc = cipher.new("aes-128-cbc")
    assert(cbc:init(("k"):rep(16), ("v"):rep(16), { is_encrypt = true }))
    assert.is_true(cbc:set_params({ padding = 0 }))
    assert.equal(16, #cbc:final(("t"):rep(16)))
    assert.same({ "padding", "unsigned integer (max 4 bytes large)" }, cbc:settable_params()[1])
  end)

  it("of MACs, derivations and keys", function()
    local m = mac.new("other", "HMAC", nil, "sha384")
    assert.same({ 48, 128 }, { m:get_param("size"), m:get_param("block-size") })
    assert.is_true(m:set_params({ key = "key", digest = "sha256" }))
    assert.equal(mac.new("key", "HMAC", nil, "sha256"):final("x"), m:final("x"))
    assert.is_false((m:set_params({ digest = "x" })))
    assert.same({ false, 'mac:set_params: param:construct: key "key" can\'t be a table' },
      { m:set_params({ key = {} }) })
    local k = kdf.new("PBKDF2")
    assert.equal("18446744073709551615", tostring(k:get_param("size", nil, "bn")))
    assert.same({ false, 'kdf:set_params: param:construct: unknown key "x"' }, { k:set_params({ x = 1 }) })
    assert.is_true(k:set_params({ iter = 10, salt = "s", digest = "sha256" }))
    assert.equal(20, #k:derive(20, { pass = "p" }))
    local h = kdf.new("HKDF")
    assert.is_true(h:set_params({ mode = 1, digest = "sha256" }))
    assert.equal(32, h:get_param("size"))
    local ec = pkey.new({ type = "EC", curve = "secp384r1" })
    assert.same({ 384, 192, "secp384r1" },
      { ec:get_param("bits"), ec:get_param("security-bits"), ec:get_param("group") })
    assert.equal(tostring(ec:get_parameters().private), tostring(ec:get_param("priv", nil, "bn")))
    assert.is_true(ec:set_params({ ["point-format"] = "UNCOMPRESSED" }))
    assert.matches("not supported: point%-format compressed",
      select(2, ec:set_params({ ["point-format"] = "compressed" })))
    assert.equal(2048, dh("ffdhe2048"):get_param("bits"))
    assert.same({}, digest.new("sha256"):gettable_params())
  end)
end)

describe("D1 resty.openssl", function()
  it("lists the suites of TLS", function()
    local all = openssl.list_ssl_ciphers()
    assert.matches("^TLS_AES_256_GCM_SHA384:.+:ECDHE%-RSA%-AES128%-GCM%-SHA256$", all)
    assert.equal("ECDHE-RSA-AES128-GCM-SHA256",
      openssl.list_ssl_ciphers("X:ECDHE-RSA-AES128-GCM-SHA256", nil, "TLSv1.2"))
    assert.matches("no cipher match", select(2, openssl.list_ssl_ciphers("X")))
    assert.same({ false, "FIPS mode is not enabled" }, { openssl.get_fips_version_text() })
    assert.is_false((openssl.set_fips_mode(true)))
  end)

  it("has luaossl's names and manners for those who ask", function()
    local code = [[
      local openssl = require "resty.openssl"
      openssl.luaossl_compat()
      openssl.luaossl_compat()
      local ok, err = pcall(openssl.pkey.new, "none")
      local cert = openssl.x509.new(...)
      return ok, err, tostring(cert:getSubject():find("CN").blob), cert:getSerial() ~= nil, #openssl.x509.toPEM(cert)
    ]]
    local kept = {}
    for name in pairs(package.loaded) do
      if name:find("^resty%.openssl") or name:find("^moongate%.openssl") then
        kept[name], package.loaded[name] = package.loaded[name], nil
      end
    end
    local got = { pcall(loadstring(code), CERT) }
    for name, module in pairs(kept) do
      package.loaded[name] = module
    end
    assert.is_true(got[1], got[2])
    assert.is_false(got[2])
    assert.matches("pkey.new%(%): pkey.new:load_key: ", got[3])
    assert.same({ "own", true }, { got[4], got[5] })
  end)
end)
