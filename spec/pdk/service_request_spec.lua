local request = require "moongate.spec.request"
local support = dofile "spec/pdk/support.lua"
local raised, junk, within = support.raised, support.junk, support.within

describe("D1 kong.service.request", function()
  local out = kong.service.request

  it("D1 set_scheme", function()
    within(function()
      out.set_scheme("https")
      assert.equal("https", ngx.var.upstream_scheme)
      out.set_scheme("http")
      assert.equal("http", ngx.var.upstream_scheme)
      for _, value in junk("string") do
        assert.equal("scheme must be a string", raised(out.set_scheme, value))
      end
      for _, value in ipairs { "", "HTTP", "grpc", "ftp" } do
        assert.equal("invalid scheme: " .. value, raised(out.set_scheme, value))
      end
    end)
  end)

  it("D1 set_path", function()
    within(function()
      out.set_path("/a b/%20/ü?")
      assert.equal("/a%20b/%20/%C3%BC?", ngx.var.upstream_uri)
      for _, value in junk("string") do
        assert.equal("path must be a string", raised(out.set_path, value))
      end
      for _, value in ipairs { "", "a", "?a", " /" } do
        assert.equal("path must start with /", raised(out.set_path, value))
      end
    end)
  end)

  it("D1 set_raw_query, set_query, clear_query_arg", function()
    within(function()
      out.set_raw_query("a=1&b=%20")
      assert.equal("a=1&b=%20", kong.request.get_raw_query())
      out.set_raw_query("")
      assert.equal("", kong.request.get_raw_query())
      out.set_query({ b = { "1", true, "2" }, a = "x y", c = true, d = "", e = false, f = 5 })
      assert.equal("a=x%20y&b=1&b&b=2&c&d=&f=5", (kong.request.get_raw_query():gsub("^&", "")))
      out.set_query({})
      assert.equal("", kong.request.get_raw_query())
      out.set_raw_query("a=1&b=2&a=3&c")
      out.clear_query_arg("a")
      assert.same({ b = "2", c = "" }, (kong.request.get_query()))
      out.clear_query_arg("none")
      for _, value in junk("string") do
        assert.equal("query must be a string", raised(out.set_raw_query, value))
        assert.equal("query argument name must be a string", raised(out.clear_query_arg, value))
      end
      for _, value in junk("table") do
        assert.equal("args must be a table", raised(out.set_query, value))
      end
      assert.equal("arg keys must be strings", raised(out.set_query, { "a" }))
      for kind, value in junk("nil", "boolean", "number", "string", "table") do
        assert.equal("attempt to use " .. kind .. " as query arg value", raised(out.set_query, { a = value }))
      end
    end, { uri = "/?z=1" })
  end)

  it("D1 set_method", function()
    within(function()
      for _, name in ipairs {
        "GET", "HEAD", "PUT", "POST", "DELETE", "OPTIONS", "MKCOL", "COPY", "MOVE", "PROPFIND", "PROPPATCH", "LOCK",
        "UNLOCK", "PATCH", "TRACE",
      } do
        out.set_method(name)
        assert.equal(name, kong.request.get_method())
      end
      for _, value in junk("string") do
        assert.equal("method must be a string", raised(out.set_method, value))
      end
      for _, value in ipairs { "", "get", "CONNECT", "FOO" } do
        assert.equal("invalid method: " .. value, raised(out.set_method, value))
      end
    end)
  end)

  it("D1 headers: set, add, clear", function()
    within(function()
      out.set_header("X-A", "1")
      out.add_header("X-A", "2")
      out.add_header("X-B", { "3", "4" })
      out.set_header("X-C", true)
      out.set_header("X-D", { "5", "" })
      out.set_header("X-E", "")
      local all = kong.request.get_headers()
      assert.same({ { "1", "2" }, { "3", "4" }, "true", { "5", " " }, " " },
                  { all["x-a"], all["x-b"], all["x-c"], all["x-d"], all["x-e"] })
      out.set_headers({ ["X-A"] = "n", ["X-B"] = 5 })
      out.clear_header("x-d")
      all = kong.request.get_headers()
      assert.same({ "n", "5" }, { all["x-a"], all["x-b"] })
      assert.is_nil(all["x-d"])
      for kind, value in junk("string") do
        assert.matches("^invalid header name .*: got " .. kind, raised(out.set_header, value, "a"))
        assert.matches("^invalid header name .*: got " .. kind, raised(out.add_header, value, "a"))
        assert.equal("header must be a string", raised(out.clear_header, value))
      end
      for kind, value in junk("string", "number", "boolean", "table") do
        local text = 'invalid header value for "a": got ' .. kind
          .. ", expected array of string, string, number or boolean"
        assert.equal(text, raised(out.set_header, "a", value))
        assert.equal(text, raised(out.add_header, "a", value))
      end
      for _, value in junk("table") do
        assert.equal("headers must be a table", raised(out.set_headers, value))
      end
      assert.equal('invalid header value in array "a": got number, expected string',
                   raised(out.set_header, "a", { 1 }))
    end)
  end)

  it("D1 Host is the upstream's, :authority is gRPC's", function()
    within(function()
      out.set_header("Host", "one.test")
      assert.equal("one.test", ngx.var.upstream_host)
      out.add_header("host", "two.test")
      assert.equal("two.test", ngx.var.upstream_host)
      out.set_headers({ HOST = "three.test" })
      assert.equal("three.test", ngx.var.upstream_host)
      assert.same({ nil, "cannot set :authority pseudo-header on non-grpc requests" },
                  { out.set_header(":authority", "x") })
    end)
  end)

  it("D1 set_raw_body and set_body", function()
    within(function()
      out.set_raw_body("new body")
      assert.equal("new body", kong.request.get_raw_body())
      assert.equal("8", kong.request.get_header("Content-Length"))
      out.set_raw_body("")
      assert.equal("", kong.request.get_raw_body())
      assert.is_true(out.set_body({ b = { "1", "2" }, a = true }, "application/x-www-form-urlencoded"))
      assert.equal("a&b=1&b=2", kong.request.get_raw_body())
      assert.equal("application/x-www-form-urlencoded", kong.request.get_header("Content-Type"))
      assert.is_true(out.set_body({ a = 1 }, "application/json; charset=utf-8"))
      assert.equal('{"a":1}', kong.request.get_raw_body())
      assert.equal("application/json; charset=utf-8", kong.request.get_header("Content-Type"))
      assert.is_true(out.set_body({ b = 1, a = "x", c = true }, 'multipart/form-data; boundary="q"'))
      assert.equal('--q\r\nContent-Disposition: form-data; name="a"\r\n\r\nx\r\n'
        .. '--q\r\nContent-Disposition: form-data; name="b"\r\n\r\n1\r\n'
        .. '--q\r\nContent-Disposition: form-data; name="c"\r\n\r\ntrue\r\n--q--\r\n', kong.request.get_raw_body())
      assert.equal("multipart/form-data; boundary=q", kong.request.get_header("Content-Type"))
      assert.same({ { a = "x", b = "1", c = "true" }, nil, "multipart/form-data" }, { kong.request.get_body() })
      assert.is_true(out.set_body({ a = "--\n--q" }, "multipart/form-data; boundary=q"))
      assert.matches("^multipart/form%-data; boundary=%d+$", kong.request.get_header("Content-Type"))
    end, { method = "POST", body = "old", headers = { { "Content-Type", "text/plain" } } })
  end)

  it("D1 set_raw_body and set_body check their arguments", function()
    within(function()
      for _, value in junk("string") do
        assert.equal("body must be a string", raised(out.set_raw_body, value))
      end
      for _, value in junk("table") do
        assert.equal("args must be a table", raised(out.set_body, value))
      end
      for _, value in junk("nil", "string") do
        assert.equal("mime must be a string", raised(out.set_body, {}, value))
      end
      assert.same({ nil, "content type was neither explicitly given as an argument or received as a header" },
                  { out.set_body({}) })
      assert.equal("unsupported content type text/x", raised(out.set_body, {}, "text/x"))
      assert.equal("arg keys must be strings", raised(out.set_body, { "a" }, "application/x-www-form-urlencoded"))
      assert.equal('invalid key "1": got number, expected string', raised(out.set_body, { "a" }, "multipart/form-data"))
      assert.equal('invalid value "a": got table, expected string, number or boolean',
                   raised(out.set_body, { a = {} }, "multipart/form-data"))
      assert.equal("string", type(raised(out.set_body, { print }, "application/json")))
    end)
  end)

  it("D1 enable_buffering; TLS between tries", function()
    within(function()
      assert.is_false(request.left().buffering)
      out.enable_buffering()
      assert.is_true(request.left().buffering)
      assert.is_true(ngx.ctx.buffered_proxying)
    end)
    within(function()
      assert.is_true(out.enable_tls())
      assert.equal("https", ngx.var.upstream_scheme)
      assert.is_true(out.disable_tls())
      assert.equal("http", ngx.var.upstream_scheme)
    end, { phase = "balancer" })
  end)
end)

describe("D1 kong.service", function()
  local service = kong.service

  it("D1 what it sets is where the request goes", function()
    within(function()
      service.set_target("h.test", 99)
      service.set_retries(7)
      service.set_timeouts(1, 20, 300)
      local left = request.left()
      assert.same({ "h.test", 99, 7, 1, 20, 300 },
                  { left.host, left.port, left.retries, left.connect_timeout, left.write_timeout, left.read_timeout })
      assert.equal("h.test", ngx.var.upstream_host)
    end)
  end)
end)
