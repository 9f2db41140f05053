-- `resty.http`, `resty.counter`, `date` and the request's id.

local http = require "resty.http"

-- A client whose socket answers from a text and keeps what was sent.
local function connected(replies, host)
  local client = http.new()
  local sent, at = {}, 1
  local closed
  client.sock = {
    connect = function() return 1 end,
    send = function(_, data)
      sent[#sent + 1] = type(data) == "table" and table.concat(data) or data
      return 1
    end,
    receive = function(_, n)
      local got
      if type(n) == "number" then
        got = replies:sub(at, at + n - 1)
        if #got < n then
          at = #replies + 1
          return nil, "closed", got
        end
        at = at + n
      elseif n == "*a" then
        got, at = replies:sub(at), #replies + 1
      else
        local stop = replies:find("\r\n", at, true)
        if not stop then
          return nil, "closed"
        end
        got, at = replies:sub(at, stop - 1), stop + 2
      end
      return got
    end,
    setkeepalive = function() return 1 end,
    close = function()
      closed = true
      return 1
    end,
  }
  assert(client:connect(host or "a.example", 8080))
  return client, sent, function() return closed end
end

describe("B2 resty.http", function()
  it("B2 reads addresses", function()
    local client = http.new()
    assert.same({ "http", "a.example", 80, "/", "" }, client:parse_uri("http://a.example"))
    assert.same({ "https", "a.example", 443, "/x?y=1" }, client:parse_uri("https://a.example/x?y=1"))
    assert.same({ "http", "[::1]", 81, "/x", "y=1" }, client:parse_uri("http://[::1]:81/x?y=1", false))
    assert.same({ nil, "bad uri: ftp://x" }, { client:parse_uri("ftp://x") })
  end)

  it("B2 sends a request's line, headers and body with their defaults", function()
    local client, sent = connected "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-A: 1\r\nx-a: 2\r\n\r\nhi"
    local res = assert(client:request({
      method = "post", path = "/p", query = { a = "b c" }, body = "text", headers = { ["user-agent"] = "me" },
    }))
    local head = sent[1]
    assert.matches("^POST /p%?a=b%%20c HTTP/1.1\r\n", head)
    assert.matches("\r\nHost: a.example:8080\r\n", head, 1)
    assert.matches("\r\nContent%-Length: 4\r\n", head)
    assert.matches("\r\nuser%-agent: me\r\n", head)
    assert.is_nil(head:find("lua-resty-http", 1, true))
    assert.equal("text", sent[2])
    assert.equal(200, res.status)
    assert.equal("OK", res.reason)
    assert.same({ "1", "2" }, res.headers["X-a"])
    assert.equal("hi", res:read_body())
    assert.equal(1, client:set_keepalive())
  end)

  it("B2 reads chunks whole or in pieces, and trailers", function()
    local text = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-T\r\n\r\n"
      .. "5\r\nhello\r\n4;x=y\r\n you\r\n0\r\nX-T: z\r\n\r\n"
    local client = connected(text)
    local res = client:request {}
    assert.equal("hello you", (res:read_body()))
    res:read_trailers()
    assert.equal("z", res.headers["x-t"])
    assert.equal(1, client:set_keepalive())

    res = connected(text):request {}
    assert.same({ "hel", "lo", " yo", "u" }, {
      res.body_reader(3), res.body_reader(3), res.body_reader(3), res.body_reader(3),
    })
    assert.is_nil((res.body_reader(3)))
  end)

  it("B2 does not keep a connection whose answer was not read, or that the server closes", function()
    local client, _, closed = connected "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
    client:request {}
    assert.same({ 2, "connection must be closed" }, { client:set_keepalive() })
    assert.is_true(closed())

    client = connected "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
    client:request {}
    assert.equal(2, client:set_keepalive())

    client = connected "HTTP/1.0 200 OK\r\n\r\nall of it"
    assert.equal("all of it", client:request({}):read_body())
    assert.equal(2, client:set_keepalive())
  end)

  it("B2 reads no body where there can be none, and passes over informational answers", function()
    local client = connected "HTTP/1.1 103 Early\r\nLink: x\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n"
    local res = client:request {}
    assert.equal(204, res.status)
    assert.is_false(res.has_body)
    assert.equal("", res:read_body())
    res = connected("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"):request { method = "HEAD" }
    assert.equal("", res:read_body())
  end)

  it("B2 sends a body after 100 Continue only", function()
    local client, sent = connected "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
    assert.equal(200, client:request({ body = "late", headers = { Expect = "100-continue" } }).status)
    assert.equal("late", sent[2])
    client, sent = connected "HTTP/1.1 417 No\r\nContent-Length: 0\r\n\r\n"
    assert.equal(417, client:request({ body = "late", headers = { Expect = "100-continue" } }).status)
    assert.equal(1, #sent)
  end)

  it("B2 frames bodies from functions", function()
    local parts = { "ab", "", "c" }
    local client, sent = connected "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
    local at = 0
    assert(client:request {
      method = "PUT", headers = { ["Transfer-Encoding"] = "chunked" },
      body = function()
        at = at + 1
        return parts[at]
      end,
    })
    assert.same("2\r\nab\r\n1\r\nc\r\n0\r\n\r\n", table.concat(sent, "", 2))
    assert.same({ nil, "Request body is a function but a length or chunked encoding is not specified" },
      { client:request { body = function() end } })
  end)

  it("B2 refuses what would make two headers of one, and answers that it cannot read", function()
    local client = connected ""
    assert.same({ nil, "invalid characters found in a request header" },
      { client:request { headers = { a = "b\r\nc: d" } } })
    assert.same({ nil, "invalid characters found in the request line" }, { client:request { path = "/a b" } })
    assert.same({ nil, "closed" }, { client:request {} })
    for text, err in pairs {
      ["ICY 200 OK\r\n"] = "couldn't parse HTTP status line: ICY 200 OK",
      ["HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n"] = "invalid Content-Length",
      ["HTTP/1.1 200 OK\r\nno colon\r\n\r\n"] = "invalid header line",
    } do
      assert.same({ nil, err }, { connected(text):request {} })
    end
    local res = connected("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"):request {}
    assert.same({ nil, "unable to read chunksize", "" }, { res:read_body() })
  end)

  it("B2 goes through a proxy of plain HTTP, except where it is told not to", function()
    local client, sent = connected "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
    client:set_proxy_options {
      http_proxy = "http://proxy.example:3128", no_proxy = "internal.example,.other.example",
    }
    assert.equal(200, client:request_uri("http://a.example/x?y").status)
    assert.matches("^GET http://a.example/x%?y HTTP/1.1\r\n", sent[1])
    assert.is_nil(client:get_proxy_uri("http", "a.other.example"))
    assert.is_nil(client:get_proxy_uri("http", "internal.example"))
    assert.equal("http://proxy.example:3128", client:get_proxy_uri("http", "notinternal.example"))
  end)
end)

describe("B2 resty.counter", function()
  local counter = require "resty.counter"
  local dict = { data = {} }
  function dict:incr(key, step, init)
    if key == "bad" then
      return nil, "no memory"
    end
    self.data[key] = (self.data[key] or init) + step
    return self.data[key]
  end
  function dict:get(key) return self.data[key] end

  it("B2 adds in memory and brings the sums to the dictionary", function()
    local shared = ngx.shared
    ngx.shared = { counts = dict }
    local a, b = counter.new("counts"), counter.new("counts")
    local _, missing = counter.new("none")
    local _, wrong = counter.new("counts", -1)
    ngx.shared = shared
    a:incr("x")
    b:incr("x", 4)
    assert.is_nil(a:get("x"))
    assert.is_true(a:sync())
    assert.equal(5, b:get("x"))
    assert.is_true(b:sync())
    assert.equal(5, a:get("x"))
    assert.equal(2, a:reset("x", 3))
    a:incr("bad")
    assert.is_false(a:sync())
    assert.equal('shared dict "none" not defined', missing)
    assert.equal("expect sync_interval to be a positive number", wrong)
  end)
end)

describe("B2 date", function()
  local date = require "date"

  it("B2 reads texts, tables, parts and numbers", function()
    local want = date(2006, 7, 27, 1, 56, 28)
    assert.equal(1153965388, want.at)
    for _, text in ipairs { "Jul 27 2006 03:56:28 +2:00", "2006-07-27T01:56:28Z", "2006-07-26 21:56:28 EDT",
      "Thu, 27 Jul 2006 01:56:28 GMT", "07/27/2006 01:56:28",
      "27-Jul-2006 1:56:28 AM", "20060727T01:56:28" } do
      assert.equal(want.at, date(text).at, text)
    end
    assert.equal(want, date { year = 2006, month = "July", day = 27, hour = 1, min = 56, sec = 28 })
    assert.equal(want, date(1153965388))
    assert.equal(date(1998, 12, 25), date "12/25/98")
    assert.is_nil(date "no date")
  end)

  it("B2 writes", function()
    local at = date(2022, 9, 6, 3, 55, 14.25)
    assert.equal("06/Sep/2022:03:55:14 Tuesday 249 36", at:fmt "%d/%b/%Y:%T %A %j %V")
    assert.equal("2022-09-06T03:55:14", at:fmt "${iso}")
    assert.equal("Tue, 06 Sep 2022 03:55:14 GMT", at:fmt "${http}")
    assert.equal("14.250000 03 AM %", at:fmt "%\\ %I %p %%")
    assert.equal("+0000", at:copy():toutc():fmt "%z")
  end)

  it("B2 moves, compares and spans", function()
    assert.equal(date(2021, 3, 1), date(2021, 1, 29):addmonths(1))
    assert.equal(date(2019, 12, 31), date(2020, 1, 1):adddays(-1))
    assert.equal(date(2000, 2, 29), date(2000, 1, 1):setmonth("Feb", 29))
    assert.is_true(date(1969, 12, 31) < date.epoch())
    assert.equal(5, date.diff("Jan 7 1563", date(1563, 1, 2)):spandays())
    assert.same({ 53, 2020 }, { date(2021, 1, 3):getisoweeknumber() })
    assert.is_true(date.isleapyear(2000))
    assert.is_false(date.isleapyear(1900))
  end)
end)

describe("B2 kong.observability.tracing.request_id", function()
  it("B2 has none outside of a request", function()
    local request_id = require "kong.observability.tracing.request_id"
    local old_phase, old_ctx = ngx.get_phase, ngx.ctx
    ngx.ctx = {}
    ngx.get_phase = function() return "init" end
    local got = { request_id.get() }
    ngx.ctx.request_id = "kept"
    local kept = request_id.get()
    ngx.get_phase, ngx.ctx = old_phase, old_ctx
    assert.same({ nil, "cannot access ngx.var in init phase" }, got)
    assert.equal("kept", kept)
  end)
end)
