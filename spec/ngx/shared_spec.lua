describe("D3 ngx.shared.DICT", function()
  local d

  before_each(function()
    d = assert(ngx.shared.kong_rate_limiting_counters or ngx.shared.kong)
    d:flush_all()
    d:flush_expired()
  end)

  it("D3 has Kong's dictionaries", function()
    for _, name in ipairs { "kong", "kong_locks", "kong_db_cache", "kong_db_cache_miss", "kong_core_db_cache",
      "kong_core_db_cache_miss", "kong_healthchecks", "kong_rate_limiting_counters", "prometheus_metrics" } do
      assert.is_table(ngx.shared[name], name)
      assert.is_true(ngx.shared[name]:capacity() >= 1048576)
    end
    assert.is_nil(ngx.shared.nothing)
  end)

  it("D3 get and set each type of value", function()
    for _, value in ipairs { "text", "", "\0\255", 1.5, -0, true, false } do
      assert.same({ true, nil, false, n = 3 }, table.pack(d:set("k", value)))
      assert.equal(value, d:get("k"))
      assert.equal(1, select("#", d:get("k")))
    end
    assert.same({ nil, "bad value type" }, { d:set("k", {}) })
    assert.same({ nil, "bad value type" }, { d:set("k", print) })
    assert.same({ true, nil, false, n = 3 }, table.pack(d:set("k", nil)))
    assert.is_nil(d:get("k"))
    d:set(7, "a number")
    d:set(true, "a boolean")
    assert.equal("a number", d:get("7"))
    assert.equal("a boolean", d:get("true"))
  end)

  it("D3 keeps flags", function()
    d:set("k", "v", 0, 99)
    assert.same({ "v", 99 }, { d:get("k") })
    assert.same({ "v", 99, false }, { d:get_stale("k") })
    d:set("k", "v")
    assert.same({ "v", nil, false, n = 3 }, table.pack(d:get_stale("k")))
    assert.error_matches(function() d:set("k", "v", 0, "x") end, "cannot convert 'string' to 'int'")
  end)

  it("D3 refuses bad keys and dictionaries in OpenResty's words", function()
    for _, name in ipairs { "get", "get_stale", "set", "safe_set", "add", "safe_add", "replace", "delete", "incr",
      "ttl", "expire", "lpush", "rpush", "lpop", "rpop", "llen" } do
      local one_key = name == "lpop" or name == "rpop" or name == "llen"
      local function call(...)
        if one_key then
          return d[name]((...), (select(2, ...)))
        end
        return d[name](..., 1)
      end
      call = one_key and call or function(dict, key) return d[name](dict, key, 1) end
      assert.same({ nil, "nil key" }, { call(d, nil) }, name)
      assert.same({ nil, "empty key" }, { call(d, "") }, name)
      assert.same({ nil, "key too long" }, { call(d, ("k"):rep(65536)) }, name)
      assert.error_matches(function() call({}, "k") end, 'bad "zone" argument')
      assert.error_matches(function() call("kong", "k") end, 'bad "zone" argument')
      assert.error_matches(function() call(nil, "k") end, 'bad "zone" argument')
    end
    for _, name in ipairs { "flush_all", "capacity", "free_space" } do
      assert.error_matches(function() d[name]({}) end, 'bad "zone" argument')
    end
  end)

  it("D3 add and replace look whether a key lives", function()
    assert.same({ true, nil, false, n = 3 }, table.pack(d:add("k", 1)))
    assert.same({ false, "exists", false }, { d:add("k", 2) })
    assert.same({ false, "exists", false }, { d:safe_add("k", 2) })
    assert.is_true(d:replace("k", 3))
    assert.same({ false, "not found", false }, { d:replace("none", 3) })
    assert.same({ false, "attempt to add or replace nil values", false }, { d:add("k") })
    assert.same({ false, "attempt to add or replace nil values", false }, { d:replace("k") })
    d:set("k", 1, 0.01)
    ngx.sleep(0.02)
    assert.same({ false, "not found", false }, { d:replace("k", 3) })
    assert.is_true(d:add("k", 4))
    assert.equal(4, d:get("k"))
  end)

  it("D3 expires to the millisecond and hands out what is stale", function()
    d:set("k", "v", 0.05, 3)
    local left = d:ttl("k")
    assert.is_true(left > 0 and left <= 0.05)
    ngx.sleep(0.06)
    assert.is_true(d:ttl("k") <= 0)
    assert.same({ "v", 3, true }, { d:get_stale("k") })
    assert.is_nil(d:get("k"))
    assert.same({ nil, "not found" }, { d:ttl("none") })
    assert.error_matches(function() d:set("k", 1, -1) end, 'bad "exptime" argument')
    d:set("k", 1, 0)
    assert.equal(0, d:ttl("k"))
    assert.is_true(d:expire("k", 100))
    assert.is_true(d:ttl("k") > 99)
    assert.is_true(d:expire("k", 0))
    assert.equal(0, d:ttl("k"))
    assert.same({ nil, "not found" }, { d:expire("none", 1) })
    assert.error_matches(function() d:expire("k") end, 'bad "exptime" argument')
  end)

  it("D3 incr adds, starts, and says what is wrong", function()
    assert.same({ nil, "not found" }, { d:incr("n", 1) })
    assert.same({ 11, nil, false, n = 3 }, table.pack(d:incr("n", 1, 10)))
    assert.same({ 12.5, n = 1 }, table.pack(d:incr("n", 1.5)))
    assert.equal(15.5, d:incr("n", "3"))
    assert.equal(1, d:incr("t", 1, 0, 0.01))
    ngx.sleep(0.02)
    assert.equal(6, d:incr("t", 1, "5", "10"))
    assert.is_true(d:ttl("t") > 9)
    d:set("s", "text")
    assert.same({ nil, "not a number" }, { d:incr("s", 1) })
    assert.error_matches(function() d:incr("n", "x") end, "cannot convert 'nil' to 'double'")
    assert.error_matches(function() d:incr("n", 1, "x") end, "bad init arg: number expected, got string")
    assert.error_matches(function() d:incr("n", 1, 0, "x") end, "bad init_ttl arg: number expected, got string")
    assert.error_matches(function() d:incr("n", 1, 0, -1) end, 'bad "init_ttl" argument')
    assert.error_matches(function() d:incr("n", 1, nil, 1) end, 'must provide "init" when providing "init_ttl"')
  end)

  it("D3 has lists", function()
    assert.equal(1, d:lpush("l", "b"))
    assert.equal(2, d:rpush("l", 3))
    assert.equal(3, d:lpush("l", "a"))
    assert.equal(3, d:llen("l"))
    assert.equal(0, d:llen("none"))
    assert.same({ nil, "value is a list" }, { d:get("l") })
    assert.same({ nil, "not a number" }, { d:incr("l", 1) })
    assert.equal("a", d:lpop("l"))
    assert.equal(3, d:rpop("l"))
    assert.equal("b", d:rpop("l"))
    assert.is_nil(d:rpop("l"))
    assert.is_true(d:add("l", 1), "an empty list is no key")
    for _, name in ipairs { "lpop", "rpop", "llen" } do
      assert.same({ nil, "value not a list" }, { d[name](d, "l") })
      assert.error_matches(function() d[name](d) end, "expecting 2 arguments, but only seen 1")
    end
    for _, name in ipairs { "lpush", "rpush" } do
      assert.same({ nil, "value not a list" }, { d[name](d, "l", 1) })
      assert.same({ nil, "bad value type" }, { d[name](d, "m", true) })
      assert.error_matches(function() d[name](d, "l") end, "expecting 3 arguments, but only seen 2")
      assert.error_matches(function() d[name](d, {}, 1) end, "bad argument #%d to '.-' %(string expected, got table%)")
    end
    d:rpush("m", 1)
    d:expire("m", 0.01)
    ngx.sleep(0.02)
    assert.equal(0, d:llen("m"))
    assert.equal(1, d:rpush("m", 2))
    assert.equal(0, d:ttl("m"))
  end)

  it("D3 lists keys, flushes and counts bytes", function()
    for i = 1, 5 do
      d:set("k" .. i, i, i % 2 == 0 and 0.01 or 0)
    end
    ngx.sleep(0.02)
    local keys = d:get_keys()
    table.sort(keys)
    assert.same({ "k1", "k3", "k5" }, keys)
    assert.equal(2, #d:get_keys(2))
    assert.equal(3, #d:get_keys(0))
    assert.equal(1, d:flush_expired(1))
    assert.equal(1, d:flush_expired())
    d:flush_all()
    assert.same({}, d:get_keys(0))
    d:flush_expired()
    local free = d:free_space()
    assert.is_true(free < d:capacity() and free > d:capacity() / 2)
    d:set("long", ("x"):rep(100000))
    assert.equal(free - 25 * 4096, d:free_space())
    assert.error_matches(function() d:get_keys("x") end, "bad argument #1 to 'get_keys' %(number expected, got string%)")
    assert.error_matches(function() d.get_keys(1) end, "bad argument #1 to 'get_keys' %(table expected, got number%)")
    assert.error_matches(function() d:flush_expired(1, 2) end, "expecting 1 or 2 argument%(s%), but saw 3")
  end)

  it("D3 evicts the least recently used, but not for safe writes", function()
    d = ngx.shared.prometheus_metrics
    local size = math.floor(d:capacity() / 20)
    local value = ("x"):rep(size)
    local forced = false
    for i = 1, 40 do
      local ok, err, forcible = d:set("k" .. i, value)
      assert.is_true(ok, err)
      forced = forced or forcible
    end
    assert.is_true(forced)
    assert.is_nil((d:get("k1")))
    assert.is_true(value == d:get("k40"))
    assert.same({ false, "no memory", false }, { d:safe_set("more", ("x"):rep(size * 18)) })
    assert.same({ false, "no memory", false }, { d:set("more", ("x"):rep(d:capacity())) })
    assert.is_true(value == d:get("k40"), "nothing goes for what can never fit")
    d:flush_all()
    d:flush_expired()
  end)
end)
