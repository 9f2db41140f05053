package.path = "spec/cache/?.lua;" .. package.path
local support = require("support")
local mlcache = require("kong.resty.mlcache")
local cache_of, counted = support.cache, support.counted

describe("B6 mlcache get", function()
  it("B6 takes a value from the callback, the own tier, then the shared tier", function()
    local cache = cache_of()
    local other = cache_of(nil, cache.name)
    local made = { list = { 1, 2 }, text = "x" }
    local cb, calls = counted(made)
    assert.same({ made, nil, 3 }, { cache:get("k", nil, cb) })
    local again, _, level = cache:get("k", nil, cb)
    assert.equal(made, again)
    assert.equal(1, level)
    local copy
    copy, _, level = other:get("k", nil, cb)
    assert.equal(2, level)
    assert.same(made, copy)
    assert.not_equal(made, copy)
    assert.equal(copy, (other:get("k")))
    assert.equal(1, calls.n)
  end)

  it("B6 caches each type, false and nil too", function()
    for _, value in ipairs({ 42, 0.5, "text", "", true, false, "nil" }) do
      if value == "nil" then
        value = nil
      end
      local cache = cache_of()
      local cb, calls = counted(value)
      local levels = {}
      for i = 1, 3 do
        if i == 3 then
          cache.lru:delete("k")
        end
        local got, err, level = cache:get("k", nil, cb)
        assert.equal(value, got)
        assert.is_nil(err)
        levels[i] = level
      end
      assert.same({ 3, 1, 2 }, levels)
      assert.equal(1, calls.n)
    end
  end)

  it("B6 hands the arguments on, nils among them", function()
    local seen
    cache_of():get("k", nil, function(...)
      seen = { n = select("#", ...), ... }
    end, 1, nil, "x", nil)
    assert.same({ n = 4, 1, nil, "x", nil }, seen)
  end)

  it("B6 without a callback answers what is there, or level -1", function()
    local cache = cache_of()
    assert.same({ nil, nil, -1 }, { cache:get("k") })
    cache:get("k", nil, counted(1))
    cache:get("none", nil, counted(nil))
    assert.same({ 1, nil, 1 }, { cache:get("k") })
    assert.same({ nil, nil, 1 }, { cache:get("none") })
    cache.lru:flush_all()
    assert.same({ 1, nil, 2 }, { cache:get("k") })
    assert.same({ nil, nil, 2 }, { cache:get("none") })
  end)

  it("B6 refuses wrong arguments where the user called", function()
    local cache = cache_of()
    assert.matches("^[^:]*get_spec.lua:%d+: key must be a string$", select(2, pcall(function()
      cache:get()
    end)))
    assert.matches("^[^:]*get_spec.lua:%d+: opts.ttl must be >= 0$", select(2, pcall(function()
      cache:get("k", { ttl = -1 }, print)
    end)))
    assert.error_matches(function() cache:get() end, "^key must be a string$")
    assert.error_matches(function() cache:get("k", nil, "f") end, "^callback must be nil or a function$")
    assert.error_matches(function() cache:get("k", "o", print) end, "^opts must be a table$")
    for opts, message in pairs({
      [{ ttl = "1" }] = "opts.ttl must be a number",
      [{ ttl = -1 }] = "opts.ttl must be >= 0",
      [{ neg_ttl = true }] = "opts.neg_ttl must be a number",
      [{ neg_ttl = -1 }] = "opts.neg_ttl must be >= 0",
      [{ resurrect_ttl = -1 }] = "opts.resurrect_ttl must be >= 0",
      [{ shm_set_tries = 0 }] = "opts.shm_set_tries must be >= 1",
      [{ l1_serializer = 1 }] = "opts.l1_serializer must be a function",
    }) do
      assert.error_matches(function() cache:get("k", opts, print) end, "^" .. message .. "$")
    end
  end)

  it("B6 says what a callback threw, with a traceback, and keeps nothing", function()
    local cache = cache_of()
    local value, err, level = cache:get("k", nil, function() error("broken") end)
    assert.is_nil(value)
    assert.is_nil(level)
    assert.matches("^callback threw an error: .-broken\nstack traceback:", err)
    assert.same({ nil, "callback threw an error: nil" }, { cache:get("k", nil, error) })
    local thrown = setmetatable({}, { __tostring = function() return "mine" end })
    assert.same({ nil, "callback threw an error: mine" }, { cache:get("k", nil, error, thrown) })
    assert.same({ 1, nil, 3 }, { cache:get("k", nil, counted(1)) })
  end)

  it("B6 hands on the error a callback returns, and its value, and keeps nothing", function()
    local cache = cache_of()
    assert.same({ nil, "down" }, { cache:get("k", nil, counted(nil, "down")) })
    assert.same({ 5, "down" }, { cache:get("k", nil, counted(5, "down")) })
    local err = select(2, cache:get("k", nil, counted(nil, {})))
    assert.matches("^table: 0x", err)
    assert.equal(-1, select(3, cache:get("k")))
  end)

  it("B6 cannot cache a function, and gives the turn back all the same", function()
    local cache = cache_of()
    assert.error_matches(function() cache:get("k", nil, counted(print)) end,
      "cannot cache value of type function")
    assert.has_error(function() cache:get("k", nil, counted({ f = print })) end)
    assert.same({ 1, nil, 3 }, { cache:get("k", nil, counted(1)) })
  end)

  describe("times", function()
    it("B6 a value lives for ttl, nil for neg_ttl", function()
      local cache = cache_of({ ttl = 0.1, neg_ttl = 0.04 })
      local cb, calls = counted(1)
      local none, misses = counted(nil)
      cache:get("k", nil, cb)
      cache:get("none", nil, none)
      ngx.sleep(0.06)
      cache:get("k", nil, cb)
      cache:get("none", nil, none)
      assert.same({ 1, 2 }, { calls.n, misses.n })
      ngx.sleep(0.06)
      assert.equal(3, select(3, cache:get("k", nil, cb)))
      assert.equal(2, calls.n)
    end)

    it("B6 leaves misses of long keys to the shared tier", function()
      local cache = cache_of()
      local none, misses = counted(nil)
      local value, calls = counted("v")
      local long = ("x"):rep(300)
      local function level(key, f)
        return (select(3, cache:get(key, nil, f)))
      end
      assert.same({ 3, 2, 2, 1 }, { level(long, none), level(long, none), level(long, none), misses.n })
      assert.same({ 3, 1, 1 }, { level(long .. "y", value), level(long .. "y", value), calls.n })
      assert.same({ 3, 1 }, { level("short", none), level("short", none) })
    end)

    it("B6 a call's ttl and what a callback says count more than the cache's", function()
      local cache = cache_of({ ttl = 100, neg_ttl = 100 })
      cache:get("call", { ttl = 0.03 }, counted(1))
      cache:get("said", { ttl = 100 }, counted(1, nil, 0.03))
      cache:get("none", nil, counted(nil, nil, 0.03))
      cache:get("words", nil, counted(1, nil, "0.03"))
      ngx.sleep(0.05)
      local levels = {}
      for i, key in ipairs({ "call", "said", "none", "words" }) do
        levels[i] = select(3, cache:get(key))
      end
      assert.same({ -1, -1, -1, 1 }, levels)
    end)

    it("B6 0 means without an end, in both tiers", function()
      local cache = cache_of({ ttl = 0.02, neg_ttl = 0.02 })
      cache:get("k", { ttl = 0 }, counted(1))
      cache:get("none", { neg_ttl = 0 }, counted(nil))
      ngx.sleep(0.04)
      assert.equal(1, select(3, cache:get("k")))
      cache.lru:flush_all()
      assert.equal(2, select(3, cache:get("k")))
      assert.equal(2, select(3, cache:get("none")))
      ngx.sleep(0.04)
      assert.equal(1, select(3, cache:get("k")))
    end)

    it("B6 what comes from the shared tier lives for the rest of its time", function()
      local cache = cache_of({ ttl = 0.1 })
      cache:get("k", nil, counted(1))
      ngx.sleep(0.06)
      cache.lru:delete("k")
      assert.equal(2, select(3, cache:get("k")))
      ngx.sleep(0.06)
      assert.equal(-1, select(3, cache:get("k")))
    end)

    it("B6 a negative ttl of the callback keeps nothing", function()
      local cache = cache_of()
      local cb, calls = counted(7, nil, -1)
      assert.same({ 7, nil, 3 }, { cache:get("k", nil, cb) })
      assert.same({ 7, nil, 3 }, { cache:get("k", nil, cb) })
      assert.equal(2, calls.n)
    end)
  end)

  describe("shared tier", function()
    it("B6 a value too large for it is kept by the worker, with a warning", function()
      local cache = cache_of({ shm_miss = "kong", shm = "kong" })
      local large = ("x"):rep(6 * 1024 * 1024)
      assert.same({ large, nil, 3 }, { cache:get("k", nil, counted(large)) })
      assert.equal(1, select(3, cache:get("k")))
      cache.lru:delete("k")
      assert.equal(-1, select(3, cache:get("k")))
      assert.same({ nil, "could not write to lua_shared_dict 'kong': no memory" },
        { cache:set("k", nil, large) })
      assert.is_nil(cache.lru:get("k"))
    end)

    it("B6 what another made unreadable is an error, not a crash", function()
      local cache = cache_of()
      ngx.shared.kong_db_cache:set(cache.name .. "k", "\255\255")
      local value, err = cache:get("k", nil, counted(1))
      assert.is_nil(value)
      assert.matches("^could not deserialize value after lua_shared_dict retrieval: ", err)
    end)
  end)

  describe("l1_serializer", function()
    it("B6 makes what the own tier keeps, once per way into it", function()
      local runs = 0
      local cache = cache_of({ l1_serializer = function(v)
        runs = runs + 1
        return v and { made = v } or "was false"
      end })
      local made = cache:get("k", nil, counted(1))
      assert.same({ made = 1 }, made)
      assert.equal(made, (cache:get("k")))
      assert.equal(1, runs)
      cache.lru:delete("k")
      assert.same({ { made = 1 }, nil, 2 }, { cache:get("k") })
      assert.equal(2, runs)
      assert.equal("was false", (cache:get("false", nil, counted(false))))
      cache:get("none", nil, counted(nil))
      assert.equal(3, runs)
      local function other() return "call's" end
      assert.equal("call's", (cache:get("other", { l1_serializer = other }, counted(1))))
    end)

    it("B6 its errors are answers, and nothing stays in the shared tier", function()
      local cache = cache_of()
      local function with(f)
        return { cache:get("k", { l1_serializer = f }, counted(1)) }
      end
      assert.matches("^l1_serializer threw an error: .*oh$", with(function() error("oh") end)[2])
      assert.same({ nil, "l1_serializer returned a nil value" }, with(function() end))
      assert.same({ nil, "no" }, with(function() return nil, "no" end))
      assert.same({ nil, nil, -1 }, { cache:get("k") })
    end)
  end)

  describe("new", function()
    it("B6 refuses wrong options", function()
      for args, message in pairs({
        [{}] = "name must be a string",
        [{ "n" }] = "shm must be a string",
        [{ "n", "kong", "o" }] = "opts must be a table",
        [{ "n", "kong", { lru_size = "" } }] = "opts.lru_size must be a number",
        [{ "n", "kong", { ttl = -1 } }] = "opts.ttl must be >= 0",
        [{ "n", "kong", { resty_lock_opts = 1 } }] = "opts.resty_lock_opts must be a table",
        [{ "n", "kong", { ipc_shm = 1 } }] = "opts.ipc_shm must be a string",
        [{ "n", "kong", { ipc = 1 } }] = "opts.ipc must be a table",
        [{ "n", "kong", { ipc = {} } }] = "opts.ipc.register_listeners must be a function",
        [{ "n", "kong", { ipc = { register_listeners = print } } }] = "opts.ipc.broadcast must be a function",
        [{ "n", "kong", { ipc = {}, ipc_shm = "kong" } }] =
          "cannot specify both of opts.ipc_shm and opts.ipc",
        [{ "n", "kong", { shm_miss = 1 } }] = "opts.shm_miss must be a string",
        [{ "n", "kong", { shm_locks = 1 } }] = "opts.shm_locks must be a string",
      }) do
        assert.error_matches(function() mlcache.new(unpack(args)) end, "^" .. message .. "$")
      end
    end)

    it("B6 says which dictionary is missing", function()
      assert.same({ nil, "no such lua_shared_dict: none" }, { mlcache.new("n", "none") })
      assert.same({ nil, "no such lua_shared_dict for opts.shm_miss: none" },
        { mlcache.new("n", "kong", { shm_miss = "none" }) })
      assert.same({ nil, "no such lua_shared_dict for opts.shm_locks: none" },
        { mlcache.new("n", "kong", { shm_locks = "none" }) })
      assert.same({ nil, "failed to initialize mlcache IPC (could not instantiate mlcache.ipc): "
        .. "no such lua_shared_dict: none" }, { mlcache.new("n", "kong", { ipc_shm = "none" }) })
    end)

    it("B6 caches of one name share the own tier, those of different names nothing", function()
      local name = support.name()
      local a, b = mlcache.new(name, "kong_db_cache"), mlcache.new(name, "kong_db_cache")
      local c = mlcache.new(support.name(), "kong_db_cache")
      assert.equal(a.lru, b.lru)
      assert.not_equal(a.lru, c.lru)
      a:get("k", nil, counted(1))
      assert.equal(1, select(3, b:get("k")))
      assert.equal(-1, select(3, c:get("k")))
      assert.same({ 30, 5, 100 }, { a.ttl, a.neg_ttl, a.lru_size })
      assert.equal(mlcache, require("resty.mlcache"))
    end)
  end)
end)
