describe("D3 ngx.thread", function()
  local function sleeper(seconds, ...)
    ngx.sleep(seconds)
    return ...
  end

  it("D3 spawn runs the thread at once, up to its first wait", function()
    local seen = {}
    local t = ngx.thread.spawn(function(a, b)
      seen[1] = a + b
      ngx.sleep(0.001)
      seen[2] = "later"
    end, 1, 2)
    assert.same({ 3 }, seen)
    assert.equal("thread", type(t))
    assert.same({ true }, { ngx.thread.wait(t) })
    assert.same({ 3, "later" }, seen)
  end)

  it("D3 spawn takes Lua functions only", function()
    local text = "bad argument #1 to 'spawn' %(Lua function expected%)"
    for _, junk in ipairs({ 1, "x", {}, true, string.rep }) do
      assert.error_matches(function() ngx.thread.spawn(junk) end, text)
    end
    assert.error_matches(function() ngx.thread.spawn() end, text)
  end)

  it("D3 wait gives what the first to end returned", function()
    local a = ngx.thread.spawn(sleeper, 0.03, "a")
    local b = ngx.thread.spawn(sleeper, 0.005, "b", nil, "c")
    assert.same({ true, "b", nil, "c" }, { ngx.thread.wait(a, b) })
    assert.same({ nil, "already waited or killed" }, { ngx.thread.wait(b) })
    assert.same({ true, "a" }, { ngx.thread.wait(b, a) })
    b = ngx.thread.spawn(sleeper, 0.001, "b", nil, "c")
    assert.same({ true, "b", nil, "c" }, { ngx.thread.wait(b) })
  end)

  it("D3 wait gives false and the error of one that failed, tables as they are", function()
    local t = ngx.thread.spawn(function() error("bad", 0) end)
    assert.same({ false, "bad" }, { ngx.thread.wait(t) })
    t = ngx.thread.spawn(function() ngx.sleep(0.001) error({ code = 7 }) end)
    local ok, err = ngx.thread.wait(t)
    assert.is_false(ok)
    assert.equal(7, err.code)
  end)

  it("D3 before the error of one that failed comes what lay on the failed function's stack", function()
    local t = ngx.thread.spawn(function() error("bad") end)
    local got = { ngx.thread.wait(t) }
    assert.same({ 3, false, "bad" }, { #got, got[1], got[2] })
    assert.matches("^.*thread_spec.lua:%d+: bad$", got[3])
    t = ngx.thread.spawn(function(a) ngx.sleep(0.001) error({ a }, 2, 7) end, "thrown")
    assert.same({ false, { "thrown" } }, { ngx.thread.wait(t) })
  end)

  it("D3 one that is gone was its parent's alone, too", function()
    local inner
    local outer = ngx.thread.spawn(function()
      inner = ngx.thread.spawn(sleeper, 0)
      return ngx.thread.wait(inner)
    end)
    assert.is_true((ngx.thread.wait(outer)))
    assert.error_matches(function() ngx.thread.wait(inner) end,
      "only the parent coroutine can wait on the thread")
    assert.same({ nil, "killer not parent" }, { ngx.thread.kill(inner) })
    assert.same({ nil, "already waited or killed" }, { ngx.thread.wait(outer) })
  end)

  it("D3 wait and kill refuse what is no thread of the caller's", function()
    local wait, kill = ngx.thread.wait, ngx.thread.kill
    assert.error_matches(function() wait() end, "at least one coroutine should be specified")
    assert.error_matches(function() wait({}) end, "bad argument #1 to 'wait' %(lua thread expected%)")
    assert.error_matches(function() kill("x") end, "bad argument #1 to 'kill' %(lua thread expected%)")
    local co = coroutine.create(function() end)
    assert.error_matches(function() wait(co) end, "attempt to wait on a coroutine that is not a user thread")
    assert.same({ nil, "not user thread" }, { kill(co) })
    local t = ngx.thread.spawn(sleeper, 0.01)
    local other = ngx.thread.spawn(function()
      local ok, err = pcall(wait, t)
      return ok, err, kill(t)
    end)
    assert.same({ true, false, "only the parent coroutine can wait on the thread", nil, "killer not parent" },
      { wait(other) })
    assert.equal(1, kill(t))
  end)

  it("D3 kill ends a thread that sleeps, waits in a socket or for a semaphore", function()
    local semaphore = require "ngx.semaphore"
    local sem = semaphore.new()
    local late = false
    local waits = {
      function() ngx.sleep(60) late = true end,
      function() sem:wait(60) late = true end,
      function() coroutine.wrap(function() pcall(ngx.sleep, 60) end)() late = true end,
      function() ngx.thread.wait(ngx.thread.spawn(sleeper, 0.001)) ngx.sleep(60) late = true end,
    }
    for _, f in ipairs(waits) do
      local t = ngx.thread.spawn(f)
      assert.equal("running", (coroutine.status(t):gsub("normal", "running")))
      assert.equal(1, ngx.thread.kill(t))
      assert.equal("dead", coroutine.status(t))
      assert.same({ nil, "already waited or killed" }, { ngx.thread.kill(t) })
      assert.same({ nil, "already waited or killed" }, { ngx.thread.wait(t) })
    end
    assert.equal(0, sem:count())
    ngx.sleep(0.01)
    assert.is_false(late)
    local over = ngx.thread.spawn(function() end)
    assert.equal("zombie", coroutine.status(over))
    assert.same({ nil, "already terminated" }, { ngx.thread.kill(over) })
  end)

  it("D3 threads may be waited for inside pcall, coroutines, iterators and metamethods", function()
    local function double(n)
      return select(2, assert(ngx.thread.wait(ngx.thread.spawn(sleeper, 0.001, n * 2))))
    end
    assert.same({ true, 4 }, { pcall(double, 2) })
    assert.equal(8, coroutine.wrap(function() return double(4) end)())
    assert.equal(6, setmetatable({}, { __index = function(_, n) return double(n) end })[3])
    local sum = 0
    for n in coroutine.wrap(function() for i = 1, 3 do coroutine.yield(double(i)) end end) do
      sum = sum + n
    end
    assert.equal(12, sum)
    assert.error_matches(function() ("x"):gsub("x", function() double(1) end) end,
      "attempt to yield across C%-call boundary")
  end)

  it("D3 a bare yield lets the others run first", function()
    local order = {}
    local function note(x) order[#order + 1] = x end
    local t = ngx.thread.spawn(function()
      note("a1") coroutine.yield() note("a2") coroutine.yield() note("a3")
    end)
    note("m1") coroutine.yield() note("m2")
    ngx.thread.wait(t)
    assert.equal("a1 m1 a2 m2 a3", table.concat(order, " "))
  end)

  it("D3 threads that nobody waits for cost nothing in the end", function()
    for _ = 1, 2000 do
      ngx.thread.spawn(function() end)
    end
    local many = {}
    for i = 1, 300 do
      many[i] = ngx.thread.spawn(sleeper, 0.001 * (i % 7), i)
    end
    local sum = 0
    for i = 1, 300 do
      sum = sum + select(2, ngx.thread.wait(many[i]))
    end
    assert.equal(300 * 301 / 2, sum)
  end)

  it("D3 a thread whose parent coroutine is gone ends without a word", function()
    local done
    coroutine.wrap(function()
      ngx.thread.spawn(function() ngx.sleep(0.001) done = true end)
    end)()
    ngx.sleep(0.01)
    assert.is_true(done)
  end)
end)
