local peer = dofile("spec/ngx/peer.lua")

describe("D3 ngx.socket.tcp", function()
  local server

  before_each(function()
    server = peer.tcp()
  end)

  after_each(function()
    server:close()
  end)

  local function pair(options)
    local sock = ngx.socket.tcp()
    sock:settimeout(1000)
    assert.equal(1, sock:connect("127.0.0.1", server.port, options))
    return sock, server:accept()
  end

  local function talking(text, finish)
    local sock, other = pair()
    other:send(text)
    if finish then
      other:finish()
    end
    return sock, other
  end

  it("sends all that has bytes", function()
    local sock, other = pair()
    assert.equal(3, sock:send("abc"))
    assert.equal(4, sock:send({ "d", { 1, { 2.5 } } }) - 1)
    assert.equal(4, sock:send(true))
    assert.equal(3, sock:send(nil))
    assert.equal(2, sock:send(42))
    assert.equal(0, sock:send(""))
    assert.equal(0, sock:send({}))
    assert.equal("abcd12.5truenil42", other:recv())
    assert.equal(1, sock:close())
    assert.equal("", other:recv())
  end)

  it("receives lines, sizes and all", function()
    local sock = talking("one\r\nt\rwo\n\n12345rest", true)
    assert.equal("one", sock:receive())
    assert.equal("two", sock:receive("*l"))
    assert.equal("", sock:receive("*l"))
    assert.equal("", sock:receive(0))
    assert.equal("123", sock:receive(3))
    assert.equal("45", sock:receive("2"))
    assert.equal("rest", sock:receive("*a"))
    assert.equal("", sock:receive("*a"))
    assert.same({ nil, "closed", "" }, { sock:receive() })
    assert.same({ nil, "closed" }, { sock:receive() })
    assert.equal(2, sock:send("hi"), "the other side listens on")
    assert.equal(1, sock:close())
    assert.same({ nil, "closed" }, { sock:close() })
  end)

  it("gives what came before an end or a timeout", function()
    local sock = talking("hal\rf", true)
    assert.same({ nil, "closed", "half" }, { sock:receive("*l") })
    sock = talking("half")
    sock:settimeout(20)
    assert.same({ nil, "timeout", "half" }, { sock:receive(10) })
    assert.same({ nil, "timeout", "" }, { sock:receive(10) })
    local other
    sock, other = pair()
    sock:settimeouts(1000, 1000, 20)
    assert.same({ nil, "timeout", "" }, { sock:receive("*a") })
    other:send("then")
    assert.equal("then", sock:receive(4))
  end)

  it("receives what is there", function()
    local sock, other = talking("0123456789")
    assert.equal("0123", sock:receiveany(4))
    assert.equal("456789", sock:receiveany(100))
    other:send("more")
    assert.equal("more", sock:receiveany("100"))
    other:finish()
    assert.same({ nil, "closed", "" }, { sock:receiveany(1) })
  end)

  it("receives until a pattern", function()
    local sock = talking("hello, world -- -----rest--abcab", true)
    assert.equal("hello, world ", sock:receiveuntil("--")())
    assert.equal(" --", (sock:receiveuntil("---", { inclusive = false })()) .. "--")
    local more = sock:receiveuntil("--", { inclusive = true })
    assert.equal("--", more())
    assert.equal("rest--", more())
    assert.same({ nil, "closed", "" }, { sock:receiveuntil("abcabd")() })
  end)

  it("receives until a pattern part by part", function()
    local sock = talking("hello, worldxmore")
    local more = sock:receiveuntil("x")
    assert.equal("hello", more(5))
    assert.equal(", wor", more(5))
    assert.equal("ld", more(5))
    assert.same({ n = 3 }, table.pack(more(5)))
    assert.equal("more", sock:receive(4))
    assert.same({ nil, "pattern is empty" }, { sock:receiveuntil("") })
  end)

  it("leaves what may still be a pattern to the next reader", function()
    local sock, other = talking("abc--")
    sock:settimeout(20)
    local more = sock:receiveuntil("--x")
    assert.same({ nil, "timeout", "abc" }, { more() })
    assert.equal("--", sock:receive(2))
    other:send("d--xe")
    assert.equal("d", more())
    assert.equal("e", sock:receive(1))
  end)

  it("keeps connections in pools", function()
    local sock, other = pair({ pool = "mine", pool_size = 1 })
    assert.equal(0, sock:getreusedtimes())
    assert.equal(1, sock:setkeepalive(1000))
    assert.same({ nil, "closed" }, { sock:getreusedtimes() })
    assert.same({ nil, "closed" }, { sock:setkeepalive() })
    assert.equal(1, sock:connect("127.0.0.1", server.port, { pool = "mine" }))
    assert.equal(1, sock:getreusedtimes())
    other:send("unasked")
    ngx.sleep(0.01)
    assert.same({ nil, "connection in dubious state" }, { sock:setkeepalive() })
    sock, other = pair({ pool = "mine" })
    other:send("ab")
    assert.equal("a", sock:receive(1))
    assert.same({ nil, "unread data in buffer" }, { sock:setkeepalive() })
    assert.equal("b", sock:receive(1))
    other:close()
    ngx.sleep(0.01)
    assert.same({ nil, "closed" }, { sock:setkeepalive() })
  end)

  it("closes idle connections in time, the oldest first where there are too many", function()
    local one = pair({ pool = "small", pool_size = 1 })
    local two = pair({ pool = "small" })
    one:setkeepalive(1000)
    two:setkeepalive(10)
    ngx.sleep(0.02)
    local sock = pair({ pool = "small" })
    assert.equal(0, sock:getreusedtimes())
  end)

  it("lets connects wait where a pool counts", function()
    local options = { pool = "counted", pool_size = 1, backlog = 1 }
    local sock = pair(options)
    local second, third = ngx.socket.tcp(), ngx.socket.tcp()
    second:settimeout(20)
    assert.same({ nil, "timeout" }, { second:connect("127.0.0.1", server.port, options) })
    ngx.timer.at(0, function()
      third:settimeout(1000)
      third.asks = true
      third.result = { third:connect("127.0.0.1", server.port, options) }
      third.reused = third:getreusedtimes()
    end)
    while not third.asks do
      ngx.sleep(0.001)
    end
    assert.same({ nil, "too many waiting connect operations" }, { second:connect("127.0.0.1", server.port, options) })
    assert.equal(1, sock:setkeepalive())
    for _ = 1, 500 do
      ngx.sleep(third.reused and 0 or 0.002)
    end
    assert.same({ 1 }, third.result)
    assert.equal(1, third.reused)
  end)

  it("belongs to one handler", function()
    local sock = pair()
    local done
    ngx.timer.at(0, function()
      done = { pcall(sock.send, sock, "x"), select(2, pcall(sock.receive, sock)), (select(2, pcall(sock.close, sock))) }
    end)
    ngx.sleep(0.02)
    assert.same({ false, "bad request", "bad request" }, done)
  end)

  it("reads and sets options", function()
    local sock = pair()
    assert.equal(0, sock:getoption("keepalive"))
    assert.is_true(sock:setoption("keepalive", 1))
    assert.equal(1, sock:getoption("keepalive"))
    assert.is_true(sock:setoption("tcp-nodelay", 0))
    assert.equal(0, sock:getoption("tcp-nodelay"))
    assert.is_true(sock:setoption("reuseaddr", true))
    assert.is_true(sock:getoption("reuseaddr") > 0)
    assert.is_true(sock:setoption("sndbuf", 10240))
    assert.equal(20480, sock:getoption("sndbuf"))
    assert.is_true(sock:setoption("rcvbuf", 10240))
    assert.equal(20480, sock:getoption("rcvbuf"))
    assert.is_true(sock:setoption("keepintvl", 7))
    assert.equal(7, sock:getoption("keepintvl"))
    assert.is_true(sock:setoption("keepcnt", 3))
    assert.equal(3, sock:getoption("keepcnt"))
    assert.same({ nil, 'missing the "option" argument' }, { sock:getoption() })
    assert.same({ nil, "unsupported option x" }, { sock:getoption("x") })
    assert.same({ nil, 'missing the "value" argument' }, { sock:setoption("sndbuf") })
    assert.same({ nil, "unsupported option x" }, { sock:setoption("x", 1) })
    assert.is_true(sock:getfd() > 2)
    sock:close()
    assert.same({ nil, "closed" }, { sock:getoption("sndbuf") })
    assert.same({ nil, "closed" }, { sock:getfd() })
    assert.error_matches(function() ngx.socket.tcp():getfd() end, "socket is never created nor connected")
  end)

  it("binds to an address", function()
    local sock = ngx.socket.tcp()
    assert.is_true(sock:bind("127.0.0.3"))
    assert.equal(1, sock:connect("127.0.0.1", server.port))
    assert.equal("127.0.0.3", server:accept().from)
    assert.same({ nil, "bad address" }, { sock:bind("nonsense") })
    assert.same({ nil, "bad address" }, { sock:bind("127.0.0.1:8899") })
    assert.same({ nil, "bad port number: 70000" }, { sock:bind("127.0.0.1", 70000) })
    assert.is_true(sock:bind("192.0.2.1"))
    assert.same({ nil, "cannot assign requested address" }, { sock:connect("127.0.0.1", server.port) })
  end)

  it("connects to paths", function()
    local path = os.tmpname()
    local unix = peer.unix(path, 1)
    local sock = ngx.socket.connect("unix:" .. path)
    sock:send("hi\n")
    assert.equal("hi\n", unix:accept():recv())
    unix:close()
    assert.same({ nil, "no such file or directory" }, { sock:connect("unix:" .. path) })
    assert.same({ nil, "closed" }, { sock:send("x") })
  end)

  it("says why it could not connect", function()
    local sock = ngx.socket.tcp()
    assert.same({ nil, "missing the port number" }, { sock:connect("127.0.0.1") })
    assert.same({ nil, "bad port number: -1" }, { sock:connect("127.0.0.1", -1) })
    assert.same({ nil, "connection refused" }, { sock:connect("127.0.0.1", 1) })
    assert.same({ nil, 'failed to parse host name "": no host' }, { sock:connect("", 1) })
    assert.same({ nil, "closed" }, { sock:sslhandshake() })
  end)

  it("takes client certificates as OpenResty", function()
    local sock = ngx.socket.tcp()
    assert.is_true(sock:setclientcert())
    assert.same({ nil, "client certificate must be supplied with corresponding private key" },
      { sock:setclientcert(1) })
    assert.same({ nil, "bad cert arg: cdata expected, got string" }, { sock:setclientcert("c", "k") })
    assert.same({ nil, "bad pkey arg: cdata expected, got string" },
      { sock:setclientcert(require("ffi").new("int"), "k") })
  end)

  it("raises on junk", function()
    assert.error_matches(function() ngx.socket.tcp(1) end, "expecting zero arguments, but got 1")
    local sock = pair()
    for _, case in ipairs {
      { "connect", {}, "ngx.socket connect: expecting 2, 3, or 4 arguments %(including the object%), but seen 1" },
      { "connect", { {} }, "bad argument #%d to '%?' %(string expected, got table%)" },
      { "connect", { "a", 1, { pool = {} } }, "bad argument #%d to '%?' %(bad \"pool\" option type: table%)" },
      { "connect", { "a", 1, { pool_size = 0 } }, "bad \"pool_size\" option value: 0" },
      { "connect", { "a", 1, { pool_size = "x" } }, "bad \"pool_size\" option type: string" },
      { "connect", { "a", 1, { backlog = -1 } }, "bad \"backlog\" option value: %-1" },
      { "send", {}, "expecting 2 arguments %(including the object%), but got 1" },
      { "send", { print }, "string, number, boolean, nil, or array table expected, got function" },
      { "send", { { a = 1 } }, "bad argument #%d to '%?' %(non%-array table found%)" },
      { "send", { { print } }, "bad argument #%d to '%?' %(bad data type function found%)" },
      { "receive", { 1, 2 }, "expecting 1 or 2 arguments %(including the object%), but got 3" },
      { "receive", { "x" }, "bad argument #%d to '%?' %(bad pattern argument: x%)" },
      { "receive", { "*x" }, "bad argument #%d to '%?' %(bad pattern argument%)" },
      { "receive", { -1 }, "bad argument #%d to '%?' %(bad number argument%)" },
      { "receive", { true }, "bad argument #%d to '%?' %(bad argument%)" },
      { "receiveany", {}, "expecting 2 arguments %(including the object%), but got 1" },
      { "receiveany", { "x" }, "bad argument #%d to '%?' %(bad max argument%)" },
      { "receiveany", { 0 }, "bad argument #%d to '%?' %(bad max argument%)" },
      { "receiveuntil", {}, "expecting 2 or 3 arguments %(including the object%), but got 1" },
      { "receiveuntil", { "x", 1 }, "bad argument #%d to '%?' %(table expected, got number%)" },
      { "receiveuntil", { "x", { inclusive = 1 } }, "bad \"inclusive\" option value type: number" },
      { "settimeout", {}, "ngx.socket settimeout: expecting 2 arguments %(including the object%) but seen 1" },
      { "settimeout", { -1 }, "bad timeout value" },
      { "settimeouts", { 1 }, "ngx.socket settimeouts: expecting 4 arguments %(including the object%) but seen 2" },
      { "settimeouts", { 1, -1, 1 }, "bad timeout value" },
      { "setkeepalive", { "x" }, "bad argument #%d to '%?' %(number expected, got string%)" },
      { "setkeepalive", { 1, 0 }, "bad \"pool_size\" option value: 0" },
      { "setkeepalive", { 1, 2, 3 }, "expecting 1 to 3 arguments %(including the object%), but got 4" },
      { "getreusedtimes", { 1 }, "expecting 1 argument %(including the object%), but got 2" },
      { "close", { 1 }, "expecting 1 argument %(including the object%) but seen 2" },
      { "bind", {}, "expecting 2 or 3 arguments, but got 1" },
    } do
      local method, args, message = case[1], case[2], case[3]
      assert.error_matches(function() sock[method](sock, unpack(args)) end, message)
    end
    assert.error_matches(function() sock:receive("x") end,
      "bad argument #1 to 'receive' %(bad pattern argument: x%)")
    local more = sock:receiveuntil("x")
    assert.error_matches(function() more(1, 2) end, "expecting 0 or 1 argument, but seen 2")
    for _, name in ipairs { "getsslpointer", "getsslctx" } do
      assert.error_matches(function() sock[name](sock) end, "not supported: tcpsock:" .. name)
    end
  end)
end)
