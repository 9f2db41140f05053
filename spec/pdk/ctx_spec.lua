local request = require "moongate.spec.request"
local support = dofile "spec/pdk/support.lua"
local raised, junk, within = support.raised, support.junk, support.within

describe("D1 kong.ctx", function()
  it("D1 shared and core last for a request and are no part of ngx.ctx", function()
    request {
      steps = {
        { "rewrite", function()
          kong.ctx.shared.a = 1
          kong.ctx.core.a = 2
          assert.is_nil(ngx.ctx.a)
          assert.is_nil(ngx.ctx.shared)
          assert.is_nil(kong.ctx.nothing)
        end },
        { "log", function()
          assert.same({ 1, 2 }, { kong.ctx.shared.a, kong.ctx.core.a })
          assert.equal(kong.ctx.shared, require("kong.pdk").new().ctx.shared)
        end },
      },
    }
    within(function() assert.is_nil(kong.ctx.shared.a) end)
  end)

  it("D1 plugin is nil where no plugin runs", function()
    within(function() assert.is_nil(kong.ctx.plugin) end)
  end)
end)

describe("D1 kong.global", function()
  local global = require "kong.global"

  it("D1 gives names to tables of the request", function()
    within(function()
      local key = {}
      global.set_named_ctx(kong, "custom", key)
      kong.ctx.custom.a = 1
      assert.equal(1, ngx.ctx[key].a)
      assert.equal(key, ngx.ctx.KONG_NAMESPACES.custom)
      assert.equal(1, kong.ctx.custom.a)
      global.set_named_ctx(kong, "plugin", key)
      assert.equal(kong.ctx.custom, kong.ctx.plugin)
      global.del_named_ctx(kong, "custom")
      assert.is_nil(kong.ctx.custom)
      assert.equal(1, kong.ctx.plugin.a)
      -- into a table of the caller's
      local ctx = {}
      global.set_named_ctx(kong, "other", key, ctx)
      assert.equal(key, ctx.KONG_NAMESPACES.other)
      global.del_named_ctx(kong, "other", ctx)
      assert.is_nil(ctx.KONG_NAMESPACES.other)
    end)
    within(function() assert.is_nil(kong.ctx.custom) end)
  end)

  it("D1 checks names", function()
    within(function()
      assert.equal("arg #1 cannot be nil", raised(global.set_named_ctx))
      assert.equal("arg #1 cannot be nil", raised(global.del_named_ctx))
      for _, value in junk("string") do
        assert.equal("name must be a string", raised(global.set_named_ctx, kong, value, {}))
        assert.equal("name must be a string", raised(global.del_named_ctx, kong, value))
      end
      assert.equal("name cannot be an empty string", raised(global.set_named_ctx, kong, "", {}))
      assert.equal("name cannot be an empty string", raised(global.del_named_ctx, kong, ""))
      assert.equal("key cannot be nil", raised(global.set_named_ctx, kong, "x"))
      assert.equal("ctx PDK module not initialized", raised(global.set_named_ctx, {}, "x", {}))
    end)
  end)

  it("D1 gives kong.log a name for the request", function()
    within(function()
      local before = kong.log
      global.set_namespaced_log(kong, "spec-name")
      assert.not_equal(before, kong.log)
      assert.equal(kong.log, ngx.ctx.KONG_LOG)
      global.reset_log(kong)
      assert.equal(kong._log, kong.log)
      assert.equal("arg #1 cannot be nil", raised(global.set_namespaced_log))
      assert.equal("arg #1 cannot be nil", raised(global.reset_log))
      for _, value in junk("string") do
        assert.equal("namespace (arg #2) must be a string", raised(global.set_namespaced_log, kong, value))
      end
    end)
    within(function() assert.equal(kong._log, kong.log) end)
  end)

  it("D1 makes a kong", function()
    local fresh = global.new()
    assert.equal("3.10.0", fresh.version)
    assert.equal(kong.version_num, fresh.version_num)
    assert.is_nil(fresh.configuration)
    global.init_pdk(fresh, { prefix = "/nowhere", role = "traditional" })
    assert.equal("/nowhere", fresh.configuration.prefix)
    assert.equal("function", type(fresh.request.get_host))
    assert.equal("arg #1 cannot be nil", raised(global.init_pdk))
    assert.equal("kong_config must be a table", raised(require("kong.pdk").new, 1))
  end)
end)

describe("D1 ngx.ctx as Kong leaves it", function()
  -- the names of KONG_'s fields that are there
  local function there()
    local names = {}
    for _, name in ipairs {
      "PROCESSING_START", "REWRITE_START", "REWRITE_ENDED_AT", "REWRITE_TIME", "ACCESS_START", "ACCESS_ENDED_AT",
      "ACCESS_TIME", "BALANCER_START", "RESPONSE_START", "HEADER_FILTER_START", "HEADER_FILTER_ENDED_AT",
      "BODY_FILTER_START", "BODY_FILTER_ENDED_AT", "LOG_START", "PROXY_LATENCY", "WAITING_TIME", "RECEIVE_TIME",
      "RESPONSE_LATENCY", "PROXIED", "UNEXPECTED", "EXITED",
    } do
      if ngx.ctx["KONG_" .. name] ~= nil then
        names[#names + 1] = name
      end
    end
    return table.concat(names, " ")
  end

  it("D1 the fields of a request that is proxied, phase by phase", function()
    request {
      uri = "/a?b=c",
      steps = {
        { "rewrite", function()
          assert.equal("PROCESSING_START REWRITE_START", there())
          assert.is_nil(ngx.ctx.host)
          assert.is_nil(ngx.ctx.delay_response)
          assert.equal(8000, ngx.ctx.host_port)
          assert.matches("^%x+%-%x+%-", ngx.ctx.workspace)
        end },
        { "access", function()
          assert.equal("PROCESSING_START REWRITE_START REWRITE_ENDED_AT REWRITE_TIME ACCESS_START", there())
          assert.same({ "test.local", "http", "/a?b=c", 8000 },
                      { ngx.ctx.host, ngx.ctx.scheme, ngx.ctx.request_uri, ngx.ctx.host_port })
          assert.is_true(ngx.ctx.delay_response)
          assert.equal("0123456789abcdef0123456789abcdef", ngx.ctx.request_id)
          assert.equal(ngx.ctx.KONG_PROCESSING_START, kong.request.get_start_time())
          request.answered(200, "X-A: 1", "buffered")
        end },
        { "header_filter", function()
          assert.equal("PROCESSING_START REWRITE_START REWRITE_ENDED_AT REWRITE_TIME ACCESS_START ACCESS_ENDED_AT"
            .. " ACCESS_TIME BALANCER_START RESPONSE_START HEADER_FILTER_START PROXY_LATENCY WAITING_TIME PROXIED",
            there())
          assert.is_nil(ngx.ctx.delay_response)
          assert.same({ true, 200, "buffered" },
                      { ngx.ctx.buffered_proxying, ngx.ctx.buffered_status, ngx.ctx.buffered_body })
        end },
        { "log", function()
          assert.equal("PROCESSING_START REWRITE_START REWRITE_ENDED_AT REWRITE_TIME ACCESS_START ACCESS_ENDED_AT"
            .. " ACCESS_TIME BALANCER_START RESPONSE_START HEADER_FILTER_START HEADER_FILTER_ENDED_AT"
            .. " BODY_FILTER_START BODY_FILTER_ENDED_AT LOG_START PROXY_LATENCY WAITING_TIME RECEIVE_TIME PROXIED",
            there())
          local seen = {}
          for name, value in pairs(ngx.ctx) do
            seen[name] = value
          end
          assert.equal(ngx.ctx.KONG_LOG_START, seen.KONG_LOG_START)
          assert.equal(0x2000, seen.KONG_PHASE)
          assert.equal("test.local", seen.host)
          assert.is_true(ngx.ctx.KONG_ACCESS_TIME >= 0 and ngx.ctx.KONG_ACCESS_START % 1 == 0)
        end },
      },
    }
  end)

  it("D1 the fields of one that a plugin answers", function()
    request {
      steps = {
        { "access", function() kong.response.exit(418, { a = 1 }, { ["X-A"] = "b" }) end },
        { "header_filter", function()
          assert.equal("PROCESSING_START REWRITE_START REWRITE_ENDED_AT REWRITE_TIME ACCESS_START ACCESS_ENDED_AT"
            .. " ACCESS_TIME HEADER_FILTER_START RESPONSE_LATENCY EXITED", there())
          assert.same({ status_code = 418, content = { a = 1 }, headers = { ["X-A"] = "b" } },
                      ngx.ctx.delayed_response)
          assert.equal("exit", kong.response.get_source())
        end },
      },
    }
  end)

  it("D1 what a plugin writes stands, another table is another table", function()
    request {
      steps = {
        { "access", function()
          ngx.ctx.host = "other"
          ngx.ctx.KONG_ACCESS_START = 5
          ngx.ctx.mine = 1
          assert.equal("other", kong.request.get_host())
          assert.equal("other", kong.request.get_forwarded_host())
        end },
        { "header_filter", function()
          assert.same({ "other", 5, 1 }, { ngx.ctx.host, ngx.ctx.KONG_ACCESS_START, ngx.ctx.mine })
          ngx.ctx = { mine = 2 }
          assert.equal(2, ngx.ctx.mine)
        end },
        { "log", function()
          assert.equal(2, ngx.ctx.mine)
          assert.equal(0x2000, ngx.ctx.KONG_PHASE)
          assert.equal("test.local", ngx.ctx.host)
        end },
      },
    }
  end)

  it("D1 a table kept after its request has only what was written", function()
    local kept
    within(function()
      ngx.ctx.mine = 1
      kept = ngx.ctx
    end)
    assert.equal(1, kept.mine)
    assert.is_nil(kept.KONG_ACCESS_START)
  end)
end)
