local nested = require("busted.fixtures").load("nested")

-- Runs a source that appends to the global list `order` and returns that list as text.
local function order_of(source, args)
  local words = {}
  _G.note = function(word) words[#words + 1] = word end
  finally(function() _G.note = nil end)
  local result = nested(source, args)
  return table.concat(words, " "), result
end

describe("A14 blocks", function()
  it("A14 run support functions in nested order", function()
    local order, result = order_of([[
      describe("outer", function()
        setup(function() note "S1" end)
        teardown(function() note "T1" end)
        before_each(function() note "b1" end)
        after_each(function() note "a1" end)
        it("one", function() note "one" end)
        describe("inner", function()
          setup(function() note "S2" end)
          teardown(function() note "T2" end)
          before_each(function() note "b2" end)
          after_each(function() note "a2" end)
          it("two", function() note "two" end)
        end)
        it("three", function() note "three" end)
      end)
    ]])
    assert.equal("S1 b1 one a1 S2 b1 b2 two a2 a1 T2 b1 three a1 T1", order)
    assert.equal(0, result.code)
  end)

  it("A14 know all words for blocks and tests", function()
    local order = order_of([[
      context("c", function()
        spec("a", function() note "spec" end)
        test("b", function() note "test" end)
      end)
      describe "sugar" (function()
        it "works" (function() note "sugar" end)
      end)
    ]])
    assert.equal("spec test sugar", order)
  end)

  it("A14 run lazy setup only where a test runs, strict setup always", function()
    local order = order_of([[
      describe("empty", function()
        lazy_setup(function() note "lazy" end)
        lazy_teardown(function() note "lazy-down" end)
        strict_setup(function() note "strict" end)
        strict_teardown(function() note "strict-down" end)
      end)
      describe("full", function()
        lazy_setup(function() note "L" end)
        lazy_teardown(function() note "D" end)
        describe("deeper", function()
          it("x", function() note "x" end)
          it("y", function() note "y" end)
        end)
      end)
    ]])
    assert.equal("strict strict-down L x y D", order)
  end)

  it("A14 make setup lazy with --lazy", function()
    local source = [[
      describe("empty", function() setup(function() note "setup" end) end)
      it("t", function() note "t" end)
    ]]
    assert.equal("setup t", (order_of(source)))
    assert.equal("t", (order_of(source, { "-o", "TAP", "--lazy" })))
  end)

  it("A14 run finally after success and after failure", function()
    local order, result = order_of([[
      it("passes", function() finally(function() note "f1" end) note "t1" end)
      it("fails", function() finally(function() note "f2" end) assert(false) end)
      it("fails in finally", function() finally(function() error("late") end) end)
    ]])
    assert.equal("t1 f1 f2", order)
    assert.match("ok 1 %- passes", result.out)
    assert.match("not ok 2 %- fails", result.out)
    assert.match("not ok 3 %- fails in finally", result.out)
    assert.match("one_spec.lua:3: late", result.out)
  end)

  it("A14 skip the test but leave what was entered when before_each fails", function()
    local order, result = order_of([[
      describe("d", function()
        before_each(function() note "b1" end)
        after_each(function() note "a1" end)
        describe("e", function()
          before_each(function() error("broken") end)
          after_each(function() note "a2" end)
          it("t", function() note "t" end)
        end)
      end)
    ]])
    assert.equal("b1 a2 a1", order)
    assert.equal(1, result.code)
    assert.match("not ok 1 %- d e before_each", result.out)
    assert.match("spec/one_spec.lua:5: broken", result.out)
  end)

  it("A14 skip a block whose setup fails", function()
    local order, result = order_of([[
      describe("d", function()
        setup(function() assert.is_true(false) end)
        it("t", function() note "t" end)
      end)
      it("other", function() note "other" end)
    ]])
    assert.equal("other", order)
    assert.equal(1, result.code)
  end)

  it("A14 refuse registering inside a test", function()
    local result = nested([[
      it("t", function()
        for word, fn in pairs {
          describe = describe, it = it, setup = setup, before_each = before_each, lazy_teardown = lazy_teardown,
          insulate = insulate, expose = expose, randomize = randomize,
        } do
          assert.has_error(fn, "'" .. word .. "' not supported inside current context block")
        end
      end)
    ]])
    assert.equal("ok 1 - t\n1..1\n", result.out)
  end)

  it("A14 show pending tests, with a reason when the test gives one", function()
    local result = nested([[
      pending("later", function() error("not run") end)
      pending("no body")
      it("gives up", function() pending("not on this machine") error("not reached") end)
    ]])
    assert.equal(0, result.code)
    assert.match("ok 1 %- # SKIP later", result.out)
    assert.match("ok 2 %- # SKIP no body", result.out)
    assert.match("ok 3 %- # SKIP spec/one_spec.lua:3: not on this machine", result.out)
  end)

  it("A14 tell failures from errors", function()
    local result = nested([[
      it("fails", function() assert.equal(1, 2) end)
      it("errs", function() error("boom") end)
      it("errs in Lua", function() local t = nil; t.x = 1 end)
      it("errs with nil", function() error() end)
      it("errs with a table", function() error({ code = 7 }) end)
      it("errs with an object", function()
        error(setmetatable({}, { __tostring = function() return "described" end }))
      end)
    ]], { "-o", "plainTerminal" })
    assert.equal(1, result.code)
    assert.match("0 successes / 1 failure / 5 errors / 0 pending", result.out)
    assert.match("Failure %-> spec/one_spec.lua @ 1\nfails\nspec/one_spec.lua:1: Expected objects to be equal", result.out)
    assert.match("Error %-> spec/one_spec.lua @ 2\nerrs\nspec/one_spec.lua:2: boom", result.out)
    assert.match("spec/one_spec.lua:3: attempt to index", result.out)
    assert.match("spec/one_spec.lua:4: Nil error", result.out)
    assert.match("spec/one_spec.lua:5: {\n  code = 7\n}", result.out)
    assert.match("spec/one_spec.lua:7: described", result.out)
  end)

  it("A14 fail an async test that is never done", function()
    local result = nested([[
      it("done", function() async() done() end)
      it("never done", function() async() end)
    ]])
    assert.equal(1, result.code)
    assert.match("\nok 1 %- done", "\n" .. result.out)
    assert.match("not ok 2 %- never done", result.out)
  end)

  it("A14 report a file that does not compile or does not load", function()
    local result = nested({
      ["spec/a_spec.lua"] = "it('x', function( end)",
      ["spec/b_spec.lua"] = "error('on load')",
      ["spec/c_spec.lua"] = "it('c', function() end)",
    })
    assert.equal(1, result.code)
    assert.match("spec/a_spec.lua:1: ", result.out)
    assert.match("spec/b_spec.lua:1: on load", result.out)
    assert.match("\nok 3 %- c\n", result.out)
  end)
end)

describe("A14 isolation", function()
  it("A14 keeps globals of one file from the next, and unloads its modules", function()
    local result = nested({
      ["spec/a_spec.lua"] = [[
        _G.leaked = 1
        plain = 2
        package.loaded.leaked_module = {}
        it("sees", function() assert.equal(1, leaked) assert.equal(2, plain) end)
      ]],
      ["spec/b_spec.lua"] = [[
        it("does not see", function()
          assert.is_nil(leaked) assert.is_nil(plain) assert.is_nil(package.loaded.leaked_module)
        end)
      ]],
    })
    assert.equal("ok 1 - sees\nok 2 - does not see\n1..2\n", result.out)
    assert.is_nil(rawget(_G, "leaked"))
  end)

  it("A14 lets them through with --no-auto-insulate", function()
    local result = nested({
      ["spec/a_spec.lua"] = "_G.leaked_on_purpose = 1 it('a', function() end)",
      ["spec/b_spec.lua"] = "it('b', function() assert.equal(1, _G.leaked_on_purpose) end)",
    }, { "-o", "TAP", "--no-auto-insulate" })
    _G.leaked_on_purpose = nil
    assert.equal(0, result.code)
  end)

  it("A14 insulates and exposes blocks", function()
    local result = nested([[
      _G.kept = "old"
      insulate("in", function()
        _G.kept = nil
        _G.made = true
        it("changes", function() assert.is_nil(_G.kept) assert.is_true(_G.made) end)
      end)
      it("is put back", function() assert.equal("old", _G.kept) assert.is_nil(_G.made) end)
      insulate("out", function()
        expose("through", function()
          _G.shown = 1
          shown_too = 2
          it("x", function() end)
        end)
        it("stays", function() assert.equal(1, _G.shown) assert.equal(2, shown_too) end)
      end)
    ]])
    assert.equal(0, result.code, result.out)
  end)

  it("A14 keeps what a test assigns from its siblings, not from its block", function()
    local result = nested([[
      describe("d", function()
        before_each(function() from_before = 1 end)
        it("a", function() assert.equal(1, from_before) mine = 1 end)
        it("b", function() assert.is_nil(mine) end)
      end)
      it("c", function() assert.is_nil(from_before) end)
    ]])
    assert.equal(0, result.code, result.out)
  end)

  it("A14 lets a module with C declarations load again", function()
    local result = nested({
      ["spec/a_spec.lua"] = [[
        require("ffi").cdef("typedef struct { int a14; } moongate_a14_t;")
        it("a", function() end)
      ]],
      ["spec/b_spec.lua"] = [[
        require("ffi").cdef("typedef struct { int a14; } moongate_a14_t;")
        it("b", function() assert.equal(3, require("ffi").new("moongate_a14_t", 3).a14) end)
      ]],
    })
    assert.equal(0, result.code, result.out)
  end)
end)

describe("A14 require", function()
  it("A14 'busted' offers the suite's functions and cannot be changed", function()
    local busted = require("busted")
    assert.is_function(busted.subscribe)
    assert.is_function(busted.publish)
    assert.is_function(busted.fail)
    assert.is_string(busted.version)
    assert.equal(assert, busted.assert)
    assert.has_error(function() busted.describe = nil end, "Attempt to modify busted")
  end)

  it("A14 'busted.runner' does nothing inside the runner", function()
    assert.is_function(require("busted.runner")())
  end)

  it("A14 'busted.fixtures' finds files beside the spec", function()
    local fixtures = require("busted.fixtures")
    assert.match("^/.*spec/busted/x.txt$", fixtures.path("x.txt"))
    assert.match("^/.*spec/x.txt$", fixtures.path("../x.txt"))
    assert.match("Runs spec sources in memory", fixtures.read("nested.lua"))
    assert.has_error(function() fixtures.read("nowhere.txt") end)
    assert.has_error(function() fixtures.path(1) end,
      "bad argument to 'path' expected a string (relative filename) or nil, got: number")
  end)
end)
