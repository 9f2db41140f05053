package.path = "spec/cache/?.lua;" .. package.path
local support = require("support")
local mlcache = require("kong.resty.mlcache")
local cache_of, counted = support.cache, support.counted

describe("B6 mlcache get_bulk", function()
  it("B6 answers value, error and level of each, from every tier", function()
    local cache = cache_of()
    cache:get("own", nil, counted(1))
    cache:get("shared", nil, counted(2))
    cache:get("none", nil, counted(nil))
    cache.lru:delete("shared")
    local never = function() error("not needed") end
    local res = cache:get_bulk({
      "own", nil, never, nil,
      "shared", nil, never, nil,
      "none", nil, never, nil,
      "made", nil, function(arg) return arg end, "arg",
      "nothing", nil, counted(nil), nil,
      "failed", nil, counted(nil, "down"), nil,
      "threw", nil, function() error("oh") end, nil,
      n = 7,
    })
    assert.equal(21, res.n)
    assert.same({ 1, nil, 1, 2, nil, 2, nil, nil, 1, "arg", nil, 3, nil, nil, 3, nil, "down", nil },
      { unpack(res, 1, 18) })
    assert.is_nil(res[19])
    assert.matches("^callback threw an error: .-oh\n", res[20])
    assert.equal(1, select(3, cache:get("made")))
  end)

  it("B6 goes by each operation's options, and resurrects", function()
    local cache = cache_of({ ttl = 0.02, resurrect_ttl = 10 })
    local bulk = mlcache.new_bulk(3)
    bulk:add("short", nil, counted("old"))
    bulk:add("long", { ttl = 10 }, counted(2))
    bulk:add("made", { l1_serializer = function(v) return v .. "!" end }, counted("m"), 1)
    assert.same({ n = 3, "short" }, { n = bulk.n, bulk[1] })
    cache:get_bulk(bulk)
    ngx.sleep(0.04)
    local seen = {}
    bulk[3], bulk[11] = counted(nil, "down"), counted("n")
    for i, value, err, level in mlcache.each_bulk_res(cache:get_bulk(bulk, { concurrency = 2 })) do
      seen[i] = { value, err, level }
    end
    assert.same({ { "old", nil, 4 }, { 2, nil, 1 }, { "n!", nil, 3 } }, seen)
  end)

  it("B6 waits for a callback that runs elsewhere", function()
    local cache = cache_of()
    local runs, got = 0, {}
    support.crowd(5, function(i)
      local res = cache:get_bulk({ "a", nil, function()
        runs = runs + 1
        ngx.sleep(0.03)
        return "a"
      end, nil, "b", nil, counted("b"), nil, n = 2 })
      got[i] = { res[1], res[4] }
    end)
    assert.equal(1, runs)
    assert.same({ "a", "b" }, got[5])
  end)

  it("B6 refuses wrong arguments", function()
    local cache = cache_of()
    for args, message in pairs({
      [{}] = "bulk must be a table",
      [{ {} }] = "bulk must have n field",
      [{ { n = 0 }, "o" }] = "opts must be a table",
      [{ { n = 0 }, { concurrency = "1" } }] = "opts.concurrency must be a number",
      [{ { n = 0 }, { concurrency = 0 } }] = "opts.concurrency must be > 0",
      [{ { "k", nil, print, nil, false, nil, print, n = 2 } }] =
        "key at index 5 must be a string for operation 2 %(got boolean%)",
      [{ { "k", nil, nil, nil, n = 1 } }] =
        "callback at index 3 must be a function for operation 1 %(got nil%)",
      [{ { "k", { ttl = -1 }, print, nil, n = 1 } }] =
        "options at index 2 for operation 1 are invalid: opts.ttl must be >= 0",
    }) do
      assert.error_matches(function() cache:get_bulk(unpack(args)) end, "^" .. message .. "$")
    end
    assert.error_matches(function() mlcache.each_bulk_res({}) end,
      "res must have res.n field; is this a get_bulk%(%) result%?")
  end)
end)
