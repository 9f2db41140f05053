describe("B2 Penlight", function()
  describe("B2 pl.template", function()
    local template = require "pl.template"

    it("B2 puts values in and runs lines of Lua", function()
      local text = "# for i = 1, 2 do\n$(i) $(x)\n# end\n"
      assert.equal("1 a\n2 a\n", template.substitute(text, { x = "a", _parent = _G }))
      assert.equal("<b>", (template.substitute("<${x}>", { x = "b", _brackets = "{}" })))
    end)

    it("B2 takes text without anything in it as it is", function()
      assert.equal("a % b", template.compile("a % b"):render())
      assert.equal("", template.compile(""):render())
    end)

    it("B2 tells what is wrong, with the template's line", function()
      local t, err, code = template.compile("a\n$(x +)\n", { chunk_name = "mine" })
      assert.is_nil(t)
      assert.matches('%[string "mine"%]:2:', err)
      assert.matches("__tostring", code)
      local out
      out, err = template.substitute("a\n$(x.y)\n", {})
      assert.is_nil(out)
      assert.matches(':2: attempt to index global \'x\'', err)
    end)

    it("B2 renders again and again, an absent value as nothing", function()
      local t = assert(template.compile("$(a)-"))
      assert.equal("1-", t:render({ a = 1 }))
      assert.equal("-", t:render({}))
    end)
  end)

  it("B2 pl.Set", function()
    local Set = require "pl.Set"
    local a, b = Set { 1, 2, 3 }, Set { 3, 4 }
    assert.is_true(a[1])
    assert.equal(Set { 1, 2, 3, 4 }, a + b)
    assert.equal(Set { 3 }, a * b)
    assert.equal(Set { 1, 2 }, a - b)
    assert.equal(3, #a)
    assert.is_true(Set { 3 } < a)
    assert.equal("[1,2,3]", tostring(a))
  end)

  it("B2 pl.OrderedMap remembers the order", function()
    local map = require("pl.OrderedMap")()
    map.z = 1
    map.a = 2
    map:set("m", 3)
    map.z = 4
    assert.same({ "z", "a", "m" }, map:keys())
    assert.same({ 4, 2, 3 }, map:values())
    map:set("a", nil)
    assert.same({ "z", "m" }, map:keys())
    map:insert(1, "m")
    map:insert(2, "b", 5)
    assert.equal("{m=3,b=5,z=4}", tostring(map))
  end)

  it("B2 pl.class calls constructors up through all levels", function()
    local class = require "pl.class"
    local order = {}
    local function level(name, base)
      local c = class(base)
      function c:_init(...)
        if base then
          self:super(...)
        end
        order[#order + 1] = name .. tostring((...))
      end
      return c
    end
    local C = level("c", class(level("b", level "a")))
    local object = C("!")
    assert.same({ "a!", "b!", "c!" }, order)
    assert.is_nil(rawget(object, "super"))
    assert.is_true(object:is_a(C))
  end)

  it("B2 pl.config reads settings", function()
    local conf = require("pl.config").read_string("# x\na = 1\nb.c = x,2\n[part]\nd = e \\\n f\n", {})
    assert.same({ a = 1, b_c = { "x", 2 }, part = { d = "e  f" } }, conf)
    assert.same({ ["a b"] = "1" }, require("pl.config").read_string("a b = 1",
      { variabilize = false, convert_numbers = false, list_delim = false }))
  end)

  it("B2 pl.tablex works on several tables at once", function()
    local tablex = require "pl.tablex"
    assert.is_true(tablex.compare({ 1, 2 }, { 1, 2 }))
    assert.is_false(tablex.compare({ 1, 2 }, { 2, 1 }))
    assert.is_true(tablex.compare({ "a" }, { "A" }, function(x, y) return x:upper() == y end))
    assert.same({ a = 2, b = 1 }, tablex.count_map { "a", "b", "a" })
    assert.same({ { 1, "a" }, { 2, "b" } }, tablex.zip({ 1, 2, 3 }, { "a", "b" }))
    assert.same({ x = 3 }, tablex.map2(function(a, b) return a + b end, { x = 1 }, { x = 2 }))
    assert.same({ 9, 1, 2 }, tablex.icopy({ 9, 8, 7, 6 }, { 1, 2 }, 2))
    assert.same({ 9, 1, 2, 6 }, tablex.move({ 9, 8, 7, 6 }, { 1, 2 }, 2))
  end)

  it("B2 pl.utils checks, quotes and iterates", function()
    local utils = require "pl.utils"
    assert.error_matches(function() utils.assert_string(2, 5) end,
      "argument 2 expected a 'string' got a 'number'")
    assert.equal("a/b 'c d' 'it'\\''s'", utils.quote_arg { "a/b", "c d", "it's" })
    local seen = {}
    for i, v in utils.npairs({ n = 3, "a", nil, "c" }) do seen[#seen + 1] = i .. tostring(v) end
    for k in utils.kpairs({ "a", x = 1 }) do seen[#seen + 1] = k end
    assert.same({ "1a", "2nil", "3c", "x" }, seen)
    local colours = utils.enum("red", "green")
    assert.equal("red", colours.red)
    assert.error_matches(function() return colours.blue end,
      "'blue' is not a valid value %(expected one of: 'green', 'red'%)")
    local calls = 0
    local twice = utils.memoize(function(n) calls = calls + 1 return 2 * n end)
    assert.same({ 4, 4, 1 }, { twice(2), twice(2), calls })
  end)

  it("B2 pl.stringx indents and finds", function()
    local stringx = require "pl.stringx"
    assert.equal("  a\n  b\n", stringx.indent("a\nb\n", 2))
    assert.equal("a\n  b\n", stringx.dedent("  a\n    b\n"))
    assert.equal("a       b", stringx.expandtabs("a\tb"))
    assert.equal(4, stringx.rfind("abcab", "ab"))
    assert.equal(1, stringx.rfind("abcab", "ab", 1, 4))
    assert.equal("Abc", stringx.capitalize("aBC"))
  end)

  it("B2 pl.utils passes warnings about what is deprecated on", function()
    local utils, said = require "pl.utils", nil
    utils.set_deprecation_func(function(msg, trace) said = { msg, trace } end)
    finally(function() require("kong.deprecation").init() end)
    require "kong.deprecation"("x is gone", { after = "3.0", removal = "4.0" })
    assert.same({ "x is gone (deprecated after 3.0, scheduled for removal in 4.0)" }, said)
    require("kong.deprecation").raise("a", 1)
    assert.same({ "a1" }, said)
  end)
end)
