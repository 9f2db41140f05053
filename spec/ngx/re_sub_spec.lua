local sub, gsub = ngx.re.sub, ngx.re.gsub

describe("D4 ngx.re.sub and gsub", function()
  it("D4 templates", function()
    assert.same({ "[hello][h][h]$, 12", 1 }, { sub("hello, 12", "([a-z])[a-z]+", "[$0][$1][${1}]$$") })
    assert.same({ "<a><b>", 2 }, { gsub("ab", "([a-z])", "<$1>", "jo") })
    assert.same({ "hello, [$0$1]", 1 }, { sub("hello, 1234", "[0-9]+", "[$$0$$1]") })
    assert.same({ "[]b", 1 }, { sub("ab", "(a)(x)?", "[$2$9]") })
    assert.same({ "a0", 1 }, { sub("a", "(a)", "${1}0") })
    assert.same({ "abc", 0 }, { gsub("abc", "x", "y") })
    assert.same({ "5", 1 }, { sub("a", "a", 5) })
    assert.same({ "true", 1 }, { sub("a", "a", true) })
  end)

  it("D4 templates that don't compile", function()
    for _, template in ipairs { "$", "a$", "$a", "${a}", "${1", "${", "$-", "${}", "$ 1" } do
      local s, n, err = sub("hello", "h", template)
      assert.same({ nil, nil, "failed to compile the replacement template" }, { s, n, err })
      s, n, err = gsub("nothing", "z", template)
      assert.same({ nil, nil, "failed to compile the replacement template" }, { s, n, err })
    end
  end)

  it("D4 functions", function()
    local upper = function(m) return m[0]:upper() end
    assert.same({ "HELLO, world", 1 }, { sub("hello, world", "[a-z]+", upper, "jo") })
    assert.same({ "HELLO, WORLD", 2 }, { gsub("hello, world", "[a-z]+", upper, "jo") })
    assert.same({ "[1][2]", 2 }, { gsub("12", "(?<d>.)", function(m) return "[" .. m.d .. "]" end) })
    assert.same({ "nil", 1 }, { sub("a", "a", function() return nil end) })
    assert.error_matches(function() sub("a", "a", function() end) end, "bad argument #1 to 'tostring'")
    -- what a function answers is no template
    assert.same({ "$0", 1 }, { sub("a", "a", function() return "$0" end) })
    assert.error_matches(function() gsub("ab", "b", function() error("mine") end) end, "mine")
  end)

  it("D4 functions may use the same pattern, and wait", function()
    local s = gsub("ab", "[a-z]", function(m)
      return (gsub(m[0], "[a-z]", function(n)
        ngx.sleep(0.001)
        return n[0] .. n[0]
      end, "jo"))
    end, "jo")
    assert.equal("aabb", s)
  end)

  it("D4 empty matches move on by a byte", function()
    assert.same({ "-a-b-c-", 4 }, { gsub("abc", "", "-") })
    assert.same({ "-a-b-c-", 4 }, { gsub("abc", "", function() return "-" end) })
    assert.same({ "--c-", 3 }, { gsub("aabc", "aa|b|$", "-") })
    assert.same({ "xhello", 1 }, { sub("hello", "^", "x") })
  end)

  it("D4 \\K and look-around", function()
    assert.same({ "fooX", 1 }, { gsub("foobar", "foo\\Kbar", "X") })
    assert.same({ "a1b1", 2 }, { gsub("a2b2", "(?<=[a-z])2", "1") })
  end)

  it("D4 long subjects", function()
    local s, n = gsub(("ab"):rep(100000), "b", "$0$0", "jo")
    assert.equal(100000, n)
    assert.equal(300000, #s)
  end)
end)
