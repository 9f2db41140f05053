local bn = require "resty.openssl.bn"
local cipher = require "resty.openssl.cipher"
local digest = require "resty.openssl.digest"
local hmac = require "resty.openssl.hmac"
local kdf = require "resty.openssl.kdf"
local mac = require "resty.openssl.mac"
local pkey = require "resty.openssl.pkey"
local rand = require "resty.openssl.rand"
local x509 = require "resty.openssl.x509"
local altname = require "resty.openssl.x509.altname"
local chain = require "resty.openssl.x509.chain"
local extension = require "resty.openssl.x509.extension"
local name = require "resty.openssl.x509.name"
local store = require "resty.openssl.x509.store"

local cjson = require "cjson"
local count = require("moongate.cdata").count
local to_hex = require("resty.string").to_hex

local P256 = { type = "EC", curve = "prime256v1" }

-- a certificate of `key` for a year from now, signed by `by`
local function issue(subject, key, issuer, by, edit)
  local cert = assert(x509.new())
  assert(cert:set_version(3))
  assert(cert:set_serial_number(bn.new(7)))
  assert(cert:set_lifetime(os.time() - 60, os.time() + 86400 * 365))
  assert(cert:set_subject_name(name.new():add("C", "US"):add("CN", subject)))
  assert(cert:set_issuer_name(name.new():add("C", "US"):add("CN", issuer)))
  assert(cert:set_pubkey(key))
  if edit then
    edit(cert)
  end
  assert(cert:sign(by))
  return cert
end

local function as_ca(cert)
  assert(cert:set_basic_constraints({ CA = true }))
end

describe("B2 resty.openssl.pkey", function()
  local made = {
    { { type = "RSA", bits = 2048 }, "rsaEncryption", 6 },
    { P256, "id-ecPublicKey", 408 },
    { { type = "EC", curve = "secp384r1" }, "id-ecPublicKey", 408 },
    { { type = "EC", curve = "secp521r1" }, "id-ecPublicKey", 408 },
    { { type = "Ed25519" }, "ED25519", 1087 },
  }

  for _, m in ipairs(made) do
    local label = m[1].curve or m[1].type

    it("makes, writes and reads " .. label, function()
      local key = assert(pkey.new(m[1]))
      assert.is_true(key:is_private())
      assert.equal(m[2], key:get_key_type().sn)
      assert.equal(m[3], key:get_key_type(true))
      for _, format in ipairs({ "PEM", "DER", "JWK" }) do
        for _, part in ipairs({ "private", "public" }) do
          local again = assert(pkey.new(assert(key:tostring(part, format)), { format = format }))
          assert.equal(part == "private", again:is_private())
          assert.equal(key:to_PEM("public"), again:to_PEM("public"))
          assert.equal(key:to_PEM("public"), assert(pkey.new(key:tostring(part, format))):to_PEM())
        end
      end
      local public = pkey.new(key:to_PEM("public"))
      assert.same({ nil, "jwk.dump_jwk: could not dump public key as private key" },
        { public:tostring("private", "JWK") })
      assert.is_nil((public:to_PEM("private")))
    end)

    it("signs and verifies with " .. label, function()
      local key = assert(pkey.new(m[1]))
      local public = pkey.new(key:to_PEM("public"))
      local md = m[1].type ~= "Ed25519" and "sha256" or nil
      local signature = assert(key:sign("text", md))
      assert.is_true(public:verify(signature, "text", md))
      assert.is_false((public:verify(signature, "other", md)))
      assert.is_false((public:verify("junk", "text", md)))
      local none, err = public:sign("text", md)
      assert.is_nil(none)
      assert.matches("missing private key", err)
      if md then
        local d = digest.new("sha512")
        d:update("te", "xt")
        assert.is_true(public:verify(key:sign(d), "text", "sha512"))
        assert.is_true(public:verify(key:sign("text", "sha512"), d))
      end
    end)
  end

  it("reads only the part that is wanted", function()
    local key = pkey.new(P256)
    local private, public = key:to_PEM("private"), key:to_PEM("public")
    local unsupported = "pkey.new:load_key: error:1E08010C:DECODER routines:OSSL_DECODER_from_bio:"
    for text, part in pairs({ [private] = "pu", [public] = "pr" }) do
      local none, err = pkey.new(text, { format = "PEM", type = part })
      assert.is_nil(none)
      assert.equal(unsupported, err:sub(1, #unsupported))
    end
    assert.truthy(pkey.new(private, { format = "PEM", type = "pr" }))
    assert.truthy(pkey.new(public, { format = "PEM", type = "pu" }))
  end)

  it("makes raw ECDSA signatures as tokens have them", function()
    local raw = { ecdsa_use_raw = true }
    for curve, size in pairs({ prime256v1 = 64, secp384r1 = 96, secp521r1 = 132 }) do
      local key = pkey.new({ type = "EC", curve = curve })
      local signature = assert(key:sign("text", "sha256", nil, raw))
      assert.equal(size, #signature)
      assert.is_true(key:verify(signature, "text", "sha256", nil, raw))
      assert.is_false((key:verify(("\0"):rep(size), "text", "sha256", nil, raw)))
      local none, err = key:verify("short", "text", "sha256", nil, raw)
      assert.is_nil(none)
      local wrong = "pkey:sign: ecdsa.sig_raw2der: invalid signature length, expect %d but got 5"
      assert.equal(wrong:format(size), err)
    end
  end)

  it("does PSS and OAEP", function()
    local key = pkey.new({ bits = 2048 })
    local PSS = pkey.PADDINGS.RSA_PKCS1_PSS_PADDING
    local signature = assert(key:sign("text", "sha256", PSS))
    assert.is_true(key:verify(signature, "text", "sha256", PSS))
    assert.is_false((key:verify(signature, "text", "sha256")))
    assert.is_true(key:verify(key:sign("text", "sha256", PSS, { pss_saltlen = 20 }), "text", "sha256", PSS))
    for _, padding in ipairs({ pkey.PADDINGS.RSA_PKCS1_PADDING, pkey.PADDINGS.RSA_PKCS1_OAEP_PADDING }) do
      assert.equal("secret", key:decrypt(assert(key:encrypt("secret", padding)), padding))
    end
    local opts = { oaep_md = "sha256", mgf1_md = "sha256" }
    assert.equal("secret", key:decrypt(key:encrypt("secret", 4, opts), 4, opts))
    assert.is_nil((key:decrypt(key:encrypt("secret", 4, opts), 4)))
    assert.is_nil((key:encrypt(("x"):rep(300))))
  end)

  it("gives the numbers", function()
    local rsa = pkey.new({ bits = 2048 }):get_parameters()
    assert.equal("65537", rsa.e:to_dec())
    assert.equal(256, #rsa.n:to_binary())
    assert.equal(tostring(rsa.n), tostring(rsa.p * rsa.q))
    assert.is_nil(rsa.nonsense)
    local key = pkey.new(P256)
    local params = key:get_parameters()
    assert.equal(415, params.group)
    assert.equal("\4" .. params.x:to_binary(32) .. params.y:to_binary(32), params.public:to_binary())
    local again = assert(pkey.new({
      type = "EC",
      params = { group = "prime256v1", x = params.x, y = params.y, private = params.private },
    }))
    assert.equal(key:to_PEM("private"), again:to_PEM("private"))
    assert.is_nil(pkey.new(key:to_PEM()):get_parameters().private)
    assert.equal(32, #pkey.new({ type = "Ed25519" }):get_parameters().private)
  end)

  it("says what is wrong, and does not raise", function()
    local cases = {
      { { "" }, "unsupported" },
      { { "junk" }, "unsupported" },
      { { "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n" }, "unsupported" },
      { { "junk", { format = "DER" } }, "not enough data" },
      { { "junk", { format = "XML" } }, "expecting 'DER', 'PEM', 'JWK' or '*' as \"format\"" },
      { { "junk", { type = "x" } }, "expecting 'pr', 'pu' or '*' as \"type\"" },
      { { "junk", { passphrase = 1 } }, "passphrase must be a string" },
      { { "{", { format = "JWK" } }, "error decoding JSON from JWK" },
      { { "[]", { format = "JWK" } }, 'missing "kty" parameter from JWK' },
      { { '{"kty":"RSA","n":"AQAB"}', { format = "JWK" } }, 'missing required parameter "e"' },
      { { '{"kty":"EC","crv":"P-256","x":"AQ","y":"AQ"}', { format = "JWK" } }, "point is not on curve" },
      { { '{"kty":"EC","crv":"P-1","x":"AQ","y":"AQ"}', { format = "JWK" } }, "unsupported curve P-1" },
      { { '{"kty":"oct","k":"AQ"}', { format = "JWK" } }, "EVP_PKEY_CTX_new_from_name() failed" },
      { { '{"kty":"OKP","crv":"Ed25519","x":"AQ"}', { format = "JWK" } }, "EVP_PKEY_fromdata()" },
      { { { type = "EC", curve = "nope" } }, "pkey.new:new_key: generate_param: unknown curve nope" },
      { { { type = "nope" } }, "pkey.new:new_key: EVP_PKEY_CTX_new_from_name: " },
      { { { bits = 100 } }, "key size too small" },
      { { 1 }, "pkey.new: unexpected type number at #1" },
      { { true }, "pkey.new: unexpected type boolean at #1" },
    }
    for _, case in ipairs(cases) do
      local key, err = pkey.new(unpack(case[1]))
      assert.is_nil(key)
      assert.truthy(err:find(case[2], 1, true), err)
    end
    local key = pkey.new(P256)
    assert.same({ nil, 'pkey:sign_verify_prepare: invalid digest type "nope"' }, { key:sign("x", "nope") })
    assert.same({ nil, "pkey:sign: expect a digest instance or a string at #1" }, { key:sign({}) })
    assert.same({ nil, "pkey:verify: expect a string at #1" }, { key:verify(1, "x") })
    assert.same({ nil, "pkey:tostring: can only export private or public key, not both" },
      { key:tostring("both") })
    assert.has_error(function() key:encapsulate() end, "not supported: resty.openssl.pkey:encapsulate")
  end)

  it("knows its own", function()
    local key, cert = pkey.new(P256), x509.new()
    assert.is_true(pkey.istype(key))
    assert.equal("cdata", type(key.ctx))
    for _, other in ipairs({ cert, {}, { ctx = 1 }, { ctx = {} }, "text", 1, false }) do
      assert.falsy(pkey.istype(other))
    end
    assert.truthy(pkey.new(key.ctx):is_private())
    assert.same({ nil, "pkey.new: expect a EVP_PKEY* cdata at #1" }, { pkey.new(cert.ctx) })
  end)

  it("gives back what Rust holds", function()
    collectgarbage()
    collectgarbage()
    local before = count()
    local text = pkey.new(P256):to_PEM("private")
    for _ = 1, 200 do
      assert(pkey.new(text):get_parameters().x)
    end
    assert.is_true(count() >= before)
    collectgarbage()
    collectgarbage()
    assert.is_true(count() <= before + 2)
  end)
end)

describe("B2 resty.openssl.x509", function()
  local root_key, leaf_key, root, leaf

  setup(function()
    root_key, leaf_key = pkey.new(P256), pkey.new({ bits = 2048 })
    root = issue("root", root_key, "root", root_key, as_ca)
    leaf = issue("leaf", leaf_key, "root", root_key, function(cert)
      local names = altname.new():add("DNS", "example.com"):add("IP", "::1"):add("email", "a@b.c")
      assert(cert:set_subject_alt_name(names))
      assert(cert:add_extension(assert(extension.new("keyUsage", "critical,digitalSignature"))))
      assert(cert:add_extension(assert(extension.new("subjectKeyIdentifier", "hash", { subject = cert }))))
    end)
  end)

  it("is read from what it writes", function()
    for _, format in ipairs({ "PEM", "DER" }) do
      local text = assert(leaf:tostring(format))
      for _, as in ipairs({ format, "*" }) do
        assert.equal(leaf:digest("sha256"), assert(x509.new(text, as)):digest("sha256"))
      end
      assert.is_nil((x509.new(text, format == "PEM" and "DER" or "PEM")))
    end
    assert.equal(leaf:to_PEM(), tostring(leaf))
    assert.equal(leaf:to_PEM(), x509.dup(leaf.ctx):to_PEM())
    assert.same({ nil, "x509:tostring: can only write PEM or DER format, not JSON" },
      { leaf:tostring("JSON") })
    local bundle = "text before\n" .. leaf:to_PEM() .. root:to_PEM()
    assert.equal(leaf:to_PEM(), x509.new(bundle):to_PEM())
  end)

  it("says what is in it", function()
    assert.equal(3, leaf:get_version())
    assert.equal("07", leaf:get_serial_number():to_hex())
    local not_before, not_after = leaf:get_lifetime()
    assert.equal(leaf:get_not_before(), not_before)
    assert.equal(86400 * 365 + 60, not_after - not_before)
    assert.equal("C=US/CN=leaf", leaf:get_subject_name():tostring())
    assert.equal("C=US/CN=root", tostring(leaf:get_issuer_name()))
    assert.equal(20, #leaf:digest())
    assert.equal(32, #leaf:pubkey_digest("sha256"))
    assert.same({ nil, 'x509:digest: invalid digest type "nope"' }, { leaf:digest("nope") })
    assert.equal("ecdsa-with-SHA256", (leaf:get_signature_name()))
    assert.equal("SHA256", (leaf:get_signature_digest_name()))
    assert.equal(794, (leaf:get_signature_nid()))
    assert.is_nil(leaf:get_basic_constraints("CA"))
    assert.is_true(root:get_basic_constraints("CA"))
    assert.same({ ca = true, pathlen = 0 }, root:get_basic_constraints())
  end)

  it("finds extensions", function()
    local names = assert(leaf:get_subject_alt_name())
    assert.equal(3, names:count())
    assert.same({ DNS = "example.com", IP = "::1", email = "a@b.c" }, names:all())
    assert.equal("DNS=example.com/IP=::1/email=a@b.c", names:tostring())
    assert.is_nil((root:get_subject_alt_name()))
    local usage, place = leaf:get_extension("keyUsage")
    assert.equal(2, place)
    assert.is_true(usage:get_critical())
    assert.equal("Digital Signature", usage:text())
    assert.equal("keyUsage", usage:get_object().sn)
    assert.is_nil((leaf:get_extension("keyUsage", place)))
    assert.is_true(leaf:get_extension_critical("keyUsage"))
    local id = leaf:get_extension("subjectKeyIdentifier")
    assert.equal(to_hex(leaf:pubkey_digest("sha1")), to_hex(id:to_der():sub(3)))
    assert.same({ nil, nil, "x509:get_extension: objects.txtnid2nid: invalid NID text nope" },
      { leaf:get_extension("nope") })
    assert.is_nil((extension.new("basicConstraints", "CA:MAYBE")))
    assert.same({ nil, "x509.altname:gn_set: invalid IP address nope" }, { altname.new():add("IP", "nope") })
    assert.same({ nil, "x509.altname:gn_set: unknown type nope" }, { altname.new():add("nope", "x") })
  end)

  it("is compared with keys as certificates' entities are", function()
    assert.equal(leaf_key:to_PEM("public"), leaf:get_pubkey():to_PEM())
    assert.not_equal(root_key:to_PEM("public"), leaf:get_pubkey():to_PEM())
    assert.not_equal(root:get_pubkey():get_key_type().id, leaf:get_pubkey():get_key_type().id)
    assert.is_true(leaf:check_private_key(leaf_key))
    local ok, err = leaf:check_private_key(pkey.new({ bits = 2048 }))
    assert.is_false(ok)
    assert.matches("key values mismatch", err)
    ok, err = leaf:check_private_key(root_key)
    assert.is_false(ok)
    assert.matches("key type mismatch", err)
    assert.same({ false, "x509:check_private_key: not a private key" },
      { leaf:check_private_key(pkey.new(leaf_key:to_PEM())) })
    assert.same({ false, "x509:check_private_key: except a pkey instance at #1" },
      { leaf:check_private_key("x") })
  end)

  it("verifies its signature", function()
    assert.is_true(leaf:verify(root_key))
    assert.is_true(root:verify(root_key))
    assert.is_false((leaf:verify(pkey.new(P256))))
    local ok, err = leaf:verify(leaf_key)
    assert.is_false(ok)
    assert.matches("wrong public key type", err)
    local changed = x509.new(leaf:to_PEM())
    changed:set_not_after(changed:get_not_after() + 1)
    assert.is_false((changed:verify(root_key)))
  end)

  it("says what is wrong in OpenSSL's words", function()
    local nested = "x509.new: error:688010A:asn1 encoding routines:asn1_item_embed_d2i:nested asn1 error:"
      .. "asn1/tasn_dec.c:349:"
    local broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
    assert.same({ nil, nested }, { x509.new(broken) })
    local cases = {
      { "", "*", "no start line" },
      { "", "DER", "x509.new failed" },
      { "foo", "*", "not enough data" },
      { "foo", "PEM", "no start line" },
      { broken, "PEM", "ASN1 lib" },
      { "-----BEGIN CERTIFICATE-----\nAAAA\n", "PEM", "bad end line" },
      { "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n", "PEM", "bad base64 decode" },
      { leaf_key:to_PEM("private"), "PEM", "no start line" },
      { {}, nil, "x509.new: expect nil or a string at #1" },
    }
    for _, case in ipairs(cases) do
      local cert, err = x509.new(case[1], case[2])
      assert.is_nil(cert)
      assert.truthy(err:find(case[3], 1, true), err)
    end
    local cert = x509.new()
    assert.same({ false, "x509:set_version: expect a number at #1" }, { cert:set_version("x") })
    assert.same({ false, "x509:set_pubkey: expect a pkey instance at #1" }, { cert:set_pubkey(cert) })
    assert.same({ false, "x509:sign: expect a pkey instance at #1" }, { cert:sign("x") })
    assert.same({ nil, "x509.name:add: invalid NID text nope" }, { name.new():add("nope", "x") })
    assert.is_nil((name.new():add("C", "USA")))
  end)

  it("has names with parts", function()
    local n = name.new():add("CN", "a"):add("O", "b"):add("CN", "c")
    local found, place = n:find("CN")
    assert.same({ id = "2.5.4.3", nid = 13, sn = "CN", ln = "commonName", blob = "a" }, found)
    assert.equal(1, place)
    found, place = n:find("2.5.4.3", place)
    assert.equal("c", found.blob)
    assert.equal(3, place)
    assert.is_nil((n:find("ST")))
    assert.equal("c", n:all().CN.blob)
    local seen = {}
    for sn, part in n:each() do
      seen[#seen + 1] = sn .. part.blob
    end
    assert.same({ "CNa", "Ob", "CNc" }, seen)
    assert.equal(3, #n)
  end)

  it("leads to a trusted one, or not", function()
    local trusted = assert(store.new())
    assert.same({ nil, "unable to get local issuer certificate" }, { trusted:verify(leaf) })
    assert.same({ nil, "self-signed certificate" }, { trusted:verify(root) })
    assert.is_true(trusted:add(root))
    assert.is_true(trusted:verify(leaf))
    local verified = assert(trusted:verify(leaf, nil, true))
    assert.equal(2, #verified)
    assert.equal(root:to_PEM(), verified[2]:to_PEM())

    local middle_key = pkey.new(P256)
    local middle = issue("middle", middle_key, "root", root_key, as_ca)
    local below = issue("below", leaf_key, "middle", middle_key)
    assert.same({ nil, "unable to get local issuer certificate" }, { trusted:verify(below) })
    local others = chain.new()
    assert.is_true(others:add(middle))
    assert.is_true(trusted:verify(below, others))
    assert.is_true(trusted:set_depth(0))
    assert.same({ nil, "certificate chain too long" }, { trusted:verify(below, others) })

    local old = issue("old", leaf_key, "root", root_key, function(cert)
      cert:set_lifetime(1000, 2000)
    end)
    assert.same({ nil, "certificate has expired" }, { trusted:verify(old) })
    local flags = store.verify_flags
    assert.is_true(trusted:verify(old, nil, false, nil, nil, flags.X509_V_FLAG_NO_CHECK_TIME))
    assert.has_error(function() trusted:set_flags(flags.X509_V_FLAG_POLICY_CHECK) end,
      "not supported: resty.openssl.x509.store:set_flags with flags 0x80")
    assert.same({ false, "x509.store:add: expect an x509 or crl instance at #1" }, { trusted:add("x") })
    assert.same({ nil, "x509.store:verify: expect a x509 instance at #1" }, { trusted:verify("x") })
  end)
end)

describe("B2 resty.openssl digests and ciphers", function()
  it("digests in pieces", function()
    local want = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    local d = assert(digest.new("sha256"))
    assert.is_true(d:update("a", "b"))
    assert.equal(want, to_hex(d:final("c")))
    assert.is_true(d:reset())
    assert.equal(want, to_hex(d:final("abc")))
    assert.equal("a9993e364706816aba3e25717850c26c9cd0d89d", to_hex(digest.new():final("abc")))
    assert.is_nil((digest.new("nope")))
    assert.has_error(function() d:update({}) end, "bad argument #1 to 'update' (string expected, got table)")
  end)

  it("authenticates", function()
    local want = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
    local text = "what do ya want for nothing?"
    assert.equal(want, to_hex(hmac.new("Jefe", "sha256"):final(text)))
    local m = mac.new("Jefe", "HMAC", nil, "sha256")
    assert.is_true(m:update(text))
    assert.equal(want, to_hex(m:final()))
    assert.is_nil((mac.new("k", "CMAC")))
    assert.is_nil((mac.new("k", "HMAC", nil, "nope")))
    assert.is_nil((hmac.new("k", "nope")))
  end)

  it("derives keys", function()
    local want = "4b007901b765489abead49d926f721d065a429c1"
    local options = { pass = "password", salt = "salt", iter = 4096, digest = "sha1" }
    assert.equal(want, to_hex(kdf.new("PBKDF2"):derive(20, options)))
    assert.equal(want, to_hex(kdf.derive({
      type = kdf.PBKDF2, outlen = 20, pass = "password", salt = "salt", md = "sha1", pbkdf2_iter = 4096,
    })))
    local scrypt = kdf.new("SCRYPT"):derive(16, { pass = "p", salt = "s", n = 1024, r = 8, p = 1 })
    assert.equal(16, #scrypt)
    assert.is_nil((kdf.new("SCRYPT"):derive(16, { pass = "p", salt = "s", n = 2 ^ 30, r = 8, p = 1 })))
    assert.equal(42, #kdf.new("HKDF"):derive(42, { key = "k", salt = "s", info = "i", digest = "sha256" }))
    assert.is_nil((kdf.new("nope")))
    assert.same({ nil, 'kdf.derive: "type" must be set' }, { kdf.derive({}) })
  end)

  it("encrypts, and notices changes", function()
    for _, kind in ipairs({ "aes-128-cbc", "aes-256-cbc", "aes-256-ctr", "aes-256-gcm" }) do
      local c = assert(cipher.new(kind))
      local key, iv = rand.bytes(c.key_size), rand.bytes(c.iv_size)
      local aead = kind:find("gcm") and "aad" or nil
      local sealed = assert(c:encrypt(key, iv, "some text", false, aead))
      local tag = aead and assert(c:get_aead_tag(16))
      local d = cipher.new(kind)
      assert.equal("some text", d:decrypt(key, iv, sealed, false, aead, tag))
      if aead then
        assert.is_nil((d:decrypt(key, iv, sealed, false, "other", tag)))
        assert.is_nil((d:decrypt(key, iv, sealed, false, aead, ("x"):rep(16))))
        assert.is_nil((d:decrypt(key, iv, sealed, false, aead)))
      end
      local wrong = "cipher:init: incorrect %s size, expect %d"
      assert.same({ nil, wrong:format("key", c.key_size) }, { c:encrypt("k", iv, "x") })
      assert.same({ nil, wrong:format("iv", c.iv_size) }, { c:encrypt(key, "i", "x") })
    end
    assert.is_nil((cipher.new("rot-13")))
    local _, err = cipher.new("aes-128-cbc"):final("x")
    assert.equal("cipher:update: cipher not initalized, call cipher:init first", err)
    assert.same({ nil, "rand.bytes: expect a number at #1" }, { rand.bytes("x") })
  end)

  it("counts without end", function()
    local n = bn.from_dec("340282366920938463463374607431768211456")
    assert.equal("0100000000000000000000000000000000", n:to_hex())
    assert.equal(17, #n:to_binary())
    assert.equal("340282366920938463463374607431768211457", tostring(n + 1))
    local octets = bn.from_dec("12345678901234567890"):to_binary()
    assert.equal("12345678901234567890", bn.from_binary(octets):to_dec())
    assert.equal("AB54A98CEB1F0AD2", bn.from_dec("12345678901234567890"):to_hex())
    assert.is_true(bn.new(3) < bn.new(4) and bn.new(3) == bn.from_hex("3"))
    assert.is_nil((bn.from_dec("x")))
    assert.same({ nil, "bn.from_dec: expect a string at #1" }, { bn.from_dec(1) })
    assert.has_error(function() return n / 0 end, "BN_div() failed")
    assert.has_error(function() return n + {} end, "cannot add a table to bignum")
  end)

  it("reads and writes JWK as others do", function()
    local jwk = cjson.decode(pkey.new({ bits = 2048 }):tostring("private", "JWK"))
    assert.equal("RSA", jwk.kty)
    assert.equal("AQAB", jwk.e)
    for _, field in ipairs({ "n", "d", "p", "q", "dp", "dq", "qi", "kid" }) do
      assert.is_string(jwk[field])
    end
    jwk.p, jwk.q, jwk.dp, jwk.dq, jwk.qi = nil, nil, nil, nil, nil
    local key = assert(pkey.new(cjson.encode(jwk), { format = "JWK" }))
    assert.is_true(key:verify(key:sign("text"), "text"))
    assert.is_false(assert(pkey.new(cjson.encode(jwk), { format = "JWK", type = "pu" })):is_private())
  end)
end)

describe("D5 what ngx.ssl parsed, as resty.openssl's", function()
  local ffi = require "ffi"
  local ssl = require "ngx.ssl"
  local key = pkey.new(P256)
  local cert = issue("leaf", key, "leaf", key)
  local pem = cert:to_PEM()

  it("is reached by the pointers that lua-resty-http casts to", function()
    local parsed = assert(ssl.parse_pem_cert(pem .. pem))
    local certs = assert(chain.dup(ffi.cast("OPENSSL_STACK*", parsed)))
    assert.equal(2, #certs)
    local leaf = assert(x509.dup(certs[1].ctx))
    assert.equal(pem, leaf:to_PEM())
    local parsed_key = assert(ssl.parse_pem_priv_key(key:to_PEM("private")))
    collectgarbage()
    collectgarbage()
    local before = count()
    local shared = assert(pkey.new(ffi.cast("EVP_PKEY*", parsed_key)))
    ffi.gc(shared.ctx, nil)
    assert.is_true(leaf:check_private_key(shared))
    assert.equal(key:to_PEM("private"), shared:to_PEM("private"))
    assert.equal(before + 1, count())
    shared = nil
    collectgarbage()
    collectgarbage()
    assert.equal(before, count())
    assert.truthy(pkey.new(ffi.cast("EVP_PKEY*", parsed_key)), "it is still there")
  end)

  it("is nothing else", function()
    local number = ffi.new("double[1]", 1e15)
    local other = assert(ssl.parse_pem_cert(pem))
    for _, p in ipairs { ffi.cast("OPENSSL_STACK*", number), ffi.cast("OPENSSL_STACK*", nil), ffi.cast("void*", other) } do
      local got, err = chain.dup(p)
      assert.is_nil(got)
      assert.equal("x509.chain.dup: expect a stack ctx at #1, got cdata", err)
    end
    local got, err = pkey.new(ffi.cast("EVP_PKEY*", other))
    assert.is_nil(got)
    assert.equal("pkey.new: expect a EVP_PKEY* cdata at #1", err)
  end)
end)

describe("D5 a GCM tag that is cut off", function()
  it("is checked as far as it goes", function()
    for bits = 128, 256, 64 do
      local name, key, iv = "aes-" .. bits .. "-gcm", ("k"):rep(bits / 8), ("i"):rep(12)
      local c = cipher.new(name)
      local secret = assert(c:encrypt(key, iv, "text", false, "aad"))
      local tag = assert(c:get_aead_tag())
      assert.equal(bits / 16, #tag)
      local d = cipher.new(name)
      assert.equal("text", d:decrypt(key, iv, secret, false, "aad", tag))
      assert.is_nil((d:decrypt(key, iv, secret, false, "other", tag)))
      assert.is_nil((d:decrypt(key, iv, "\0" .. secret:sub(2), false, "aad", tag)))
      assert.is_nil((d:decrypt(key, iv, secret, false, "aad", tag:sub(1, 3))))
      assert.is_nil((d:decrypt(key, iv, secret, false, "aad", tag:sub(1, 7) .. "\0")))
    end
  end)
end)
