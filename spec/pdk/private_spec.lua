-- kong.pdk.private.checks and phases, which plugins and libraries import.

local request = require "moongate.spec.request"
local support = dofile "spec/pdk/support.lua"
local raised, junk = support.raised, support.junk

describe("D1 kong.pdk.private.checks", function()
  local checks = require "kong.pdk.private.checks"

  it("D1 normalize_header: a string, and never an empty one", function()
    assert.equal("a", checks.normalize_header("a"))
    assert.equal(" ", checks.normalize_header(""))
    for _, value in junk("string") do
      assert.equal(tostring(value), checks.normalize_header(value))
    end
  end)

  it("D1 normalize_multi_header: a list stays one, in a table of its own", function()
    assert.equal("a", checks.normalize_multi_header("a"))
    assert.equal(" ", checks.normalize_multi_header(""))
    local list = { "a", "", "b" }
    local normal = checks.normalize_multi_header(list)
    assert.same({ "a", " ", "b" }, normal)
    assert.same({ "a", "", "b" }, list)
    assert.same({}, checks.normalize_multi_header({ x = 1 }))
    for _, value in junk("string", "table") do
      assert.equal(tostring(value), checks.normalize_multi_header(value))
    end
  end)

  it("D1 validate_header answers what may be sent", function()
    assert.equal("v", checks.validate_header("a", "v"))
    assert.equal("5", checks.validate_header("a", 5))
    assert.equal("true", checks.validate_header("a", true))
    local list = { "1", "2" }
    assert.equal(list, checks.validate_header("a", list))
  end)

  -- its messages name the line of who called the function that checks: two levels up
  local function validated(name, value)
    return raised(function() checks.validate_header(name, value) end)
  end

  it("D1 validate_header refuses the rest", function()
    for kind, value in junk("string", "table", "nil", "function", "thread", "userdata", "cdata", "boolean") do
      assert.equal('invalid header name "5": got ' .. kind .. ", expected string", validated(value, "a"))
    end
    for kind, value in junk("string", "number", "boolean", "table") do
      assert.equal('invalid header value for "a": got ' .. kind
        .. ", expected array of string, string, number or boolean", validated("a", value))
    end
    for kind, value in junk("string", "nil") do
      assert.equal('invalid header value in array "a": got ' .. kind .. ", expected string",
                   validated("a", { "x", value }))
    end
  end)

  it("D1 validate_headers looks at each", function()
    assert.is_nil(checks.validate_headers({}))
    assert.is_nil(checks.validate_headers({ a = "1", b = 2, c = true, d = { "x" } }))
    local function all(headers)
      return raised(function() checks.validate_headers(headers) end)
    end
    for _, value in junk("table") do
      assert.equal("headers must be a table", all(value))
    end
    assert.equal('invalid header name "1": got number, expected string', all({ "a" }))
    for kind, value in junk("string", "number", "boolean", "table", "nil") do
      assert.equal('invalid header value for "a": got ' .. kind
        .. ", expected string, number, boolean or array of strings", all({ a = value }))
    end
    assert.equal('invalid header value in array "a": got number, expected string', all({ a = { 1 } }))
  end)
end)

describe("D1 kong.pdk.private.phases", function()
  local phases = require "kong.pdk.private.phases"
  local PHASES = phases.phases

  it("D1 new joins phases", function()
    assert.equal(0x30, phases.new(PHASES.rewrite, PHASES.access))
    assert.equal(0x2000, phases.new(PHASES.log))
    assert.equal("string", type(raised(phases.new)))
    assert.equal("string", type(raised(phases.new, {})))
  end)

  it("D1 check lets accepted phases pass, and names the others", function()
    request { steps = {
      { "rewrite", function()
        assert.is_nil(phases.check(PHASES.rewrite))
        assert.is_nil(phases.check(PHASES.request))
        assert.equal("function cannot be called in rewrite phase (only in: access, log)",
                     raised(function() phases.check(phases.new(PHASES.access, PHASES.log)) end))
      end },
      { "log", function()
        assert.equal("function cannot be called in log phase (only in: access)",
                     raised(function() phases.check(PHASES.access) end))
      end },
    } }
    assert.equal("no phase in ngx.ctx.KONG_PHASE, (need one of access)",
                 raised(function() phases.check(PHASES.access) end))
  end)

  it("D1 check_not lets all others pass", function()
    request { steps = {
      { "access", function()
        assert.is_nil(phases.check_not(PHASES.init_worker))
        assert.equal("function cannot be called in access phase (can be called in any phases except: rewrite, access)",
                     raised(function() phases.check_not(phases.new(PHASES.access, PHASES.rewrite)) end))
        ngx.ctx.KONG_PHASE = PHASES.init_worker
        assert.equal("function cannot be called in init_worker phase "
                     .. "(can be called in any phases except: init_worker)",
                     raised(function() phases.check_not(PHASES.init_worker) end))
      end },
    } }
    assert.equal("no phase in ngx.ctx.KONG_PHASE", raised(function() phases.check_not(PHASES.access) end))
  end)
end)
