local match, find, gmatch, gsub = ngx.re.match, ngx.re.find, ngx.re.gmatch, ngx.re.gsub

describe("D4 options of ngx.re", function()
  it("D4 i, m, s, x, a, u", function()
    assert.equal("B", match("aBc", "b", "i")[0])
    assert.is_nil(match("a\nb", "^b"))
    assert.equal("b", match("a\nb", "^b", "m")[0])
    assert.is_nil(match("a\nb", "a.b"))
    assert.equal("a\nb", match("a\nb", "a.b", "s")[0])
    assert.equal("ab", match("ab", "a b # a comment", "x")[0])
    assert.is_nil(match("ba", "a", "a"))
    assert.equal("ä", match("äö", ".", "u")[0])
    assert.equal("\195", match("äö", ".")[0])
  end)

  it("D4 j and o change nothing but the cost", function()
    for _, opts in ipairs { "", "o", "j", "jo", "oj" } do
      for _ = 1, 3 do
        local m = match("hello, 1234", "([a-z]+), (?<n>[0-9]+)(x)?", opts)
        assert.same({ "hello", "1234", false, [0] = "hello, 1234", n = "1234" }, m)
      end
    end
  end)

  it("D4 d: the longest match, no captures", function()
    assert.same({ [0] = "hello" }, match("hello", "he|hello|hell", "d"))
    assert.same({ [0] = "1234" }, match("hello, 1234", "([0-9])([0-9]+)", "d"))
    local from, to, err = find("hello, 1234", "([0-9]+)", "d", nil, 1)
    assert.same({ nil, nil, "nth out of bound" }, { from, to, err })
    assert.equal("nil", tostring(match("x", "(?<a>y)", "d")))
    local s, n = gsub("hello, 1234", "([0-9])[0-9]", "[$0,$1]", "d")
    assert.same({ "hello, [12,][34,]", 2 }, { s, n })
    local m, e = match("aa", "(a)\\1", "d")
    assert.is_nil(m)
    assert.equal("pcre_exec() failed: -42", e)
  end)

  it("D4 D: a name may come twice and holds a list", function()
    local m = match("hello", "(?<c>h)(?<c>e)|(?<c>x)", "D")
    assert.same({ "h", "e" }, m.c)
    assert.is_nil(match("z", "(?<c>x)?z", "D").c)
    assert.is_false(match("z", "(?<c>x)?z").c)
    local _, err = match("hello", "(?<c>h)(?<c>e)")
    assert.matches("^pcre2_compile%(%) failed: two named subpatterns have the same name", err)
  end)

  it("D4 J: what JavaScript reads otherwise", function()
    assert.is_nil(match("]", "[]", "J"))
    assert.equal("]", match("]", "[]]")[0])
    assert.equal("x", match("x", "[^]", "J")[0])
    assert.equal("A", match("A", "\\u0041", "J")[0])
    assert.equal("b", match("b", "(a)?\\1b", "J")[0])
    assert.is_nil(match("b", "^(a)?\\1b"))
  end)

  it("D4 u refuses what isn't UTF-8, U takes it", function()
    local m, err = match("\xff x", "x", "u")
    assert.is_nil(m)
    assert.matches("^pcre_exec%(%) failed: %-%d+$", err)
    assert.equal("x", match("\xff x", "x", "U")[0])
    assert.equal("ä", match("ä", "^.$", "U")[0])
    assert.is_nil(match("\xff", ".", "U"))
    local it = gmatch("\xff", ".", "u")
    m, err = it()
    assert.is_nil(m)
    assert.matches("^pcre_exec%(%) failed: %-%d+$", err)
    assert.is_nil(it())
  end)

  it("D4 unknown options raise", function()
    for _, f in ipairs { match, find, gmatch } do
      assert.error_matches(function() f("a", "a", "iz") end, 'unknown flag "z" %(flags "iz"%)')
    end
    assert.error_matches(function() gsub("a", "a", "b", "jQ") end, 'unknown flag "Q" %(flags "jQ"%)')
  end)

  it("D4 backtracking ends", function()
    for _, opts in ipairs { "", "jo" } do
      local m, err = match(("a"):rep(40) .. "b", "^(a+)+$", opts)
      assert.is_nil(m)
      assert.equal("pcre_exec() failed: -47", err)
      local from, to, e = find(("a"):rep(40) .. "b", "^(a+)+$", opts)
      assert.same({ nil, nil, "pcre_exec() failed: -47" }, { from, to, e })
    end
  end)

  it("D4 says where a pattern is wrong", function()
    for pattern, said in pairs {
      ["(abc"] = 'missing closing parenthesis in "(abc"',
      ["a)b"] = 'unmatched closing parenthesis in "a)b" at ")b"',
      ["[z-a]"] = 'range out of order in character class in "[z-a]" at "a]"',
      ["*a"] = 'quantifier does not follow a repeatable item in "*a" at "*a"',
    } do
      local m, err = match("x", pattern)
      assert.is_nil(m)
      assert.equal("pcre2_compile() failed: " .. said, err)
      local from, to, e = find("x", pattern, "jo")
      assert.same({ nil, nil, err }, { from, to, e })
      local it, e2 = gmatch("x", pattern)
      assert.same({ nil, err }, { it, e2 })
      local s, n, e3 = gsub("x", pattern, "y")
      assert.same({ nil, nil, err }, { s, n, e3 })
    end
    local _, err = match("x", "(" .. ("a"):rep(1000))
    assert.equal(255, #err)
  end)

  it("D4 junk raises strings", function()
    assert.error_matches(function() match("a") end, "attempt to get length of local 'regex' %(a nil value%)")
    assert.error_matches(function() match("a", {}) end, "cannot convert 'table' to 'const char %*'")
    assert.error_matches(function() match("a", "a", 1) end, "attempt to get length of local 'opts' %(a number value%)")
    assert.error_matches(function() match("a", "a", "", 1) end, "attempt to index local 'ctx' %(a number value%)")
    assert.error_matches(function() match("a", "a", "", { pos = "x" }) end, "attempt to compare")
    assert.equal("nil", match(nil, "nil")[0])
    assert.equal("12", match(12, "\\d+")[0])
  end)
end)
