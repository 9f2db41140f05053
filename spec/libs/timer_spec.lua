local timerng = require("resty.timerng")

local function raises(text, f, ...)
  local ok, err = pcall(f, ...)
  assert.is_false(ok)
  assert.matches(text, err, nil, true)
end

describe("D1 kong.timer (resty.timerng)", function()
  local timer

  before_each(function()
    timer = timerng.new({ min_threads = 1, max_threads = 2 })
    timer:start()
  end)

  it("D1 is there", function()
    assert.equal("unix_timestamp=", (kong.timer:at(100, function() end)):sub(1, 15))
  end)

  it("D1 at calls back once, with its arguments", function()
    local got
    local name = timer:at(0, function(...) got = { select("#", ...), ... } end, 1, nil, 3)
    assert.is_string(name)
    assert.is_true(timer:is_managed(name))
    assert.equal(1, timer:stats().sys.total)
    ngx.sleep(0.02)
    assert.same({ 4, false, 1, nil, 3 }, got)
    assert.is_false(timer:is_managed(name))
    assert.same({ running = 0, pending = 0, waiting = 0, total = 0, runs = 1 }, timer:stats().sys)
  end)

  it("D1 every calls back again and again, until it is cancelled", function()
    local runs = 0
    local name = timer:named_every("tick", 0.1, function() runs = runs + 1 end)
    assert.equal("tick", name)
    ngx.sleep(0.35)
    assert.is_true(timer:cancel("tick"))
    assert.is_true(runs >= 2 and runs <= 3)
    local before = runs
    ngx.sleep(0.15)
    assert.equal(before, runs)
    assert.equal(0, timer:stats().sys.total)
  end)

  it("D1 a name is taken once", function()
    assert.equal("mine", timer:named_at("mine", 10, print))
    assert.same({ false, "already exists timer" }, { timer:named_at("mine", 10, print) })
    assert.same({ false, "already exists timer" }, { timer:named_every("mine", 10, print) })
    assert.is_true(timer:cancel("mine"))
    assert.equal("mine", timer:named_at("mine", 10, print))
  end)

  it("D1 pauses and resumes", function()
    local runs = 0
    timer:named_at("one", 0.1, function() runs = runs + 1 end)
    assert.is_true(timer:pause("one"))
    ngx.sleep(0.15)
    assert.equal(0, runs)
    assert.is_true(timer:resume("one"))
    ngx.sleep(0.15)
    assert.equal(1, runs)
  end)

  it("D1 nothing runs while it is frozen", function()
    local runs = 0
    timer:at(0.1, function() runs = runs + 1 end)
    timer:freeze()
    ngx.sleep(0.15)
    assert.equal(0, runs)
    raises("the timer module is not started", timer.at, timer, 0, print)
    timer:unfreeze()
    ngx.sleep(0.02)
    assert.equal(1, runs)
  end)

  it("D1 short and very long delays are ngx.timer's", function()
    local ran
    assert.is_truthy(timer:at(0.01, function() ran = true end))
    assert.equal(0, timer:stats().sys.total)
    ngx.sleep(0.03)
    assert.is_true(ran)
    assert.is_truthy(timer:at(1e6, print))
    assert.equal(0, timer:stats().sys.total)
  end)

  it("D1 knows what failed and how long it took", function()
    timer:named_every("bad", 0.1, function() ngx.sleep(0.01) error("oh no") end)
    ngx.sleep(0.17)
    local bad = timer:stats({ verbose = true }).timers.bad
    assert.same({ "bad", false, 1, 0 }, { bad.name, bad.is_running, bad.stats.runs, bad.stats.finish })
    assert.matches("oh no", bad.stats.last_err_msg)
    -- two readings of a clock of whole milliseconds: their difference as doubles is a little off
    assert.is_true(bad.stats.elapsed_time.max > 0.0099)
    assert.equal("debug off", bad.meta.name)
    timer:cancel("bad")
    timer:set_debug(true)
    timer:named_at("seen", 10, print)
    local stats = timer:stats({ verbose = true, flamegraph = true })
    assert.matches("timer_spec.lua:%d+:", stats.timers.seen.meta.name)
    assert.matches("timer_spec.lua:%d+:.* 0\n", stats.flamegraph.running)
  end)

  it("D1 unknown names and junk", function()
    for _, method in ipairs { "cancel", "pause", "resume" } do
      assert.same({ false, "timer not found" }, { timer[method](timer, "none") })
      raises("expected `name` to be a string", timer[method], timer, 1)
    end
    assert.is_false(timer:is_managed("none"))
    raises("expected `callback` to be a function", timer.at, timer, 0, 1)
    raises("expected `delay to be a number", timer.at, timer, "1", print)
    raises("expected `delay` to be greater than or equal to 0", timer.at, timer, -1, print)
    raises("expected `interval to be a number", timer.every, timer, {}, print)
    raises("expected `interval` to be greater than or equal to 0", timer.every, timer, 0, print)
    raises("expected `options` to be a table", timerng.new, 1)
    raises("both `min_thread` and `max_threads` must to be set", timerng.new, { min_threads = 1 })
    raises("expected `max_threads` to be greater than `min_threads`", timerng.new, { min_threads = 2, max_threads = 1 })
    raises("expected `restart_thread_after_runs` to be an integer", timerng.new, { restart_thread_after_runs = 1.5 })
    raises("expected `resolution` to be greater than or equal to 0.1", timerng.new, { resolution = 0.01 })
    raises("expected `wheel_setting.level` to be a number", timerng.new, { wheel_setting = {} })
  end)
end)
