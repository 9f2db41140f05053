local peers = dofile((debug.getinfo(1, "S").source:match("^@(.*)spec/libs/") or "") .. "spec/ngx/peer.lua")

describe("D5 ltn12", function()
  local ltn12 = require("ltn12")

  it("D5 pumps a source through filters into a table, and knows its name as a global", function()
    assert.equal(ltn12, _G.ltn12)
    local upper = function(piece)
      return piece and piece:upper()
    end
    local sink, got = ltn12.sink.table()
    local src = ltn12.source.chain(ltn12.source.cat(ltn12.source.string("ab"), ltn12.source.string("cd")), upper)
    assert.equal(1, ltn12.pump.all(src, sink))
    assert.same({ "AB", "CD" }, got)
    sink, got = ltn12.sink.table()
    assert.equal(1, ltn12.pump.all(ltn12.source.string(("x"):rep(5000)), ltn12.sink.chain(upper, sink)))
    assert.same({ 2048, 2048, 904 }, { #got[1], #got[2], #got[3] })
  end)

  it("D5 errors come out of the pump", function()
    assert.same({ nil, "broken" }, { ltn12.pump.all(ltn12.source.error("broken"), ltn12.sink.null()) })
    assert.same({ nil, "full" }, { ltn12.pump.all(ltn12.source.string("x"), ltn12.sink.error("full")) })
    assert.same({ nil, "unable to open file" }, { ltn12.source.file(nil)() })
  end)

  it("D5 a source takes back what was read, the last first", function()
    local src = ltn12.source.rewind(ltn12.source.string("x"))
    assert.is_nil(src("second"))
    assert.is_nil(src("first"))
    assert.same({ "first", "second", "x" }, { src(), src(), src() })
    assert.is_nil(src())
  end)

  it("D5 sources and sinks may name their successors", function()
    local function two()
      return "b", nil
    end
    local src = ltn12.source.simplify(function()
      return "a", two
    end)
    assert.same({ "a", "b", "b" }, { src(), src(), src() })
    assert.same({ nil, "why" }, { ltn12.source.simplify(ltn12.source.error("why"))() })
    local got = {}
    local later = function(piece)
      got[#got + 1] = piece and "later " .. piece
      return piece ~= "no", piece == "no" and "refused" or nil
    end
    local snk = ltn12.sink.simplify(function(piece)
      got[#got + 1] = piece
      return true, later
    end)
    assert.same({ 1, 1 }, { snk("x"), snk("y") })
    assert.same({ nil, "refused" }, { snk("no") })
    assert.same({ "x", "later y", "later no" }, got)
  end)

  it("D5 a table's pieces, a filter's context, one step", function()
    local src = ltn12.source.table { "a", "b" }
    assert.same({ "a", "b" }, { src(), src() })
    assert.is_nil(src())
    assert.is_false((pcall(ltn12.source.table, "x")))
    local count = ltn12.filter.cycle(function(n, piece, extra)
      return piece and piece .. n .. extra, n + 1
    end, 1, "!")
    assert.same({ "a1!", "b2!" }, { count("a"), count("b") })
    assert.is_nil(count(nil))
    local snk, got = ltn12.sink.table()
    src = ltn12.source.string("ab")
    assert.equal(1, ltn12.pump.step(src, snk))
    assert.same({}, { ltn12.pump.step(src, snk) })
    assert.same({ "ab" }, got)
    assert.is_nil(ltn12.source.string("")())
    assert.is_nil(ltn12.source.string()())
    for _, of in ipairs { ltn12.filter.cycle, ltn12.source.simplify, ltn12.source.rewind, ltn12.sink.simplify } do
      assert.is_false((pcall(of, nil)))
    end
    assert.is_false((pcall(ltn12.pump.all, nil, snk)))
    local steps = 0
    assert.equal(1, ltn12.pump.all(ltn12.source.table { 1, 2 }, ltn12.sink.null(), function(...)
      steps = steps + 1
      return ltn12.pump.step(...)
    end))
    assert.equal(3, steps)
  end)
end)

describe("D5 mime", function()
  local mime, ltn12 = require("mime"), require("ltn12")

  local function through(filter, ...)
    local sink, got = ltn12.sink.table()
    local pieces, at = { ... }, 0
    ltn12.pump.all(function()
      at = at + 1
      return pieces[at]
    end, ltn12.sink.chain(filter, sink))
    return table.concat(got)
  end

  it("D5 base64 in pieces of any size", function()
    assert.equal("aGVsbG8gd29ybGQ=", (mime.b64("hello world")))
    assert.same({ "aGVs", "lo" }, { mime.b64("h", "ello") })
    assert.equal("hello", (mime.unb64("aGVsbG8=")))
    assert.equal("ab", (mime.unb64("YQ==Yg==", "")))
    assert.equal("ab", (mime.unb64("", "YQ==Yg==")))
    assert.same({ "one a", "b29" }, { mime.unb64("", "b25lIA==YQ==b29") })
    assert.equal("aGVsbG8gd29ybGQ=", through(mime.encode("base64"), "h", "ello wo", "rld"))
    assert.equal("hello world", through(mime.decode("base64"), "aGVs\r\nbG8", "gd29ybGQ="))
    assert.equal(("a"):rep(76) .. "\r\n" .. "a\r\n", through(mime.wrap(), ("a"):rep(77)))
  end)

  it("D5 quoted-printable, line ends, dots", function()
    assert.equal("a=3Db =C3=A9\r\n", through(mime.encode("quoted-printable"), "a=b \195", "\169\r\n"))
    assert.equal("a=b \195\169", through(mime.decode("quoted-printable"), "a=3", "Db =C3=\r\n=A9"))
    assert.equal("a\r\nb\r\nc\r\n\r\n", through(mime.normalize(), "a\nb\r", "\nc\n\n"))
    assert.equal("..a\r\n..\r\n", through(mime.stuff(), ".a\r\n", ".\r\n"))
    local ok, err = pcall(mime.encode, "no")
    assert.is_false(ok)
    assert.matches("unknown key (no)", err, 1, true)
  end)
end)

describe("D5 socket", function()
  local socket = require("socket")

  it("D5 tells the time, exactly, and as a global", function()
    assert.equal(socket, _G.socket)
    assert.equal(require("socket.url"), socket.url)
    local before = socket.gettime()
    local waited = socket.gettime
    assert.near(before, ngx.now(), 5)
    socket.sleep(0.02)
    assert.is_true(waited() - before >= 0.02)
  end)

  it("D5 connects, sends, receives by pattern, with a prefix, and says what was closed", function()
    local peer = peers.tcp()
    local sock = assert(socket.connect("127.0.0.1", peer.port))
    local other = peer:accept()
    assert.same({ "127.0.0.1", peer.port, "inet" }, { sock:getpeername() })
    assert.equal(5, sock:send("hello"))
    assert.equal(4, sock:send("hello", 2, 4))
    assert.equal("helloell", other:recv())
    other:send("line\r\n1234567rest")
    assert.equal("line", (sock:receive()))
    assert.equal("ab1234567", (sock:receive(9, "ab")))
    other:close()
    assert.same({ nil, "closed", "rest" }, { sock:receive(100) })
    assert.equal(1, sock:close())
    peer:close()
  end)

  it("D5 refusal and timeouts are errors", function()
    local peer = peers.tcp()
    local port = peer.port
    local sock = socket.tcp()
    assert.equal(1, sock:settimeout(0.02))
    assert.equal(1, sock:connect("127.0.0.1", port))
    assert.same({ nil, "timeout", "" }, { sock:receive("*l") })
    sock:close()
    peer:close()
    assert.same({ nil, "connection refused" }, { socket.connect("127.0.0.1", port) })
  end)

  it("D5 sends datagrams", function()
    local peer = peers.udp()
    local sock = socket.udp()
    assert.equal(1, sock:setpeername("127.0.0.1", peer.port))
    assert.equal(3, sock:send("one"))
    assert.equal("one", peer:recv())
    assert.equal(3, socket.udp():sendto("two", "127.0.0.1", peer.port))
    assert.equal("two", peer:recv())
    peer:close()
  end)

  it("D5 try and protect", function()
    local closed
    local try = socket.newtry(function()
      closed = true
    end)
    local f = socket.protect(function(a, b)
      return try(a, b)
    end)
    assert.same({ 1, 2 }, { f(1, 2) })
    assert.is_nil(closed)
    assert.same({ nil, "why" }, { f(nil, "why") })
    assert.is_true(closed)
    assert.is_false((pcall(socket.protect(function() error("mine") end))))
    assert.equal("c", socket.skip(2, "a", "b", "c"))
  end)

  local function raises(text, ...)
    local ok, err = pcall(...)
    assert.is_false(ok)
    assert.matches(text, err, 1, true)
  end

  it("D5 what there is not raises", function()
    raises("not supported: socket.bind", socket.bind, "*", 0)
    local sock, datagrams = socket.tcp(), socket.udp()
    raises("not supported: socket.tcp:shutdown", sock.shutdown, sock, "send")
    raises("not supported: socket.tcp:setoption linger", sock.setoption, sock, "linger", { on = true, timeout = 1 })
    raises("not supported: socket.udp:setoption", datagrams.setoption, datagrams, "broadcast", true)
  end)

  it("D5 options are set, before connect and after", function()
    local peer = peers.tcp()
    local sock = socket.tcp()
    assert.equal(1, sock:setoption("keepalive", true))
    assert.equal(1, sock:connect("127.0.0.1", peer.port))
    assert.equal(1, sock.sock:getoption("keepalive"))
    assert.equal(1, sock:setoption("keepalive", false))
    assert.equal(0, sock.sock:getoption("keepalive"))
    assert.equal(1, sock:setoption("tcp-nodelay", true))
    sock:close()
    peer:close()
  end)

  it("D5 a name that is none", function()
    local said = "host or service not provided, or not known"
    assert.same({ nil, said }, { socket.connect("none.invalid", 80) })
    assert.same({ nil, said }, { socket.udp():setpeername("none.invalid", 80) })
    assert.same({ nil, said }, { require("socket.http").request("http://none.invalid/") })
  end)
end)

describe("D5 socket.http", function()
  local http, https, ltn12 = require("socket.http"), require("ssl.https"), require("ltn12")

  -- One answer of a server; what it was asked.
  local function asked(answers, ask)
    local peer, heads = peers.tcp(), {}
    local base = "http://127.0.0.1:" .. peer.port
    for i, answer in ipairs(answers) do
      answers[i] = answer:gsub("BASE", base)
    end
    local thread = ngx.thread.spawn(function()
      for i = 1, #answers do
        ngx.sleep(0.02)
        local other = peer:accept()
        heads[i] = other:recv()
        other:send(answers[i])
        other:close()
      end
    end)
    local result = { ask(base) }
    ngx.thread.wait(thread)
    peer:close()
    return result, heads
  end

  it("D5 a URL, then a form", function()
    local got, heads = asked({ "HTTP/1.1 200 OK\r\nX-A: 1\r\nX-A: 2\r\nContent-Length: 2\r\n\r\nhi" }, function(base)
      return http.request(base .. "/a?b=c")
    end)
    assert.same({ "hi", 200, "HTTP/1.1 200 OK" }, { got[1], got[2], got[4] })
    assert.equal("1, 2", got[3]["x-a"])
    assert.matches("^GET /a%?b=c HTTP/1.1\r\n", heads[1])
    assert.matches("user%-agent: LuaSocket 3.0%-rc1", heads[1])
    got, heads = asked({ "HTTP/1.1 201 Made\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n" }, function(base)
      return http.request(base, "a=b")
    end)
    assert.same({ "x", 201 }, { got[1], got[2] })
    assert.matches("^POST / HTTP/1.1\r\n", heads[1])
    assert.matches("application/x%-www%-form%-urlencoded.*\r\n\r\na=b$", heads[1])
  end)

  it("D5 a table: method, headers, source and sink; redirects are followed", function()
    local sink, body = ltn12.sink.table()
    local got, heads = asked({ "HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\nnone" }, function(base)
      return http.request {
        url = base .. "/x", method = "PUT", headers = { ["X-B"] = "c", ["content-length"] = 3 },
        source = ltn12.source.string("abc"), sink = sink,
      }
    end)
    assert.same({ 1, 404, "none" }, { got[1], got[2], table.concat(body) })
    assert.matches("^PUT /x HTTP/1.1\r\n.*\r\n\r\nabc$", heads[1])
    assert.matches("\r\nx%-b: c\r\n", heads[1])
    local list = {
      "HTTP/1.1 302 Found\r\nLocation: BASE/there\r\nContent-Length: 0\r\n\r\n",
      "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nyes",
    }
    got, heads = asked(list, function(base)
      return http.request(base .. "/here")
    end)
    assert.same({ "yes", 200 }, { got[1], got[2] })
    assert.matches("^GET /there ", heads[2])
  end)

  it("D5 a proxy, of the module or of the request", function()
    local heads, got
    got, heads = asked({ "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi" }, function(base)
      http.PROXY = base
      local results = { http.request("http://none.invalid/a") }
      http.PROXY = nil
      return unpack(results)
    end)
    assert.same({ "hi", 200 }, { got[1], got[2] })
    assert.matches("^GET http://none%.invalid/a HTTP/1.1\r\n", heads[1])
  end)

  it("D5 the request's own socket, with its timeout; without one the module's", function()
    local socket = require("socket")
    local peer = peers.tcp()
    local address = "http://127.0.0.1:" .. peer.port
    local made = 0
    local function create()
      made = made + 1
      local sock = socket.tcp()
      sock:settimeout(0.05)
      return sock
    end
    local before = socket.gettime()
    assert.same({ nil, "timeout" }, { http.request { url = address, create = create } })
    assert.is_true(socket.gettime() - before < 30)
    assert.equal(1, made)
    http.TIMEOUT = 0.05
    assert.same({ nil, "timeout" }, { http.request(address) })
    http.TIMEOUT = 60
    peer:close()
    http.TIMEOUT = nil
    local refused = { http.request(address) }
    http.TIMEOUT = 60
    assert.same({ nil, "connection refused" }, refused)
    assert.same({ nil, "why" }, { http.request { url = address, create = function() return nil, "why" end } })
    local function odd()
      local sock = socket.tcp()
      sock.connect = function() return 1 end
      return sock
    end
    for _, other in ipairs { function() return {} end, odd } do
      local ok, err = pcall(http.request, { url = address, create = other })
      assert.is_false(ok)
      assert.matches("not supported: socket.http create", err, 1, true)
    end
  end)

  it("D5 whom to trust, and who one is, are not passed over", function()
    local function refuses(name, f, req)
      local ok, err = pcall(f, req)
      assert.is_false(ok)
      assert.equal("not supported: ssl.https " .. name, err)
    end
    local peer = peers.tcp()
    local address = "https://127.0.0.1:" .. peer.port .. "/"
    peer:close()
    for _, f in ipairs { http.request, https.request } do
      for _, name in ipairs { "cafile", "capath", "verifyext" } do
        refuses(name, f, { url = address, verify = "peer", [name] = "x" })
        refuses(name, f, { url = address, verify = { "peer", "fail_if_no_peer_cert" }, [name] = "x" })
      end
      for _, name in ipairs { "certificate", "key" } do
        refuses(name, f, { url = address, [name] = "x" })
      end
      -- nobody is verified: no matter against what
      assert.same({ nil, "connection refused" }, { f { url = address, verify = "none", cafile = "x" } })
    end
    for name, f in pairs {
      ["socket.http.open"] = http.open, ["socket.http.genericform"] = http.genericform, ["ssl.https.tcp"] = https.tcp,
    } do
      local ok, err = pcall(f)
      assert.is_false(ok)
      assert.matches("not supported: " .. name, err, 1, true)
    end
  end)

  it("D5 errors are nil and a text", function()
    local peer = peers.tcp()
    peer:close()
    local body, err = http.request("http://127.0.0.1:" .. peer.port .. "/")
    assert.is_nil(body)
    assert.matches("connection refused", err, 1, true)
    assert.is_nil((http.request("nothing://a/")))
    assert.same({ nil, "redirect not supported" }, { https.request { url = "https://a/", redirect = true } })
  end)
end)
