-- ngx.ssl and ngx.ssl.clienthello without a client's TLS: what they answer and what they refuse. What they do in a
-- handshake is shown in tests/it/c07_phase.rs.

local request = require "moongate.spec.request"

-- The functions for the certificate phase, good arguments, and which of the results is the error.
local FUNCTIONS = {
  clear_certs = { {}, 2 },
  set_cert = { { 1LL }, 2 },
  set_priv_key = { { 1LL }, 2 },
  set_der_cert = { { "der" }, 2 },
  set_der_priv_key = { { "der" }, 2 },
  server_name = { {}, 2 },
  server_port = { {}, 2 },
  raw_server_addr = { {}, 3 },
  raw_client_addr = { {}, 3 },
  get_tls1_version = { {}, 2 },
  get_tls1_version_str = { {}, 2 },
  get_client_random = { {}, 2 },
  get_req_shared_ssl_ciphers = { {}, 2 },
}

local HELLO = {
  get_client_hello_server_name = {}, get_supported_versions = {}, get_client_hello_ciphers = {},
  get_client_hello_ext_present = {}, get_client_hello_ext = { 0 }, set_protocols = { { "TLSv1.3" } },
}

describe("D4 ngx.ssl towards clients", function()
  local ssl, hello = require "ngx.ssl", require "ngx.ssl.clienthello"

  local function inside(phase, f)
    request { steps = { { phase, f } } }
  end

  -- the message of an error, without its place
  local function raised(f, ...)
    local ok, err = pcall(f, ...)
    assert.is_false(ok)
    return (err:gsub("^[^ ]-:%d+: ", ""))
  end

  it("C7 parses and serves from one table", function()
    for _, name in ipairs { "parse_pem_cert", "server_name", "clear_certs", "set_cert", "verify_client" } do
      assert.is_function(ssl[name])
    end
    assert.same({ 0x0300, 0x0301, 0x0302, 0x0303, 0x0304 }, {
      ssl.SSL3_VERSION, ssl.TLS1_VERSION, ssl.TLS1_1_VERSION, ssl.TLS1_2_VERSION, ssl.TLS1_3_VERSION,
    })
  end)

  for name, known in pairs(FUNCTIONS) do
    it("D4 " .. name .. " says that a connection has no TLS", function()
      local function refused()
        local results = table.pack(ssl[name](unpack(known[1])))
        assert.equal(known[2], results.n)
        assert.is_nil(results[1])
        assert.is_nil(results[known[2] - 1])
        assert.equal("bad request", results[known[2]])
      end
      for _, phase in ipairs { "rewrite", "access", "header_filter", "body_filter", "log" } do
        inside(phase, refused)
      end
      -- a timer's neither
      refused()
    end)
  end

  it("D4 verify_client is for the certificate phase", function()
    for _, phase in ipairs { "rewrite", "access", "log" } do
      inside(phase, function()
        assert.same({ nil, "API disabled in the current context" }, { ssl.verify_client() })
      end)
    end
  end)

  it("D4 junk is told from pointers and strings", function()
    inside("access", function()
      for _, junk in ipairs { true, 1, "x", {}, print } do
        local kind = type(junk)
        for name, text in pairs {
          set_cert = "bad argument #2 to 'ngx_http_lua_ffi_set_cert' (cannot convert '%s' to 'void *')",
          set_priv_key = "bad argument #2 to 'ngx_http_lua_ffi_set_priv_key' (cannot convert '%s' to 'void *')",
          verify_client = "bad argument #2 to 'ngx_http_lua_ffi_ssl_verify_client' (cannot convert '%s' to 'void *')",
        } do
          assert.equal(text:format(kind), raised(ssl[name], junk))
        end
        assert.equal("bad argument #3 to 'ngx_http_lua_ffi_ssl_verify_client' (cannot convert '" .. kind
          .. "' to 'void *')", raised(ssl.verify_client, nil, 0, junk))
      end
      for _, junk in ipairs { false, true, {}, print } do
        for _, name in ipairs { "set_der_cert", "set_der_priv_key" } do
          assert.equal("bad argument #1 to '" .. name .. "' (string expected, got " .. type(junk or nil) .. ")",
                       raised(ssl[name], junk or nil))
        end
      end
    end)
  end)

  for name, arguments in pairs(HELLO) do
    it("D4 " .. name .. " is for the client_hello phase", function()
      for _, phase in ipairs { "certificate", "rewrite", "access", "header_filter", "log" } do
        inside(phase, function()
          assert.equal("API disabled in the current context", raised(hello[name], unpack(arguments)))
          -- before it looks at its arguments
          assert.equal("API disabled in the current context", raised(hello[name], print))
        end)
      end
    end)
  end
end)

describe("D1 kong.client.tls", function()
  it("C7 what is for the certificate phase says so elsewhere", function()
    for _, name in ipairs { "request_client_certificate", "disable_session_reuse" } do
      for _, phase in ipairs { "rewrite", "access", "response", "log" } do
        request { steps = { { phase, function()
          assert.error_matches(kong.client.tls[name],
                               "function cannot be called in " .. phase .. " phase %(only in: certificate%)")
        end } } }
      end
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
