-- ngx.balancer: OpenResty has it in balancer_by_lua only; elsewhere each function says so. Here that phase is the
-- gateway's own part, `kong.service` says where a request goes, and in it nothing of this is supported.

local request = require "moongate.spec.request"

-- The functions, good arguments, and how many values come before the error.
local FUNCTIONS = {
  set_current_peer = { { "127.0.0.1", 80, "name.test" }, 1 },
  bind_to_local_addr = { { "127.0.0.1" }, 1 },
  enable_keepalive = { { 60, 100 }, 1 },
  set_more_tries = { { 1 }, 1 },
  set_timeouts = { { 1, 2, 3 }, 1 },
  recreate_request = { {}, 1 },
  set_upstream_tls = { { true }, 1 },
  get_last_failure = { {}, 2 },
}

describe("D4 ngx.balancer", function()
  local balancer = require "ngx.balancer"

  local function inside(phase, f)
    local r = request { steps = { { phase, f } } }
    assert.not_equal("failed", r.ended)
  end

  -- the message of an error, without its place
  local function raised(name, ...)
    local ok, err = pcall(balancer[name], ...)
    assert.is_false(ok)
    return (err:gsub("^[^ ]-:%d+: ", ""))
  end

  for name, known in pairs(FUNCTIONS) do
    it("D4 " .. name .. " outside the balancer phase", function()
      for phase, why in pairs {
        rewrite = "no upstream found", access = "no upstream found",
        header_filter = "API disabled in the current context", body_filter = "API disabled in the current context",
        log = "API disabled in the current context",
      } do
        inside(phase, function()
          local results = table.pack(balancer[name](unpack(known[1])))
          assert.equal(known[2] + 1, results.n)
          assert.is_falsy(results[1])
          assert.equal(why, results[results.n])
        end)
      end
    end)

    it("D4 " .. name .. " in the balancer phase", function()
      inside("balancer", function()
        assert.equal("not supported: ngx.balancer." .. name, raised(name, unpack(known[1])))
      end)
    end)
  end

  it("D4 set_timeouts answers false, the others nil", function()
    inside("access", function()
      assert.is_false((balancer.set_timeouts()))
      assert.is_nil((balancer.set_more_tries(1)))
      assert.same({ n = 3, nil, nil, "no upstream found" }, table.pack(balancer.get_last_failure()))
    end)
  end)

  it("D4 arguments are judged in OpenResty's words", function()
    inside("access", function()
      for _, junk in ipairs { 1, true, {} } do
        local kind = type(junk)
        assert.equal("bad argument #3 to 'set_current_peer' (string expected, got " .. kind .. ")",
                     raised("set_current_peer", "127.0.0.1", 80, junk))
        assert.equal("bad argument #1 to 'bind_to_local_addr' (string expected, got " .. kind .. ")",
                     raised("bind_to_local_addr", junk))
      end
      assert.equal("bad argument #1 to 'bind_to_local_addr' (string expected, got nil)", raised("bind_to_local_addr"))
      for _, junk in ipairs { "1", true, {} } do
        local kind = type(junk)
        assert.equal("bad argument #1 to 'enable_keepalive' (number expected, got " .. kind .. ")",
                     raised("enable_keepalive", junk))
        assert.equal("bad argument #2 to 'enable_keepalive' (number expected, got " .. kind .. ")",
                     raised("enable_keepalive", 1, junk))
        assert.equal("bad connect timeout", raised("set_timeouts", junk))
        assert.equal("bad send timeout", raised("set_timeouts", 1, junk))
        assert.equal("bad read timeout", raised("set_timeouts", nil, nil, junk))
      end
      assert.equal("bad argument #1 to 'enable_keepalive' (expected >= 0)", raised("enable_keepalive", -1))
      assert.equal("bad argument #2 to 'enable_keepalive' (expected >= 0)", raised("enable_keepalive", 1, -0.1))
      for _, number in ipairs { 0, -1 } do
        assert.equal("bad connect timeout", raised("set_timeouts", number))
      end
    end)
  end)
end)
