describe("D4 OpenResty's smaller libraries", function()
  it("D4 resty.limit.req", function()
    local limit = assert(require("resty.limit.req").new("kong_rate_limiting_counters", 2, 1))
    local delay, excess = limit:incoming("spec-req", true)
    assert.same({ 0, 0 }, { delay, excess })
    delay, excess = limit:incoming("spec-req", true)
    assert.is_true(delay > 0.3 and delay <= 0.5 and excess > 0.6 and excess <= 1)
    local none, err = limit:incoming("spec-req", true)
    assert.same({ nil, "rejected" }, { none, err })
    assert.is_true(limit:uncommit("spec-req"))
    assert.is_true(limit:incoming("spec-req", false) > 0)
    none, err = require("resty.limit.req").new("no such", 2, 1)
    assert.same({ nil, "shared dict not found" }, { none, err })
  end)

  it("D4 resty.limit.count", function()
    local limit = assert(require("resty.limit.count").new("kong_rate_limiting_counters", 2, 60))
    assert.same({ 0, 1 }, { limit:incoming("spec-count", false) })
    assert.same({ 0, 1 }, { limit:incoming("spec-count", true) })
    assert.same({ 0, 0 }, { limit:incoming("spec-count", true) })
    local none, err = limit:incoming("spec-count", true)
    assert.same({ nil, "rejected" }, { none, err })
    assert.equal(0, limit:uncommit("spec-count"))
  end)

  it("D4 resty.limit.conn and traffic", function()
    local limit = assert(require("resty.limit.conn").new("kong_rate_limiting_counters", 1, 1, 0.5))
    assert.same({ 0, 1 }, { limit:incoming("spec-conn", true) })
    assert.is_true(limit:is_committed())
    assert.same({ 0.5, 2 }, { limit:incoming("spec-conn", true) })
    local none, err = limit:incoming("spec-conn", true)
    assert.same({ nil, "rejected" }, { none, err })
    assert.is_false(limit:is_committed())
    assert.equal(1, limit:leaving("spec-conn", 0.1))
    local count = require("resty.limit.count").new("kong_rate_limiting_counters", 1, 60)
    local combine = require("resty.limit.traffic").combine
    local states = {}
    assert.equal(0.3, combine({ limit, count }, { "spec-conn", "spec-both" }, states))
    assert.same({ 2, 0 }, states)
    assert.equal(1, limit:leaving("spec-conn"))
    none, err = combine({ limit, count }, { "spec-conn", "spec-both" })
    assert.same({ nil, "rejected" }, { none, err })
    assert.equal(1, ngx.shared.kong_rate_limiting_counters:get("spec-conn"))
  end)

  it("D4 resty.aes", function()
    local aes, str = require "resty.aes", require "resty.string"
    local plain = assert(aes:new("secret"))
    assert.equal("hello", plain:decrypt(plain:encrypt("hello")))
    -- what `openssl enc -aes-128-cbc -md md5 -nosalt -k secret` makes
    assert.equal("7b47a4dbb11e2cddb2f3740c9e3a552b", str.to_hex(plain:encrypt("hello")))
    local salted = assert(aes:new("secret", "12345678", aes.cipher(256, "cbc"), aes.hash.sha512, 5))
    assert.equal(("x"):rep(100), salted:decrypt(salted:encrypt(("x"):rep(100))))
    local gcm = assert(aes:new(("k"):rep(32), nil, aes.cipher(256, "gcm"), { iv = ("i"):rep(12) }))
    local made = gcm:encrypt("hello")
    assert.equal("hello", gcm:decrypt(made[1], made[2]))
    assert.is_nil((gcm:decrypt(made[1], ("0"):rep(16))))
    local none, err = aes:new("secret", "short")
    assert.same({ nil, "salt must be 8 characters or nil" }, { none, err })
    none, err = aes:new("short", nil, aes.cipher(128, "cbc"), { iv = ("i"):rep(16) })
    assert.same({ nil, "bad key length" }, { none, err })
  end)

  it("D4 digests", function()
    local str = require "resty.string"
    for name, hex in pairs {
      md5 = "900150983cd24fb0d6963f7d28e17f72",
      sha1 = "a9993e364706816aba3e25717850c26c9cd0d89d",
      sha224 = "23097d223405d8228642a477bda255b32aadbce4bda0b3f7e36c9da7",
      sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
    } do
      local d = require("resty." .. name):new()
      assert.is_true(d:update("a"))
      assert.is_true(d:update("bc"))
      assert.equal(hex, str.to_hex(d:final()))
    end
  end)

  it("D4 tablepool", function()
    local pool = require "tablepool"
    local t = pool.fetch("spec", 4, 4)
    t.a = 1
    pool.release("spec", t)
    local again = pool.fetch("spec", 0, 0)
    assert.equal(t, again)
    assert.is_nil(next(again))
    again.b = 2
    pool.release("spec", again, true)
    assert.equal(2, pool.fetch("spec", 0, 0).b)
    assert.error_matches(function() pool.release("spec") end, "object empty")
  end)

  it("D4 binaryheap", function()
    local heap = require "binaryheap"
    local h = heap.minHeap()
    for _, v in ipairs { 5, 3, 8, 1, 9, 2 } do
      h:insert(v)
    end
    assert.equal(6, h:size())
    assert.equal(1, h:peek())
    local seen = {}
    for i = 1, 6 do
      seen[i] = h:pop()
    end
    assert.same({ 1, 2, 3, 5, 8, 9 }, seen)
    assert.is_nil(h:pop())
    local u = heap.maxUnique()
    u:insert(1, "a")
    u:insert(3, "b")
    u:insert(2, "c")
    assert.same({ "b", 3 }, { u:peek() })
    u:update("a", 7)
    assert.same({ "a", 7 }, { u:pop() })
    assert.same({ 3, "b" }, { u:remove("b") })
    assert.equal(2, u:valueByPayload("c"))
    assert.is_nil(u:remove("b"))
    assert.error_matches(function() u:insert(1, "c") end, "duplicate payload")
  end)

  it("D4 luaxxhash", function()
    local xxh32 = require "luaxxhash"
    assert.equal(0x02CC5D05, xxh32(""))
    assert.equal(0x550D7456, xxh32("a"))
    assert.equal(0x32D153FF, xxh32("abc"))
    assert.equal(0x0B2CB792, xxh32("", 1))
  end)

  it("D4 lua_pack", function()
    local lpack = require "lua_pack"
    assert.equal("\0\0\1\2", lpack.pack(">I", 258))
    assert.equal("\2\1", lpack.pack("<H", 258))
    assert.equal("\1\0\0\0\5hello", lpack.pack(">bIA", 1, 5, "hello"))
    assert.equal("abc\0\3xyz", lpack.pack("zp", "abc", "xyz"))
    assert.same({ 6, 1, 5 }, { lpack.unpack("\1\0\0\0\5hello", ">bI") })
    assert.same({ 6, "hello" }, { lpack.unpack("hello", "A5") })
    assert.same({ 5, "abc" }, { lpack.unpack("abc\0", "z") })
    assert.same({ 1 }, { lpack.unpack("\1", ">I") })
    assert.equal(1.5, select(2, lpack.unpack(lpack.pack("d", 1.5), "d")))
    assert.equal(-2, select(2, lpack.unpack(lpack.pack(">h", -2), ">h")))
  end)

  it("D4 ffi-zlib", function()
    local zlib = require "ffi-zlib"
    local function run(f, text)
      local out, done = {}, false
      local ok, err = f(function()
        if done then return nil end
        done = true
        return text
      end, function(piece) out[#out + 1] = piece end, 16)
      return ok, err or table.concat(out)
    end
    local ok, zipped = run(zlib.deflateGzip, ("hello "):rep(100))
    assert.is_true(ok)
    local ok2, plain = run(zlib.inflateGzip, zipped)
    assert.is_true(ok2)
    assert.equal(("hello "):rep(100), plain)
    assert.is_false((run(zlib.inflateGzip, "not gzip")))
  end)

  it("D4 MessagePack", function()
    local mp = require "MessagePack"
    for _, v in ipairs { 0, 1, 127, 128, 255, 256, 65535, 65536, 2 ^ 32, 2 ^ 40, -1, -32, -33, -128, -129, -32769, -2 ^ 31 - 1,
                         1.5, true, false, "", "abc", ("x"):rep(40), ("x"):rep(300), ("x"):rep(70000) } do
      assert.equal(v, mp.unpack(mp.pack(v)))
    end
    assert.equal("\147\1\2\161a", mp.pack({ 1, 2, "a" }))
    assert.equal("\129\161a\1", mp.pack({ a = 1 }))
    assert.same({ a = { 1, { b = true } }, [5] = "x" }, mp.unpack(mp.pack({ a = { 1, { b = true } }, [5] = "x" })))
    assert.is_nil(mp.unpack("\192"))
    local seen = {}
    for at, v in mp.unpacker("\1\161a\195") do
      seen[#seen + 1] = { at, v }
    end
    assert.same({ { 1, 1 }, { 2, "a" }, { 4, true } }, seen)
    assert.error_matches(function() mp.unpack("\221\255\255\255\255") end, "missing bytes")
    assert.error_matches(function() mp.unpack("\1\1") end, "extra bytes")
    assert.error_matches(function() mp.unpack(("\145"):rep(1000)) end, "too deep")
    assert.error_matches(function() mp.pack(print) end, "pack 'function' is unimplemented")
  end)

  it("D4 resty.jit-uuid", function()
    local uuid = require "resty.jit-uuid"
    local dns = "6ba7b810-9dad-11d1-80b4-00c04fd430c8"
    assert.equal("9073926b-929f-31c2-abc9-fad77ae3e8eb", uuid.generate_v3(dns, "example.com"))
    assert.equal("cfbff0d1-9375-5685-968c-48ce8b15ae17", uuid.generate_v5(dns, "example.com"))
    assert.equal(uuid.generate_v5(dns, "a"), uuid.factory_v5(dns)("a"))
    assert.is_true(uuid.is_valid(uuid.generate_v4()))
    assert.is_true(uuid.is_valid(tostring(uuid)))
    assert.is_true(uuid.is_valid(uuid()))
    local none, err = uuid.generate_v3("x", "a")
    assert.same({ nil, "namespace must be a valid UUID" }, { none, err })
    none, err = uuid.generate_v5(dns, 5)
    assert.same({ nil, "name must be a string" }, { none, err })
  end)

  it("D4 resty.signal", function()
    local signal = require "resty.signal"
    assert.equal(15, signal.signum("TERM"))
    assert.is_nil(signal.signum("WHAT"))
    assert.is_true(signal.kill(ngx.worker.pid(), "NONE"))
    assert.same({ nil, "unknown signal name" }, { signal.kill(1, "WHAT") })
  end)
end)
