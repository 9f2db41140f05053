local nested = require("busted.fixtures").load("nested")

-- The message of a failed assertion, without its place and with table addresses cut.
local function message_of(fn)
  local ok, raised = pcall(fn)
  assert(not ok, "it was to fail")
  return (tostring(raised):gsub("^.-:%d+: ", "", 1):gsub("(%a+): 0x%x+", "%1: 0x"))
end

-- Each pair: what must hold, what must not.
local function both(holds, fails)
  holds()
  return message_of(fails)
end

describe("A14 assertions", function()
  it("A14 compare values", function()
    assert.equal("Expected objects to be equal.\nPassed in:\n(number) 2\nExpected:\n(number) 1",
      both(function() assert.are.equal(1, 1) end, function() assert.equals(1, 2) end))
    assert.equal("Expected objects to not be equal.\nPassed in:\n(string) 'a'\nDid not expect:\n(string) 'a'",
      both(function() assert.are_not.equals("a", "b") end, function() assert.is_not_equal("a", "a") end))
    assert.equal("Expected objects to be the same.\nPassed in:\n(table: 0x) {\n *[1] = 2 }\nExpected:\n(table: 0x) {\n *[1] = 1 }",
      both(function() assert.same({ 1, { x = {} } }, { 1, { x = {} } }) end, function() assert.same({ 1 }, { 2 }) end))
    assert.match("Did not expect", both(function() assert.not_same({}, { 1 }) end, function() assert.is_not.same({}, {}) end))
    local a, b = {}, {}
    a.me, b.me = a, b
    assert.same(a, b)
    b.more = 1
    assert.not_same(a, b)
  end)

  it("A14 judge truth and type", function()
    assert.equal("Expected objects to be the same.\nPassed in:\n(number) 1\nExpected:\n(boolean) true",
      both(function() assert.is_true(true) end, function() assert.is_true(1) end))
    both(function() assert.is_false(false) end, function() assert.False(nil) end)
    assert.equal("Expected to be truthy, but value was:\n(nil)",
      both(function() assert.truthy(0) end, function() assert.is_truthy(nil) end))
    assert.equal("Expected to be falsy, but value was:\n(number) 0",
      both(function() assert.falsy(nil) end, function() assert.is.falsy(0) end))
    assert.equal("Expected objects to be the same.\nPassed in:\n(string) 'x'\nExpected:\ntype nil",
      both(function() assert.is_nil(nil) end, function() assert.is_nil("x") end))
    for kind, value in pairs {
      boolean = true, number = 1, string = "", table = {}, ["function"] = print,
      thread = coroutine.create(print), userdata = io.stdout,
    } do
      both(function() assert["is_" .. kind](value) end, function() assert["is_" .. kind](nil) end)
      both(function() assert["is_not_" .. kind](nil) end, function() assert["is_not_" .. kind](value) end)
    end
  end)

  it("A14 judge errors", function()
    local function boom() error("boom") end
    local function quiet() end
    assert.has_error(boom)
    assert.has.errors(boom, "boom")
    assert.has_error(function() error({ code = 1 }) end, { code = 1 })
    assert.has_no_errors(quiet)
    assert.has_no.error(quiet)
    assert.error_matches(boom, "^bo+m$")
    assert.matches_error(boom, "o", 1, true)
    assert.equal("oo", (assert.error_match(function() error("moon") end, "o+")))
    assert.equal("Expected a different error.\nCaught:\n(no error)\nExpected:\n(error)",
      message_of(function() assert.has_error(quiet) end))
    assert.equal("Expected a different error.\nCaught:\n(string) 'boom'\nExpected:\n(string) 'bang'",
      message_of(function() assert.has_error(boom, "bang") end))
    assert.equal("Expected no error, but caught:\n(string) 'boom'",
      message_of(function() assert.has_no_error(boom) end))
    assert.match("bad argument #1 to 'error'", message_of(function() assert.has_error(5) end))
  end)

  it("A14 match strings and compare numbers", function()
    assert.equal("12", (assert.matches("%d+", "a12b")))
    assert.is_not.match("x", "abc")
    assert.match("a.c", "xa.c", 1, true)
    assert.equal("Expected strings to match.\nPassed in:\n(string) 'abc'\nExpected:\n(string) '%d'",
      message_of(function() assert.match("%d", "abc") end))
    assert.near(1, 1.05, 0.1)
    assert.is_not_near(1, 2, 0.1)
    assert.equal("Expected values to be near.\nPassed in:\n(number) 2\nExpected:\n(number) 1 +/- 0.5",
      message_of(function() assert.is_near(1, 2, 0.5) end))
    assert.match("requires a minimum of 3 arguments, got: 2", message_of(function() assert.near(1, 2) end))
  end)

  it("A14 look into lists and returns", function()
    both(function() assert.unique({ 1, 2 }) end, function() assert.unique({ 1, 1 }) end)
    both(function() assert.unique({ {}, {} }) end, function() assert.is_unique({ {}, {} }, true) end)
    assert.array({ 1, 2 }).has.no.holes()
    assert.equal(2, (assert.array({ 1, nil, 3 }).has.holes(3)))
    assert.match("found a hole at index: %(number%) 3", message_of(function() assert.array({ 1, 2 }).has_no.holes(3) end))
    assert.returned_arguments(2, "a", nil)
    assert.equal("Expected 1 results(s) to be returned, but got 2",
      message_of(function() assert.returned_arguments(1, "a", "b") end))
  end)

  it("A14 take a message of one's own", function()
    assert.equal("why\nExpected objects to be equal.\nPassed in:\n(number) 2\nExpected:\n(number) 1",
      message_of(function() assert.equal(1, 2, "why") end))
    assert.match("^why\nExpected", message_of(function() assert.message("why").is_true(false) end))
  end)

  it("A14 return their arguments", function()
    assert.same({ 1, 1, "x" }, { assert.equal(1, 1, "x") })
    assert.same({ 5, "m", 7, 8 }, { assert(5, "m", 7, 8) })
    assert.equal("m", message_of(function() assert(nil, "m") end))
    assert.equal("assertion failed!", message_of(function() assert(false) end))
  end)

  it("A14 name an unknown assertion", function()
    assert.has_error(function() assert.is.quite_wrong(1) end, "luassert: unknown modifier/assertion: 'is_quite_wrong'")
    local reused = assert.is_not_nil
    reused(1)
    reused(2)
    assert.has_error(function() reused(nil) end)
  end)

  it("A14 point at the line of the spec", function()
    local result = nested([[
      local function check(value)
        assert(value, "from outside", assert:level(2))
      end
      it("assertion", function()
        assert.equal(1,
          2)
      end)
      it("plain", function()
        assert(false, "no")
      end)
      it("level", function()
        check(false)
      end)
    ]])
    assert.match("spec/one_spec.lua:[56]: Expected objects to be equal", result.out)
    assert.match("spec/one_spec.lua:9: no", result.out)
    assert.match("spec/one_spec.lua:12: from outside", result.out)
  end)
end)

describe("A14 own assertions", function()
  local say = require("say")

  before_each(function()
    say:set("assertion.a14_even.positive", "Expected %s to be even")
    say:set("assertion.a14_even.negative", "Expected %s to be odd")
    assert:register("assertion", "a14_even", function(_, arguments) return arguments[1] % 2 == 0 end,
      "assertion.a14_even.positive", "assertion.a14_even.negative")
    assert:register("modifier", "a14_number", function(state, arguments)
      if arguments then rawset(state, "number", arguments[1]) end
    end)
    assert:register("assertion", "a14_doubled", function(state, arguments)
      return rawget(state, "number") * 2 == arguments[1], { "returned", arguments[1] }
    end)
  end)

  after_each(function()
    assert:unregister("assertion", "a14_even")
    assert:unregister("assertion", "a14_doubled")
    assert:unregister("modifier", "a14_number")
  end)

  it("A14 can be registered and removed", function()
    assert.is_a14_even(2)
    assert.is_not.a14_even(3)
    assert.equal("Expected (number) 3 to be even", message_of(function() assert.a14_even(3) end))
    assert.equal("Expected (number) 2 to be odd", message_of(function() assert.not_a14_even(2) end))
    assert.same({ "returned", 6 }, { assert.a14_number(3).is.a14_doubled(6) })
    assert:unregister("assertion", "a14_even")
    assert.has_error(function() assert.a14_even(2) end)
  end)
end)

describe("A14 formatting", function()
  local snapshot
  before_each(function() snapshot = assert:snapshot() end)
  after_each(function() snapshot:revert() end)

  local function format(value)
    return (assert:format({ value, n = 1 })[1]:gsub(": 0x%x+", ""))
  end

  it("A14 shows values", function()
    assert.equal("(nil)", format(nil))
    assert.equal("(number) 0.10000000000000000555", format(0.1))
    assert.equal("(number) NaN", format(0 / 0))
    assert.equal("(table) { }", format({}))
    assert.equal("(table) {\n  [1] = 'a'\n  [2] = 'b'\n  [-1] = 1\n  [true] = 2\n  [k] = 3 }",
      format({ "a", "b", [-1] = 1, [true] = 2, k = 3 }))
    assert.match("^function @ line %d+ in @.*assertions_spec.lua", format(function() end))
    assert.match("^%(cdata%)", format(1LL))
    assert.equal("(matcher) no.match((string) 'x')", format(match.no.match("x")))
    assert.equal("(values list) ((number) 1, (nil))", format(require("luassert.util").make_arglist(1, nil)))
  end)

  it("A14 follows the parameters and formatters of a snapshot", function()
    local deep = { { { { 1 } } } }
    assert.match("{ %.%.%. more }", format(deep))
    assert:set_parameter("TableFormatLevel", -1)
    assert.is_nil(format(deep):find("more"))
    local loop = {}
    loop.loop = loop
    assert:set_parameter("TableFormatShowRecursion", true)
    assert.equal("(table) {\n  [loop] = { ... recursive } }", format(loop))
    assert:add_formatter(function(value) if value == "secret" then return "***" end end)
    assert.equal("***", format("secret"))
    snapshot:revert()
    assert.match("{ %.%.%. more }", format(deep))
    assert.equal("(string) 'secret'", format("secret"))
    snapshot = assert:snapshot()
  end)

  it("A14 dumps binary strings on request", function()
    local dump = require("luassert.formatters.binarystring")("ab\1" .. ("x"):rep(14))
    assert.equal("Binary string length; 17 bytes\n"
      .. "61 62  1 78 78 78 78 78   78 78 78 78 78 78 78 78  ab.xxxxx xxxxxxxx\n"
      .. "78                                                 x                \n", dump)
  end)
end)

describe("A14 say", function()
  it("A14 formats by key, falling back between languages", function()
    local say = require("say")
    finally(function()
      say:set_namespace("en")
      say:set_fallback("en")
    end)
    say:set("a14.greeting", "hello %s and %s")
    assert.equal("hello nil and x", say("a14.greeting", { nil, "x", n = 2 }))
    assert.is_nil(say("a14.unknown"))
    say:set_namespace("a14")
    assert.equal("hello 1 and 2", say("a14.greeting", { 1, 2 }))
    say:set("a14.greeting", "salve")
    assert.equal("salve", say("a14.greeting"))
    assert.has_error(function() say("a14.greeting", "x") end, "expected parameter table to be a table, got 'string'")
  end)
end)
