package.path = "spec/cache/?.lua;" .. package.path
local support = require("support")
local cache_of, counted, crowd = support.cache, support.counted, support.crowd

describe("B6 one callback", function()
  it("B6 runs for fifty who ask at once; the others wait for what it brings", function()
    local cache = cache_of()
    local runs, levels, values = 0, {}, {}
    local made = { 1 }
    local start = ngx.now()
    crowd(50, function(i)
      values[i], _, levels[i] = cache:get("k", nil, function()
        runs = runs + 1
        ngx.sleep(0.1)
        return made
      end)
    end)
    assert.equal(1, runs)
    assert.is_true(ngx.now() - start < 0.5)
    local threes = 0
    for i = 1, 50 do
      assert.same(made, values[i])
      threes = threes + (levels[i] == 3 and 1 or 0)
    end
    assert.equal(1, threes)
  end)

  it("B6 does not hold up other keys", function()
    local cache = cache_of()
    local done = {}
    crowd(10, function(i)
      cache:get("k" .. i, nil, function()
        ngx.sleep(0.1)
        done[i] = ngx.now()
        return i
      end)
    end)
    assert.is_true(done[10] - done[1] < 0.08)
  end)

  it("B6 that fails lets the next one try", function()
    local cache = cache_of()
    local runs, failed, got = 0, 0, 0
    crowd(10, function()
      local value, err = cache:get("k", nil, function()
        runs = runs + 1
        local mine = runs
        ngx.sleep(0.01)
        if mine == 1 then
          return nil, "down"
        elseif mine == 2 then
          error("oh")
        end
        return mine
      end)
      failed = failed + (err and 1 or 0)
      got = got + (value == 3 and 1 or 0)
    end)
    assert.same({ 3, 2, 8 }, { runs, failed, got })
  end)

  it("B6 is waited for as long as resty_lock_opts say", function()
    local cache = cache_of({ resty_lock_opts = { timeout = 0.05 } })
    local answers = {}
    crowd(2, function(i)
      ngx.sleep(i == 2 and 0.01 or 0)
      answers[i] = { cache:get("k", nil, function()
        ngx.sleep(0.5)
        return 1
      end) }
    end)
    assert.same({ 1, nil, 3 }, answers[1])
    assert.same({ nil, "could not acquire callback lock: timeout" }, answers[2])
  end)

  it("B6 a turn that takes longer than its exptime is another's", function()
    local cache = cache_of({ resty_lock_opts = { exptime = 0.05, timeout = 0.05 } })
    local runs = 0
    crowd(2, function(i)
      ngx.sleep(i == 2 and 0.02 or 0)
      cache:get("k", nil, function()
        runs = runs + 1
        ngx.sleep(0.15)
        return 1
      end)
    end)
    assert.equal(2, runs)
    assert.is_nil(ngx.shared.kong_locks:get("lua-resty-mlcache:lock:" .. cache.name .. "k"))
  end)

  it("B6 where waiting is not possible, another's turn is not waited for", function()
    local cache = cache_of()
    local answers = {}
    crowd(2, function(i)
      if i == 1 then
        answers[1] = { cache:get("k", nil, function()
          ngx.sleep(0.05)
          return "first"
        end) }
        return
      end
      ngx.sleep(0.01)
      -- a C function is between: no coroutine can leave here
      string.gsub("x", "x", function()
        answers[2] = { cache:get("k", nil, counted("second")) }
      end)
    end)
    assert.same({ { "first", nil, 3 }, { "second", nil, 3 } }, answers)
  end)

  it("B6 has its turn in the dictionary of locks", function()
    local cache = cache_of({ shm_locks = "kong_healthchecks" })
    local key = "lua-resty-mlcache:lock:" .. cache.name .. "k"
    cache:get("k", nil, function()
      assert.truthy(ngx.shared.kong_healthchecks:get(key))
    end)
    assert.is_nil(ngx.shared.kong_healthchecks:get(key))
  end)

  it("B6 may ask for other keys, and waits in vain for its own", function()
    local cache = cache_of({ resty_lock_opts = { timeout = 0.03 } })
    local inner
    assert.equal("ab", (cache:get("outer", nil, function()
      inner = { cache:get("outer", nil, counted(1)) }
      return cache:get("a", nil, counted("a")) .. cache:get("b", nil, counted("b"))
    end)))
    assert.same({ nil, "could not acquire callback lock: timeout" }, inner)
  end)

  it("B6 a turn that its owner forgot is given back with it", function()
    local turn = require("moongate.cache.turn")
    local locks = turn.open("kong_locks")
    local key = support.name()
    coroutine.wrap(function()
      local held = turn.take(locks, key, 100)
      coroutine.yield(held and true)
    end)()
    assert.same({ nil, "exists" }, { turn.take(locks, key, 100) })
    collectgarbage()
    collectgarbage()
    local held = assert(turn.take(locks, key, 100))
    assert.is_true(turn.give_back(held))
    assert.is_false(turn.give_back(held))
  end)

  describe("a stale value", function()
    local function expired(opts, value)
      local cache = cache_of({ ttl = 0.02, neg_ttl = 0.02, resurrect_ttl = 0.05,
                               resty_lock_opts = opts and opts.resty_lock_opts })
      cache:get("k", nil, counted(value))
      ngx.sleep(0.04)
      return cache
    end

    it("B6 lives on for resurrect_ttl when the callback fails softly", function()
      for _, value in ipairs({ "old", "nil" }) do
        if value == "nil" then
          value = nil
        end
        local cache = expired(nil, value)
        assert.same({ value, nil, 4 }, { cache:get("k", nil, counted("ignored", "down", 100)) })
        assert.same({ value, nil, 1 }, { cache:get("k", nil, counted("new")) })
        cache.lru:delete("k")
        assert.same({ value, nil, 4 }, { cache:get("k", nil, counted("new")) })
        ngx.sleep(0.07)
        assert.same({ "new", nil, 3 }, { cache:get("k", nil, counted("new")) })
      end
    end)

    it("B6 takes the call's resurrect_ttl", function()
      local cache = expired(nil, "old")
      assert.equal(4, select(3, cache:get("k", { resurrect_ttl = 0.01 }, counted(nil, "down"))))
      ngx.sleep(0.02)
      assert.equal(3, select(3, cache:get("k", nil, counted("new"))))
    end)

    it("B6 does not when the callback throws, nor without resurrect_ttl", function()
      local cache = expired(nil, "old")
      assert.matches("^callback threw an error", select(2, cache:get("k", nil, function() error("oh") end)))
      local without = cache_of({ ttl = 0.01 })
      without:get("k", nil, counted(1))
      ngx.sleep(0.03)
      assert.same({ nil, "down" }, { without:get("k", nil, counted(nil, "down")) })
    end)

    it("B6 does not when it was invalidated meanwhile", function()
      local cache = expired(nil, "old")
      assert.same({ nil, "down" }, { cache:get("k", nil, function()
        cache:delete("k")
        return nil, "down"
      end) })
      assert.equal(-1, select(3, cache:get("k")))
    end)

    it("B6 is what those get who waited too long", function()
      local cache = expired({ resty_lock_opts = { timeout = 0.05 } }, "old")
      local answers = {}
      crowd(2, function(i)
        ngx.sleep(i == 2 and 0.01 or 0)
        answers[i] = { cache:get("k", nil, function()
          ngx.sleep(0.15)
          return "new"
        end) }
      end)
      assert.same({ { "new", nil, 3 }, { "old", nil, 4 } }, answers)
    end)
  end)
end)
