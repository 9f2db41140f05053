-- Hot functions have a short way, through FFI, for what is short and plain, and the op for the rest: both must say the
-- same, interpreted and compiled.
local request = require "moongate.spec.request"
local ops = require "moongate.ops"

local SIZES = { 0, 1, 2, 3, 31, 55, 56, 64, 65, 1365, 1366, 3071, 3072, 3073, 4095, 4096, 4097, 70000 }

-- texts of all sizes: plain, with every byte, with what is to be escaped
local function texts()
  local every = {}
  for i = 0, 255 do
    every[#every + 1] = string.char(i)
  end
  every = table.concat(every)
  local list = {}
  for _, size in ipairs(SIZES) do
    list[#list + 1] = ("x"):rep(size)
    list[#list + 1] = every:rep(math.ceil(size / 256)):sub(1, size)
    list[#list + 1] = ("%"):rep(size)
    list[#list + 1] = ("a+b%20%zz%"):rep(math.ceil(size / 10)):sub(1, size)
  end
  return list
end

-- often enough to be compiled, unless that takes long
local function often(f, text)
  for _ = 1, text and #text > 5000 and 3 or 150 do
    f(text)
  end
end

describe("D4 encoders answer what their ops do", function()
  local encode = ops.ngx_encode

  it("D4 at every length", function()
    for _, text in ipairs(texts()) do
      often(function(s)
        for kind = 0, 6 do
          assert(ngx.escape_uri(s, kind) == encode.escape_uri(s, kind))
        end
        assert(ngx.escape_uri(s) == encode.escape_uri(s, 2))
        assert(ngx.unescape_uri(s) == encode.unescape_uri(s))
        assert(ngx.decode_base64(s) == encode.decode_base64(s))
        assert(ngx.md5(s) == encode.md5(s))
        assert(ngx.md5_bin(s) == encode.md5_bin(s))
        assert(ngx.sha1_bin(s) == encode.sha1_bin(s))
        assert(ngx.crc32_short(s) == encode.crc32(s))
        local encoded = ngx.encode_base64(s)
        assert(encoded == encode.encode_base64(s))
        assert(ngx.decode_base64(encoded) == s)
        assert(ngx.decode_base64(ngx.encode_base64(s, true)) == s)
      end, text)
    end
  end)

  it("D4 with zeros within, and with what is no string", function()
    often(function()
      assert(ngx.escape_uri("a\0b") == "a%00b")
      assert(ngx.unescape_uri("a%00b+") == "a\0b ")
      assert(ngx.encode_base64("\0\0") == "AAA=")
      assert(ngx.decode_base64("AAA=") == "\0\0")
      assert(ngx.md5("\0") == "93b885adfe0da089cdf634904fd59f71")
      assert(ngx.md5(nil) == ngx.md5(""))
      assert(ngx.md5(1.5) == ngx.md5("1.5"))
      assert(ngx.escape_uri(-1) == "-1")
      assert(ngx.escape_uri(" ", 2.9) == "%20")
      assert(ngx.decode_base64("*") == nil)
    end)
    assert.error_matches(function() ngx.md5(setmetatable({}, { __tostring = function() error("no text") end })) end,
                         "no text")
  end)

  it("D4 without limit of length", function()
    local long = ("é b"):rep(100000)
    assert.equal(long, ngx.unescape_uri(ngx.escape_uri(long)))
    assert.equal(long, ngx.decode_base64(ngx.encode_base64(long)))
    assert.equal(encode.md5(long), ngx.md5(long))
  end)
end)

describe("D3 dictionaries answer what their ops do", function()
  local d

  before_each(function()
    d = assert(ngx.shared.kong_rate_limiting_counters or ngx.shared.kong)
    d:flush_all()
    d:flush_expired()
  end)

  it("D3 values of every kind and length", function()
    for _, text in ipairs(texts()) do
      assert.same({ true, nil, false }, { d:set("k\0k", text) })
      often(function(expected)
        assert(d:get("k\0k") == expected)
      end, text)
    end
    for _, value in ipairs { 0, -1.5, 1e300, 0 / 0, true, false } do
      often(function()
        assert(d:set("k", value))
        local got = d:get("k")
        assert(got == value or got ~= got and value ~= value)
      end)
    end
    often(function()
      assert(d:get("nothing") == nil)
    end)
  end)

  it("D3 keys as they are, numbers and booleans as text", function()
    local longest = ("k"):rep(65535)
    often(function()
      d:set(longest, 1)
      d:set(7, 2)
      d:set(true, 3)
      assert(d:get(longest) == 1 and d:get("7") == 2 and d:get("true") == 3 and d:get(7) == 2)
      local none, err = d:get("")
      assert(none == nil and err == "empty key")
      none, err = d:set(longest .. "k", 1)
      assert(none == nil and err == "key too long")
      none, err = d:incr(nil, 1)
      assert(none == nil and err == "nil key")
    end)
  end)

  it("D3 flags and expiry", function()
    often(function()
      d:set("k", "v", 0, 5)
      local value, flags = d:get("k")
      assert(value == "v" and flags == 5)
      d:set("k", "v", 100)
      assert(d:ttl("k") > 99)
      value, flags = d:get("k")
      assert(value == "v" and flags == nil)
    end)
    d:set("k", 1, 0.02)
    d:incr("n", 1, 0, 0.02)
    assert.equal(1, d:get("k"))
    ngx.sleep(0.05)
    assert.is_nil(d:get("k"))
    assert.equal(1, d:incr("n", 1, 0))
    assert.error_matches(function() d:set("k", 1, -1) end, 'bad "exptime" argument')
    assert.error_matches(function() d:set("k", 1, {}) end, "attempt to compare")
  end)

  it("D3 add, replace and incr", function()
    often(function()
      d:delete("k")
      local ok, err, forcible = d:replace("k", 1)
      assert(ok == false and err == "not found" and forcible == false)
      ok, err, forcible = d:add("k", "v")
      assert(ok == true and err == nil and forcible == false)
      ok, err, forcible = d:add("k", 1)
      assert(ok == false and err == "exists" and forcible == false)
      ok, err, forcible = d:safe_add("k", "x")
      assert(ok == false and err == "exists" and forcible == false)
      assert(d:get("k") == "v")
      ok, err = d:incr("k", 1)
      assert(ok == nil and err == "not a number")
      assert(d:replace("k", 1) and d:get("k") == 1)
      assert(select("#", d:incr("k", 2)) == 1 and d:get("k") == 3)
      ok, err, forcible = d:incr("k", -0.5, 10)
      assert(ok == 2.5 and err == nil and forcible == false)
      ok, err = d:incr("none", 1)
      assert(ok == nil and err == "not found")
      ok, err, forcible = d:incr("fresh", 1, 10, 5)
      assert(ok > 10 and err == nil and forcible == false)
    end)
    assert.equal(3, d:incr("k", "0.5"))
    assert.equal(4, d:incr("k", 1, "0"))
    assert.error_matches(function() d:incr("k", {}) end, "cannot convert 'nil' to 'double'")
    assert.error_matches(function() d:incr("k", 1, {}) end, "bad init arg: number expected, got table")
    assert.error_matches(function() d:incr("k", 1, nil, 5) end, 'must provide "init" when providing "init_ttl"')
    assert.error_matches(function() d:incr("k", 1, 0, -5) end, 'bad "init_ttl" argument')
  end)

  it("D3 delete, ttl and expire", function()
    often(function()
      d:set("k", 1, 100)
      local ok, err, forcible = d:delete("k")
      assert(ok == true and err == nil and forcible == false and d:get("k") == nil)
      ok, err, forcible = d:delete("k")
      assert(ok == true and err == nil and forcible == false)
      ok, err = d:ttl("k")
      assert(ok == nil and err == "not found")
      ok, err = d:expire("k", 1)
      assert(ok == nil and err == "not found")
      d:set("k", 1)
      assert(d:ttl("k") == 0 and d:expire("k", 50) == true and d:ttl("k") > 49)
      assert(d:expire("k", "20") == true and d:ttl("k") <= 20)
      ok, err = d:delete(nil)
      assert(ok == nil and err == "nil key")
    end)
  end)

  it("D3 what does not fit", function()
    local ok, err, forcible = d:safe_set("k", ("x"):rep(d:capacity()))
    assert.same({ false, "no memory", false }, { ok, err, forcible })
    local chunk, evicted = ("x"):rep(64 * 1024), false
    for i = 1, 2 * d:capacity() / #chunk do
      local done, why, forced = d:set("k" .. i, chunk)
      assert(done, why)
      evicted = evicted or forced
    end
    assert.is_true(evicted)
  end)
end)

describe("D2 what follows the request", function()
  it("D2 response headers", function()
    local r = request { handler = function()
      local h = ngx.header
      often(function()
        h["X-A"] = "a"
        assert(h["X-A"] == "a" and h.x_a == "a" and h["x-a"] == "a")
        h["X-A"] = nil
        assert(h["X-A"] == nil and h.x_a == nil)
        h.x_b = "x\0y\n"
        assert(h["X-B"] == "x%00y%0A")
        h["X-B"] = ""
        assert(h["X-B"] == nil)
        h["X-C"] = { "1", "2" }
        assert(h["X-C"][2] == "2")
        h["X-C"] = "3"
        assert(h["X-C"] == "3")
        h["bad name"] = "v"
        assert(h["bad name"] == nil and h["bad%20name"] == "v")
        h[7] = 8
        assert(h[7] == "8" and h["7"] == "8")
        h["ETag"] = "e"
        assert(h.etag == "e")
        h["Last-Modified"] = "junk"
        assert(h.last_modified == nil)
        h["Last-Modified"] = "Thu, 18 Nov 2010 11:27:35 GMT"
        assert(h.last_modified == "Thu, 18 Nov 2010 11:27:35 GMT")
        h["Last-Modified"] = nil
        h["Content-Length"] = "5"
        assert(h.content_length == "5")
        h["Content-Length"] = nil
      end)
      local long = ("v"):rep(5000)
      for _, size in ipairs { 1, 4095, 4096, 4097, 5000 } do
        h["X-Long"] = long:sub(1, size)
        assert.equal(size, #h["X-Long"])
      end
      local name = ("n"):rep(100)
      h[name] = "v"
      assert.equal("v", h[name])
      assert.error_matches(function() h[""] = "v" end, "bad header name")
      return true
    end }
    assert.same({ nil, true }, { r.err, r.seen })
    assert.equal("3", r.headers["x-c"])
  end)

  it("D1 headers through the PDK", function()
    local r = request { headers = { { "X-Given", "here" } }, handler = function()
      local out, answer = kong.service.request, kong.response
      often(function()
        assert(kong.request.get_header("x-given") == "here" and kong.request.get_header("X_Given") == "here")
        assert(kong.request.get_header("x-none") == nil and kong.request.get_header("") == nil)
        out.set_header("X-A", "v")
        assert(kong.request.get_header("x-a") == "v")
        out.set_header("X-A", "")
        assert(kong.request.get_header("x-a") == " ")
        out.set_header("X-A", "a\r\nb\0")
        assert(kong.request.get_header("x-a") == "a%0D%0Ab%00")
        out.clear_header("X-A")
        assert(kong.request.get_header("x-a") == nil)
        answer.set_header("X_B", "v")
        assert(ngx.header["x-b"] == "v")
        answer.set_header("X-B", "a\nb")
        assert(ngx.header["x-b"] == "a%0Ab")
        answer.clear_header("x-b")
        assert(ngx.header["x-b"] == nil)
      end)
      local long = ("v"):rep(5000)
      for _, size in ipairs { 1, 4095, 4096, 4097, 5000 } do
        out.set_header("X-Long", long:sub(1, size))
        assert.equal(size, #kong.request.get_header("X-Long"))
        answer.set_header("X-Long", long:sub(1, size))
        assert.equal(size, #ngx.header["X-Long"])
      end
      assert.error_matches(function() out.set_header("X-A", nil) end, 'invalid header value for "X%-A": got nil')
      assert.error_matches(function() out.set_header(1, "a") end, 'invalid header name "1": got number')
      assert.error_matches(function() out.clear_header() end, "header must be a string")
      assert.error_matches(function() answer.clear_header({}) end, "header name must be a string")
      assert.error_matches(function() kong.request.get_header(1) end, "header name must be a string")
      ngx.say("begun")
      assert.error_matches(function() answer.set_header("X-A", "a") end, "headers have already been sent")
      assert.error_matches(function() answer.clear_header("X-A") end, "headers have already been sent")
      return true
    end }
    assert.same({ nil, true }, { r.err, r.seen })
  end)

  it("D2 method, status and clocks", function()
    local r = request { handler = function()
      often(function()
        assert(ngx.req.get_method() == "GET")
        ngx.req.set_method(ngx.HTTP_PATCH)
        assert(ngx.req.get_method() == "PATCH" and kong.request.get_method() == "PATCH")
        ngx.req.set_method(ngx.HTTP_GET)
        ngx.status = 299
        assert(ngx.status == 299)
        local now = ngx.now()
        assert(ngx.time() == math.floor(now) or ngx.time() == math.floor(now) + 1)
        assert(math.floor(now * 1000 + 0.5) / 1000 == now)
      end)
      return true
    end }
    assert.same({ nil, true }, { r.err, r.seen })
  end)

  it("D2 arguments: few, many and repeated", function()
    local r = request { handler = function()
      for _, n in ipairs { 1, 2, 15, 16, 17, 40 } do
        local parts = {}
        for i = 1, n do
          parts[#parts + 1] = "k" .. i .. "=" .. i
        end
        ngx.req.set_uri_args(table.concat(parts, "&") .. "&k%31=again&flag&k1")
        local args, err = ngx.req.get_uri_args()
        assert.is_nil(err)
        assert.same({ "1", "again", true }, args.k1)
        assert.is_true(args.flag)
        for i = 2, n do
          assert.equal(tostring(i), args["k" .. i])
        end
      end
      ngx.req.set_uri_args(("a=1&"):rep(99) .. "b=2&c=3")
      local args, err = ngx.req.get_uri_args()
      assert.equal("truncated", err)
      assert.equal(99, #args.a)
      assert.equal("2", args.b)
      assert.is_nil(args.c)
      return true
    end }
    assert.same({ nil, true }, { r.err, r.seen })
  end)

  it("D2 lists answer what their ops do", function()
    local r = request { headers = { { "X-Two", "1" }, { "x-two", "2" }, { "X-EMPTY", "" } }, handler = function()
      local req, args, header = ops.ngx_req, ops.ngx_args, ops.ngx_header
      local function same(a, aerr, b, berr)
        assert(aerr == berr)
        for k, v in pairs(a) do
          if type(v) == "table" then
            assert(type(b[k]) == "table" and #v == #b[k], k)
            for i = 1, #v do
              assert(v[i] == b[k][i], k)
            end
          else
            assert(v == b[k], k)
          end
        end
        for k in pairs(b) do
          assert(rawget(a, k) ~= nil, k)
        end
      end
      -- results in turn: those of the face, then those of the op
      local function compare(face, op, ...)
        local a, aerr = face(...)
        local b, berr = op(...)
        same(a, aerr, b, berr)
      end
      local function all()
        for _, max in ipairs { 0, 1, 2, 2.5, 3, 100, -1, 0 / 0, 1000 } do
          for _, raw in ipairs { false, true } do
            compare(ngx.req.get_headers, req.get_headers, max, raw)
            compare(ngx.resp.get_headers, header.get_all, max, raw)
          end
          compare(ngx.req.get_uri_args, args.uri, max)
          compare(ngx.decode_args, args.decode, "a=1&b&&a=2&=x&c=%20+&c&c=&%41=3", max)
          compare(ngx.decode_args, args.decode, "", max)
        end
        compare(ngx.req.get_headers, req.get_headers)
        compare(ngx.req.get_headers, req.get_headers, "3")
        compare(ngx.resp.get_headers, header.get_all)
        compare(ngx.decode_args, args.decode, "a=1&b")
        compare(kong.request.get_headers, ops["kong.request"].get_headers)
        compare(kong.request.get_headers, ops["kong.request"].get_headers, 2)
        compare(kong.request.get_query, ops["kong.request"].get_query)
        compare(kong.request.get_query, ops["kong.request"].get_query, 1)
      end
      ngx.header["X-Out"] = { "a", "b" }
      ngx.header["X-One"] = "1"
      for i = 1, 90 do
        ngx.req.set_uri_args(i % 3 == 0 and "x=1&X=2&flag&x=%32&x&e=" or i % 3 == 1 and "" or "n=" .. i)
        all()
      end
      ngx.req.set_header("X-Long", ("v"):rep(8200))
      ngx.header["X-Long"] = ("v"):rep(8200)
      ngx.req.set_uri_args("l=" .. ("%41"):rep(9000) .. "&m=1")
      for _ = 1, 10 do
        all()
      end
      ngx.req.clear_header("X-Long")
      ngx.header["X-Long"] = nil
      local many = {}
      for i = 1, 300 do
        many[i] = "k" .. i .. "=" .. i
        ngx.req.set_header("X-" .. i, "v" .. i)
        ngx.header["X-" .. i] = "v" .. i
      end
      ngx.req.set_uri_args(table.concat(many, "&"))
      for _ = 1, 10 do
        all()
      end
      -- the table is cleared first, and the caller's own
      local into = { old = 1 }
      ngx.req.set_uri_args("a=1")
      for _ = 1, 100 do
        assert(ngx.req.get_uri_args(10, into) == into and into.old == nil and into.a == "1")
        into.old = 1
      end
      assert.same({ "1", "2" }, ngx.req.get_headers(0).x_two)
      assert.error_matches(function() ngx.decode_args("a", nil) end, "number expected, got nil")
      assert.error_matches(function() ngx.decode_args() end, "expecting 1 or 2 arguments but seen 0")
      assert.error_matches(function() ngx.resp.get_headers({}) end, "number expected, got table")
      return true
    end }
    assert.same({ nil, true }, { r.err, r.seen })
  end)

  it("D2 variables answer what their op does", function()
    local r = request { uri = "/a%20b?x=1&Y=2", headers = {
      { "Host", "A.test:80" }, { "X-Two", "1" }, { "X-Two", "2" }, { "Cookie", "a=1" }, { "cookie", "b=2" },
      { "X-Long", ("v"):rep(5000) }, { "Authorization", "Basic dTpw" },
    }, handler = function()
      local op = ops.ngx_var.get
      ngx.header["X-Out"] = "o"
      for _, name in ipairs {
        "request_method", "request_uri", "uri", "args", "is_args", "host", "scheme", "https", "server_protocol",
        "request", "request_length", "request_id", "remote_user", "remote_addr", "remote_port", "binary_remote_addr",
        "server_port", "server_name", "connection", "connection_requests", "pid", "hostname", "nginx_version",
        "http_x_two", "http_x_long", "http_none", "http_cookie", "HTTP_X_Two", "arg_x", "arg_y", "arg_none", "cookie_a",
        "cookie_b", "sent_http_x_out", "upstream_http_x_out", "upstream_host", "upstream_status", "status",
        "body_bytes_sent", "proxy_add_x_forwarded_for", "upstream_via", "ssl_protocol", "none", "", "a\0b",
      } do
        often(function()
          assert(ngx.var[name] == op(nil, name), name)
        end)
      end
      -- what tells the time tells the same one, or the next
      for name, shape in pairs {
        msec = "^%d+%.%d%d%d$", request_time = "^%d+%.%d%d%d$", connection_time = "^%d+%.%d%d%d$",
        time_local = "^%d%d/%a%a%a/%d%d%d%d:%d%d:%d%d:%d%d [+-]%d%d%d%d$",
        time_iso8601 = "^%d%d%d%d%-%d%d%-%d%dT%d%d:%d%d:%d%d[+-]%d%d:%d%d$",
      } do
        assert.matches(shape, ngx.var[name])
        assert.matches(shape, op(nil, name))
      end
      ngx.update_time()
      assert(math.abs(tonumber(ngx.var.msec) - ngx.now()) < 1)
      assert.error_matches(function() return ngx.var[{}] end, "bad variable name")
      assert.is_nil(ngx.var[1])
      return true
    end }
    assert.same({ nil, true }, { r.err, r.seen })
  end)

  it("D4 clocks answer what their ops do", function()
    local time = ops.ngx_time
    for _, seconds in ipairs { 0, 1, -5, 1290079655, 1290079655.9, 951782400, 2145916799, 2145916800, 1e12, 1e300 } do
      often(function()
        assert(ngx.http_time(seconds) == time.http_time(seconds))
        assert(ngx.cookie_time(seconds) == time.cookie_time(seconds))
        local text = ngx.http_time(seconds)
        assert(ngx.parse_http_time(text) == time.parse_http_time(text))
      end)
    end
    assert.equal("Thu, 18 Nov 2010 11:27:35 GMT", ngx.http_time(1290079655))
    assert.equal("Thu, 18-Nov-10 11:27:35 GMT", ngx.cookie_time(1290079655))
    often(function()
      assert(ngx.parse_http_time("junk") == nil and ngx.parse_http_time("") == nil)
      for _, name in ipairs { "today", "localtime", "utctime" } do
        assert(ngx[name]() == time[name](ngx.now()))
      end
    end)
    assert.matches("^%d%d%d%d%-%d%d%-%d%d$", ngx.today())
    assert.matches("^%d%d%d%d%-%d%d%-%d%d %d%d:%d%d:%d%d$", ngx.localtime())
    assert.equal(os.date("!%Y-%m-%d"), ngx.utctime():sub(1, 10))
  end)

  it("D1 response headers through the PDK", function()
    local r = request { phase = "header_filter", handler = function()
      local get, op = kong.response.get_header, ops["kong.response"].get_header
      ngx.header["X-Two"] = { "1", "2" }
      ngx.header["X-One"] = "1"
      ngx.header["bad name"] = "v"
      for _, name in ipairs { "x-one", "X-ONE", "x_one", "X-Two", "x-none", "", "bad name", "bad%20name" } do
        often(function()
          assert(get(name) == op(name), name)
        end)
      end
      often(function()
        local all = kong.response.get_headers()
        assert(all["x-two"][2] == "2" and all.x_one == "1" and all["x-none"] == nil)
        assert(select(2, kong.response.get_headers(1)) == "truncated")
      end)
      return true
    end }
    assert.same({ nil, true }, { r.err, r.seen })
  end)

  it("D2 needs a request", function()
    often(function()
      for _, f in ipairs {
        function() return ngx.header.x end,
        function() return ngx.req.get_method() end,
        function() return ngx.status end,
        function() return ngx.req.get_headers() end,
        function() return ngx.req.get_uri_args() end,
        function() return ngx.resp.get_headers() end,
      } do
        local ok, err = pcall(f)
        assert(not ok and err:find("API disabled in the current context", 1, true), err)
      end
      local ok, err = pcall(function() ngx.header.x = "v" end)
      assert(not ok and (err:find("no request found", 1, true) or err:find("API disabled", 1, true)), err)
      assert(ngx.now() > 0 and ngx.md5("") == "d41d8cd98f00b204e9800998ecf8427e")
    end)
  end)
end)
