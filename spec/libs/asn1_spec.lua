-- What ldap-auth calls of libcrypto, as it is without libcrypto.

local ffi = require "ffi"
local asn1 = require "moongate.libs.asn1"

local function written(value, kind, set)
  local s = asn1["ASN1_" .. kind .. "_new"]()
  if type(value) == "string" then
    assert.equal(1, set(s, value, #value))
  else
    assert.equal(1, set(s, value))
  end
  local pp = ffi.new("char *[1]")
  local n = asn1["i2d_ASN1_" .. kind](s, pp)
  assert.equal(n, asn1["i2d_ASN1_" .. kind](s, nil))
  local text = ffi.string(pp[0], n)
  asn1.ASN1_STRING_free(s)
  return text
end

local function read(der, kind, get)
  local pp = ffi.new("const unsigned char *[1]", ffi.cast("const unsigned char *", der))
  local start = pp[0]
  local s = asn1["d2i_ASN1_" .. kind](nil, pp, #der)
  if s == nil then
    return nil
  end
  local value = get(s)
  asn1.ASN1_STRING_free(s)
  return type(value) == "cdata" and tonumber(value) or value, tonumber(pp[0] - start)
end

local function object(der, max)
  local pp = ffi.new("const unsigned char *[1]", ffi.cast("const unsigned char *", der))
  local start, length, tag, class = pp[0], ffi.new("long[1]"), ffi.new("int[1]"), ffi.new("int[1]")
  local r = asn1.ASN1_get_object(pp, length, tag, class, max or #der)
  return r, tonumber(length[0]), tag[0], class[0], tonumber(pp[0] - start)
end

local function header(constructed, length, tag, class)
  local out = ffi.new("unsigned char[16]")
  local pp = ffi.new("unsigned char *[1]", out)
  asn1.ASN1_put_object(pp, constructed, length, tag, class)
  return ffi.string(out, pp[0] - out)
end

describe("D5 libcrypto's functions for DER", function()
  it("write and read whole numbers", function()
    for value, der in pairs {
      [0] = "\2\1\0", [3] = "\2\1\3", [127] = "\2\1\127", [128] = "\2\2\0\128",
      [-1] = "\2\1\255", [-128] = "\2\1\128", [-129] = "\2\2\255\127", [65536] = "\2\3\1\0\0", [2147483647] = "\2\4\127\255\255\255",
    } do
      assert.equal(der, written(value, "INTEGER", asn1.ASN1_INTEGER_set))
      local got, size = read(der, "INTEGER", asn1.ASN1_INTEGER_get)
      assert.same({ value, #der }, { got, size })
      local other = "\10" .. der:sub(2)
      assert.equal(other, written(value, "ENUMERATED", asn1.ASN1_ENUMERATED_set))
      assert.equal(value, (read(other, "ENUMERATED", asn1.ASN1_ENUMERATED_get)))
    end
    assert.equal(-1, (read("\2\9\1\0\0\0\0\0\0\0\0", "INTEGER", asn1.ASN1_INTEGER_get)))
  end)

  it("refuse numbers that are none", function()
    local bad = { "", "\2", "\2\0", "\2\2\0\1", "\2\2\255\128", "\2\3\1", "\4\1\1", "\34\1\1", "\130\1\1" }
    for _, der in ipairs(bad) do
      assert.is_nil(read(der, "INTEGER", asn1.ASN1_INTEGER_get))
    end
  end)

  it("write and read octets", function()
    local get = function(s)
      return ffi.string(asn1.ASN1_STRING_get0_data(s), asn1.ASN1_STRING_length(s))
    end
    for _, text in ipairs { "", "cn=admin", ("x"):rep(127), ("x"):rep(128), ("a\0b"):rep(30000) } do
      local der = written(text, "OCTET_STRING", asn1.ASN1_STRING_set)
      assert.equal(text, (read(der, "OCTET_STRING", get)))
    end
    local long = ("x"):rep(128)
    assert.equal("\4\129\128" .. long, written(long, "OCTET_STRING", asn1.ASN1_STRING_set))
  end)

  it("take tags and lengths apart", function()
    assert.same({ 0x20, 3, 16, 0, 2 }, { object("0\3\2\1\5") })
    assert.same({ 0x20, 7, 1, 0x40, 2 }, { object("a\7\10\1\0\4\0\4\0") })
    assert.same({ 0, 200, 4, 0, 3 }, { object("\4\129\200" .. ("x"):rep(200)) })
    assert.same({ 0, 1, 201, 0x80, 4 }, { object("\159\129\73\1x") })
    assert.same({ 0x21, 0, 16, 0, 2 }, { object("0\128\0\0") })
    -- more is promised than there is
    assert.same({ 0xa0, 3, 16, 0, 2 }, { object("0\3\2\1") })
    for _, der in ipairs { "", "0", "\4\128\0\0", "\4\130\1", "\31\255", "\4\137\1\1\1\1\1\1\1\1\1" } do
      assert.equal(0x80, (object(der)))
    end
  end)

  it("put tags and lengths together", function()
    assert.equal("0\3", header(1, 3, 16, 0))
    assert.equal("\128\4", header(0, 4, 0, 0x80))
    assert.equal("a\129\128", header(1, 128, 1, 0x40))
    assert.equal("\4\131\1\0\0", header(0, 65536, 4, 0))
    assert.equal("\159\129\73\1", header(0, 1, 201, 0x80))
    assert.equal("0\128", header(2, 0, 16, 0))
    assert.same({ 5, 131, 2 + 127, -1 }, { asn1.ASN1_object_size(1, 3, 16), asn1.ASN1_object_size(1, 128, 1),
      asn1.ASN1_object_size(0, 127, 4), asn1.ASN1_object_size(0, -1, 4) })
  end)
end)
