local lom = require "lxp.lom"

describe("D5 lxp.lom", function()
  it("reads a document into tables", function()
    local root = assert(lom.parse([=[<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE a [ <!ELEMENT a ANY> ]>
<!-- before -->]=] .. [=[
<a x="1" y='&lt;&#65;&#x42;&quot;'>text &amp; <b/>more<!-- c --> of it<![CDATA[<raw>&]]><n:c  z = "2" >]=]
      .. "\n\227\129\130&#x3042;</n:c></a>\n<!-- after -->"))
    assert.equal("a", root.tag)
    assert.same({ "x", "y", x = "1", y = '<AB"' }, root.attr)
    assert.equal("text & ", root[1])
    assert.same({ tag = "b", attr = {} }, root[2])
    assert.equal("more of it<raw>&", root[3])
    assert.same({ tag = "n:c", attr = { "z", z = "2" }, "\n\227\129\130\227\129\130" }, root[4])
    assert.equal(4, #root)
  end)

  it("takes text in pieces", function()
    assert.equal("x", lom.parse({ "<a>", "x</", "a>" })[1])
    local pieces = { "<a>", "y", "</a>" }
    assert.equal("y", lom.parse(function() return table.remove(pieces, 1) end)[1])
  end)

  it("says what is wrong, and where", function()
    for text, want in pairs {
      [""] = { "no element found", 1, 1, 1 },
      ["<a>\n<b></a>"] = { "mismatched tag", 2, 6, 10 },
      ["<a>"] = { "no element found", 1, 4, 4 },
      ["<a></a><b/>"] = { "junk after document element", 1, 8, 8 },
      ["<a/>x"] = { "junk after document element", 1, 5, 5 },
      ["<a b='1' b='2'/>"] = { "duplicate attribute", 1, 9, 9 },
      ["<a>&nbsp;</a>"] = { "undefined entity", 1, 4, 4 },
      ["<a>& b</a>"] = { "not well-formed (invalid token)", 1, 4, 4 },
      ["<a>&#xd800;</a>"] = { "reference to invalid character number", 1, 4, 4 },
      ["<a><b"] = { "unclosed token", 1, 6, 6 },
      ["<a><![CDATA[x</a>"] = { "unclosed CDATA section", 1, 4, 4 },
      ["<a><!-- x</a>"] = { "unclosed token", 1, 4, 4 },
      ["<a b=1></a>"] = { "not well-formed (invalid token)", 1, 4, 4 },
    } do
      assert.same({ nil, unpack(want) }, { lom.parse(text) }, text)
    end
    assert.is_nil(lom.parse(("<a>"):rep(100000)))
    assert.truthy(lom.parse("<a>" .. ("<b></b>"):rep(5000) .. "</a>"))
  end)

  it("finds elements", function()
    local root = lom.parse("<r><s><k>1</k></s><k>2</k><k>3</k></r>")
    assert.equal("1", lom.find_elem(root, "k")[1])
    assert.equal(root, lom.find_elem(root, "r"))
    assert.is_nil(lom.find_elem(root, "z"))
    local got = {}
    for child in lom.list_children(root, "k") do
      got[#got + 1] = child[1]
    end
    assert.same({ "2", "3" }, got)
    got = 0
    for _ in lom.list_children(root) do
      got = got + 1
    end
    assert.equal(3, got)
  end)
end)

describe("D5 luatz.parse", function()
  it("reads times as RFC 3339 writes them", function()
    local parse = require("luatz").parse.rfc_3339
    local t, ahead = parse("2030-02-03T04:05:06.5Z")
    assert.same({ 2030, 2, 3, 4, 5, 6.5, 0 }, { t.year, t.month, t.day, t.hour, t.min, t.sec, ahead })
    assert.equal(1896321906.5, t:timestamp())
    assert.equal(5400, (select(2, parse("2030-02-03t04:05:06+01:30"))))
    assert.equal(-5400, (select(2, parse("2030-02-03T04:05:06-01:30"))))
    assert.is_nil((select(2, parse("2030-02-03T04:05:06"))))
    assert.same({ nil, "Invalid RFC 3339 timestamp" }, { parse("yesterday") })
  end)
end)
