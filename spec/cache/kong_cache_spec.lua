package.path = "spec/cache/?.lua;" .. package.path
local support = require("support")
local kong_cache = require("kong.cache")
local counted = support.counted

describe("B6 kong.cache", function()
  before_each(function()
    kong.cache:purge()
    kong.core_cache:purge()
  end)

  it("B6 there are two, over dictionaries of their own, without an end of values", function()
    assert.same({ "kong_db_cache", "invalidations" },
      { kong.cache.shm_name, kong.cache.invalidation_channel })
    assert.same({ "kong_core_db_cache", "invalidations_kong_core_db_cache" },
      { kong.core_cache.shm_name, kong.core_cache.invalidation_channel })
    assert.same({ 0, 0 }, { kong.cache.ttl, kong.cache.neg_ttl })
    kong.cache:get("k", nil, counted(1))
    assert.same({ 0, nil, 1 }, { kong.cache:probe("k") })
    assert.is_nil((kong.core_cache:probe("k")))
  end)

  it("B6 get keeps the table's identity and wraps errors", function()
    local made = {}
    assert.same({ made, nil, 3 }, { kong.cache:get("k", nil, function(a, b)
      made.a, made.b = a, b
      return made
    end, 1, 2) })
    assert.equal(made, (kong.cache:get("k")))
    assert.same({ a = 1, b = 2 }, made)
    assert.same({ nil, "failed to get from node cache: down" },
      { kong.cache:get("x", nil, counted(nil, "down")) })
    assert.matches("^failed to get from node cache: callback threw an error: .-oh",
      select(2, kong.cache:get("x", nil, function() error("oh") end)))
    assert.error_matches(function() kong.cache:get() end, "^key must be a string$")
  end)

  it("B6 renew, get_bulk and probe wrap errors too", function()
    assert.same({ 1, nil, 0 }, { kong.cache:renew("k", nil, counted(1)) })
    assert.same({ nil, "failed to renew key in node cache: down" },
      { kong.cache:renew("k", nil, counted(nil, "down")) })
    assert.same({ 1, nil, 1, nil, "down", nil, n = 6 },
      kong.cache:get_bulk({ "k", nil, print, nil, "l", nil, counted(nil, "down"), nil, n = 2 }))
    ngx.shared.kong_db_cache:set("kong_db_cachebad", "\255")
    assert.matches("^failed to probe from node cache: could not deserialize",
      select(2, kong.cache:probe("bad")))
    assert.error_matches(function() kong.cache:renew() end, "^key must be a string$")
    assert.error_matches(function() kong.cache:probe() end, "^key must be a string$")
    assert.error_matches(function() kong.cache:get_bulk() end, "^bulk must be a table$")
    assert.error_matches(function() kong.cache:get_bulk({}, 1) end, "^opts must be a table$")
  end)

  it("B6 safe_set fills the shared tier alone, and not at another's cost", function()
    assert.is_true((kong.cache:safe_set("k", { x = 1 })))
    assert.same({ { x = 1 }, nil, 2 }, { kong.cache:get("k") })
    local size = ngx.shared.kong_db_cache:capacity()
    local ok, err = kong.cache:safe_set("large", ("x"):rep(size))
    assert.is_false(ok)
    assert.equal("no memory", err)
    ok, err = kong.cache:safe_set("k", print)
    assert.is_nil(ok)
    assert.is_string(err)
    kong.cache:safe_set("k", nil)
    kong.cache.mlcache.lru:flush_all()
    assert.same({ nil, nil, 2 }, { kong.cache:get("k") })
  end)

  it("B6 invalidate, invalidate_local and purge forget", function()
    for _, how in ipairs({ "invalidate", "invalidate_local", "purge" }) do
      kong.cache:get("k", nil, counted(1))
      kong.core_cache:get("k", nil, counted(1))
      assert.is_nil(kong.cache[how](kong.cache, "k"))
      assert.same({ nil, nil, -1 }, { kong.cache:get("k") })
      assert.equal(1, (kong.core_cache:get("k")))
    end
    assert.error_matches(function() kong.cache:invalidate() end, "^key must be a string$")
    assert.error_matches(function() kong.cache:invalidate_local({}) end, "^key must be a string$")
  end)

  it("B6 what another worker says takes effect at the next get", function()
    -- the other worker: a cache of the same name, with its own first tier and its own number among the
    -- tellers
    local other = support.cache({ shm = "kong_db_cache" }, "kong_db_cache")
    local tell = require("moongate.ops").cache.log_post
    kong.cache:get("k", nil, counted("old"))
    kong.cache:get("l", nil, counted("kept"))
    ngx.shared.kong_db_cache:delete("kong_db_cachek")
    tell(kong.cache.mlcache.ipc.log, 0, 0, other.events.invalidation.channel, "k")
    assert.same({ "new", nil, 3 }, { kong.cache:get("k", nil, counted("new")) })
    assert.equal(1, select(3, kong.cache:get("l")))
    tell(kong.cache.mlcache.ipc.log, 0, 0, other.events.purge.channel, "")
    assert.equal(2, select(3, kong.cache:get("l")))
  end)

  describe("new", function()
    local function events()
      local handlers, posted = {}, {}
      return {
        register = function(f, source, event) handlers[source .. "/" .. event] = f end,
        post = function(source, event, data)
          posted[#posted + 1] = source .. "/" .. event .. "/" .. data
          return true
        end,
        handlers = handlers,
        posted = posted,
      }
    end

    it("B6 refuses wrong options", function()
      local we, ce = {}, {}
      for opts, message in pairs({
        [{}] = "opts.shm_name must be a string",
        [{ shm_name = "kong" }] = "opts.cluster_events is required",
        [{ shm_name = "kong", cluster_events = ce }] = "opts.worker_events is required",
        [{ shm_name = "kong", cluster_events = ce, worker_events = we, ttl = "" }] =
          "opts.ttl must be a number",
        [{ shm_name = "kong", cluster_events = ce, worker_events = we, neg_ttl = "" }] =
          "opts.neg_ttl must be a number",
        [{ shm_name = "kong", cluster_events = ce, worker_events = we, cache_pages = 3 }] =
          "opts.cache_pages must be 1 or 2",
        [{ shm_name = "kong", cluster_events = ce, worker_events = we, resty_lock_opts = 1 }] =
          "opts.resty_lock_opts must be a table",
        [{ shm_name = "kong", cluster_events = ce, worker_events = we, invalidation_channel = 1 }] =
          "opts.invalidation_channel must be a string",
      }) do
        assert.error_matches(function() kong_cache.new(opts) end, "^" .. message .. "$")
      end
    end)

    it("B6 goes through the events it is given", function()
      local we, ce = events(), require("kong.cluster_events").new()
      local cache = assert(kong_cache.new({
        shm_name = "kong_core_db_cache", cluster_events = ce, worker_events = we, ttl = 5, neg_ttl = 3,
        lru_size = 10,
      }))
      cache:get("k", nil, counted(1))
      assert.is_true((cache:probe("k")) > 4.9)
      cache:invalidate("k")
      assert.same({ "mlcache/mlcache:invalidations:kong_core_db_cache/k" }, we.posted)
      cache:get("k", nil, counted(2))
      we.handlers["mlcache/mlcache:purge:kong_core_db_cache"]("")
      assert.same({ 2, nil, 2 }, { cache:get("k") })
      ce.callbacks.invalidations_kong_core_db_cache[1]("k")
      assert.same({ nil, nil, -1 }, { cache:get("k") })
      assert.error_matches(function()
        kong_cache.new({ shm_name = "kong_core_db_cache", cluster_events = ce, worker_events = we })
      end, "^kong.cache %(kong_core_db_cache%) was already created$")
    end)

    it("B6 says that a dictionary is missing", function()
      assert.same({ nil, "failed to instantiate mlcache: no such lua_shared_dict: nowhere" },
        { kong_cache.new({ shm_name = "nowhere", cluster_events = {}, worker_events = {} }) })
    end)
  end)

  it("B6 warmup puts entities where a get finds them", function()
    local warmup = require("kong.cache.warmup")
    local dao = {
      schema = { name = "keyauth_credentials" },
      cache_key = function(_, e) return "key:" .. e.key end,
      each = function()
        local n = 0
        return function()
          n = n + 1
          return n <= 3 and { key = n } or nil
        end
      end,
    }
    assert.is_true(warmup.single_dao(dao))
    assert.same({ { key = 2 }, nil, 2 }, { kong.cache:get("key:2") })
    dao.each = function()
      return function() return false, "gone" end
    end
    assert.same({ nil, "gone" }, { warmup.single_dao(dao) })
  end)
end)
