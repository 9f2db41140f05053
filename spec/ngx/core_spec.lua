describe("D4 resty.core", function()
  it("D4 every module of lua-resty-core answers", function()
    for _, name in ipairs {
      "base", "base64", "coroutine", "ctx", "exit", "hash", "misc", "ndk", "param", "phase", "regex", "request",
      "response", "shdict", "socket", "time", "uri", "utils", "var", "worker",
    } do
      local m = require("resty.core." .. name)
      assert.is_string(m.version or m._VERSION)
    end
    assert.is_string(require("resty.core").version)
    for _, name in ipairs { "balancer", "base64", "errlog", "ocsp", "proxyssl", "re", "semaphore", "ssl",
                            "ssl.clienthello", "ssl.proxysslcert", "ssl.proxysslverify", "ssl.session" } do
      assert.is_table(require("ngx." .. name))
    end
  end)

  it("D4 resty.core.base", function()
    local ffi = require "ffi"
    local base = require "resty.core.base"
    assert.same({ 0, -1, -2, -3, -4, -5, -6, -100, -101 }, {
      base.FFI_OK, base.FFI_ERROR, base.FFI_AGAIN, base.FFI_BUSY, base.FFI_DONE, base.FFI_DECLINED, base.FFI_ABORT,
      base.FFI_NO_REQ_CTX, base.FFI_BAD_CONTEXT,
    })
    assert.equal(4096, base.get_string_buf_size())
    assert.equal(base.get_string_buf(10), base.get_string_buf(4096))
    assert.not_equal(base.get_string_buf(10), base.get_string_buf(10, true))
    assert.equal(5000, ffi.sizeof(base.get_string_buf(5000)))
    base.set_string_buf_size(8192)
    assert.equal(8192, base.get_string_buf_size())
    base.set_string_buf_size(0)
    assert.equal(8192, base.get_string_buf_size())
    base.set_string_buf_size(4096)
    base.get_size_ptr()[0] = 5
    assert.equal(5, tonumber(base.get_size_ptr()[0]))
    assert.is_true(base.get_errmsg_ptr()[0] == nil)
    local refs = {}
    assert.equal(1, base.ref_in_table(refs, "a"))
    assert.equal(2, base.ref_in_table(refs, "b"))
    refs[1], refs[0] = refs[0], 1
    assert.equal(1, base.ref_in_table(refs, "c"))
    assert.equal(-1, base.ref_in_table(refs, nil))
    assert.is_nil(base.allows_subsystem("stream", "http"))
    assert.error_matches(function() base.allows_subsystem("stream") end, "unsupported subsystem: http")
    local t = base.new_tab(1, 1)
    t.a = 1
    base.clear_tab(t)
    assert.is_nil(next(t))
  end)

  it("D4 resty.core.utils, misc and ctx", function()
    local utils = require "resty.core.utils"
    assert.equal("a_b_c", utils.str_replace_char("a-b-c", "-", "_"))
    assert.equal("abc", utils.str_replace_char("abc", "-", "_"))
    assert.equal("a%b", utils.str_replace_char("a.b", ".", "%"))
    local misc, kept = require "resty.core.misc", nil
    misc.register_ngx_magic_key_getter("spec_magic", function() return "got" end)
    misc.register_ngx_magic_key_setter("spec_magic", function(v) kept = v end)
    assert.equal("got", ngx.spec_magic)
    ngx.spec_magic = 5
    assert.equal(5, kept)
    assert.equal("got", ngx.spec_magic)
    assert.equal(ngx.ctx, require("resty.core.ctx").get_ctx_table())
  end)

  it("D4 constants", function()
    assert.same({ 0, -1, -2, -4, -5 }, { ngx.OK, ngx.ERROR, ngx.AGAIN, ngx.DONE, ngx.DECLINED })
    assert.equal("userdata", type(ngx.null))
    assert.equal("userdata: NULL", tostring(ngx.null))
    assert.equal("http", ngx.config.subsystem)
    assert.is_boolean(ngx.config.debug)
    assert.is_string(ngx.config.prefix())
    assert.is_string(ngx.config.nginx_configure())
    assert.is_number(ngx.config.nginx_version)
    assert.is_number(ngx.config.ngx_lua_version)
    assert.is_string(ngx.get_phase())
    assert.is_number(ngx.get_raw_phase())
  end)

  it("D4 ngx.balancer outside its phase", function()
    local balancer = require "ngx.balancer"
    for _, call in ipairs { { "set_current_peer", "127.0.0.1", 80 }, { "set_more_tries", 1 }, { "enable_keepalive" },
                            { "recreate_request" }, { "set_upstream_tls", true }, { "bind_to_local_addr", "127.0.0.1" } } do
      local ok, err = balancer[call[1]](call[2], call[3])
      assert.is_nil(ok)
      assert.is_true(err == "no upstream found" or err == "API disabled in the current context")
    end
    assert.is_false((balancer.set_timeouts(1, 1, 1)))
    local a, b, err = balancer.get_last_failure()
    assert.is_true(a == nil and b == nil and type(err) == "string")
    assert.error_matches(function() balancer.set_timeouts(0) end, "bad connect timeout")
    assert.error_matches(function() balancer.set_timeouts(1, "x") end, "bad send timeout")
    assert.error_matches(function() balancer.set_timeouts(1, 1, -1) end, "bad read timeout")
    assert.error_matches(function() balancer.enable_keepalive("x") end, "number expected, got string")
    assert.error_matches(function() balancer.enable_keepalive(1, -1) end, "expected >= 0")
    assert.error_matches(function() balancer.set_current_peer("a", 1, 2) end, "bad argument #3 to 'set_current_peer'")
    assert.error_matches(function() balancer.bind_to_local_addr(1) end, "bad argument #1 to 'bind_to_local_addr'")
  end)

  it("D4 what has no counterpart says so", function()
    assert.error_matches(function() require("ngx.ocsp").create_ocsp_request("x") end, "not supported: ngx.ocsp.create_ocsp_request")
    assert.error_matches(function() require("ngx.proxyssl").get_tls1_version() end, "not supported: ngx.proxyssl.get_tls1_version")
    assert.error_matches(function() require("ngx.ssl.session").get_session_id() end, "not supported: ngx.ssl.session.get_session_id")
    assert.equal(0x0303, require("ngx.proxyssl").TLS1_2_VERSION)
  end)
end)
