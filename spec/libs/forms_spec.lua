local null = ngx.null

describe("B2 forms", function()
  describe("B2 multipart", function()
    local multipart = require "multipart"
    local TYPE = 'multipart/form-data; boundary="aB"'
    local BODY = '--aB\r\nContent-Disposition: form-data; name="x"\r\n\r\n1\r\n\r\n2\r\n--aB\r\n'
      .. 'Content-Disposition: form-data; name="f"; filename="a.txt"\r\nContent-Type: text/plain\r\n\r\n'
      .. "--aBc\r\n\r\n--aB\r\nContent-Disposition: form-data; name=\"f\"\r\n\r\n\r\n--aB--\r\n"

    it("B2 takes parts apart, their blank lines kept", function()
      local m = multipart(BODY, TYPE)
      assert.equal("1\r\n\r\n2", m:get("x").value)
      assert.same({ x = "1\r\n\r\n2", f = m:get_as_array("f") }, m:get_all_with_arrays())
      assert.equal(2, #m:get_as_array("f"))
      assert.equal("text/plain", m:get_with_headers_as_array("f")[1].headers.content_type)
    end)

    it("D6 blanks within a name or a header cost no more than their number", function()
      local blanks = (" "):rep(30000)
      local body = '--aB\r\nContent-Disposition: form-data; name="a"\r\nX' .. blanks .. "y: z \r\n\r\n1\r\n--aB\r\n"
        .. 'Content-Disposition: form-data; name="b' .. blanks .. '" \r\n\r\n2\r\n--aB--\r\n'
      local began = os.clock()
      local m = multipart(body, TYPE)
      assert.equal("1", m:get("a").value)
      assert.equal("2", m:get("b" .. blanks).value)
      assert.is_true(os.clock() - began < 0.5)
    end)

    it("B2 puts them together", function()
      local m = multipart("", "multipart/form-data; boundary=q")
      m:set_simple("a", "1")
      m:set_simple("b", "2", "b.txt", "text/plain")
      m:set_simple("a", "3")
      assert.equal('--q\r\nContent-Disposition: form-data; name="a"\r\n\r\n3\r\n--q\r\n'
        .. 'Content-Disposition: form-data; name="b"; filename="b.txt"\r\n'
        .. 'content-type: text/plain\r\n\r\n2\r\n--q--\r\n', m:tostring())
      m:delete("a")
      assert.same({ b = "2" }, m:get_all())
      m:delete("b")
      assert.equal("", m:tostring())
    end)
  end)

  describe("B2 kong.api.arguments", function()
    local arguments = require "kong.api.arguments"

    it("B2 nests names and gives values the schema's types", function()
      local schema = { each_field = function()
        return pairs {
          n = { type = "number" },
          on = { type = "boolean" },
          tags = { type = "set", elements = { type = "string" } },
          config = { type = "record", fields = { { limit = { type = "integer" } } } },
        }
      end }
      local expected = { n = 1, on = true, tags = { "a" }, config = { limit = 5 }, other = "x" }
      assert.same(expected, arguments.decode({
        n = "1", on = "true", tags = "a", ["config.limit"] = "5", other = "x",
      }, schema))
      assert.equal(null, arguments.infer_value("", { type = "string" }))
      assert.equal("many", arguments.infer_value("many", { type = "number" }))
    end)

    it("B2 joins what has the same name", function()
      local parts = { { a = { b = "x" } }, { a = { b = "y" } } }
      assert.same({ a = { b = { "x", "y" } } }, arguments._combine(parts))
      assert.same({ a = { "x", "y" } }, arguments.decode({ ["a[1]"] = "x", ["a[2]"] = "y" }))
    end)
  end)

  it("B2 kong.tools.mime_type", function()
    local parse = require("kong.tools.mime_type").parse_mime_type
    local parts = { parse('Text/HTML; Charset=UTF-8 ;q="a b"') }
    assert.same({ "text", "html", { charset = "UTF-8", q = "a b" } }, parts)
    assert.is_nil((parse("text/html;")))
    assert.is_nil((parse("text")))
    local includes = require("kong.tools.mime_type").includes
    local json = { type = "application", subtype = "json" }
    assert.is_true(includes(json, { type = "application", subtype = "x+json" }))
    assert.is_false(includes({ type = "text", subtype = "a.b" }, { type = "text", subtype = "x+acb" }))
  end)
end)
