local altname = require "resty.openssl.x509.altname"
local csr = require "resty.openssl.x509.csr"
local digest = require "resty.openssl.digest"
local extension = require "resty.openssl.x509.extension"
local name = require "resty.openssl.x509.name"
local pkey = require "resty.openssl.pkey"
local to_hex = require("resty.string").to_hex

local KEYS = {
  RSA = { type = "RSA", bits = 2048 },
  EC = { type = "EC", curve = "prime256v1" },
  ED = { type = "Ed25519" },
}

local function request(key, md)
  local r = csr.new()
  assert(r:set_subject_name(name.new():add("C", "DE"):add("CN", "one.test")))
  assert(r:set_subject_alt_name(altname.new():add("DNS", "one.test"):add("IP", "127.0.0.1")))
  assert(r:set_pubkey(key))
  assert(r:sign(key, md))
  return r
end

-- what openssl's command says of a request
local function shown(der)
  local file = os.tmpname()
  local f = assert(io.open(file, "wb"))
  f:write(der)
  f:close()
  local p = assert(io.popen("openssl req -inform der -in " .. file .. " -noout -verify -text 2>&1"))
  local text = p:read("*a")
  p:close()
  os.remove(file)
  return text
end

describe("D1 resty.openssl.x509.csr", function()
  it("makes requests that OpenSSL takes, of every kind of key", function()
    for kind, how in pairs(KEYS) do
      local text = shown(request(assert(pkey.new(how))):tostring("DER"))
      assert.matches("verify OK", text, nil, true, kind)
      assert.matches("Subject: C = DE, CN = one.test", text, nil, true)
      assert.matches("DNS:one.test, IP Address:127.0.0.1", text, nil, true)
      assert.matches("Version: 1 (0x0)", text, nil, true)
    end
  end)

  it("reads what it wrote, PEM or DER", function()
    local r = request(pkey.new(KEYS.EC), digest.new("sha384"))
    local pem, der = r:to_PEM(), r:tostring("DER")
    assert.equal(pem, tostring(r))
    assert.matches("^%-%-%-%-%-BEGIN CERTIFICATE REQUEST%-%-%-%-%-\n", pem)
    for _, format in ipairs({ "PEM", "*", false }) do
      assert.equal(der, csr.new(pem, format):tostring("DER"))
    end
    for _, format in ipairs({ "DER", "*", false }) do
      assert.equal(pem, csr.new(der, format):to_PEM())
    end
    assert.same({ nil, "x509.csr.new: expect nil or a string at #1" }, { csr.new(5) })
    local none, err = csr.new(pem, "DER")
    assert.is_nil(none)
    assert.matches("^x509%.csr%.new: .*nested asn1 error", err)
    none, err = csr.new(der, "PEM")
    assert.is_nil(none)
    assert.matches("^x509%.csr%.new: .*no start line", err)
    for cut = 1, #der - 1 do
      assert.is_nil((csr.new(der:sub(1, cut), "DER")))
    end
    assert.same({ nil, "x509.csr:tostring: can only write PEM or DER format, not TEXT" }, { r:tostring("TEXT") })
  end)

  it("says what it is for, by whom and how it was signed", function()
    local key = pkey.new(KEYS.RSA)
    local r = request(key, digest.new("sha512"))
    assert.equal("C=DE/CN=one.test", r:get_subject_name():tostring())
    assert.equal("DNS=one.test/IP=127.0.0.1", r:get_subject_alt_name():tostring())
    assert.equal(key:to_PEM("public"), r:get_pubkey():to_PEM("public"))
    assert.equal(1, r:get_version())
    assert.equal("RSA-SHA512", r:get_signature_name())
    assert.equal("SHA512", r:get_signature_digest_name())
    assert.equal(670, r:get_signature_nid())
    assert.is_true(csr.istype(r))
    assert.is_false(csr.istype(key))
    assert.same({ nil, "x509.csr:get_signature_name failed" }, { csr.new():get_signature_name() })
    assert.is_nil((csr.new():get_pubkey()))
    assert.is_nil(csr.new():get_subject_alt_name())
  end)

  it("is its key's, and a change makes the signature another's", function()
    local key, other = pkey.new(KEYS.EC), pkey.new(KEYS.EC)
    local r = request(key)
    assert.is_true(r:verify(key))
    assert.is_false(r:verify(other))
    assert.is_true(r:check_private_key(key))
    local ok, err = r:check_private_key(other)
    assert.is_false(ok)
    assert.matches("key values mismatch", err)
    ok, err = r:check_private_key(pkey.new(KEYS.ED))
    assert.is_false(ok)
    assert.matches("key type mismatch", err)
    assert.is_true(r:set_version(2))
    assert.equal(2, r:get_version())
    assert.is_false(r:verify(key))
    assert.is_true(r:sign(key))
    assert.is_true(csr.new(r:to_PEM()):verify(key))
  end)

  it("has extensions", function()
    local r = request(pkey.new(KEYS.EC))
    assert.is_true(r:add_extension(extension.new("keyUsage", "critical,digitalSignature")))
    local found, place = r:get_extension("keyUsage")
    assert.equal("Digital Signature", found:text())
    assert.equal(2, place)
    assert.is_true(r:get_extension_critical("keyUsage"))
    assert.is_true(r:set_extension_critical("keyUsage", false))
    assert.is_false(r:get_extension_critical("keyUsage"))
    assert.is_false(r:get_subject_alt_name_critical())
    assert.is_true(r:set_subject_alt_name_critical(true))
    assert.is_true(r:get_subject_alt_name_critical())
    assert.is_true(r:set_extension(extension.from_data(altname.new():add("DNS", "two.test"), 85, false)))
    assert.equal("DNS=two.test", r:get_subject_alt_name():tostring())
    assert.is_true(r:add_extension(extension.from_data(altname.new():add("DNS", "three.test"), 85, false)))
    local names, err = r:get_subject_alt_name()
    assert.is_nil(names)
    assert.matches("occurs more than one times", err)
    assert.same({ nil, nil, "x509.csr:get_extension: objects.txtnid2nid: invalid NID text nothing" },
      { r:get_extension("nothing") })
    assert.same({ nil, nil, "x509.csr:get_extension: X509v3_get_ext_by_NID extension for 82 not found" },
      { r:get_extension("subjectKeyIdentifier") })
  end)

  it("keeps attributes that are no extensions", function()
    local key = pkey.new(KEYS.EC)
    local r = request(key)
    local der = r:tostring("DER")
    -- a challenge password in front of the extensions: SEQUENCE { OID 1.2.840.113549.1.9.7, SET { UTF8String } }
    local password = "\x30\x13\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x09\x07\x31\x06\x0c\x04\x70\x61\x73\x73"
    -- the contents of the element at a place, and where it ends
    local function contents(i)
      local n, first = der:byte(i + 1), i + 2
      if n >= 0x80 then
        local size = n - 0x80
        n = tonumber(to_hex(der:sub(first, first + size - 1)), 16)
        first = first + size
      end
      return first, first + n - 1
    end
    local function element(tag, text)
      return string.char(tag, 0x82, math.floor(#text / 256), #text % 256) .. text
    end
    local info, info_end = contents((contents(1)))
    local at = info
    while der:byte(at) ~= 0xa0 do
      at = select(2, contents(at)) + 1
    end
    local attributes = der:sub(contents(at))
    info = element(0x30, der:sub(info, at - 1) .. element(0xa0, password .. attributes))
    local changed = assert(csr.new(element(0x30, info .. der:sub(info_end + 1)), "DER"))
    assert.equal("DNS=one.test/IP=127.0.0.1", changed:get_subject_alt_name():tostring())
    assert(changed:set_version(1))
    assert(changed:sign(key))
    local text = shown(changed:tostring("DER"))
    assert.matches("challengePassword%s*:%s*pass", text)
    assert.matches("DNS:one.test", text, nil, true)
    assert.matches("verify OK", text, nil, true)
  end)

  it("judges arguments", function()
    local r = csr.new()
    assert.same({ false, "x509.csr:set_subject_name: expect a x509.name instance at #1" }, { r:set_subject_name("x") })
    assert.same({ false, "x509.csr:set_subject_alt_name: expect a x509.altname instance at #1" },
      { r:set_subject_alt_name("x") })
    assert.same({ false, "x509.csr:set_pubkey: expect a pkey instance at #1" }, { r:set_pubkey("x") })
    assert.same({ false, "x509.csr:set_version: expect a number at #1" }, { r:set_version("x") })
    assert.same({ false, "x509.csr:sign: expect a pkey instance at #1" }, { r:sign("x") })
    assert.same({ false, "x509.csr:sign: expect a digest instance at #2" }, { r:sign(pkey.new(KEYS.EC), "x") })
    assert.same({ false, "x509.csr:verify: expect a pkey instance at #1" }, { r:verify("x") })
    assert.same({ false, "x509.csr:check_private_key: except a pkey instance at #1" }, { r:check_private_key("x") })
    assert.same({ false, "x509:set_extension: expect a x509.extension instance at #1" }, { r:add_extension("x") })
  end)
end)
