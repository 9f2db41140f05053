local request = require "moongate.spec.request"
local support = dofile "spec/pdk/support.lua"
local raised, junk, within = support.raised, support.junk, support.within

describe("D1 kong.request", function()
  local req = kong.request

  it("D1 the request line", function()
    within(function()
      assert.same({ "POST", "http", "test.local", 8000, 1.1 },
                  { req.get_method(), req.get_scheme(), req.get_host(), req.get_port(), req.get_http_version() })
      assert.equal("/x/%2e%2E/y%41", req.get_raw_path())
      assert.equal("/yA", req.get_path())
      assert.equal("/x/%2e%2E/y%41?a=1&b", req.get_path_with_query())
      assert.equal("a=1&b", req.get_raw_query())
    end, { method = "POST", uri = "/x/%2e%2E/y%41?a=1&b" })
    within(function()
      assert.same({ "/", "/", "/", "" },
                  { req.get_path(), req.get_raw_path(), req.get_path_with_query(), req.get_raw_query() })
    end)
  end)

  it("D1 forwarded values count where the peer is trusted", function()
    local headers = {
      { "X-Forwarded-Proto", "HTTPS" }, { "X-Forwarded-Host", "u@Example.COM:99" }, { "X-Forwarded-Port", "1234" },
      { "X-Forwarded-Path", "/f" }, { "X-Forwarded-Prefix", "/p" },
    }
    within(function()
      assert.same({ "http", "test.local", 8000, "/a" },
                  { req.get_forwarded_scheme(), req.get_forwarded_host(), req.get_forwarded_port(),
                    req.get_forwarded_path() })
      assert.is_nil(req.get_forwarded_prefix())
      request.client(true)
      assert.same({ "https", "example.com", 1234, "/f", "/p" },
                  { req.get_forwarded_scheme(), req.get_forwarded_host(), req.get_forwarded_port(),
                    req.get_forwarded_path(), req.get_forwarded_prefix() })
    end, { uri = "/a", headers = headers })
    within(function()
      request.client(true)
      assert.same({ 99, "http", "/" },
                  { req.get_forwarded_port(), req.get_forwarded_scheme(), req.get_forwarded_path() })
    end, { headers = { { "X-Forwarded-Host", "a:99" }, { "X-Forwarded-Port", "70000" } } })
  end)

  it("D1 what ngx.ctx says of the request counts", function()
    within(function()
      ngx.ctx.scheme, ngx.ctx.host, ngx.ctx.host_port, ngx.ctx.request_uri = "https", "h", 77, "/z%41?q"
      assert.same({ "https", "h", "https", "h", 77 },
                  { req.get_scheme(), req.get_host(), req.get_forwarded_scheme(), req.get_forwarded_host(),
                    req.get_forwarded_port() })
      assert.same({ "/z%41?q", "/z%41", "/zA", "/zA" },
                  { req.get_path_with_query(), req.get_raw_path(), req.get_path(), req.get_forwarded_path() })
      ngx.ctx.KONG_PROCESSING_START = 5
      assert.equal(5, req.get_start_time())
    end)
  end)

  it("D1 get_query and get_query_arg", function()
    within(function()
      assert.same({ a = "1", b = { "2", "3" }, c = true, ["d e"] = "f g", ["h[]"] = "" }, (req.get_query()))
      assert.equal("1", req.get_query_arg("a"))
      assert.equal("2", req.get_query_arg("b"))
      assert.is_true(req.get_query_arg("c"))
      assert.equal("f g", req.get_query_arg("d e"))
      assert.is_nil(req.get_query_arg("A"))
      local some, err = req.get_query(2)
      assert.same({ a = "1", b = "2" }, some)
      assert.equal("truncated", err)
      -- one table, as on Kong
      assert.equal(some, (req.get_query()))
      assert.equal(some, ngx.ctx.uri_args)
      for _, value in junk("string") do
        assert.equal("query argument name must be a string", raised(req.get_query_arg, value))
      end
      for _, value in junk("nil", "number") do
        assert.equal("max_args must be a number", raised(req.get_query, value))
      end
      assert.equal("max_args must be >= 1", raised(req.get_query, 0))
      assert.equal("max_args must be <= 1000", raised(req.get_query, 1001))
    end, { uri = "/?a=1&b=2&b=3&c&d+e=f%20g&h[]=" })
    local many = {}
    for i = 1, 150 do
      many[i] = "a" .. i .. "=1"
    end
    within(function()
      local n = 0
      local all, err = req.get_query()
      for _ in pairs(all) do
        n = n + 1
      end
      assert.same({ 100, "truncated" }, { n, err })
      assert.is_nil(req.get_query_arg("a101"))
      assert.equal("1", req.get_query(150).a150)
    end, { uri = "/?" .. table.concat(many, "&") })
  end)

  it("D1 get_header and get_headers", function()
    within(function()
      assert.equal("one", req.get_header("X-One"))
      assert.equal("one", req.get_header("x_one"))
      assert.equal("test.local", req.get_header("HOST"))
      assert.equal("1", req.get_header("x-many"))
      assert.is_nil(req.get_header("x-none"))
      local all = req.get_headers()
      assert.same({ "1", "2" }, all["x-many"])
      assert.equal("one", all["X-One"])
      assert.equal("one", all.x_one)
      assert.is_nil(all["x-none"])
      local some, err = req.get_headers(1)
      assert.equal("truncated", err)
      local n = 0
      for _ in pairs(some) do
        n = n + 1
      end
      assert.equal(1, n)
      for _, value in junk("string") do
        assert.equal("header name must be a string", raised(req.get_header, value))
      end
      for _, value in junk("nil", "number") do
        assert.equal("max_headers must be a number", raised(req.get_headers, value))
      end
      assert.equal("max_headers must be >= 1", raised(req.get_headers, 0))
      assert.equal("max_headers must be <= 1000", raised(req.get_headers, 1001))
    end, { headers = { { "X-One", "one" }, { "X-Many", "1" }, { "X-Many", "2" } } })
  end)

  it("D1 get_raw_body and get_body", function()
    local function body(text, kind, f)
      within(f, { method = "POST", body = text, headers = kind and { { "Content-Type", kind } } })
    end
    body("a=1&b=2&b=3&c", "application/x-www-form-urlencoded; charset=x", function()
      assert.equal("a=1&b=2&b=3&c", req.get_raw_body())
      assert.same({ { a = "1", b = { "2", "3" }, c = true }, nil, "application/x-www-form-urlencoded" },
                  { req.get_body() })
      assert.same({ a = "1" }, (req.get_body(nil, 1)))
      for _, value in junk("nil", "number") do
        assert.equal("max_args must be a number", raised(req.get_body, nil, value))
      end
      assert.equal("max_args must be >= 1", raised(req.get_body, nil, 0))
      assert.equal("max_args must be <= 1000", raised(req.get_body, nil, 1001))
      assert.same({ nil, "invalid json body", "application/json" }, { req.get_body("application/json") })
      assert.same({ nil, "unsupported content type 'Text/X; a'", "text/x" }, { req.get_body("Text/X; a") })
    end)
    body('{"a":[]}', "application/json", function()
      local json, err, kind = req.get_body()
      assert.same({ { a = {} }, nil, "application/json" }, { json, err, kind })
      assert.equal(require("cjson").array_mt, getmetatable(json.a))
      assert.same({ json }, { (req.get_body("application/json; charset=utf-8")) })
    end)
    body('"text"', "application/json", function()
      assert.same({ nil, "invalid json body", "application/json" }, { req.get_body() })
    end)
    local parts = '--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n'
      .. '--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n2\r\n'
      .. '--x\r\nContent-Disposition: form-data; name="b"\r\n\r\n3\r\n--x--\r\n'
    body(parts, "multipart/form-data; boundary=x", function()
      assert.same({ { a = { "1", "2" }, b = "3" }, nil, "multipart/form-data" }, { req.get_body() })
    end)
    body("text", nil, function()
      assert.same({ nil, "missing content type" }, { req.get_body() })
      assert.equal("text", req.get_raw_body())
    end)
    within(function() assert.equal("", req.get_raw_body()) end)
  end)

  it("D1 get_start_time is in milliseconds", function()
    within(function()
      local start = req.get_start_time()
      assert.equal(0, start % 1)
      assert.is_true(math.abs(start - ngx.now() * 1000) < 5000)
      assert.equal(start, ngx.ctx.KONG_PROCESSING_START)
    end)
  end)

  it("D1 get_uri_captures parts what has a name from what has none", function()
    within(function()
      assert.same({ named = {}, unnamed = {} }, req.get_uri_captures())
      ngx.ctx.router_matches = { uri_captures = { [0] = "all", "one", name = "two" } }
      local found = req.get_uri_captures()
      assert.same({ [0] = "all", "one" }, found.unnamed)
      assert.same({ name = "two" }, found.named)
      assert.equal(require("cjson").array_mt, getmetatable(found.unnamed))
      local given = req.get_uri_captures({ router_matches = { uri_captures = { "x" } } })
      assert.same({ "x" }, given.unnamed)
      assert.same({ named = {}, unnamed = {} }, req.get_uri_captures({}))
    end)
  end)
end)
