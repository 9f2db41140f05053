-- kong.dns, which needs no name server for addresses and for what the hosts file says; tests/it/c05_names.rs has one.

local support = dofile "spec/pdk/support.lua"
local raised, junk, within = support.raised, support.junk, support.within

describe("D1 kong.dns", function()
  local dns = kong.dns

  it("D1 toip answers an address, its port and the way there", function()
    local function at(...)
      local ip, port, tries = dns.toip(...)
      assert.equal("string", type(tostring(tries)))
      return { ip, port }
    end
    assert.same({ "127.0.0.1", 80 }, at("127.0.0.1", 80))
    assert.same({ "127.0.0.1" }, at("127.0.0.1"))
    assert.same({ "[::1]", 443 }, at("[::1]", 443))
    assert.same({ "127.0.0.1", 8080 }, at("localhost", 8080))
  end)

  it("D1 names are looked up whatever their case", function()
    assert.equal((dns.toip("localhost", 1)), (dns.toip("LocalHost", 1)))
  end)

  it("D1 resolve answers a list of records", function()
    local records, err, tries = dns.resolve("localhost", { qtype = dns.TYPE_A })
    assert.is_nil(err)
    assert.equal(1, #records)
    assert.same({ "localhost", dns.TYPE_A, 1, "127.0.0.1" },
                { records[1].name, records[1].type, records[1].class, records[1].address })
    assert.equal("number", type(records[1].ttl))
    assert.is_true(records.expire > ngx.now())
    assert.equal("string", type(tostring(tries)))
  end)

  it("D1 the numbers of the types", function()
    assert.same({ 1, 2, 5, 12, 15, 16, 28, 33 },
                { dns.TYPE_A, dns.TYPE_NS, dns.TYPE_CNAME, dns.TYPE_PTR, dns.TYPE_MX, dns.TYPE_TXT, dns.TYPE_AAAA,
                  dns.TYPE_SRV })
  end)

  it("D1 what is not known of a cache alone is an error, and no question is asked", function()
    local ip, err, tries = dns.toip("unknown.moongate.test", 80, true)
    assert.is_nil(ip)
    assert.equal("string", type(err))
    assert.matches("unknown.moongate.test", tostring(tries), 1, true)
    local records, why = dns.resolve("unknown.moongate.test", nil, true)
    assert.is_nil(records)
    assert.equal(err, why)
  end)

  it("D1 in phases that may not wait the cache alone is asked", function()
    within(function()
      assert.is_nil((dns.toip("unknown.moongate.test", 80)))
      assert.equal("127.0.0.1", (dns.toip("localhost", 80)))
    end, { phase = "header_filter" })
  end)

  it("D1 junk is no name", function()
    for kind, value in junk("string", "number") do
      local text = "bad argument #1 to 'string_lower' (string expected, got " .. kind .. ")"
      assert.equal(text, raised(dns.toip, value, 80))
      assert.equal(text, raised(dns.resolve, value))
    end
    for _, name in ipairs { "", "a b", "*" } do
      local ip, err = dns.toip(name, 80, true)
      assert.is_nil(ip)
      assert.equal("string", type(err), name)
    end
  end)

  it("D1 what other clients of names have is not supported", function()
    for _, name in ipairs { "init", "stats" } do
      assert.equal("not supported: kong.dns." .. name, raised(dns[name]))
    end
  end)
end)
