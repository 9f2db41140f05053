package.path = "spec/cache/?.lua;" .. package.path
local support = require("support")
local resty_lock = require("resty.lock")
local lrucache = require("resty.lrucache")

describe("B6 resty.lock", function()
  it("B6 one holds it at a time; who waits is woken by the unlock", function()
    local key, inside, most, waits = support.name(), 0, 0, 0
    support.crowd(20, function()
      local lock = assert(resty_lock:new("kong_locks"))
      local elapsed = assert(lock:lock(key))
      waits = waits + (elapsed > 0 and 1 or 0)
      inside = inside + 1
      most = math.max(most, inside)
      ngx.sleep(0.005)
      inside = inside - 1
      assert.equal(1, lock:unlock())
    end)
    assert.equal(1, most)
    assert.is_true(waits >= 15)
  end)

  it("B6 says why it has no lock", function()
    local key = support.name()
    local a = resty_lock:new("kong_locks", { exptime = 0.1 })
    local b = resty_lock:new("kong_locks", { timeout = 0 })
    assert.same({ nil, "nil key" }, { a:lock() })
    assert.equal(0, a:lock(key))
    assert.same({ nil, "locked" }, { a:lock(key) })
    assert.same({ nil, "timeout" }, { b:lock(key) })
    assert.is_true(a:expire(5))
    assert.is_true(ngx.shared.kong_locks:ttl(key) > 4)
    assert.equal(1, a:unlock())
    assert.same({ nil, "unlocked" }, { a:unlock() })
    assert.same({ nil, "unlocked" }, { a:expire(1) })
    assert.same({ nil, "dictionary not found" }, { resty_lock:new("none") })
  end)

  it("B6 ends with its exptime", function()
    local key = support.name()
    assert(resty_lock:new("kong_locks", { exptime = 0.03 }):lock(key))
    local elapsed = assert(resty_lock:new("kong_locks"):lock(key))
    assert.is_true(elapsed > 0.02 and elapsed < 0.2)
  end)
end)

describe("B6 resty.lrucache", function()
  it("B6 forgets what was used least recently", function()
    local cache = lrucache.new(3)
    for i = 1, 3 do
      cache:set(i, "v" .. i)
    end
    cache:get(1)
    cache:set(4, "v4")
    assert.same({ 4, 1, 3 }, cache:get_keys())
    assert.same({ 4, 1 }, cache:get_keys(2))
    assert.is_nil(cache:get(2))
    cache:set(3, "new")
    assert.same({ 3, 4, 1 }, cache:get_keys())
    assert.same({ 3, 3 }, { cache:count(), cache:capacity() })
    assert.is_true(cache:delete(4))
    assert.is_false(cache:delete(4))
    cache:set(5, "v5")
    assert.same({ 5, 3, 1 }, cache:get_keys())
    cache:flush_all()
    assert.same({ 0, {} }, { cache:count(), cache:get_keys() })
    assert.same({ nil, "size too small" }, { lrucache.new(0) })
  end)

  it("B6 hands out what has expired as stale, and flags", function()
    local cache = lrucache.new(3)
    cache:set("k", false, 0.02, 7)
    cache:set("l", 1)
    assert.same({ false, nil, 7 }, { cache:get("k") })
    assert.same({ 1, nil, 0 }, { cache:get("l") })
    ngx.sleep(0.04)
    assert.same({ nil, false, 7 }, { cache:get("k") })
    assert.equal(1, cache:get("l"))
    cache:set("k", 2)
    assert.same({ 2, nil, 0 }, { cache:get("k") })
    assert.equal(lrucache._VERSION, require("resty.lrucache.pureffi")._VERSION)
  end)

  it("B6 keeps its order and its size through any sequence", function()
    local cache, model = lrucache.new(8), {}
    local random = 1
    for _ = 1, 20000 do
      random = (random * 1103515245 + 12345) % 2 ^ 31
      local key, what = math.floor(random / 65536) % 16, math.floor(random / 1024) % 8
      local at
      for i, k in ipairs(model) do
        at = k == key and i or at
      end
      if what == 0 then
        assert(cache:delete(key) == (at ~= nil))
        if at then
          table.remove(model, at)
        end
      elseif what < 4 then
        assert((cache:get(key) ~= nil) == (at ~= nil))
        if at then
          table.insert(model, 1, table.remove(model, at))
        end
      else
        cache:set(key, what)
        if at then
          table.remove(model, at)
        end
        table.insert(model, 1, key)
        model[9] = nil
      end
    end
    assert.same(model, cache:get_keys())
    assert.equal(#model, cache:count())
  end)
end)
