describe("B2 Penlight", function()
  describe("B2 pl.template", function()
    local template = require "pl.template"

    it("B2 puts values in and runs lines of Lua", function()
      assert.equal("1 a\n2 a\n", template.substitute("# for i = 1, 2 do\n$(i) $(x)\n# end\n", { x = "a", _parent = _G }))
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
  end)

  it("B2 pl.config reads settings", function()
    local conf = require("pl.config").read_string("# x\na = 1\nb.c = x, 2\n[part]\nd = e \\\n f\n", {})
    assert.same({ a = 1, b_c = { "x", 2 }, part = { d = "e  f" } }, conf)
    assert.same({ ["a b"] = "1" }, require("pl.config").read_string("a b = 1",
      { variabilize = false, convert_numbers = false, list_delim = false }))
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
