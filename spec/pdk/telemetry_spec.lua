-- kong.telemetry.log: what it hands to the exporter of logs, and what it answers without one.

local hooks = require "kong.dynamic_hook"
local support = dofile "spec/pdk/support.lua"
local junk, within = support.junk, support.within

local GROUP = "observability_logs"
local DISABLED = "Telemetry logging is disabled: log entry will not be recorded. Ensure the OpenTelemetry plugin is "
  .. "correctly configured to report logs in order to use this feature."

describe("D1 kong.telemetry.log", function()
  local log = kong.telemetry.log
  local conf = { __plugin_id = "id-1", plugin_instance_name = "mine" }
  local pushed

  before_each(function()
    pushed = {}
    hooks.hook(GROUP, "push", function(...)
      pushed[#pushed + 1] = table.pack(...)
    end)
  end)

  after_each(function()
    hooks.hook(GROUP, "push", function() end)
  end)

  it("D1 records nothing where nobody exports logs", function()
    within(function()
      assert.same({ nil, DISABLED }, { log("plugin", conf, "kind", "text", {}) })
      assert.equal(0, #pushed)
    end)
  end)

  it("D1 hands over the text and whose it is, for a request that is exported", function()
    within(function()
      hooks.enable_on_this_request(GROUP)
      local attributes = { own = 1 }
      assert.is_true(log("plugin", conf, "kind", "text", attributes))
      -- levels to the caller, attributes, no level of severity, the text
      assert.equal(4, pushed[1].n)
      assert.equal("number", type(pushed[1][1]))
      assert.equal(attributes, pushed[1][2])
      assert.same({
        own = 1, ["message.type"] = "kind", ["plugin.name"] = "plugin", ["plugin.id"] = "id-1",
        ["plugin.instance.name"] = "mine",
      }, attributes)
      assert.is_nil(pushed[1][3])
      assert.equal("text", pushed[1][4])
    end)
    -- the next request is its own
    within(function()
      assert.is_nil((log("plugin", conf, "kind", "text")))
    end)
  end)

  it("D1 text and attributes may be left out", function()
    within(function()
      hooks.enable_on_this_request(GROUP)
      assert.is_true(log("plugin", {}, "kind"))
      assert.same({ ["message.type"] = "kind", ["plugin.name"] = "plugin" }, pushed[1][2])
      assert.is_nil(pushed[1][4])
    end)
  end)

  it("D1 where it is on for everybody, timers record, too", function()
    hooks.enable_by_default(GROUP)
    local ok = log("plugin", conf, "kind", "text")
    hooks.disable_by_default(GROUP)
    assert.is_true(ok)
    assert.equal("text", pushed[1][4])
  end)

  it("D1 answers what is wrong with its arguments, and never raises", function()
    within(function()
      hooks.enable_on_this_request(GROUP)
      for _, value in junk("string") do
        assert.same({ nil, "plugin_name must be a string" }, { log(value, conf, "kind") })
        assert.same({ nil, "message_type must be a string" }, { log("plugin", conf, value) })
      end
      for _, value in junk("table") do
        assert.same({ nil, "plugin_config must be a table" }, { log("plugin", value, "kind") })
      end
      for _, value in junk("string", "nil") do
        assert.same({ nil, "message must be a string" }, { log("plugin", conf, "kind", value) })
      end
      for _, value in junk("table", "nil") do
        assert.same({ nil, "attributes must be a table" }, { log("plugin", conf, "kind", "text", value) })
      end
      assert.equal(0, #pushed)
    end)
  end)
end)
