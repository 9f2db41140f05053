describe("C7 ngx.ssl towards clients", function()
  local ssl, hello = require "ngx.ssl", require "ngx.ssl.clienthello"

  it("C7 parses and serves from one table", function()
    for _, name in ipairs { "parse_pem_cert", "server_name", "clear_certs", "set_cert", "verify_client" } do
      assert.is_function(ssl[name])
    end
    assert.equal(0x0304, ssl.TLS1_3_VERSION)
  end)

  it("C7 wants a connection", function()
    assert.error_matches(function() ssl.server_name() end, "no request found")
    assert.error_matches(function() ssl.clear_certs() end, "no request found")
    assert.error_matches(function() hello.get_client_hello_server_name() end, "API disabled in the current context")
  end)

  it("C7 says what is not there", function()
    assert.error_matches(function() ssl.export_keying_material(32, "x") end,
                         "not supported: ngx.ssl.export_keying_material")
    assert.same({ nil, "bad ssl" }, { ssl.ssl_session_reused(1) })
  end)

  it("C7 kong.client.tls is for its phases", function()
    local tls = kong.client.tls
    for _, name in ipairs { "request_client_certificate", "disable_session_reuse" } do
      assert.error_matches(tls[name], "certificate%)")
    end
  end)
end)

describe("C7 kong.runloop.certificate", function()
  local certificate = require "kong.runloop.certificate"

  it("C7 makes the names with a star", function()
    for name, want in pairs {
      ["a.b.com"] = { "*.b.com", "a.b.*" },
      ["b.com"] = { nil, "b.*" },
      ["localhost"] = {},
      ["*.b.com"] = { "*.b.com" },
      ["b.*"] = { nil, "b.*" },
    } do
      assert.same(want, { certificate.produce_wild_snis(name) })
    end
    assert.error_matches(function() certificate.produce_wild_snis(1) end, "sni must be a string")
  end)

  it("C7 makes one key of CAs in any order", function()
    assert.equal(certificate.ca_ids_cache_key({ "b", "a" }), certificate.ca_ids_cache_key({ "a", "b" }))
    assert.equal("ca_stores:" .. ngx.md5("a:b"), certificate.ca_ids_cache_key({ "b", "a" }))
  end)
end)
