describe("B2 queues and what they stand on", function()
  describe("B2 ngx.semaphore", function()
    local semaphore = require "ngx.semaphore"

    it("B2 counts units, and those who wait as negative", function()
      local s = semaphore.new(2)
      assert.equal(2, s:count())
      assert.is_true(s:wait(0))
      assert.is_true(s:wait(0))
      assert.has_error(function() s:wait() end)
      assert.same({ nil, "timeout" }, { s:wait(0) })
      s:post(3)
      assert.equal(3, s:count())
      local empty = semaphore.new()
      ngx.timer.at(0, function() empty:wait(1) end)
      ngx.sleep(0.02)
      assert.equal(-1, empty:count())
      empty:post()
      assert.equal(0, empty:count())
    end)

    it("B2 wakes in order of arrival, each once, those who gave up not at all", function()
      local s, woken = semaphore.new(), {}
      for i = 1, 3 do
        ngx.timer.at(0, function()
          if s:wait(i == 1 and 0.01 or 1) then
            woken[#woken + 1] = i
          end
        end)
        ngx.sleep(0.005)
      end
      ngx.sleep(0.03)
      s:post(1)
      ngx.sleep(0.01)
      assert.same({ 2 }, woken)
      s:post(2)
      ngx.sleep(0.01)
      assert.same({ 2, 3 }, woken)
      assert.equal(1, s:count())
    end)

    it("B2 refuses numbers that make no sense", function()
      assert.has_error(function() semaphore.new(-1) end, "no negative number")
      assert.has_error(function() semaphore.new():post(0) end, "positive number required")
    end)
  end)

  describe("B2 resty.timerng", function()
    local timers

    before_each(function()
      timers = require("resty.timerng").new()
      timers:start()
    end)
    after_each(function() timers:destroy() end)

    it("B2 calls back once or again, until cancelled", function()
      local once, again = 0, 0
      assert.is_string(timers:at(0, function(premature, n) once = once + (premature and 0 or n) end, 2))
      assert.equal("mine", timers:named_every("mine", 0.1, function() again = again + 1 end))
      assert.same({ false, "already exists timer" }, { timers:named_at("mine", 1, function() end) })
      ngx.sleep(0.35)
      assert.equal(2, once)
      assert.is_true(again >= 2)
      assert.is_true(timers:cancel("mine"))
      local so_far = again
      ngx.sleep(0.15)
      assert.equal(so_far, again)
    end)
  end)

  describe("B2 kong.tools.queue", function()
    local Queue = require "kong.tools.queue"
    local before, timers

    setup(function()
      before = rawget(kong, "timer")
      timers = require("resty.timerng").new()
      timers:start()
      kong.timer = timers
    end)
    teardown(function()
      timers:destroy()
      kong.timer = before
    end)

    local function conf(name, more)
      local c = { name = name, log_tag = "spec", max_batch_size = 2, max_coalescing_delay = 0.1,
        max_entries = 3, initial_retry_delay = 0.001, max_retry_time = 0.05, max_retry_delay = 0.01,
        concurrency_limit = 1 }
      for k, v in pairs(more or {}) do c[k] = v end
      return c
    end

    it("B2 sends batches in order, and what is left after the delay", function()
      local batches = {}
      local function handler(extra, batch)
        batches[#batches + 1] = extra.tag .. table.concat(batch, "+")
        return true
      end
      for i = 1, 3 do
        assert(Queue.enqueue(conf "order", handler, { tag = "#" }, i))
      end
      ngx.sleep(0.3)
      assert.same({ "#1+2", "#3" }, batches)
      assert.is_false(Queue.exists "order")
    end)

    it("B2 drops the oldest when it is full", function()
      local got = {}
      for i = 1, 5 do
        assert(Queue.enqueue(conf("full", { max_batch_size = 10 }), function(_, batch)
          got = batch
          return true
        end, nil, i))
      end
      assert.is_true(Queue.is_full { name = "full" })
      ngx.sleep(0.3)
      assert.same({ 3, 4, 5 }, got)
    end)

    it("B2 tries again until time is up", function()
      local tries = 0
      Queue.enqueue(conf("again", { max_batch_size = 1 }), function()
        tries = tries + 1
        if tries == 1 then
          error("broken")
        end
        return tries == 3, "not yet"
      end, nil, "x")
      ngx.sleep(0.2)
      assert.equal(3, tries)
    end)

    it("B2 refuses what can never fit", function()
      local ok, err = Queue.enqueue(conf("bytes", { max_bytes = 2 }), function() return true end, nil, "abc")
      assert.is_nil(ok)
      assert.equal("string to be queued is longer (3 bytes) than the queue's max_bytes (2 bytes)", err)
      assert.has_error(function() Queue.enqueue(conf("x", { max_entries = "1" }), print, nil, 1) end,
        "arg #1 (queue_conf) max_entries must be a number")
    end)
  end)

  describe("B2 kong.concurrency", function()
    it("B2 lets one handler of a worker in at a time", function()
      local inside, most, done = 0, 0, 0
      for _ = 1, 3 do
        ngx.timer.at(0, function()
          require("kong.concurrency").with_coroutine_mutex({ name = "spec" }, function()
            inside = inside + 1
            most = math.max(most, inside)
            ngx.sleep(0.01)
            inside = inside - 1
            done = done + 1
          end)
        end)
      end
      ngx.sleep(0.1)
      assert.equal(1, most)
      assert.equal(3, done)
      assert.has_error(function() require("kong.concurrency").with_coroutine_mutex({}, print) end,
        "opts.name is required and must be a string")
    end)
  end)
end)

describe("B2 kong.timer", function()
  it("B2 is there, and the same each time", function()
    assert.is_function(kong.timer.named_at)
    assert.equal(kong.timer, kong.timer)
    local called
    assert(kong.timer:at(0, function(premature, value) called = not premature and value end, "x"))
    ngx.sleep(0.02)
    assert.equal("x", called)
  end)
end)
