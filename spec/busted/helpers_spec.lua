local helpers = require "spec.helpers"

describe("B2 spec.helpers", function()
  it("B2 says what is not there, and knows nothing of other names", function()
    assert.has_error(function() return helpers.start_kong end, "not supported: spec.helpers.start_kong")
    assert.has_error(function() helpers.proxy_client() end, "not supported: spec.helpers.proxy_client")
    assert.is_nil(helpers.something_else)
  end)

  it("B2 completes and judges a plugin's configuration", function()
    local schema = {
      name = "mine",
      fields = { { config = { type = "record", fields = {
        { limit = { type = "integer", default = 3, gt = 0 } },
        { mode = { type = "string", required = true, one_of = { "a", "b" } } },
      } } } },
    }
    local entity = assert(helpers.validate_plugin_config_schema({ mode = "a" }, schema))
    assert.equal(3, entity.config.limit)
    assert.equal("mine", entity.name)
    local none, err = helpers.validate_plugin_config_schema({ limit = 0 }, schema)
    assert.is_nil(none)
    assert.same({ config = { limit = "value must be greater than 0", mode = "required field missing" } }, err)
    none, err = helpers.validate_plugin_config_schema({ mode = "a" }, schema, { protocols = { "smtp" } })
    assert.is_nil(none)
    assert.is_string(err.protocols[1] or err.protocols)
  end)

  it("B2 sets variables of the environment", function()
    assert.is_true(helpers.setenv("MOONGATE_SPEC_X", "1"))
    assert.equal("1", os.getenv("MOONGATE_SPEC_X"))
    assert.is_true(helpers.unsetenv("MOONGATE_SPEC_X"))
    assert.is_nil(os.getenv("MOONGATE_SPEC_X"))
    assert.has_error(function() helpers.setenv("X", 1) end, "value must be a string")
  end)

  it("B2 takes the indent off", function()
    assert.equal("hello\n  world", helpers.unindent([[
      hello
        world
    ]]))
    assert.equal("a b", helpers.unindent("   a\n   b\n", false, true))
  end)

  it("B2 sorts at all depths", function()
    assert.same({ "a", "b", { "c", "d" } }, helpers.deep_sort({ "b", { "d", "c" }, "a" }))
  end)

  it("B2 waits, and stops waiting", function()
    local n = 0
    helpers.wait_until(function()
      n = n + 1
      return n == 3
    end, 1, 0.001)
    assert.equal(3, n)
    assert.error_matches(function() helpers.wait_until(function() return false end, 0.01, 0.001) end,
      "did not become true %(after 0.01 seconds%)")
    assert.error_matches(function() helpers.pwait_until(function() error("still") end, 0.01, 0.001) end, "still")
    assert.has_error(function() helpers.wait_until(function() error("at once", 0) end, 5) end, "at once")
  end)

  it("B2 writes declarative files and finds free ports", function()
    local name = helpers.make_yaml_file([[
      _format_version: "3.0"
      services: []
    ]])
    finally(function() os.remove(name) end)
    assert.equal('_format_version: "3.0"\nservices: []\n', helpers.file.read(name))
    assert.logfile(name).has.line("services:", true)
    assert.logfile(name).has.no.line("^routes", false, 0)
    assert.is_number(helpers.get_available_port())
  end)

  it("B2 runs commands", function()
    local ok, err, out = helpers.execute("echo out; echo err >&2")
    assert.same({ true, "err\n", "out\n" }, { ok, err, out })
    assert.same({ false, 3, "", "" }, { helpers.execute("(exit 3)", true) })
  end)

  it("B2 iterates over the strategy there is", function()
    local seen = {}
    for _, strategy in helpers.each_strategy({ "postgres", "off" }) do seen[#seen + 1] = strategy end
    for _, strategy in helpers.all_strategies() do seen[#seen + 1] = strategy end
    assert.same({ "off", "off" }, seen)
  end)

  it("B2 has Kong's assertions", function()
    assert.equal(2, assert.contains("b", { "a", "b" }))
    assert.not_contains("c", { "a", "b" })
    assert.contains("^b", { "a", "bc" }, true)
    assert.partial_match({ a = { b = 1 } }, { a = { b = 1, c = 2 }, d = 3 })
    assert.match_re("abc", "b.$")
    assert.gt(1, 2)
    assert.has_error(function() assert.contains("c", { "a" }) end)
    assert.has_error(function() assert.partial_match({ a = 1 }, { a = 2 }) end)
    assert.has_error(function() assert.fail(1) end)
  end)
end)
