local re = require "ngx.re"
local split = re.split

describe("D4 ngx.re.split and opt", function()
  it("D4 splits", function()
    assert.same({ "a", "b", "c", "d" }, split("a,b,c,d", ","))
    assert.same({ "a", "b,c" }, split("a,b,c", ",", "jo", nil, 2))
    assert.same({ "a,b" }, split("a,b", ",", nil, nil, 1))
    assert.same({ "a,b" }, split("a,b", ";"))
    assert.same({ "", "a", "b" }, split(",a,b", ","))
    assert.same({ "a", "b" }, split("a,b,,", ","))
    assert.same({ "a", "b", "," }, split("a,b,,", ",", nil, nil, 3))
    assert.same({ "a", "b", "c" }, split("abc", ""))
    assert.same({ "12", "45" }, split("12345", 3 .. ""))
    assert.same({}, split(",,,", ","))
  end)

  it("D4 the first group stays between", function()
    assert.same({ "a", ",", "b", ",", "c" }, split("a,b,c", "(,)"))
    assert.same({ "a", ",", "b,c" }, split("a,b,c", "(,)", nil, nil, 2))
  end)

  it("D4 ctx.pos and a table of the caller's", function()
    local ctx = { pos = 3 }
    assert.same({ "b", "c" }, split("a,b,c", ",", nil, ctx))
    local res = { 1, 2, 3, 4, 5, 6 }
    assert.equal(res, split("a,b", ",", nil, nil, nil, res))
    assert.same({ "a", "b" }, { res[1], res[2], res[3] })
    assert.equal(4, res[4])
    assert.same({}, split("abc", ",", nil, { pos = 9 }))
    assert.same({ "abc" }, split("abc", ",", nil, {}))
  end)

  it("D4 errors", function()
    local t, err = split("a", "(")
    assert.is_nil(t)
    assert.equal('pcre2_compile() failed: missing closing parenthesis in "("', err)
    assert.error_matches(function() split("a", ",", nil, nil, nil, 1) end, "res is not a table")
    assert.error_matches(function() split("a", ",", "z") end, 'unknown flag "z"')
    assert.same({ "1", "2" }, split("1.2", "\\."))
    assert.same({ "1", "2" }, split(1.2, "\\."))
  end)

  it("D4 opt is for before patterns are kept", function()
    ngx.re.find("a", "a", "jo")
    assert.error_matches(function() re.opt("jit_stack_size", 1024) end, "changing jit stack size is not allowed when "
      .. "some regexs have already been compiled and cached")
    assert.error_matches(function() re.opt("other", 1) end, "unrecognized option name")
  end)
end)
