--- `resty.openssl.x509`: lists within certificates, revocation lists, what a store makes of those. Certificates and
--- the revocation list are OpenSSL's.

local chain = require "resty.openssl.x509.chain"
local crl = require "resty.openssl.x509.crl"
local csr = require "resty.openssl.x509.csr"
local dist_points = require "resty.openssl.x509.extension.dist_points"
local extension = require "resty.openssl.x509.extension"
local extensions = require "resty.openssl.x509.extensions"
local info_access = require "resty.openssl.x509.extension.info_access"
local name = require "resty.openssl.x509.name"
local objects = require "resty.openssl.objects"
local pkey = require "resty.openssl.pkey"
local revoked = require "resty.openssl.x509.revoked"
local store = require "resty.openssl.x509.store"
local x509 = require "resty.openssl.x509"

local CA = [[
-----BEGIN CERTIFICATE-----
MIIBaTCCARCgAwIBAgIUQC/mEOUIyjkrhFI/h1qoLp9U8xowCgYIKoZIzj0EAwIw
EjEQMA4GA1UEAwwHVGVzdCBDQTAgFw0yNjExMjYxMjA0NTNaGA8yMTI2MTEwMjEy
MDQ1M1owEjEQMA4GA1UEAwwHVGVzdCBDQTBZMBMGByqGSM49AgEGCCqGSM49AwEH
A0IABBBibvpaIFz6RBX7Qv1YGZEZRkGRjx/M+i2w0xBzYxRU2lxtoG9MYj8H7pzi
KA9PvvMHv6ohaz3gvIjH6FonwLujQjBAMA8GA1UdEwEB/wQFMAMBAf8wHQYDVR0O
BBYEFIQatjNOfni/Vl68wvf6+jNbJ+2pMA4GA1UdDwEB/wQEAwIBBjAKBggqhkjO
PQQDAgNHADBEAiA2kJy3hvsODONc7A8IKnZYhT0DIuh27j731dzC2Q+pBwIgG6WY
E25A2jvsV9QpGWIifQcM+D7XRlBDVRN1n2RRJTE=
-----END CERTIFICATE-----]]
local CA_KEY = [[
-----BEGIN EC PRIVATE KEY-----
MHcCAQEEIF6fgdBrzdPck48fM+tN9TbS/O0/a2+hzY04+U+0LrENoAoGCCqGSM49
AwEHoUQDQgAEEGJu+logXPpEFftC/VgZkRlGQZGPH8z6LbDTEHNjFFTaXG2gb0xi
PwfunOIoD0++8we/qiFrPeC8iMfoWifAuw==
-----END EC PRIVATE KEY-----]]
local GOOD = [[
-----BEGIN CERTIFICATE-----
MIICHTCCAcKgAwIBAgICEAAwCgYIKoZIzj0EAwIwEjEQMA4GA1UEAwwHVGVzdCBD
QTAgFw0yNjExMjYxMjA0NTRaGA8yMTI2MTEwMjEyMDQ1NFowDzENMAsGA1UEAwwE
Z29vZDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABCax7NMJ/d0GSMLt6NLWhfhK
I8uFit5pZXNGX2jvauPc/oulK8OsqwiWumUzaqw8F1T57ZQD1Sg9PLw/h+KTRdqj
ggEHMIIBAzAJBgNVHRMEAjAAMHEGCCsGAQUFBwEBBGUwYzAeBggrBgEFBQcwAYYS
aHR0cDovL29jc3AudGVzdC9hMCEGCCsGAQUFBzAChhVodHRwOi8vY2EudGVzdC9j
YS5jcnQwHgYIKwYBBQUHMAGGEmh0dHA6Ly9vY3NwLnRlc3QvYjBDBgNVHR8EPDA6
MBugGaAXhhVodHRwOi8vY3JsLnRlc3QvMS5jcmwwG6AZoBeGFWh0dHA6Ly9jcmwu
dGVzdC8yLmNybDAdBgNVHQ4EFgQUONoJTTq2DQV7oYYYi+GPXlmFZ54wHwYDVR0j
BBgwFoAUhBq2M05+eL9WXrzC9/r6M1sn7akwCgYIKoZIzj0EAwIDSQAwRgIhALTv
ody9cctKzNAjP5S66airuiZagtc2NhXrjGLV7YcTAiEAhHiNFnQeiJzjcqw2SQVo
j5/LFJJHnYrcsg7iac2P8h4=
-----END CERTIFICATE-----]]
local BAD = [[
-----BEGIN CERTIFICATE-----
MIICHDCCAcGgAwIBAgICEAEwCgYIKoZIzj0EAwIwEjEQMA4GA1UEAwwHVGVzdCBD
QTAgFw0yNjExMjYxMjA0NTRaGA8yMTI2MTEwMjEyMDQ1NFowDjEMMAoGA1UEAwwD
YmFkMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEw0MiMmEVDz7z22lPsEEsqw+l
vzMdWB5e6ZtUJAfQZ39fsdiOPcH7QzMCwCqO9/+LnOY/sxJ7/282HUAGpP0PYKOC
AQcwggEDMAkGA1UdEwQCMAAwcQYIKwYBBQUHAQEEZTBjMB4GCCsGAQUFBzABhhJo
dHRwOi8vb2NzcC50ZXN0L2EwIQYIKwYBBQUHMAKGFWh0dHA6Ly9jYS50ZXN0L2Nh
LmNydDAeBggrBgEFBQcwAYYSaHR0cDovL29jc3AudGVzdC9iMEMGA1UdHwQ8MDow
G6AZoBeGFWh0dHA6Ly9jcmwudGVzdC8xLmNybDAboBmgF4YVaHR0cDovL2NybC50
ZXN0LzIuY3JsMB0GA1UdDgQWBBRxYWAZZyyAKGfJ4u9mHdCEWVa0GDAfBgNVHSME
GDAWgBSEGrYzTn54v1ZevML3+vozWyftqTAKBggqhkjOPQQDAgNJADBGAiEAw8ro
PZhLaGt/0/LPsii1NPuHJGff3gzndME0kRseFgoCIQDTj2CTAdineb5uf/GHY1ad
Id9uOPl4+hRmuLl0xKfYhg==
-----END CERTIFICATE-----]]
-- revokes the second, of serial number 1001
local LIST = [[
-----BEGIN X509 CRL-----
MIHxMIGZAgEBMAoGCCqGSM49BAMCMBIxEDAOBgNVBAMMB1Rlc3QgQ0EXDTI2MTEy
NjEyMDQ1NFoYDzIxMjUwNjIwMTIwNDU0WjAjMCECAhABFw0yNjExMjYxMjA0NTRa
MAwwCgYDVR0VBAMKAQGgLzAtMB8GA1UdIwQYMBaAFIQatjNOfni/Vl68wvf6+jNb
J+2pMAoGA1UdFAQDAgEBMAoGCCqGSM49BAMCA0cAMEQCIGGVMqURWAGu7NF88Ri1
z71cYs5bo7ENiG4ogZJsVYB8AiAkWFGvCcVCkCHFHcbo7r/gwiAMulYXYYA/X2KE
/Pek4g==
-----END X509 CRL-----]]

local function collected(list)
  local all = {}
  for i, v in ipairs(list) do
    all[i] = v
  end
  return all
end

describe("D4 resty.openssl.x509", function()
  local good

  before_each(function()
    good = x509.new(GOOD)
  end)

  it("tells where the issuer answers", function()
    local access = good:get_info_access()
    assert.is_true(info_access.istype(access))
    assert.equal(3, #access)
    assert.equal(3, access:count())
    assert.same({
      { 178, "URI", "http://ocsp.test/a" },
      { 179, "URI", "http://ca.test/ca.crt" },
      { 178, "URI", "http://ocsp.test/b" },
    }, collected(access))
    assert.same(access:all(), collected(access))
    assert.same({ 179, "URI", "http://ca.test/ca.crt" }, access[2])
    assert.is_nil(access[4])
    local flat = {}
    for nid, kind, value in pairs(access) do
      flat[#flat + 1] = nid .. kind .. value
    end
    assert.equal("178URIhttp://ocsp.test/a", flat[1])
    assert.equal("http://ocsp.test/a", good:get_ocsp_url())
    assert.same({ "http://ocsp.test/a", "http://ocsp.test/b" }, good:get_ocsp_url(true))
    assert.is_false(good:get_info_access_critical())
    local ca = x509.new(CA)
    assert.is_nil(ca:get_info_access())
    assert.is_nil(ca:get_ocsp_url())
    assert.is_nil(ca:get_ocsp_url(true))
    local shown = good:get_extension("authorityInfoAccess"):tostring()
    assert.equal("OCSP - URI:http://ocsp.test/a\nCA Issuers - URI:http://ca.test/ca.crt\n"
      .. "OCSP - URI:http://ocsp.test/b\n", shown)
  end)

  it("sets where the issuer answers", function()
    local access = info_access.dup(good:get_info_access().ctx)
    assert.equal(access, access:add("OCSP", "URI", "http://third.test"))
    assert.equal(access, access:add("caIssuers", "DNS", "ca.test"))
    assert.equal(3, #good:get_info_access())
    assert.is_true(good:set_info_access(access))
    assert.same({ 179, "DNS", "ca.test" }, good:get_info_access()[5])
    assert.equal("http://third.test", good:get_ocsp_url(true)[3])
    assert.is_true(good:set_info_access_critical(true))
    assert.is_true(x509.new(good:to_PEM()):get_info_access_critical())
    assert.same({ nil, "invalid NID text nope" }, { access:add("nope", "URI", "x") })
    assert.same({ nil, "x509.altname:gn_set: expect a string at #1" }, { access:add("OCSP") })
    assert.same({ nil, "x509.altname:gn_set: unknown type x" }, { access:add("OCSP", "x", "y") })
    assert.same({ false, "x509:set_info_access: expect a x509.extension.info_access instance at #1" },
      { good:set_info_access({}) })
    assert.same({ nil, "expect a AUTHORITY_INFO_ACCESS* ctx at #1" }, { info_access.dup("x") })
    assert.equal(0, #info_access.new())
    local twice = x509.new(GOOD)
    twice:add_extension(twice:get_extension("authorityInfoAccess"))
    local none, err = twice:get_info_access()
    assert.is_nil(none)
    assert.matches("^x509:get_info_access: extension of info_access occurs more than one times", err)
    local broken = x509.new(CA)
    broken:add_extension(extension.from_der("junk", "authorityInfoAccess"))
    none, err = broken:get_info_access()
    assert.is_nil(none)
    assert.matches("^x509:get_info_access: ", err)
  end)

  it("tells where revocation lists lie", function()
    local points = good:get_crl_distribution_points()
    assert.is_true(dist_points.istype(points))
    assert.equal(2, #points)
    assert.equal("URI=http://crl.test/1.crl", tostring(points[1]))
    assert.equal("URI=http://crl.test/2.crl", tostring(points:index(2)))
    assert.is_nil(points[3])
    assert.equal("http://crl.test/1.crl", good:get_crl_url())
    assert.same({ "http://crl.test/1.crl", "http://crl.test/2.crl" }, good:get_crl_url(true))
    assert.is_nil(x509.new(CA):get_crl_url())
    local cert = x509.new()
    assert.is_true(cert:set_crl_distribution_points(dist_points.dup(points.ctx)))
    assert.equal(good:get_extension("crlDistributionPoints"):to_der(),
      cert:get_extension("crlDistributionPoints"):to_der())
    assert.is_true(cert:set_crl_distribution_points_critical(true))
    assert.is_true(cert:get_crl_distribution_points_critical())
    assert.same({ false, "x509:set_crl_distribution_points: expect a x509.extension.dist_points instance at #1" },
      { cert:set_crl_distribution_points(points.ctx) })
    assert.equal("Full Name:\n  URI:http://crl.test/1.crl\nFull Name:\n  URI:http://crl.test/2.crl\n",
      good:get_extension("crlDistributionPoints"):tostring())
    local made = extension.new("crlDistributionPoints", "URI:http://crl.test/1.crl,URI:http://crl.test/2.crl")
    assert.equal(good:get_extension("crlDistributionPoints"):to_der(), made:to_der())
    made = extension.new("authorityInfoAccess", "OCSP;URI:http://ocsp.test/a,caIssuers;URI:http://ca.test/ca.crt,"
      .. "OCSP;URI:http://ocsp.test/b")
    assert.equal(good:get_extension("authorityInfoAccess"):to_der(), made:to_der())
    assert.is_nil((extension.new("authorityInfoAccess", "OCSP;nope")))
  end)

  it("has no question for OCSP", function()
    assert.has_error(function() good:get_ocsp_request() end, "not supported: resty.openssl.x509:get_ocsp_request")
  end)
end)

describe("D4 resty.openssl.x509.extensions", function()
  local usage = extension.new("extendedKeyUsage", "serverAuth,clientAuth")
  local SHOWN = "TLS Web Server Authentication, TLS Web Client Authentication"

  it("is a list of copies", function()
    local list = extensions.new()
    assert.equal(0, #list)
    assert.is_true(list:add(usage))
    assert.is_true(list:add(extension.new("keyUsage", "critical,keyCertSign")))
    assert.equal(2, #list)
    assert.equal(SHOWN, tostring(list[1]))
    list[1]:set_critical(true)
    assert.is_false(list[1]:get_critical())
    assert.is_nil(list[3])
    local copy = extensions.dup(list.ctx)
    copy:add(usage)
    assert.equal(2, #list)
    assert.equal(3, copy:count())
    assert.is_true(extensions.istype(copy))
    assert.is_false(extensions.istype(usage))
    assert.same({ nil, "expect a x509.extension instance at #1" }, { list:add("x") })
    assert.same({ nil, "x509.extensions.dup: expect a stack ctx at #1, got string" }, { extensions.dup("x") })
    for i, e in list:each() do
      assert.is_true(extension.istype(e), i)
    end
  end)

  it("is what a request has", function()
    local request = csr.new()
    assert.equal(0, #request:get_extensions())
    request:add_extension(usage)
    assert.equal(SHOWN, request:get_extensions()[1]:text())
  end)
end)

describe("D4 resty.openssl.x509.crl", function()
  it("reads what OpenSSL wrote", function()
    local list = crl.new(LIST)
    assert.is_true(crl.istype(list))
    assert.equal(2, list:get_version())
    assert.equal("CN=Test CA", tostring(list:get_issuer_name()))
    assert.equal(1795694694, list:get_last_update())
    assert.equal(4906094694, list:get_next_update())
    assert.equal("ecdsa-with-SHA256", list:get_signature_name())
    assert.equal("SHA256", list:get_signature_digest_name())
    assert.equal(794, list:get_signature_nid())
    assert.equal(1, #list)
    local entry = { serial_number = "1001", revocation_date = 1795694694 }
    assert.same({ entry }, list:all())
    assert.same(entry, list[1])
    assert.is_nil(list[2])
    assert.same(entry, list:get_by_serial("1001"))
    assert.same(entry, list:get_by_serial(x509.new(BAD):get_serial_number()))
    assert.is_nil(list:get_by_serial(x509.new(GOOD):get_serial_number()))
    assert.same({ nil, "x509.crl:find: expect a bn instance at #1" }, { list:get_by_serial(1) })
    assert.is_true(list:verify(x509.new(CA):get_pubkey()))
    assert.is_false(list:verify(x509.new(GOOD):get_pubkey()))
    assert.equal(LIST, (list:to_PEM():gsub("\n$", "")))
    assert.equal(LIST, (crl.new(list:tostring("DER"), "DER"):tostring():gsub("\n$", "")))
    assert.equal("1", (list:get_extension("crlNumber"):to_der():gsub("^\2\1\1$", "1")))
    assert.matches("Revoked Certificates:\n    Serial Number: 1001\n        Revocation Date: Nov 26 12:04:54 2026 GMT",
      list:text(), 1, true)
  end)

  it("is made and signed", function()
    local key = pkey.new(CA_KEY)
    local list = crl.new()
    assert.equal(0, #list)
    assert.is_nil(list:get_next_update())
    assert.is_true(list:set_version(2))
    assert.is_true(list:set_issuer_name(name.new():add("CN", "x")))
    assert.is_true(list:set_last_update(1000))
    assert.is_true(list:set_next_update(2000))
    assert.is_true(list:add_revoked(revoked.new(255, 1500, 1)))
    assert.is_true(list:add_revoked(revoked.new(256, 1500, 8)))
    assert.is_true(list:add_extension(extension.from_der("\2\1\5", "crlNumber")))
    assert.is_true(list:sign(key))
    local again = crl.new(list:to_PEM())
    assert.is_true(again:verify(key))
    assert.same({ 2, 1000, 2000, 2 }, { again:get_version(), again:get_last_update(), again:get_next_update(), #again })
    assert.same({ serial_number = "FF", revocation_date = 1500 }, again[1])
    assert.same({ nil, "not revoked (removeFromCRL)" }, { again:get_by_serial("100") })
    local copy = crl.dup(again.ctx)
    assert.is_true(copy:add_revoked(revoked.new(1, 1, 1)))
    assert.is_false(copy:verify(key))
    assert.equal(2, #again)
  end)

  it("judges arguments", function()
    local list = crl.new()
    assert.same({ nil, "x509.crl.new: expect nil or a string at #1" }, { crl.new(1) })
    assert.matches("^x509.crl.new: .*no start line", (select(2, crl.new("x", "PEM"))))
    assert.matches("^x509.crl.new: .*nested asn1 error", (select(2, crl.new(GOOD, "DER"))))
    assert.same({ false, "x509.crl:add_revoked: expect a revoked instance at #1" }, { list:add_revoked({ ctx = {} }) })
    assert.same({ false, "x509.crl:set_last_update: expect a number at #1" }, { list:set_last_update("x") })
    assert.same({ false, "x509.crl:set_issuer_name: expect a x509.name instance at #1" }, { list:set_issuer_name({}) })
    assert.same({ false, "x509.crl:sign: expect a pkey instance at #1" }, { list:sign({}) })
    assert.same({ nil, "x509.crl.dup: expect a x509.crl ctx at #1" }, { crl.dup({}) })
    assert.same({ nil, "x509.crl:tostring: can only write PEM or DER format, not x" }, { list:tostring("x") })
    assert.same({ nil, "x509.revoked.new: sn should be number or a bn instance" }, { revoked.new("x", 1, 1) })
    assert.same({ nil, "x509.revoked.new: expect a number at #2" }, { revoked.new(1, "x", 1) })
    assert.same({ nil, "x509.revoked.new: expect a number at #3" }, { revoked.new(1, 1, "x") })
    assert.is_nil((revoked.new(1, 1, 1000)))
  end)
end)

describe("D4 resty.openssl.x509.store judges by revocation lists", function()
  local good, bad, ca = x509.new(GOOD), x509.new(BAD), x509.new(CA)
  local trusted

  before_each(function()
    trusted = store.new()
    trusted:add(ca)
  end)

  it("when it has one", function()
    assert.is_true(trusted:verify(bad))
    assert.is_true(trusted:add(crl.new(LIST)))
    assert.same({ true }, { trusted:verify(good) })
    assert.same({ nil, "certificate revoked" }, { trusted:verify(bad) })
    assert.same({ nil, "certificate revoked" }, { trusted:verify(bad, chain.new(), true) })
  end)

  it("afterwards", function()
    assert.is_true(trusted:add(crl.new(LIST), true))
    local verified = assert(trusted:verify(bad, nil, true))
    assert.same({ nil, "certificate revoked" }, { trusted:check_revocation(verified) })
    assert.is_true(trusted:check_revocation(trusted:verify(good, nil, true)))
    assert.same({ nil, "x509.store:check_revocation: expect a x509.chain instance at #1" },
      { trusted:check_revocation(bad) })
  end)

  it("and says why it cannot", function()
    local check = store.verify_flags.X509_V_FLAG_CRL_CHECK
    assert.same({ nil, "unable to get certificate CRL" }, { trusted:verify(good, nil, false, nil, nil, check) })
    local function with(change, key)
      local list = crl.new(LIST)
      change(list)
      list:sign(key or pkey.new(CA_KEY))
      local other = store.new()
      other:add(ca)
      other:add(list)
      return select(2, other:verify(good))
    end
    assert.is_nil(with(function() end))
    assert.equal("CRL signature failure", with(function() end, pkey.new({ type = "EC", curve = "prime256v1" })))
    assert.equal("CRL is not yet valid", with(function(list) list:set_last_update(ngx.time() + 100) end))
    assert.equal("CRL has expired", with(function(list) list:set_next_update(ngx.time() - 100) end))
    assert.equal("Different CRL scope", with(function(list)
      list:add_extension(extension.from_der("0", "issuingDistributionPoint", true))
    end))
    assert.equal("unhandled critical CRL extension", with(function(list)
      list:add_extension(extension.from_der("0", "nsComment", true))
    end))
    assert.equal("unable to get certificate CRL", with(function(list)
      list:set_issuer_name(name.new():add("CN", "another"))
    end))
    assert.same({ false, "x509.store:add: expect an x509 or crl instance at #1" }, { trusted:add({}) })
  end)

  it("of all of a chain, if asked", function()
    local flags = store.verify_flags
    trusted:add(crl.new(LIST))
    trusted:set_flags(flags.X509_V_FLAG_CRL_CHECK_ALL)
    assert.is_true(trusted:verify(good))
    assert.equal("certificate revoked", (select(2, trusted:verify(bad))))
  end)
end)

describe("D4 resty.openssl.objects", function()
  it("takes names of one's own", function()
    assert.same({ nil, "objects.txt2nid: invalid NID text 1.3.6.1.4.1.99999.7" },
      { objects.txt2nid("1.3.6.1.4.1.99999.7") })
    local nid = objects.create("1.3.6.1.4.1.99999.7", "mine", "My own")
    assert.is_true(nid > 0)
    assert.equal(nid, objects.txt2nid("mine"))
    assert.same({ id = "1.3.6.1.4.1.99999.7", nid = nid, sn = "mine", ln = "My own" }, objects.nid2table(nid))
    local made = extension.from_der("value", nid, true)
    assert.equal("mine", made:get_object().sn)
    assert.equal("value", tostring(made))
    assert.equal(0, objects.create("1.3.6.1.4.1.99999.7", "mine", "My own"))
    assert.equal(0, objects.create("x.y", "other", "Other"))
    assert.equal(0, objects.create())
  end)
end)

describe("D4 resty.openssl.x509.extension", function()
  it("says who the issuer is, but of one that issued itself", function()
    local ca, good = x509.new(CA), x509.new(GOOD)
    local id = tostring(ca:get_extension("subjectKeyIdentifier"))
    assert.equal(id, tostring(extension.new("authorityKeyIdentifier", "keyid", { subject = good, issuer = ca })))
    assert.equal("0.", tostring(extension.new("authorityKeyIdentifier", "keyid", { subject = ca, issuer = ca })))
    assert.equal(id, tostring(extension.new("authorityKeyIdentifier", "keyid:always", { subject = ca, issuer = ca })))
    local key = pkey.new(CA_KEY)
    local by_key = { subject = good, issuer = good, issuer_pkey = key }
    assert.equal(id, tostring(extension.new("authorityKeyIdentifier", "keyid", by_key)))
    assert.same({ nil, "x509.extension.new: expect data.issuer_pkey to be a resty.openssl.pkey instance" },
      { extension.new("authorityKeyIdentifier", "keyid", { issuer = ca, issuer_pkey = "x" }) })
  end)

  it("takes names from a section of a configuration", function()
    local conf = "[other]\nDNS = not.this\n[ names ] # these\nDNS.1 = a.test\nDNS.2=b.test # and\nIP.1 = 10.0.0.1\n"
    local made = extension.new("subjectAltName", "critical,@names", conf)
    assert.equal("DNS:a.test, DNS:b.test, IP Address:10.0.0.1", tostring(made))
    assert.is_true(made:get_critical())
    assert.is_nil((extension.new("subjectAltName", "@nope", conf)))
  end)

  it("carries names of other kinds along", function()
    local made = extension.new("subjectAltName", "otherName:msUPN;UTF8:sb@sb.local,RID:1.2.3.4,IP.2:::1")
    local cert = x509.new()
    cert:add_extension(made)
    assert.same({ OtherName = "OtherName:<unsupported>", RID = "RID:<unsupported>", IP = "::1" },
      cert:get_subject_alt_name():all())
    assert.is_nil((extension.new("subjectAltName", "otherName:msUPN")))
    assert.is_nil((extension.new("subjectAltName", "RID:x.y")))
  end)
end)

describe("D4 resty.openssl", function()
  it("lists what there is", function()
    local openssl = require "resty.openssl"
    for _, kind in ipairs({ "cipher", "digest", "mac", "kdf" }) do
      local names = openssl["list_" .. kind .. "_algorithms"](true)
      for i, name in ipairs(openssl["list_" .. kind .. "_algorithms"]()) do
        assert.equal(names[i] .. " @ default", name)
        if kind == "mac" then
          assert.truthy(require("resty.openssl.mac").new("key", name:match("^%S+"), nil, "sha256"))
        else
          assert.truthy(require("resty.openssl." .. kind).new(names[i]), name)
        end
      end
    end
    openssl.load_modules()
    assert.equal(crl, openssl.crl)
  end)

  it("says what is not there", function()
    local ssl = require "resty.openssl.ssl"
    assert.has_error(function() ssl.from_request() end, "not supported: resty.openssl.ssl.from_request")
    for _, name in ipairs({ "encapsulate", "decapsulate" }) do
      assert.has_error(function() pkey[name]() end, "not supported: resty.openssl.pkey:" .. name)
    end
  end)

  it("has providers", function()
    local provider = require "resty.openssl.provider"
    local p = assert(provider.load("default"))
    assert.is_true(p:self_test())
    assert.equal("3.2.3", p:get_params("version"))
    assert.same({ name = "OpenSSL Default Provider", status = 1 }, p:get_params("name", "status"))
    assert.is_true(p:unload())
    assert.is_true(provider.is_available("default"))
    assert.is_false(provider.is_available("legacy"))
    assert.is_nil((provider.load("fips")))
    assert.is_true(require("resty.openssl.ctx").new(true))
  end)

  it("makes keys as OpenSSL's words say", function()
    assert.equal(715, pkey.new({ type = "EC", "ec_paramgen_curve:secp384r1" }):get_parameters().group)
    assert.equal(409, pkey.new({ type = "EC" }):get_parameters().group)
    assert.equal(128, pkey.new({ type = "RSA", "rsa_keygen_bits:1024" }):get_size())
    assert.same({ nil, "pkey.new:new_key: unknown ctrl str: x" }, { pkey.new({ "x" }) })
    local key = pkey.new({ type = "EC" })
    assert.is_true(key:verify(key:sign("text", "sha512"), "text", "sha512"))
    assert.equal(56, key:get_size())
  end)

  it("derives keys as TLS 1 does, and keeps options", function()
    local kdf = require "resty.openssl.kdf"
    local options = { type = kdf.TLS1_PRF, outlen = 16, md = "md5", tls1_prf_secret = "secret", tls1_prf_seed = "seed" }
    assert.equal("0xr8qthU+ypv2xRC90la8g==", ngx.encode_base64(kdf.derive(options)))
    assert.equal("0xr8qthU+ypv2xRC90la8g==", ngx.encode_base64(kdf.new("TLS1-PRF"):derive(16,
      { digest = "md5", secret = "secret", seed = "seed" })))
    local k = kdf.new("PBKDF2")
    assert.is_true(k:set_params({ iter = 1000, digest = "md5", salt = "" }))
    assert.equal("cDRFLQ7NWt+AP4i0TdBzog==", ngx.encode_base64(k:derive(16, { pass = "1234567" })))
    k:reset()
    local _, err = k:derive(16, { pass = "1234567" })
    assert.matches("^kdf:derive: .*missing salt$", err)
  end)

  it("writes numbers with their length", function()
    local bn = require "resty.openssl.bn"
    for _, n in ipairs({ 0, 1, 127, 128, 255, 256, 65535 }) do
      assert.equal(bn.new(n), bn.from_mpi(bn.new(n):to_mpi()))
      assert.equal(-bn.new(n), bn.from_mpi((-bn.new(n)):to_mpi()))
    end
    assert.equal("\0\0\0\2\0\128", bn.new(128):to_mpi())
    assert.equal("\0\0\0\1\129", (-bn.new(1)):to_mpi())
  end)
end)
