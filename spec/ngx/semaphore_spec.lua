local semaphore = require "ngx.semaphore"

describe("D3 ngx.semaphore", function()
  it("D3 new takes a number that is not negative", function()
    assert.equal(0, semaphore.new():count())
    assert.equal(3, semaphore.new("3"):count())
    assert.equal(0, semaphore.new({}):count())
    assert.error_matches(function() semaphore.new(-1) end, "no negative number")
    assert.equal("cdata", type(semaphore.new().sem))
  end)

  it("D3 wait takes a unit or says timeout", function()
    local sem = semaphore.new(1)
    assert.is_true(sem:wait(0))
    assert.same({ nil, "timeout" }, { sem:wait(0) })
    assert.same({ nil, "timeout" }, { sem:wait(0.0001) })
    assert.same({ false, "timeout" }, { sem:wait(0.002) })
    assert.error_matches(function() sem:wait(-1) end, "no negative number")
    assert.error_matches(function() sem:wait() end, "attempt to perform arithmetic on a nil value")
    assert.equal(0, sem:count())
  end)

  it("D3 functions take semaphores only", function()
    for _, name in ipairs({ "wait", "post", "count" }) do
      for _, junk in ipairs({ 1, "x", {}, { sem = 1 } }) do
        assert.error_matches(function() semaphore[name](junk, 1) end, "not a semaphore instance")
      end
    end
  end)

  it("D3 post adds units or wakes who waits, in their order", function()
    local sem, order = semaphore.new(), {}
    local threads = {}
    for i = 1, 3 do
      threads[i] = ngx.thread.spawn(function()
        assert(sem:wait(5))
        order[#order + 1] = i
      end)
    end
    assert.equal(-3, sem:count())
    assert.is_true(sem:post(2))
    assert.equal(-1, sem:count())
    assert.is_true(sem:post(2))
    assert.equal(1, sem:count())
    for i = 1, 3 do
      assert(ngx.thread.wait(threads[i]))
    end
    assert.same({ 1, 2, 3 }, order)
    assert.error_matches(function() sem:post(0) end, "positive number required")
    assert.error_matches(function() sem:post(-2) end, "positive number required")
    assert.is_true(sem:post())
    assert.equal(2, sem:count())
  end)

  it("D3 a unit given to one that is killed goes to the next", function()
    local sem = semaphore.new()
    local a = ngx.thread.spawn(function() return sem:wait(5) end)
    local b = ngx.thread.spawn(function() return sem:wait(5) end)
    sem:post(1)
    assert.equal(1, ngx.thread.kill(a))
    assert.same({ true, true }, { ngx.thread.wait(b) })
    assert.equal(0, sem:count())
    local c = ngx.thread.spawn(function() return sem:wait(5) end)
    sem:post(1)
    assert.equal(1, ngx.thread.kill(c))
    assert.equal(1, sem:count())
  end)

  it("D3 nobody overtakes one that was given a unit", function()
    local sem = semaphore.new()
    local thread = ngx.thread.spawn(function() return sem:wait(5) end)
    sem:post(2)
    assert.same({ nil, "timeout" }, { sem:wait(0) })
    assert.is_true(sem:wait(5))
    assert.same({ true, true }, { ngx.thread.wait(thread) })
    assert.equal(0, sem:count())
    sem:post(1)
    assert.is_true(sem:wait(0))
  end)

  it("D3 works in timers, between handlers", function()
    local sem, got = semaphore.new(), nil
    assert(ngx.timer.at(0, function() got = { sem:wait(5) } end))
    ngx.sleep(0.01)
    assert.equal(-1, sem:count())
    sem:post()
    ngx.sleep(0.01)
    assert.same({ true }, got)
  end)

  it("D3 many that come and go leave nothing", function()
    local count = require("moongate.cdata").count
    collectgarbage() collectgarbage()
    local before = count()
    for _ = 1, 1000 do
      semaphore.new(1):wait(0)
    end
    collectgarbage() collectgarbage()
    assert.is_true(count() <= before + 1)
  end)
end)
