local ocsp = require "ngx.ocsp"
local ssl = require "ngx.ssl"

local SETTINGS = [[
[ca]
default_ca = one
[one]
dir = .
database = index.txt
serial = serial
new_certs_dir = .
default_md = sha256
policy = any
rand_serial = yes
default_days = 30
unique_subject = no
[any]
commonName = supplied
[leaf]
authorityInfoAccess = OCSP;URI:http://127.0.0.1:1/first, caIssuers;URI:http://127.0.0.1/ca, OCSP;URI:http://127.0.0.1:1/second
[signer]
extendedKeyUsage = OCSPSigning
[plain]
keyUsage = digitalSignature
[above]
basicConstraints = critical,CA:TRUE
keyUsage = keyCertSign,cRLSign
]]

local dir

-- runs a command of openssl's among the files
local function openssl(...)
  local command = table.concat({ ... }, " ")
  local p = assert(io.popen(("cd %s && openssl %s 2>&1"):format(dir, command)))
  local said = p:read("*a")
  p:close()
  return said
end

local function contents(name)
  local f = assert(io.open(dir .. "/" .. name, "rb"))
  local text = f:read("*a")
  f:close()
  return text
end

local function write(name, text)
  local f = assert(io.open(dir .. "/" .. name, "wb"))
  f:write(text)
  f:close()
end

local function chain(...)
  local pem = ""
  for _, name in ipairs({ ... }) do
    pem = pem .. contents(name .. ".pem")
  end
  return assert(ssl.cert_pem_to_der(pem))
end

-- a key and a certificate of the authority's for it
local function issue(name, extensions)
  openssl("req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=" .. name, "-keyout", name .. ".key",
    "-out", name .. ".csr")
  openssl("ca -batch -config ca.cnf -cert ca.pem -keyfile ca.key -notext -extensions", extensions, "-in",
    name .. ".csr -out", name .. ".pem")
end

-- the answer to `name`'s question by `signer`; `more` are options of openssl's
local function answer(name, signer, more)
  write("question.der", assert(ocsp.create_ocsp_request(chain(name, "ca"))))
  openssl("ocsp -index index.txt -CA ca.pem -rsigner", signer .. ".pem -rkey", signer .. ".key",
    "-reqin question.der -respout answer.der", more or "")
  return contents("answer.der")
end

describe("D4 ngx.ocsp", function()
  lazy_setup(function()
    dir = os.tmpname()
    os.remove(dir)
    assert(os.execute("mkdir " .. dir))
    write("ca.cnf", SETTINGS)
    write("index.txt", "")
    openssl("req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30 -subj /CN=authority",
      "-config /etc/ssl/openssl.cnf -keyout ca.key -out ca.pem")
    issue("good", "leaf")
    issue("gone", "leaf")
    issue("silent", "plain")
    issue("responder", "signer")
    issue("between", "above")
    openssl("ca -config ca.cnf -cert ca.pem -keyfile ca.key -revoke gone.pem")
    openssl("req -x509 -newkey rsa:2048 -nodes -days 30 -subj /CN=stranger -keyout stranger.key -out stranger.pem")
  end)

  lazy_teardown(function()
    os.execute("rm -r " .. dir)
  end)

  it("D4 get_ocsp_responder_from_der_chain", function()
    local url = "http://127.0.0.1:1/first"
    local certs = chain("good", "ca")
    assert.same({ url }, { ocsp.get_ocsp_responder_from_der_chain(certs) })
    assert.same({ url }, { ocsp.get_ocsp_responder_from_der_chain(certs, #url) })
    assert.same({ "http:", "truncated" }, { ocsp.get_ocsp_responder_from_der_chain(certs, 5) })
    assert.is_nil((ocsp.get_ocsp_responder_from_der_chain(chain("silent", "ca"))))
    assert.same({ nil, "no issuer certificate in chain" }, { ocsp.get_ocsp_responder_from_der_chain(chain("good")) })
    for _, other in ipairs({ "stranger", "between", "good" }) do
      assert.same({ nil, "issuer certificate not next to leaf" },
        { ocsp.get_ocsp_responder_from_der_chain(chain("good", other, "ca")) })
    end
    assert.same({ nil, "d2i_X509_bio() failed" }, { ocsp.get_ocsp_responder_from_der_chain("") })
    assert.same({ nil, "d2i_X509_bio() failed" },
      { ocsp.get_ocsp_responder_from_der_chain(chain("good") .. "junk") })
  end)

  it("D4 create_ocsp_request: what openssl's command asks", function()
    local certs = chain("good", "ca")
    local made = assert(ocsp.create_ocsp_request(certs))
    openssl("ocsp -no_nonce -issuer ca.pem -cert good.pem -reqout theirs.der")
    assert.equal(contents("theirs.der"), made)
    assert.same({ nil, "output buffer too small: " .. #made .. " > 7" }, { ocsp.create_ocsp_request(certs, 7) })
    assert.equal(made, ocsp.create_ocsp_request(certs, #made))
    assert.same({ nil, "no issuer certificate in chain" }, { ocsp.create_ocsp_request(chain("good")) })
    assert.same({ nil, "d2i_X509_bio() failed" }, { ocsp.create_ocsp_request("") })
  end)

  it("D4 validate_ocsp_response: good, of the authority's or a responder's, by name or key", function()
    local certs = chain("good", "ca")
    for _, signer in ipairs({ "ca", "responder" }) do
      for _, how in ipairs({ "", "-resp_key_id" }) do
        assert.same({ true }, { ocsp.validate_ocsp_response(answer("good", signer, how), certs) })
      end
    end
    local ok, next_update = ocsp.validate_ocsp_response(answer("good", "ca", "-ndays 2"), certs)
    assert.is_true(ok)
    assert.is_true(math.abs(next_update - os.time() - 2 * 86400) < 120)
    ok, next_update = ocsp.validate_ocsp_response(answer("good", "ca", "-resp_no_certs -nmin 5"), certs)
    assert.is_true(ok)
    assert.is_true(math.abs(next_update - os.time() - 300) < 120)
    -- anybody's certificate that comes along is one, as with OpenResty
    assert.same({ true }, { ocsp.validate_ocsp_response(answer("good", "stranger"), certs) })
  end)

  it("D4 validate_ocsp_response: what is refused", function()
    local certs = chain("good", "ca")
    local good = answer("good", "ca")
    local function refused(why, resp, of)
      assert.same({ nil, why }, { ocsp.validate_ocsp_response(resp, of or certs) })
    end
    refused("no issuer certificate in chain", good, chain("good"))
    refused("d2i_X509_bio() failed", good, "")
    refused("OCSP_basic_verify() failed", answer("good", "stranger", "-resp_no_certs"))
    refused("OCSP_basic_verify() failed", (good:gsub("authority", "Authority")))
    refused('certificate status "revoked" in the OCSP response', answer("gone", "ca"), chain("gone", "ca"))
    refused("certificate status not found in the OCSP response", answer("gone", "ca"))
    refused("d2i_OCSP_RESPONSE() failed", "")
    refused("d2i_OCSP_RESPONSE() failed", good:sub(1, -2))
    refused("OCSP_response_get1_basic() failed", "\x30\x03\x0a\x01\x00")
    for status, name in pairs({ "malformedrequest", "internalerror", "trylater", "(UNKNOWN)", "sigrequired",
                                "unauthorized" }) do
      refused(("OCSP response not successful (%d: %s)"):format(status, name), "\x30\x03\x0a\x01" .. string.char(status))
    end
    assert.same({ nil, "OCSP_basic" },
      { ocsp.validate_ocsp_response(answer("good", "stranger", "-resp_no_certs"), certs, 10) })
    -- a file of another authority knows nothing of it
    write("empty.txt", "")
    write("question.der", assert(ocsp.create_ocsp_request(certs)))
    openssl("ocsp -index empty.txt -CA ca.pem -rsigner ca.pem -rkey ca.key -reqin question.der -respout answer.der")
    refused('certificate status "unknown" in the OCSP response', contents("answer.der"))
  end)

  it("D4 validate_ocsp_response: cut and changed answers never count", function()
    local certs = chain("good", "ca")
    local good = answer("good", "ca", "-ndays 1")
    for cut = 0, #good - 1, 7 do
      assert.is_nil((ocsp.validate_ocsp_response(good:sub(1, cut), certs)))
    end
    -- what stands behind the signature, a responder's certificate, does not count here
    local signed = #answer("good", "ca", "-ndays 1 -resp_no_certs") - 80
    for at = 40, signed, 3 do
      local changed = good:sub(1, at - 1) .. string.char((good:byte(at) + 1) % 256) .. good:sub(at + 1)
      assert.is_nil((ocsp.validate_ocsp_response(changed, certs)), "changed at " .. at)
    end
  end)

  it("D4 set_ocsp_status_resp needs a client's TLS", function()
    assert.same({ nil, "bad request" }, { ocsp.set_ocsp_status_resp("x") })
  end)

  it("D4 junk raises", function()
    for name, count in pairs({ get_ocsp_responder_from_der_chain = 1, create_ocsp_request = 1,
                               validate_ocsp_response = 2, set_ocsp_status_resp = 1 }) do
      for _, junk in ipairs({ {}, true, 5 }) do
        local arguments = count == 2 and { "x", junk } or { junk }
        assert.error_matches(function()
          ocsp[name](unpack(arguments))
        end, "bad argument #%d to 'ngx_http_lua_ffi_ssl_%w+_?[%w_]+' %(cannot convert '%l+' to 'const ")
      end
    end
  end)
end)
