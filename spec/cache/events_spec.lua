describe("B6 kong.worker_events", function()
  local events = kong.worker_events

  local function heard_by(source, ...)
    local heard = {}
    local function handler(data, event, from, wid)
      heard[#heard + 1] = { data, event, from, wid }
    end
    events.register(handler, source, ...)
    return heard, handler
  end

  local function settle()
    ngx.sleep(0.02)
  end

  it("B6 what is posted reaches the handlers a moment later, in order", function()
    local all = heard_by("s1")
    local some = heard_by("s1", "a", "c")
    assert.equal("done", events.post("s1", "a", { 1 }))
    assert.equal("done", events.post("s1", "b", "text"))
    events.post("s1", "c")
    events.post("s2", "a", 1)
    assert.same({}, all)
    settle()
    assert.same({ { { 1 }, "a", "s1", 0 }, { "text", "b", "s1", 0 }, { nil, "c", "s1", 0 } }, all)
    assert.same({ { { 1 }, "a", "s1", 0 }, { nil, "c", "s1", 0 } }, some)
  end)

  it("B6 poll hears now, post_local does not go round", function()
    local heard, handler = heard_by("s3", "e")
    events.post("s3", "e", 1)
    assert.equal("done", events.poll())
    assert.equal(1, #heard)
    local data = {}
    assert.equal("done", events.post_local("s3", "e", data))
    assert.equal(data, heard[2][1])
    events.unregister(handler, "s3", "e")
    events.post_local("s3", "e", 1)
    assert.equal(2, #heard)
  end)

  it("B6 a handler that throws does not keep the others from hearing", function()
    events.register(function() error("oh") end, "s4")
    local heard = heard_by("s4", "e")
    events.post("s4", "e", 1)
    settle()
    assert.equal(1, #heard)
  end)

  it("B6 of the same unique events one is heard", function()
    local heard = heard_by("s5")
    for _ = 1, 3 do
      assert.equal("done", events.post("s5", "e", 1, "the same"))
    end
    events.post("s5", "e", 2, "another")
    settle()
    assert.same({ 1, 2 }, { heard[1][1], heard[2] and heard[2][1] })
    assert.equal(2, #heard)
  end)

  it("B6 refuses what it cannot carry", function()
    assert.error_matches(function() events.post(nil, "e") end, "source is required")
    assert.error_matches(function() events.post("s") end, "event is required")
    assert.matches("^failed to publish event: ", select(2, events.post("s", "e", print)))
    assert.matches("payload exceeds the limitation", select(2, events.post("s", "e", ("x"):rep(1e5))))
  end)
end)

describe("B6 kong.cluster_events", function()
  it("B6 takes subscriptions and broadcasts, which reach no node but others", function()
    local events = require("kong.cluster_events").new()
    local heard = 0
    assert.is_true(events:subscribe("c", function() heard = heard + 1 end))
    assert.is_true(events:broadcast("c", "data"))
    assert.equal(0, heard)
    assert.same({ nil, "channel must be a string" }, { events:broadcast(nil, "") })
    assert.same({ nil, "data must be a string" }, { events:broadcast("c", 1) })
    assert.same({ nil, "delay must be a number" }, { events:broadcast("c", "", "1") })
    assert.error_matches(function() events:subscribe("c") end, "callback must be a function")
    assert.error_matches(function() events:subscribe(1, print) end, "channel must be a string")
  end)
end)
