describe("D3 ngx.timer", function()
  it("D3 at and every refuse junk", function()
    local f = function() end
    assert.error_matches(function() ngx.timer.at() end, "expecting at least 2 arguments but got 0")
    assert.error_matches(function() ngx.timer.at(1) end, "expecting at least 2 arguments but got 1")
    assert.error_matches(function() ngx.timer.at("x", f) end,
      "bad argument #1 to 'at' %(number expected, got string%)")
    assert.error_matches(function() ngx.timer.every({}, f) end,
      "bad argument #1 to 'every' %(number expected, got table%)")
    for _, junk in ipairs({ 1, "x", {}, string.rep }) do
      assert.error_matches(function() ngx.timer.at(0, junk) end, "bad argument #2 to 'at' %(Lua function expected%)")
    end
    assert.error_matches(function() ngx.timer.every(0, f) end, "delay cannot be zero")
    assert.error_matches(function() ngx.timer.every(0.0001, f) end, "delay cannot be zero")
  end)

  it("D3 at gives 1, and its function its arguments", function()
    local seen
    local function pack(...) return { n = select("#", ...), ... } end
    assert.same({ n = 1, 1 }, pack(ngx.timer.at("0", function(...)
      seen = pack(...)
      seen.phase = ngx.get_phase()
    end, nil, 2, nil)))
    assert.is_nil(seen)
    ngx.sleep(0.02)
    assert.same({ n = 4, false, nil, 2, nil, phase = "timer" }, seen)
    assert.equal(1, ngx.timer.at(-1, function() seen = "late already" end))
    ngx.sleep(0.02)
    assert.equal("late already", seen)
  end)

  it("D3 counts what is pending and what runs", function()
    local pending, running = ngx.timer.pending_count(), ngx.timer.running_count()
    local done = false
    ngx.timer.at(0.005, function() ngx.sleep(0.03) done = true end)
    assert.equal(pending + 1, ngx.timer.pending_count())
    ngx.sleep(0.02)
    assert.equal(running + 1, ngx.timer.running_count())
    ngx.sleep(0.04)
    assert.is_true(done)
    assert.equal(running, ngx.timer.running_count())
  end)

  it("D3 a timer's threads are waited for, and its errors are its own", function()
    local order, running = {}, ngx.timer.running_count()
    ngx.timer.at(0, function()
      ngx.thread.spawn(function() ngx.sleep(0.005) order[#order + 1] = "thread" end)
      order[#order + 1] = "entry"
    end)
    ngx.timer.at(0, function() error("in a timer") end)
    ngx.sleep(0.03)
    assert.same({ "entry", "thread" }, order)
    assert.equal(1, running)
    assert.equal(running, ngx.timer.running_count())
  end)

  it("D3 every goes on until the end", function()
    local n = 0
    ngx.timer.every(0.005, function(_, by) n = n + by end, 2)
    ngx.sleep(0.05)
    assert.is_true(n >= 4)
  end)
end)
