local request = require "moongate.spec.request"

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

  it("D4 get_request is something in a request and in a timer", function()
    local get_request = require("resty.core.base").get_request
    assert.is_truthy(get_request())
    for _, phase in ipairs { "rewrite", "access", "header_filter", "log" } do
      request { steps = { { phase, function()
        assert.is_truthy(get_request())
        assert.equal(get_request(), get_request())
      end } } }
    end
  end)

  it("D4 resty.core.regex", function()
    local regex = require "resty.core.regex"
    assert.is_nil(regex.set_buf_grow_ratio(3))
    assert.is_boolean(regex.is_regex_cache_empty())
    ngx.re.find("abc", "b", "o")
    assert.is_false(regex.is_regex_cache_empty())
    local compiled = assert(regex.re_match_compile("(b)(?<n>c)", "j"))
    assert.is_truthy(compiled)
    local base = require "resty.core.base"
    local buf, size, pos, len = regex.check_buf_size(base.get_string_buf(10), 10, nil, 0, 25, true)
    assert.is_truthy(buf)
    assert.same({ 30, 25 }, { size, len })
    assert.is_truthy(pos)
    regex.set_buf_grow_ratio(2)
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

  it("D4 phases have names and numbers", function()
    assert.equal("timer", ngx.get_phase())
    assert.equal(0x80, ngx.get_raw_phase())
    for phase, number in pairs {
      rewrite = 0x2, access = 0x4, log = 0x10, header_filter = 0x20, body_filter = 0x40, balancer = 0x200,
    } do
      request { steps = { { phase, function()
        assert.equal(phase, ngx.get_phase())
        assert.equal(number, ngx.get_raw_phase())
      end } } }
    end
  end)
end)
