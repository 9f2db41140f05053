local ipmatcher = require "resty.ipmatcher"

describe("B2 resty.ipmatcher", function()
  it("B2 finds addresses in networks of both families, also as bytes", function()
    local m = assert(ipmatcher.new { "10.0.0.0/8", "192.168.1.7", "2001:db8::/33", "::1" })
    assert.is_true(m:match("10.255.0.1"))
    assert.is_true(m:match("192.168.1.7"))
    assert.is_false(m:match("192.168.1.8"))
    assert.is_true(m:match("2001:db8:7fff::1"))
    assert.is_false(m:match("2001:db8:8000::1"))
    assert.is_true(m:match("[::1]"))
    assert.is_true(m:match_bin("\10\1\2\3"))
    assert.is_true(m:match_bin(("\0"):rep(15) .. "\1"))
  end)

  it("B2 does not take one spelling of an address for another address", function()
    local m = assert(ipmatcher.new { "2001:db8:0:0::1" })
    assert.is_true(m:match("2001:0db8::0001"))
  end)

  it("B2 gives the value of the narrowest network", function()
    local m = assert(ipmatcher.new_with_value {
      ["0.0.0.0/0"] = "all", ["10.0.0.0/8"] = "ten", ["10.1.0.0/17"] = "one",
    })
    assert.equal("one", m:match("10.1.127.1"))
    assert.equal("ten", m:match("10.1.128.1"))
    assert.equal("all", m:match("11.0.0.1"))
    assert.is_false((m:match("::1")))
  end)

  it("B2 refuses what is no address", function()
    local m, err = ipmatcher.new { "10.0.0.1", "10.0.0" }
    assert.is_nil(m)
    assert.equal("invalid ip address: 10.0.0", err)
    local found
    found, err = ipmatcher.new({}):match("x")
    assert.is_false(found)
    assert.equal("invalid ip address, not ipv4 and ipv6", err)
    assert.is_nil((ipmatcher.new { "10.0.0.0/33" }))
  end)

  it("B2 gives addresses as numbers", function()
    assert.equal(3232235777, ipmatcher.parse_ipv4("192.168.1.1"))
    assert.is_false(ipmatcher.parse_ipv4("::1"))
    assert.same({ 0x20010db8, 0, 0, 1 }, ipmatcher.parse_ipv6("2001:db8::1"))
    assert.same({ "1.2.3.4", 24 }, { ipmatcher.split_ip("1.2.3.4/24") })
  end)
end)
