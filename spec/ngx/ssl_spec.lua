local bn = require "resty.openssl.bn"
local name = require "resty.openssl.x509.name"
local pkey = require "resty.openssl.pkey"
local ssl = require "ngx.ssl"
local x509 = require "resty.openssl.x509"
local count = require("moongate.cdata").count

-- keys for these tests only; the passphrase is "secret"
local ENCRYPTED = [[
-----BEGIN ENCRYPTED PRIVATE KEY-----
MIHsMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAjrdONuHhVGigICCAAw
DAYIKoZIhvcNAgkFADAdBglghkgBZQMEASoEEDUen/Fr+HRzCqyt41aArIIEgZAy
aOyW8197PfrFr21AeRfOStd2H9FXxLMe+46PyhCyNb40HDHAd+vYpGPs6/OHXnMZ
55hb+zULoK4urnatcgVkI+aXDZAuuaeQ3ePgkurX63vrBNKLKNojNHT5ekg3Pvnk
+LrNcciNALkLiFXiaS1kqzarkvI3tyO3j0qNderWVsnjoXcgrGBOHTG1OEFu1tw=
-----END ENCRYPTED PRIVATE KEY-----
]]
local LEGACY = [[
-----BEGIN EC PRIVATE KEY-----
Proc-Type: 4,ENCRYPTED
DEK-Info: AES-256-CBC,90739A88B4377B3F6284247DBF27368F

7PWvT8pixExRQlN1M+PlXxlWF+KpKyRp94bZEEhDxHE9gbLb0kF/7mxifWtPgkRW
TpQhgM2ZGFwegPcJYXHtELG9xyxMVN61sjI4975ImlEjcyknlSlfQHr22GdRXMb4
65b81Glk04E8aLjwsQ3Q4IJ9+321CLBz5j2e3wc1gko=
-----END EC PRIVATE KEY-----
]]

local KINDS = {
  { type = "RSA", bits = 2048 },
  { type = "EC", curve = "prime256v1" },
  { type = "EC", curve = "secp384r1" },
  { type = "EC", curve = "secp521r1" },
  { type = "Ed25519" },
}

local function self_signed(key, cn)
  local cert = x509.new()
  assert(cert:set_version(3))
  assert(cert:set_serial_number(bn.new(7)))
  assert(cert:set_lifetime(os.time() - 60, os.time() + 86400))
  assert(cert:set_subject_name(name.new():add("CN", cn)))
  assert(cert:set_issuer_name(name.new():add("CN", cn)))
  assert(cert:set_pubkey(key))
  assert(cert:sign(key))
  return cert
end

local function failure(text, ...)
  local got, err = ...
  assert.is_nil(got)
  assert.equal(text, err)
end

describe("C2 ngx.ssl", function()
  for _, kind in ipairs(KINDS) do
    local label = kind.curve or kind.type

    it("C2 parses keys and certificates of " .. label, function()
      local key = assert(pkey.new(kind))
      local cert = self_signed(key, label)
      local pem, der = cert:tostring("PEM"), cert:tostring("DER")
      assert.equal("cdata", type(assert(ssl.parse_pem_cert(pem))))
      assert.equal("cdata", type(assert(ssl.parse_der_cert(der))))
      assert.equal(der, ssl.cert_pem_to_der(pem))
      local private = key:to_PEM("private")
      local private_der = key:tostring("private", "DER")
      assert.equal("cdata", type(assert(ssl.parse_pem_priv_key(private))))
      assert.equal("cdata", type(assert(ssl.parse_der_priv_key(private_der))))
      assert.equal(private_der, ssl.priv_key_pem_to_der(private))
    end)
  end

  it("C2 opens encrypted keys with the passphrase, and with no other", function()
    for _, pem in ipairs({ ENCRYPTED, LEGACY }) do
      assert.equal("cdata", type(assert(ssl.parse_pem_priv_key(pem, "secret"))))
      local der = assert(ssl.priv_key_pem_to_der(pem, "secret"))
      assert.equal("cdata", type(assert(ssl.parse_der_priv_key(der))))
      for _, wrong in ipairs({ "wrong", "", false }) do
        local text = "PEM_read_bio_PrivateKey() failed"
        failure(text, ssl.parse_pem_priv_key(pem, wrong or nil))
        failure(text, ssl.priv_key_pem_to_der(pem, wrong or nil))
      end
    end
  end)

  it("C2 takes chains, whatever stands around their certificates", function()
    local key = assert(pkey.new({ type = "EC", curve = "prime256v1" }))
    local leaf, above = self_signed(key, "leaf"), self_signed(key, "above")
    local text = "leaf:\r\n" .. leaf:tostring("PEM") .. key:to_PEM("private") .. "\n\n" .. above:tostring("PEM")
      .. "the end"
    local both = leaf:tostring("DER") .. above:tostring("DER")
    assert.equal(both, ssl.cert_pem_to_der(text))
    assert.equal("cdata", type(assert(ssl.parse_pem_cert(text))))
    assert.equal("cdata", type(assert(ssl.parse_der_cert(both))))
  end)

  it("C2 says nil and OpenResty's words of junk", function()
    local key = assert(pkey.new({ type = "EC", curve = "prime256v1" }))
    local cert = self_signed(key, "cert")
    local pem, der = cert:tostring("PEM"), cert:tostring("DER")
    local junk = pem:gsub("\nM", "\n*", 1)
    for _, text in ipairs({ "", "junk", pem:sub(1, -20), junk, key:to_PEM("private") }) do
      failure("PEM_read_bio_X509_AUX() failed", ssl.parse_pem_cert(text))
      failure("PEM_read_bio_X509_AUX() failed", ssl.cert_pem_to_der(text))
    end
    for _, text in ipairs({ pem:sub(1, -20), junk }) do
      failure("PEM_read_bio_X509() failed", ssl.parse_pem_cert(pem .. text))
      failure("PEM_read_bio_X509() failed", ssl.cert_pem_to_der(pem .. text))
    end
    failure("invalid argument", ssl.parse_der_cert(""))
    failure("d2i_X509_bio() failed", ssl.parse_der_cert("junk"))
    failure("d2i_X509_bio() failed", ssl.parse_der_cert(der:sub(1, -2)))
    failure("d2i_X509_bio() failed in rest of chain", ssl.parse_der_cert(der .. "junk"))
    for _, text in ipairs({ "", "junk", pem, key:to_PEM("private"):sub(1, -20), key:to_PEM("public") }) do
      failure("PEM_read_bio_PrivateKey() failed", ssl.parse_pem_priv_key(text))
      failure("PEM_read_bio_PrivateKey() failed", ssl.priv_key_pem_to_der(text))
    end
    failure("invalid argument", ssl.parse_der_priv_key(""))
    failure("d2i_PrivateKey_bio() failed", ssl.parse_der_priv_key("junk"))
    failure("d2i_PrivateKey_bio() failed", ssl.parse_der_priv_key(key:tostring("private", "DER"):sub(1, -9)))
  end)

  it("C2 takes texts only", function()
    for _, f in ipairs({
      "parse_pem_cert", "parse_der_cert", "parse_pem_priv_key", "parse_der_priv_key", "cert_pem_to_der",
      "priv_key_pem_to_der",
    }) do
      for _, v in ipairs({ false, 1, {} }) do
        assert.error_matches(function() ssl[f](v or nil) end, "bad argument #1 to '" .. f .. "'")
      end
    end
    assert.error_matches(function() ssl.parse_pem_priv_key(LEGACY, 7) end, "bad argument #2")
  end)

  it("C2 gives what it parsed back when nobody holds it", function()
    local key = assert(pkey.new({ type = "EC", curve = "prime256v1" }))
    local pem, private = self_signed(key, "x"):tostring("PEM"), key:to_PEM("private")
    collectgarbage() collectgarbage()
    local before = count()
    local held = {}
    for i = 1, 100 do
      held[i] = { assert(ssl.parse_pem_cert(pem)), assert(ssl.parse_pem_priv_key(private)) }
      ssl.parse_pem_cert("junk")
    end
    assert.equal(before + 200, count())
    held = nil -- luacheck: ignore
    collectgarbage() collectgarbage()
    assert.equal(before, count())
  end)

  it("C2 tells its cdata from others", function()
    local id = require("moongate.cdata").id
    local key = assert(pkey.new({ type = "EC", curve = "prime256v1" }))
    local a, b = ssl.parse_pem_priv_key(key:to_PEM("private")), ssl.parse_pem_cert(self_signed(key, "x"):to_PEM())
    assert.is_number(id(a))
    assert.is_number(id(b))
    assert.is_number(id(key.ctx))
    assert.not_equal(id(a), id(b))
    local ffi = require "ffi"
    for _, v in ipairs({ 1, "x", {}, ffi.new("int[2]"), ffi.cast("void*", 1), 1LL, ffi.typeof("int") }) do
      assert.is_nil(id(v))
    end
    assert.is_nil(id(nil))
  end)
end)
