package.path = "spec/cache/?.lua;" .. package.path
local support = require("support")
local mlcache = require("kong.resty.mlcache")
local cache_of, counted = support.cache, support.counted

describe("B6 mlcache", function()
  describe("set, delete, purge", function()
    it("B6 set puts a value into both tiers and reaches the others at their update", function()
      local cache = cache_of()
      local other = cache_of(nil, cache.name)
      cache:get("k", nil, counted("old"))
      other:get("k")
      assert.is_true(cache:set("k", nil, "new"))
      assert.same({ "new", nil, 1 }, { cache:get("k") })
      assert.same({ "old", nil, 1 }, { other:get("k") })
      assert.is_true(other:update())
      assert.same({ "new", nil, 2 }, { other:get("k") })
    end)

    it("B6 set goes by its ttl and neg_ttl, and knows values from nils", function()
      local cache = cache_of()
      cache:set("k", { ttl = 0.02 }, 1)
      cache:set("none", { neg_ttl = 0.02, ttl = 100 }, nil)
      assert.same({ 1, nil, 1 }, { cache:get("k") })
      ngx.sleep(0.04)
      assert.equal(-1, select(3, cache:get("k")))
      assert.equal(-1, select(3, cache:get("none")))
      cache:set("turn", nil, 1)
      cache:set("turn", nil, nil)
      cache.lru:flush_all()
      assert.same({ nil, nil, 2 }, { cache:get("turn") })
      cache:set("turn", nil, 2)
      cache.lru:flush_all()
      assert.same({ 2, nil, 2 }, { cache:get("turn") })
    end)

    it("B6 delete removes values and nils from both tiers, for the others at their update", function()
      local cache = cache_of()
      local other = cache_of(nil, cache.name)
      for key, value in pairs({ k = 1, none = "nil" }) do
        if value == "nil" then
          value = nil
        end
        cache:get(key, nil, counted(value))
        other:get(key)
        assert.is_true(cache:delete(key))
        assert.same({ nil, nil, -1 }, { cache:get(key) })
        assert.equal(1, select(3, other:get(key)))
        other:update()
        assert.same({ nil, nil, -1 }, { other:get(key) })
      end
    end)

    it("B6 purge empties both tiers, for the others at their update", function()
      local cache = cache_of({ shm = "kong_secrets", shm_miss = "kong_cluster_events" })
      local other = cache_of({ shm = "kong_secrets", shm_miss = "kong_cluster_events" }, cache.name)
      for i = 1, 50 do
        cache:get("k" .. i, nil, counted(i % 2 == 0 and i or nil))
        other:get("k" .. i)
      end
      assert.is_true(cache:purge(true))
      assert.equal(0, cache.lru:count())
      assert.equal(50, other.lru:count())
      other:update()
      for i = 1, 50 do
        assert.equal(-1, select(3, cache:get("k" .. i)))
        assert.equal(-1, select(3, other:get("k" .. i)))
        assert.is_nil((cache:peek("k" .. i, true)))
      end
    end)

    it("B6 a cache that follows hears of it at its next get", function()
      local cache = cache_of()
      local other = cache_of({ follow = true }, cache.name)
      cache:get("k", nil, counted(1))
      cache:get("l", nil, counted(1))
      other:get("k")
      other:get("l")
      cache:delete("k")
      assert.equal(-1, select(3, other:get("k")))
      assert.equal(1, select(3, other:get("l")))
      cache:purge()
      assert.equal(-1, select(3, other:get("l")))
    end)

    it("B6 who missed more than is kept starts from nothing", function()
      local cache = cache_of()
      local other = cache_of({ follow = true }, cache.name)
      cache:get("k", nil, counted(1))
      other:get("k")
      for i = 1, 17000 do
        cache.broadcast("another", "")
      end
      assert.same({ 1, nil, 2 }, { other:get("k") })
      assert.same({ 1, nil, 1 }, { other:get("k") })
    end)

    it("B6 what a callback brings after its key was invalidated is handed over, not kept", function()
      for _, how in ipairs({ "delete", "purge" }) do
        local cache = cache_of()
        local other = cache_of(nil, cache.name)
        assert.same({ "old", nil, 3 }, { cache:get("k", nil, function()
          other[how](other, "k")
          return "old"
        end) })
        assert.equal(-1, select(3, cache:get("k")))
        assert.equal(-1, select(3, other:get("k")))
        assert.same({ "new", nil, 3 }, { cache:get("k", nil, function()
          other:delete("another key")
          return "new"
        end) })
        assert.same({ "new", nil, 1 }, { cache:get("k") })
      end
    end)

    it("B6 without a way to tell the others they are refused", function()
      local cache = mlcache.new(support.name(), "kong_db_cache")
      assert.error_matches(function() cache:set("k", nil, 1) end,
        "no ipc to propagate update, specify opts.ipc_shm or opts.ipc$")
      assert.error_matches(function() cache:delete("k") end,
        "no ipc to propagate deletion, specify opts.ipc_shm or opts.ipc$")
      assert.error_matches(function() cache:purge() end,
        "no ipc to propagate purge, specify opts.ipc_shm or opts.ipc$")
      assert.error_matches(function() cache:renew("k", nil, print) end,
        "no ipc to propagate renew, specify opts.ipc_shm or opts.ipc$")
      assert.error_matches(function() cache:update() end,
        "no polling configured, specify opts.ipc_shm or opts.ipc.poll$")
    end)

    it("B6 a way of one's own is given the events and told the keys", function()
      local told, events = {}, nil
      local name = support.name()
      local cache = mlcache.new(name, "kong_db_cache", { ipc = {
        register_listeners = function(list) events = list end,
        broadcast = function(channel, data) told[#told + 1] = channel .. "=" .. data end,
        poll = function(timeout) told[#told + 1] = "poll " .. timeout end,
      } })
      cache:set("k", nil, 1)
      cache:delete("k")
      cache:purge()
      cache:update(3.5)
      assert.same({ "mlcache:invalidations:" .. name .. "=k", "mlcache:invalidations:" .. name .. "=k",
        "mlcache:purge:" .. name .. "=", "poll 3.5" }, told)
      cache:set("k", nil, 1)
      events.invalidation.handler("k")
      assert.equal(2, select(3, cache:get("k")))
      events.purge.handler()
      assert.equal(2, select(3, cache:get("k")))
      assert.same({ nil,
        "failed to initialize custom IPC (opts.ipc.register_listeners returned an error): no" },
        { mlcache.new(name, "kong", { ipc = {
          register_listeners = function() return nil, "no" end, broadcast = print } }) })
    end)
  end)

  describe("peek", function()
    it("B6 answers the time left and the value, from the shared tier alone", function()
      local cache = cache_of({ ttl = 10, neg_ttl = 20 })
      assert.is_nil((cache:peek("k")))
      cache:get("k", nil, counted({ 1 }))
      cache:get("none", nil, counted(nil))
      cache:get("ever", { ttl = 0 }, counted(2))
      local left, err, value, stale, endless = cache:peek("k")
      assert.is_true(left > 9.9 and left <= 10)
      assert.same({ nil, { 1 }, false, false }, { err, value, stale, endless })
      left, _, value = cache:peek("none")
      assert.is_true(left > 19.9 and left <= 20)
      assert.is_nil(value)
      assert.same({ 0, nil, 2, false, true }, { cache:peek("ever") })
      cache.lru:flush_all()
      cache:peek("k")
      assert.equal(0, cache.lru:count())
      assert.error_matches(function() cache:peek() end, "key must be a string")
    end)

    it("B6 answers stale values when asked", function()
      local cache = cache_of({ ttl = 0.01, neg_ttl = 0.01 })
      cache:get("k", nil, counted(1))
      cache:get("none", nil, counted(nil))
      ngx.sleep(0.03)
      for key, want in pairs({ k = 1, none = "nil" }) do
        assert.is_nil((cache:peek(key)))
        local left, _, value, stale = cache:peek(key, true)
        assert.is_true(left < 0 and left > -1)
        assert.equal(want, value == nil and "nil" or value)
        assert.is_true(stale)
      end
    end)
  end)

  describe("renew", function()
    it("B6 runs the callback whatever is cached, answers the ttl, and reaches the others", function()
      local cache = cache_of({ ttl = 10, neg_ttl = 20 })
      local other = cache_of({ follow = true }, cache.name)
      local n = 0
      local function count()
        n = n + 1
        return n
      end
      assert.same({ 1, nil, 10 }, { cache:renew("k", nil, count) })
      assert.equal(1, (other:get("k")))
      assert.same({ 2, nil, 5 }, { cache:renew("k", { ttl = 5 }, count) })
      assert.same({ 2, nil, 1 }, { cache:get("k") })
      assert.same({ 2, nil, 2 }, { other:get("k") })
      assert.same({ nil, nil, 20 }, { cache:renew("k", nil, counted(nil)) })
      assert.same({ nil, nil, 2 }, { other:get("k") })
      assert.same({ 3, nil, 0 }, { cache:renew("k", { ttl = 0 }, count) })
      assert.same({ 3, nil, 2 }, { other:get("k") })
      assert.same({ 9, nil, 7 }, { cache:renew("k", nil, counted(9, nil, 7)) })
      assert.same({ 8, nil, -1 }, { cache:renew("k", nil, counted(8, nil, -1)) })
      assert.same({ 9, nil, 1 }, { cache:get("k") })
    end)

    it("B6 answers errors as get does", function()
      local cache = cache_of()
      assert.same({ nil, "down" }, { cache:renew("k", nil, counted(nil, "down")) })
      assert.matches("^callback threw an error: .-oh\nstack traceback:",
        select(2, cache:renew("k", nil, function() error("oh") end)))
      assert.error_matches(function() cache:renew("k") end, "callback must be a function$")
      assert.error_matches(function() cache:renew(1, nil, print) end, "key must be a string$")
      assert.error_matches(function() cache:renew("k", { ttl = -1 }, print) end, "opts.ttl must be >= 0$")
    end)

    it("B6 those who wait for a renewal take what it brought", function()
      local cache = cache_of({ ttl = 10 })
      cache:get("k", nil, counted("old"))
      local n, got = 0, {}
      support.crowd(20, function(i)
        got[i] = cache:renew("k", nil, function()
          n = n + 1
          ngx.sleep(0.05)
          return "new"
        end)
      end)
      assert.equal(1, n)
      for i = 1, 20 do
        assert.equal("new", got[i])
      end
    end)
  end)

  describe("ipc", function()
    local ipc = require("kong.resty.mlcache.ipc")

    it("B6 runs all callbacks of a channel, protected, and tells nobody what it said itself", function()
      local a, b = assert(ipc.new("kong", true)), assert(ipc.new("kong"))
      local heard = {}
      a:subscribe("x", function() error("oh") end)
      a:subscribe("x", function(data) heard[#heard + 1] = data end)
      b:subscribe("x", function() heard[#heard + 1] = "own" end)
      assert.is_true(a:poll())
      a:broadcast("x", "1")
      a:broadcast("y", "2")
      b:broadcast("x", "3")
      assert.is_true(a:poll())
      assert.is_true(b:poll())
      assert.is_true(a:poll(5))
      assert.same({ "1", "3" }, heard)
      assert.error_matches(function() a:poll("1") end, "timeout must be a number")
      assert.error_matches(function() a:broadcast("x") end, "data must be a string")
      assert.error_matches(function() a:subscribe(1) end, "channel must be a string")
      assert.same({ nil, "no such lua_shared_dict: none" }, { ipc.new("none") })
    end)
  end)
end)
