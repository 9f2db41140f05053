local redis = require "resty.redis"

-- A socket that answers from a text and keeps what was sent.
local function connected(replies)
  local red = redis:new()
  local sent, at = {}, 1
  red._sock = {
    send = function(_, data)
      sent[#sent + 1] = data
      return #data
    end,
    receive = function(_, n)
      if at > #replies then
        return nil, "closed"
      end
      local got
      if n then
        got, at = replies:sub(at, at + n - 1), at + n
      else
        local stop = replies:find("\r\n", at, true)
        got, at = replies:sub(at, stop - 1), stop + 2
      end
      return got
    end,
    setkeepalive = function() return 1 end,
    close = function() return 1 end,
  }
  return red, sent
end

describe("B2 resty.redis", function()
  it("B2 sends a command's name and arguments, each with its length", function()
    local red, sent = connected "+OK\r\n"
    assert.equal("OK", red:set("ä", 1))
    assert.same({ "*3\r\n$3\r\nset\r\n$2\r\nä\r\n$1\r\n1\r\n" }, sent)
  end)

  it("B2 reads numbers, texts, nulls, lists and errors", function()
    local red = connected("$5\r\na\r\nbc\r\n:-7\r\n$-1\r\n*3\r\n$1\r\nx\r\n:2\r\n-ERR in\r\n*-1\r\n"
      .. "-ERR no such\r\n")
    assert.equal("a\r\nbc", red:get("x"))
    assert.equal(-7, red:incrby("x", -7))
    assert.equal(ngx.null, red:get("none"))
    assert.same({ "x", 2, { false, "ERR in" } }, red:anything())
    assert.equal(ngx.null, red:blpop("x", 1))
    assert.same({ false, "ERR no such" }, { red:nonsense() })
    assert.same({ nil, "closed" }, { red:get("x") })
  end)

  it("B2 keeps commands of a pipeline and sends them at once", function()
    local red, sent = connected ":1\r\n-ERR wrong\r\n"
    red:init_pipeline()
    red:incr("a")
    red:lpush("a", 2)
    assert.same({}, sent)
    assert.same({ 1, { false, "ERR wrong" } }, red:commit_pipeline())
    assert.equal(1, #sent)
    assert.same({ nil, "no pipeline" }, { red:commit_pipeline() })
  end)

  it("B2 a connection with subscriptions takes no other command and goes to no pool", function()
    local red = connected("*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n"
      .. "*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$2\r\nhi\r\n"
      .. "*3\r\n$11\r\nunsubscribe\r\n$1\r\nc\r\n:0\r\n")
    assert.same({ nil, "not subscribed" }, { red:read_reply() })
    assert.same({ "subscribe", "c", 1 }, red:subscribe("c"))
    assert.same({ nil, "subscribed state" }, { red:get("x") })
    assert.same({ nil, "subscribed state" }, { red:set_keepalive() })
    assert.same({ "message", "c", "hi" }, red:read_reply())
    assert.same({ "unsubscribe", "c", 0 }, red:unsubscribe("c"))
    assert.equal(1, red:set_keepalive())
  end)

  it("B2 hashes go in and out as tables", function()
    local red, sent = connected "+OK\r\n"
    assert.equal("OK", red:hmset("h", { a = 1 }))
    assert.equal("*4\r\n$5\r\nhmset\r\n$1\r\nh\r\n$1\r\na\r\n$1\r\n1\r\n", sent[1])
    assert.same({ a = "1", b = "2" }, red:array_to_hash { "a", "1", "b", "2" })
  end)
end)
