-- `resty.dns.resolver` with a name server of our own.

local peer = dofile("spec/ngx/peer.lua")
local resolver = require "resty.dns.resolver"

local function name(text)
  return (text:gsub("([^.]+)%.?", function(label) return string.char(#label) .. label end)) .. "\0"
end

describe("D3 resty.dns.resolver", function()
  local server

  before_each(function()
    server = peer.udp()
  end)

  after_each(function()
    server:close()
  end)

  -- asks, and answers what the function makes of the question
  local function ask(answer, qname, options, more)
    local r = assert(resolver:new {
      nameservers = { { "127.0.0.1", server.port } }, retrans = more and more.retrans or 1, timeout = 200,
    })
    local result
    ngx.timer.at(0, function()
      local query = server:recv()
      for _, text in ipairs { answer(query) } do
        server:answer(text)
      end
    end)
    -- the question belongs to this handler: it is asked when the timer waits for it no longer
    local sock = r.socks[1]
    local receive = sock.receive
    sock.receive = function(...)
      ngx.sleep(0.005)
      return receive(...)
    end
    result = { r:query(qname, options) }
    return result[1], result[2]
  end

  local function head(query, flags, answers)
    return query:sub(1, 2) .. flags .. "\0\1" .. string.char(0, answers) .. "\0\0\0\0" .. query:sub(13)
  end

  local function record(of, kind, data)
    return of .. string.char(0, kind) .. "\0\1\0\0\0\60" .. string.char(0, #data) .. data
  end

  it("reads every kind of record", function()
    local answers = assert(ask(function(query)
      assert.equal("\1\0\0\1\0\0\0\0\0\0" .. name("a.test") .. "\0\1\0\1", query:sub(3))
      return head(query, "\129\128", 8) .. record("\192\12", 1, "\10\1\2\3")
        .. record("\192\12", 28, ("\0"):rep(15) .. "\5") .. record("\192\12", 5, name("b.test"))
        .. record("\192\12", 15, "\0\10" .. name("mx.test")) .. record("\192\12", 33, "\0\1\0\2\0\80" .. name("s.test"))
        .. record("\192\12", 16, "\3one\3two") .. record("\192\12", 12, name("p.test")) .. record("\192\12", 77, "raw")
    end, "a.test"))
    local got = {}
    for i, a in ipairs(answers) do
      assert.same({ "a.test", 60, 1, 1 }, { a.name, a.ttl, a.class, a.section })
      a.name, a.ttl, a.class, a.section = nil, nil, nil, nil
      got[i] = a
    end
    assert.same({
      { type = 1, address = "10.1.2.3" }, { type = 28, address = "0:0:0:0:0:0:0:5" }, { type = 5, cname = "b.test" },
      { type = 15, preference = 10, exchange = "mx.test" },
      { type = 33, priority = 1, weight = 2, port = 80, target = "s.test" }, { type = 16, txt = { "one", "two" } },
      { type = 12, ptrdname = "p.test" }, { type = 77, rdata = "raw" },
    }, got)
  end)

  it("tells what the server says, and what is no answer", function()
    local answers = ask(function(query) return head(query, "\129\131", 0) end, "a.test")
    assert.same({ errcode = 3, errstr = "name error" }, answers)
    local function err(answer)
      return select(2, ask(answer, "a.test"))
    end
    assert.equal("bad QR flag in the DNS response", err(function(query) return head(query, "\1\128", 0) end))
    assert.equal("bad A record value length: 3",
      err(function(query) return head(query, "\129\128", 1) .. record("\192\12", 1, "abc") end))
    assert.matches("bad cname record length: ", err(function(query)
      return head(query, "\129\128", 1) .. record("\192\12", 5, name("b.test") .. "x")
    end))
    -- pointers that lead to themselves end, and what is cut short is asked over TCP, where nobody listens
    assert.matches("failed to connect to TCP server 127.0.0.1:%d+: connection refused", err(function(query)
      return query:sub(1, 2) .. "\129\128\0\1\0\1\0\0\0\0" .. "\192\12\0\1\0\1"
    end))
    assert.matches("failed to receive reply from UDP server 127.0.0.1:%d+: timeout", err(function() end))
  end)

  it("waits for the answer to its own question", function()
    local answers = assert(ask(function(query)
      local other = string.char((query:byte(1) + 1) % 256) .. query:sub(2)
      return head(other, "\129\128", 1) .. record("\192\12", 1, "\9\9\9\9"),
        head(query, "\129\128", 1) .. record("\192\12", 1, "\10\1\2\3")
    end, "a.test"))
    assert.equal("10.1.2.3", answers[1].address)
  end)

  it("refuses what it cannot work with", function()
    assert.same({ nil, "no options table specified" }, { resolver:new() })
    assert.same({ nil, "no nameservers specified" }, { resolver:new { nameservers = {} } })
    assert.same({ nil, "not initialized" }, { resolver.query({}, "a") })
    local r = resolver:new { nameservers = { "127.0.0.1" } }
    assert.same({ nil, "bad name" }, { r:query(".a") })
  end)

  it("writes addresses", function()
    assert.equal("FF01::101", resolver.compress_ipv6_addr("FF01:0:0:0:0:0:0:101"))
    assert.equal("::", resolver.compress_ipv6_addr("0:0:0:0:0:0:0:0"))
    assert.equal("FF01:0:0:0:0:0:0:101", resolver.expand_ipv6_addr("FF01::101"))
    assert.equal("1.0.0.127.in-addr.arpa", resolver.arpa_str("127.0.0.1"))
    assert.equal("1" .. (".0"):rep(31) .. ".ip6.arpa", resolver.arpa_str("::1"))
  end)
end)
