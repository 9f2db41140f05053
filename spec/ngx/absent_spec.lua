-- What nginx has and the gateway does not: each says so by its name, before it looks at its arguments. They stand in
-- the README's table with the reasons.

local MODULES = {
  ["ngx.proxyssl"] = "get_tls1_version get_tls1_version_str",
  ["ngx.ssl.proxysslcert"] = "clear_certs set_der_cert set_der_priv_key set_cert set_priv_key",
  ["ngx.ssl.proxysslverify"] = "set_verify_result get_verify_result get_verify_cert",
  ["ngx.ssl.session"] = "get_session_id get_serialized_session set_serialized_session",
  ["ngx.ssl"] = [[export_keying_material export_keying_material_early get_req_ssl_pointer get_upstream_ssl_pointer
    get_server_random get_session_master_key]],
  ["ngx.process"] = "signal_graceful_exit",
}

describe("D4 what is not supported", function()
  for module, names in pairs(MODULES) do
    it("D4 " .. module, function()
      local loaded = require(module)
      for name in names:gmatch("%S+") do
        local f = loaded[name]
        for _, arguments in ipairs { {}, { 1 }, { "x", "y" }, { {}, {} } } do
          local ok, err = pcall(f, unpack(arguments))
          assert.is_false(ok)
          assert.equal("not supported: " .. module .. "." .. name, (err:gsub("^[^ ]-:%d+: ", "")))
        end
        -- it is the caller's line that is named
        local _, err = pcall(function() return f() or nil end)
        assert.matches("^spec/ngx/absent_spec%.lua:%d+: not supported", err)
      end
    end)
  end

  it("D4 the numbers of ngx.proxyssl are there", function()
    local proxyssl = require "ngx.proxyssl"
    assert.same({ 0x0300, 0x0301, 0x0302, 0x0303, 0x0304 }, {
      proxyssl.SSL3_VERSION, proxyssl.TLS1_VERSION, proxyssl.TLS1_1_VERSION, proxyssl.TLS1_2_VERSION,
      proxyssl.TLS1_3_VERSION,
    })
  end)

  it("D4 ngx.ssl.ssl_session_reused looks at its argument first", function()
    local reused = require("ngx.ssl").ssl_session_reused
    for _, junk in ipairs { false, 1, "x", {} } do
      assert.same({ nil, "bad ssl" }, { reused(junk or nil) })
    end
    assert.error_matches(function() reused(1LL) end, "not supported: ngx.ssl.ssl_session_reused")
  end)
end)
