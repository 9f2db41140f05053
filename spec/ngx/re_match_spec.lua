local match, find, gmatch = ngx.re.match, ngx.re.find, ngx.re.gmatch

describe("D4 ngx.re.match, find and gmatch", function()
  it("D4 match fills a table of the caller's", function()
    local res = { "old", "older", "oldest", other = 1 }
    local m = match("hello, 1234", "([a-z]+)", "jo", nil, res)
    assert.equal(res, m)
    assert.same({ "hello", "older", "oldest", other = 1, [0] = "hello" }, m)
  end)

  it("D4 ctx.pos in and out", function()
    local ctx = { pos = 2 }
    assert.equal("234", match("1234, hello", "[0-9]+", "", ctx)[0])
    assert.equal(5, ctx.pos)
    assert.is_nil(match("1234, hello", "[0-9]+", "", ctx))
    assert.equal(5, ctx.pos)
    ctx = {}
    assert.equal("1234", match("1234", "[0-9]+", "", ctx)[0])
    assert.equal(5, ctx.pos)
    ctx = { pos = -3 }
    assert.equal(1, (find("1234", "1", "", ctx)))
    local m, err = match("ab", "b", "", { pos = 10 })
    assert.same({ nil, "pcre_exec() failed: -33" }, { m, err })
    ctx = { pos = 3 }
    assert.same({ 3, 3 }, { find("hello", "l", "jo", ctx) })
    assert.same({ 4, 4 }, { find("hello", "l", "jo", ctx) })
    assert.equal(5, ctx.pos)
  end)

  it("D4 find: the nth capture", function()
    local s, p = "hello, 1234", "([0-9])([0-9]+)(x)?"
    assert.same({ 8, 11 }, { find(s, p, "jo", nil, 0) })
    assert.same({ 8, 8 }, { find(s, p, "jo", nil, 1) })
    assert.same({ 9, 11 }, { find(s, p, "jo", nil, 2) })
    assert.same({ 8, 11 }, { find(s, p, "jo", nil, -1) })
    assert.equal(2, select("#", find(s, p, "jo", nil, 3)))
    assert.is_nil((find(s, p, "jo", nil, 3)))
    local from, to, err = find(s, p, "jo", nil, 4)
    assert.same({ nil, nil, "nth out of bound" }, { from, to, err })
    assert.equal(1, select("#", find(s, "z", "jo")))
    -- an empty match ends before it begins
    assert.same({ 1, 0 }, { find("abc", "x*") })
  end)

  it("D4 gmatch ends once and stays ended", function()
    local it = gmatch("a1b22", "[a-z](?<n>[0-9]+)", "jo")
    assert.equal("1", it().n)
    assert.equal("22", it().n)
    assert.equal(1, select("#", it()))
    assert.is_nil(it())
    local n = 0
    for m in gmatch("abc", "") do
      assert.equal("", m[0])
      n = n + 1
    end
    assert.equal(4, n)
  end)

  it("D4 iterators over the same pattern don't mix", function()
    local a, b = gmatch("1 2 3", "[0-9]", "jo"), gmatch("4 5 6", "[0-9]", "jo")
    local seen = {}
    for _ = 1, 3 do
      seen[#seen + 1] = a()[0] .. b()[0]
    end
    assert.same({ "14", "25", "36" }, seen)
  end)

  it("D4 patterns beyond the cache are compiled again", function()
    local it = gmatch("n1n1", "n1", "jo")
    for i = 1, 20000 do
      assert.equal("n" .. i, match("n" .. i, "^n" .. i .. "$", "o")[0])
    end
    assert.equal("n1", it()[0])
    assert.equal("n1", it()[0])
    assert.equal("n1", match("n1", "^n1$", "o")[0])
  end)

  it("D4 metamethods of the caller's tables may use other patterns", function()
    local function churn()
      for i = 1, 20000 do
        match("x", "x|churn" .. i, "")
      end
    end
    local ctx = setmetatable({}, { __index = function() churn() return 2 end, __newindex = churn })
    assert.same({ 2, 2 }, { find("ab", "b(c)?", "jo", ctx) })
    local seen = {}
    local res = setmetatable({}, { __newindex = function(_, k, v) churn() seen[k] = v end })
    match("ab", "(a)(b)(?<n>c)?", "jo", nil, res)
    assert.same({ "a", "b", false, [0] = "ab" }, seen)
    local subject = setmetatable({}, { __tostring = function() churn() return "ab" end })
    assert.equal("cb", (ngx.re.sub(subject, "a", "c", "jo")))
  end)

  it("D4 zero bytes and long subjects", function()
    assert.equal("b\0c", match("a\0b\0c", "b.c")[0])
    local s = ("x"):rep(1000000) .. "y"
    assert.same({ 1000001, 1000001 }, { find(s, "y", "jo") })
    assert.equal(1000001, #match(s, "x*y", "jo")[0])
  end)

  it("D4 a pattern's own machinery", function()
    local core = require "resty.core.regex"
    local compiled, once, flags = core.re_match_compile("(a)(b)?", "jo")
    assert.is_true(once)
    assert.equal(2, compiled.ncaptures)
    match("a", "(a)(b)?", "jo")
    assert.same({ "a", false, [0] = "a" }, core.collect_captures(compiled, 2, "a", flags))
    local none, err = core.re_match_compile("(")
    assert.is_nil(none)
    assert.matches("^pcre2_compile", err)
    assert.is_false(core.is_regex_cache_empty())
  end)
end)
