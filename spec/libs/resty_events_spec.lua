local events = require "resty.events"

local function bus(more)
  local opts = { listening = "unix:/tmp/bus-" .. tostring(more or "one") }
  return events.new(opts)
end

local function settle()
  ngx.sleep(0.03)
end

describe("D1 resty.events", function()
  it("new says which option is wrong", function()
    for wrong, opts in pairs({
      ["Expected a table, got string"] = "x",
      ['"listening" option required to start'] = {},
      ['"listening" option must be a string'] = { listening = 1 },
      ['"listening" option must start with unix:'] = { listening = "/tmp/x" },
      ['"broker_id" option must be a number'] = { broker_id = "x" },
      ['"broker_id" option is invalid'] = { broker_id = 1000 },
      ['optional "unique_timeout" option must be a number'] = { listening = "unix:x", unique_timeout = "x" },
      ['"unique_timeout" must be greater than 0'] = { listening = "unix:x", unique_timeout = 0 },
      ['"max_queue_len" option is invalid'] = { listening = "unix:x", max_queue_len = -1 },
      ['"max_payload_len" option is invalid'] = { listening = "unix:x", max_payload_len = 2 ^ 25 },
      ['"testing" option must be a boolean'] = { listening = "unix:x", testing = 1 },
    }) do
      local ok, err = pcall(events.new, opts)
      assert.is_false(ok)
      assert.matches(wrong, err, nil, true)
    end
  end)

  it("what is published reaches who subscribed, of the same bus, in order", function()
    local heard = {}
    local function note(...)
      heard[#heard + 1] = { ... }
    end
    local one, same, other = bus(), bus(), bus("other")
    assert.is_nil(one:is_ready())
    local id = one:subscribe("s", "e", note)
    same:subscribe("*", "*", note)
    other:subscribe("*", "*", note)
    for _, b in ipairs({ one, same, other }) do
      assert.is_true(b:init_worker())
      assert.is_true(b:is_ready())
    end
    assert.is_true(one:publish("all", "s", "e", { a = 1 }))
    assert.is_true(one:publish("all", "s", "f", 2))
    assert.same({}, heard)
    settle()
    assert.equal(3, #heard)
    local first = 0
    for _, h in ipairs(heard) do
      if h[2] == "e" then
        first = first + 1
        assert.same({ { a = 1 }, "e", "s", 0 }, h)
      end
    end
    assert.equal(2, first)
    heard = {}
    one:unsubscribe(id)
    one:publish("all", "s", "e", 3)
    settle()
    assert.same({ { 3, "e", "s", 0 } }, heard)
    assert.is_true(one:run())
  end)

  it("to this worker alone, once by a name, and within limits", function()
    local heard = {}
    local b = events.new({ listening = "unix:/tmp/bus-three", max_queue_len = 2, max_payload_len = 200 })
    b:subscribe("s", "*", function(data) heard[#heard + 1] = data end)
    assert.is_true(b:publish("current", "s", "e", 1))
    settle()
    assert.same({}, heard)
    assert.is_true(b:init_worker())
    settle()
    assert.same({ 1 }, heard)
    assert.is_true(b:publish("current", "s", "e", 2))
    assert.is_true(b:publish("current", "s", "e", 3))
    assert.same({ nil, "failed to publish event: queue overflow" }, { b:publish("current", "s", "e", 4) })
    settle()
    assert.same({ 1, 2, 3 }, heard)
    assert.is_true(b:publish("some-name", "s", "e", 5))
    assert.is_true(b:publish("some-name", "s", "e", 6))
    settle()
    assert.same({ 1, 2, 3, 5 }, heard)
    assert.same({ nil, "failed to publish event: payload exceeds the limitation (200)" },
      { b:publish("all", "s", "e", ("x"):rep(200)) })
    for _, junk in ipairs({ {}, "", false }) do
      assert.has_error(function() b:publish(junk, "s", "e") end, "target is required")
      assert.has_error(function() b:publish("all", junk, "e") end, "source is required")
      assert.has_error(function() b:publish("all", "s", junk) end, "event is required")
      assert.has_error(function() b:unsubscribe(junk) end, "id is required")
    end
    assert.has_error(function() b:subscribe("s", "e", 1) end, "expected function, got: number")
  end)

  it("an error of one handler is logged and stops no other", function()
    local ran = 0
    local b = events.new({ listening = "unix:/tmp/bus-four", testing = true })
    b:subscribe("s", "e", function() error("of the first") end)
    b:subscribe("*", "*", function() ran = ran + 1 end)
    assert.is_true(b:publish("all", "s", "e", { 1 }))
    assert.equal(1, ran)
  end)

  it("a handler that ends the timer it runs in loses no more than its own turn", function()
    local heard, rest = {}, 3
    local b = bus("five")
    b:subscribe("s", "*", function(data)
      heard[#heard + 1] = data
      if rest > 0 then
        rest = rest - 1
        ngx.exit(ngx.OK)
      end
    end)
    assert.is_true(b:init_worker())
    for i = 1, 2 do
      assert.is_true(b:publish("current", "s", "e", i))
      settle()
      assert.equal(i, #heard)
    end
    -- what it leaves is heard without anything more being posted
    assert.is_true(b:publish("current", "s", "e", 3))
    assert.is_true(b:publish("current", "s", "e", 4))
    assert.is_true(b:publish("current", "s", "e", 5))
    for _ = 1, 100 do
      settle()
      if #heard == 5 then
        break
      end
    end
    assert.same({ 1, 2, 3, 4, 5 }, heard)
  end)

  it("events in the order they came, though a handler waits", function()
    local heard = {}
    local b = bus("six")
    b:subscribe("s", "*", function(data)
      ngx.sleep(data == 1 and 0.05 or 0)
      heard[#heard + 1] = data
    end)
    assert.is_true(b:init_worker())
    for i = 1, 3 do
      assert.is_true(b:publish("current", "s", "e", i))
      ngx.sleep(0.01)
    end
    assert.same({}, heard)
    ngx.sleep(0.08)
    assert.same({ 1, 2, 3 }, heard)
  end)

  it("others have their turn though each event leads to the next", function()
    local count, over = 0, nil
    local b = bus("seven")
    b:subscribe("s", "e", function()
      count = count + 1
      if not over and count < 300000 then
        b:publish("current", "s", "e")
      end
    end)
    assert.is_true(b:init_worker())
    assert(ngx.timer.at(0.02, function() over = count end))
    assert.is_true(b:publish("current", "s", "e"))
    for _ = 1, 100 do
      settle()
      if over then
        break
      end
    end
    assert.is_true(over and over > 0 and over < 300000)
  end)

  it("one that is unique is so for unique_timeout", function()
    local heard = 0
    local b = events.new({ listening = "unix:/tmp/bus-eight", unique_timeout = 0.1 })
    b:subscribe("s", "e", function() heard = heard + 1 end)
    assert.is_true(b:init_worker())
    assert.is_true(b:publish("name", "s", "e"))
    assert.is_true(b:publish("name", "s", "e"))
    settle()
    assert.equal(1, heard)
    ngx.sleep(0.1)
    assert.is_true(b:publish("name", "s", "e"))
    settle()
    assert.equal(2, heard)
  end)
end)
