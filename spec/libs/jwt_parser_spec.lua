local parser = require("kong.plugins.jwt.jwt_parser")
local pkey = require("resty.openssl.pkey")

describe("D1 kong.plugins.jwt.jwt_parser", function()
  it("D1 reads what it made, and verifies it by a secret", function()
    local token = parser.encode({ sub = "joe", n = 1 }, "secret")
    local jwt = assert(parser:new(token))
    assert.same({ typ = "JWT", alg = "HS256" }, jwt.header)
    assert.same({ sub = "joe", n = 1 }, jwt.claims)
    assert.equal(token, table.concat({ jwt.header_64, jwt.claims_64, jwt.signature_64 }, "."))
    assert.is_true(jwt:verify_signature("secret"))
    assert.is_false(jwt:verify_signature("other"))
    for _, alg in ipairs { "HS384", "HS512" } do
      assert.is_true(parser:new(parser.encode({}, "s", alg)):verify_signature("s"))
    end
  end)

  it("D1 verifies a token made elsewhere", function()
    -- RFC 7515, A.1
    local jwt = assert(parser:new("eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogI"
      .. "mh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"))
    assert.is_true(jwt:verify_signature(jwt:base64_decode(
      "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow")))
    assert.same({ false, { exp = "token expired" } }, { jwt:verify_registered_claims { "exp" } })
  end)

  it("D1 verifies by public keys of each kind", function()
    local rsa = pkey.new { type = "RSA", bits = 2048 }
    local keys = {
      RS256 = rsa, RS384 = rsa, RS512 = rsa, PS256 = rsa, PS384 = rsa, PS512 = rsa,
      ES256 = pkey.new { type = "EC", curve = "prime256v1" }, ES384 = pkey.new { type = "EC", curve = "secp384r1" },
      ES512 = pkey.new { type = "EC", curve = "secp521r1" }, EdDSA = pkey.new { type = "Ed25519" },
    }
    for alg, key in pairs(keys) do
      local jwt = assert(parser:new(parser.encode({ a = 1 }, key:to_PEM("private"), alg)), alg)
      assert.is_true(jwt:verify_signature(key:to_PEM("public")), alg)
      jwt.claims_64 = jwt.claims_64 .. "A"
      assert.falsy((jwt:verify_signature(key:to_PEM("public"))), alg)
    end
    local ok, err = pcall(function()
      return parser:new(parser.encode({}, rsa:to_PEM("private"), "RS256")):verify_signature("none")
    end)
    assert.is_false(ok)
    assert.matches("Consumer Public Key is Invalid", err, 1, true)
  end)

  it("D1 a signature of another length is an error without a place", function()
    local key = pkey.new { type = "EC", curve = "prime256v1" }
    local jwt = parser:new(parser.encode({}, key:to_PEM("private"), "ES256"))
    jwt.signature = jwt.signature .. "x"
    assert.same({ false, "Signature must be 64 bytes." }, { pcall(jwt.verify_signature, jwt, key:to_PEM("public")) })
  end)

  it("D1 padding is passed over, however much of it there is", function()
    assert.equal("a", parser:base64_decode("YQ=="))
    assert.equal("", parser:base64_decode("=="))
    local began = os.clock()
    assert.same({ nil, "invalid JSON" }, { parser:new(("="):rep(60000) .. "x.a.b") })
    assert.is_true(os.clock() - began < 1)
  end)

  it("D1 refuses what is no token", function()
    local enc = ngx.encode_base64
    for token, why in pairs {
      ["x"] = "invalid JSON", ["x.y.z"] = "invalid JSON",
      [enc('{"alg":"none"}', true) .. "." .. enc("{}", true) .. "."] = "invalid alg",
      [enc("{}", true) .. "." .. enc("{}", true) .. ".aaaa"] = "invalid alg",
      [enc('{"alg":"HS256"}', true) .. "." .. enc("{}", true) .. ".?"] = "invalid signature",
    } do
      assert.same({ nil, why }, { parser:new(token) })
    end
    local ok, err = pcall(parser.new, parser, nil)
    assert.is_false(ok)
    assert.matches("Token must be a string, got nil", err, 1, true)
    ok, err = pcall(parser.encode, {}, "k", "XX")
    assert.is_false(ok)
    assert.matches("Algorithm not supported", err, 1, true)
  end)

  it("D1 judges registered claims and how long one may last", function()
    local function made(claims)
      return parser:new(parser.encode(claims, "s"))
    end
    local now = ngx.time()
    assert.is_true((made({ exp = now + 60, nbf = now - 1 }):verify_registered_claims { "exp", "nbf" }))
    assert.is_true((made({}):verify_registered_claims()))
    local ok, errors = made({ nbf = now + 60 }):verify_registered_claims { "exp", "nbf", "exp" }
    assert.is_false(ok)
    assert.equal("token not valid yet", errors.nbf)
    assert.same({ "must be a number", "must be a number" }, errors.exp)
    assert.is_true((made({ exp = now + 60 }):check_maximum_expiration(100)))
    assert.same({ false, { exp = "exceeds maximum allowed expiration" } },
      { made({ exp = now + 60 }):check_maximum_expiration(10) })
    assert.is_true((made({}):check_maximum_expiration(0)))
  end)
end)

describe("D1 require", function()
  it("D1 a module's name may be written as a path", function()
    local tablex = require("pl/tablex")
    assert.same({ 2, 4 }, { unpack(tablex.map(function(n) return n * 2 end, { 1, 2 })) })
    assert.equal(tablex, package.loaded["pl/tablex"])
    assert.is_false((pcall(require, "pl/none")))
  end)
end)
