local function raises(text, f, ...)
  local ok, err = pcall(f, ...)
  assert.is_false(ok)
  assert.matches(text, err, nil, true)
end

describe("D1 kong.worker_events", function()
  local events = kong.worker_events

  local function settle()
    ngx.sleep(0.02)
  end

  it("D1 publish and subscribe", function()
    local heard = {}
    local id = events.subscribe("d1", "e", function(...) heard[#heard + 1] = { ... } end)
    assert.is_string(id)
    assert.is_true(events.publish("all", "d1", "e", { a = 1 }))
    assert.is_true(events.publish("all", "d1", "other", 1))
    assert.is_true(events.publish("current", "d1", "e", "now"))
    assert.same({ { "now", "e", "d1", 0 } }, heard)
    settle()
    assert.same({ { a = 1 }, "e", "d1", 0 }, heard[2])
    assert.equal(2, #heard)
    events.unsubscribe(id)
    events.publish("all", "d1", "e", 1)
    settle()
    assert.equal(2, #heard)
  end)

  it("D1 subscribes to everything", function()
    local heard = {}
    local all = events.subscribe("*", "*", function(data) heard[#heard + 1] = data end)
    local some = events.subscribe("d2", "*", function(data) heard[#heard + 1] = data end)
    events.post("d2", "e", 1)
    events.post("d3", "e", 2)
    settle()
    assert.same({ 1, 1, 2 }, heard)
    events.unsubscribe(all)
    events.unsubscribe(some)
  end)

  it("D1 what is unique is heard once", function()
    local heard = 0
    events.register(function() heard = heard + 1 end, "d4", "e")
    for _ = 1, 3 do
      assert.is_true(events.publish("once-d4", "d4", "e"))
    end
    settle()
    assert.equal(1, heard)
  end)

  it("D1 register_weak, unregister, poll, configured, is_ready", function()
    local heard = 0
    local function handler() heard = heard + 1 end
    events.register_weak(handler, "d5", "a", "b")
    events.post("d5", "a")
    events.post("d5", "b")
    assert.equal("done", events.poll())
    assert.equal(2, heard)
    events.unregister(handler)
    events.post("d5", "a")
    events.poll()
    assert.equal(2, heard)
    assert.is_true(events.configured())
    assert.is_true(events.is_ready())
  end)

  it("D1 a handler may wait and unregister itself", function()
    local heard = {}
    local function handler(data)
      events.unregister(handler)
      ngx.sleep(0.001)
      heard[#heard + 1] = data
    end
    events.register(handler, "d6", "e")
    events.post("d6", "e", 1)
    events.post("d6", "e", 2)
    ngx.sleep(0.03)
    assert.same({ 1 }, heard)
  end)

  it("D1 refuses junk", function()
    for _, junk in ipairs { false, 1, "", {} } do
      raises("source is required", events.post, junk, "e")
      raises("event is required", events.post, "s", junk)
      raises("source is required", events.post_local, junk, "e")
      raises("target is required", events.publish, junk, "s", "e")
      raises("source is required", events.subscribe, junk, "e", print)
      raises("event is required", events.subscribe, "s", junk, print)
      raises("id is required", events.unsubscribe, junk)
    end
    raises("expected function, got: nil", events.subscribe, "s", "e")
    raises("expected function, got: string", events.register, "f")
    assert.matches("^failed to publish event: ", select(2, events.post("s", "e", print)))
  end)
end)

describe("D1 kong.cluster_events", function()
  it("D1 is one node, which does not hear itself", function()
    local heard = 0
    assert.is_true(kong.cluster_events:subscribe("d1", function() heard = heard + 1 end))
    assert.is_true(kong.cluster_events:broadcast("d1", "data"))
    assert.is_true(kong.cluster_events:broadcast("d1", "data", 1))
    ngx.sleep(0.02)
    assert.equal(0, heard)
    assert.same({ nil, "channel must be a string" }, { kong.cluster_events:broadcast(1, "") })
    assert.same({ nil, "data must be a string" }, { kong.cluster_events:broadcast("c") })
    assert.same({ nil, "delay must be a number" }, { kong.cluster_events:broadcast("c", "", {}) })
    raises("channel must be a string", kong.cluster_events.subscribe, kong.cluster_events, {}, print)
    raises("callback must be a function", kong.cluster_events.subscribe, kong.cluster_events, "c", 1)
    raises("opts.poll_interval must be a number", require("kong.cluster_events").new, { poll_interval = "1" })
  end)
end)
