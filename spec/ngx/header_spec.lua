local request = require "moongate.spec.request"

describe("D2 ngx.header and ngx.resp", function()
  it("D2 sets, lists and clears", function()
    local r = request { handler = function()
      local h = ngx.header
      h.x_one = 1
      assert.equal("1", h["X-One"])
      h["X-List"] = { "a", 2, true }
      assert.same({ "a", "2", "true" }, h.x_list)
      h["X-List"] = {}
      assert.is_nil(h.x_list)
      h["X-Empty"] = ""
      assert.is_nil(h.x_empty)
      h["ETag"] = { "a", "b" }
      assert.equal("b", h.etag)
      h.etag = nil
      h["Last-Modified"] = "junk"
      assert.is_nil(h.last_modified)
      h.last_modified = nil
      h["X-Ctl"] = "a\r\nb"
      assert.equal("a%0D%0Ab", h.x_ctl)
      assert.error_matches(function() h["Content-Length"] = "x" end, "failed to set header")
      local resp = require "ngx.resp"
      resp.add_header("X-One", { 2 })
      assert.same({ "1", "2" }, h.x_one)
      assert.error_matches(function() resp.add_header("X-One") end, "invalid header value")
      resp.set_status(207, "Many")
      resp.bypass_if_checks()
      local all = ngx.resp.get_headers()
      assert.same({ "1", "2" }, all.x_one)
      resp.add_header(123, 456)
      assert.same({ "456", nil }, { ngx.resp.get_headers()[123], ngx.resp.get_headers()[true] })
      assert.equal("keep-alive", all.connection)
      assert.equal("truncated", (select(2, ngx.resp.get_headers(1))))
      local raw = ngx.resp.get_headers(0, true)
      assert.same({ "1", "2" }, raw["x-one"])
      assert.is_nil(raw["X-One"])
      return ngx.status
    end }
    assert.same({ nil, 207 }, { r.err, r.seen })
  end)

  it("D2 changes nothing once the head is sent", function()
    local r = request { handler = function()
      ngx.say("x")
      ngx.header["X-Late"] = "1"
    end }
    assert.is_nil(r.headers["x-late"])
  end)

  it("D2 wants a request", function()
    assert.error_matches(function() return ngx.header.x end, "API disabled in the current context")
    assert.error_matches(function() ngx.resp.get_headers() end, "API disabled in the current context")
  end)
end)
