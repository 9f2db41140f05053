local request = require "moongate.spec.request"

local function inside(o)
  local r = request(o)
  assert(r.ended ~= "failed", r.err)
  return r
end

describe("D2 ngx.req", function()
  it("D2 reads and writes headers", function()
    inside { headers = { { "X-Two", "a" }, { "x-two", "b" } }, handler = function()
      local all = ngx.req.get_headers()
      assert.same({ "a", "b" }, all["X-Two"])
      assert.equal(all.x_two, all["x-two"])
      assert.is_nil(ngx.req.get_headers(nil, true)["X-TWO"])
      ngx.req.set_header(123, 456)
      assert.equal("456", ngx.req.get_headers()[123])
      ngx.req.clear_header(123)
      assert.equal("truncated", (select(2, ngx.req.get_headers(1))))
      ngx.req.set_header("X-Two", { "c", 1 })
      assert.same({ "c", "1" }, ngx.req.get_headers()["x-two"])
      ngx.req.set_header("X_Low", "d")
      all = ngx.req.get_headers()
      assert.same({ "d", "d" }, { all.X_Low, all.x_low })
      assert.is_nil(all["x-low"])
      ngx.req.clear_header("x-two")
      assert.is_nil(ngx.req.get_headers()["x-two"])
      ngx.req.set_header("X-Ctl", "a\r\nb")
      assert.equal("a%0D%0Ab", ngx.var.http_x_ctl)
      ngx.req.set_header("Host", "Other.:80")
      assert.equal("other", ngx.var.host)
      assert.error_matches(function() ngx.req.set_header("Host", "a/b") end, "failed to set header")
      assert.error_matches(function() ngx.req.set_header("Content-Length", "x") end, "failed to set header")
      assert.error_matches(function() ngx.req.set_header() end, "bad 'name' argument: string expected, got nil")
    end }
  end)

  it("D2 ngx.req.add_header adds lines", function()
    local add_header = require("ngx.req").add_header
    inside { headers = { { "X-Two", "a" } }, handler = function()
      assert.is_nil(add_header("X-Two", "b"))
      add_header("x-two", { "c", 1 })
      add_header("X-New", 5)
      assert.same({ "a", "b", "c", "1" }, ngx.req.get_headers()["x-two"])
      assert.equal("5", ngx.req.get_headers()["x-new"])
      add_header(7, true)
      assert.equal("true", ngx.req.get_headers()["7"])
      assert.error_matches(function() add_header() end, "bad 'name' argument: string expected, got nil")
      assert.error_matches(function() add_header("X") end, "bad 'value' argument: string or table expected, got nil")
      assert.error_matches(function() add_header("X", {}) end, "bad 'value' argument: non%-empty table expected")
    end }
  end)

  it("D2 tells method, version, line and time", function()
    inside { method = "PUT", uri = "/a?b", handler = function()
      assert.equal("PUT", ngx.req.get_method())
      ngx.req.set_method(ngx.HTTP_PATCH)
      assert.equal("PATCH", ngx.req.get_method())
      assert.error_matches(function() ngx.req.set_method(3) end, "unsupported HTTP method: 3")
      assert.error_matches(function() ngx.req.set_method("GET") end, "bad method number")
      assert.equal(1.1, ngx.req.http_version())
      assert.equal("PUT /a?b HTTP/1.1", ngx.req.raw_header():match("^[^\r]+"))
      assert.equal("Host: test.local", ngx.req.raw_header(true):match("^[^\r]+"))
      assert.is_true(ngx.req.start_time() <= ngx.now())
      assert.is_false(ngx.req.is_internal())
    end }
  end)

  it("D2 changes the URI and its arguments", function()
    inside { uri = "/a?x=1&y=2&x=3&z", handler = function()
      local args = ngx.req.get_uri_args()
      assert.same({ x = { "1", "3" }, y = "2", z = true }, args)
      local t = { old = true }
      assert.equal(t, ngx.req.get_uri_args(nil, t))
      assert.is_nil(t.old)
      assert.equal("truncated", (select(2, ngx.req.get_uri_args(2))))
      ngx.req.set_uri_args("a b=c")
      assert.equal("a%20b=c", ngx.var.args)
      ngx.req.set_uri_args { n = { 1, "x y" } }
      assert.equal("n=1&n=x%20y", ngx.var.args)
      ngx.req.set_uri("/new")
      assert.equal("/new", ngx.var.uri)
      assert.is_true(ngx.req.is_internal())
      assert.error_matches(function() ngx.req.set_uri("") end, "attempt to use zero%-length uri")
      assert.error_matches(function() ngx.req.set_uri("/a\n") end, 'unsafe byte "0x0a" in uri "/a\\x0A"')
      assert.error_matches(function() ngx.req.set_uri("/a", true) end, "API disabled in the context of access_by_lua%*")
      assert.error_matches(function() ngx.req.set_uri() end, "expecting 1, 2 or 3 arguments but seen 0")
    end }
  end)

  it("D2 leaves rewrite by a jump", function()
    local r = request { phase = "rewrite", handler = function() ngx.req.set_uri("/b", true) error("went on") end }
    assert.equal("exit", r.ended)
  end)

  it("D2 wants a request", function()
    for _, name in ipairs { "get_headers", "get_method", "http_version", "raw_header", "is_internal", "start_time" } do
      assert.error_matches(ngx.req[name], "API disabled in the current context")
    end
  end)
end)
