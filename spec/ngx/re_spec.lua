describe("A11 ngx.re", function()
  it("A11 match captures by number and name", function()
    local m = ngx.re.match("hello, 1234", [[([a-z]+), (?<n>\d)(\d+)(x)?]], "jo")
    assert.equal("hello, 1234", m[0])
    assert.equal("hello", m[1])
    assert.equal("1", m.n)
    assert.is_false(m[4])
    assert.is_nil(ngx.re.match("a", "b"))
  end)

  it("A11 match goes on from ctx.pos", function()
    local ctx = { pos = 2 }
    assert.equal("234", ngx.re.match("1234, x", [[\d+]], "", ctx)[0])
    assert.equal(5, ctx.pos)
  end)

  it("A11 find, gmatch, sub and gsub", function()
    assert.same({ 8, 11 }, { ngx.re.find("hello, 1234", [[\d+]], "jo") })
    local all = {}
    for m in ngx.re.gmatch("a1b22", [[[a-z](\d+)]]) do
      all[#all + 1] = m[1]
    end
    assert.same({ "1", "22" }, all)
    assert.same({ "[h]ello", 1 }, { ngx.re.sub("hello", "h", "[$0]") })
    assert.same({ "X, X", 2 }, { ngx.re.gsub("a, b", "[a-z]", function() return "X" end) })
    assert.equal("-a-b-", (ngx.re.gsub("ab", "", "-")))
  end)

  it("A11 says what is wrong with a pattern", function()
    local m, err = ngx.re.match("x", "(abc")
    assert.is_nil(m)
    assert.equal('pcre2_compile() failed: missing closing parenthesis in "(abc"', err)
    assert.error_matches(function() ngx.re.match("a", "a", "iz") end, 'unknown flag "z" %(flags "iz"%)')
  end)
end)
