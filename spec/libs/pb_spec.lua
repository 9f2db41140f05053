local pb = require("pb")
local protoc = require("protoc")
local lua_pack = require("lua_pack")

local function raises(text, f, ...)
  local ok, err = pcall(f, ...)
  assert.is_false(ok)
  assert.matches(text, err, nil, true)
end

local TEXT = [[
  syntax = "proto3";
  package spec.pb; // a comment
  import public "google/protobuf/timestamp.proto";
  import "google/api/annotations.proto";
  option go_package = "x";
  message All {
    double d = 1; float f = 2; int32 i32 = 3; int64 i64 = 4; uint32 u32 = 5; uint64 u64 = 6; sint32 s32 = 7;
    sint64 s64 = 8; fixed32 f32 = 9; fixed64 f64 = 10; sfixed32 sf32 = 11; sfixed64 sf64 = 12; bool b = 13;
    string s = 14; bytes raw = 15; Kind kind = 16; Inner inner = 17; repeated int32 packed = 18;
    repeated int32 plain = 19 [packed = false]; repeated Inner inners = 20; map<string, int32> counts = 21;
    map<int32, Inner> by_id = 22; optional int32 maybe = 23; google.protobuf.Timestamp at = 24;
    oneof choice { string text = 25; int32 number = 26; }
    enum Kind { NONE = 0; SOME = 1; reserved 7, 9 to 12; }
    message Inner { string name = 1; All back = 2; }
    reserved 100 to max; reserved "gone";
  }
  /* services */
  service Things {
    rpc Get (All) returns (All.Inner) {
      option (google.api.http) = { get: "/v1/{s}" additional_bindings { post: "/v1" body: "*" } };
    }
    rpc Watch (stream All) returns (stream All);
  }
]]

describe("D1 pb", function()
  setup(function()
    protoc.new():load(TEXT, "spec_pb.proto")
  end)

  local function round(value)
    return assert(pb.decode("spec.pb.All", pb.encode("spec.pb.All", value)))
  end

  it("D1 numbers of every kind come back", function()
    local value = {
      d = 0.1, f = 0.5, i32 = -1, i64 = -2 ^ 53, u32 = 2 ^ 32 - 1, u64 = 2 ^ 53, s32 = -2 ^ 31, s64 = -5, f32 = 7,
      f64 = 2 ^ 60, sf32 = -7, sf64 = -8, b = true, s = "text", raw = "\0\255", kind = "SOME",
    }
    local back = round(value)
    for key, expected in pairs(value) do
      assert.equal(expected, back[key], key)
    end
  end)

  it("D1 writes the wire format", function()
    local cases = {
      [{ i32 = 150 }] = "18 96 01", [{ s = "testing" }] = "72 07 74 65 73 74 69 6E 67",
      [{ packed = { 3, 270, 86942 } }] = "92 01 06 03 8E 02 9E A7 05", [{ s32 = -1 }] = "38 01",
      [{ i32 = -1 }] = "18 FF FF FF FF FF FF FF FF FF 01", [{ plain = { 1, 2 } }] = "98 01 01 98 01 02",
      [{ inner = { name = "a" } }] = "8A 01 03 0A 01 61", [{ i32 = 0, s = "", b = false }] = "",
      [{ maybe = 0 }] = "B8 01 00", [{ f64 = 1 }] = "51 01 00 00 00 00 00 00 00",
    }
    for value, hex in pairs(cases) do
      assert.equal(hex, pb.tohex(pb.encode("spec.pb.All", value)))
      assert.equal(pb.fromhex(hex), pb.encode("spec.pb.All", value))
    end
  end)

  it("D1 messages, lists, maps and choices come back", function()
    local value = {
      inner = { name = "x", back = { i32 = 1 } }, packed = { 1, 2, 3 }, plain = { 4 }, inners = { { name = "a" }, {} },
      counts = { one = 1, zero = 0 }, by_id = { [5] = { name = "five" } }, number = 0,
    }
    local back = round(value)
    assert.same({ "x", 1 }, { back.inner.name, back.inner.back.i32 })
    assert.same({ { 1, 2, 3 }, { 4 }, { one = 1, zero = 0 } }, { back.packed, back.plain, back.counts })
    assert.same({ "a", "" }, { back.inners[1].name, back.inners[2].name })
    assert.equal("five", back.by_id[5].name)
    assert.equal(0, back.number)
    assert.is_nil(back.text)
    assert.is_nil(back.maybe)
  end)

  it("D1 adds defaults, passes over what it does not know", function()
    local back = pb.decode("spec.pb.All", pb.fromhex("C0 3E 05 18 01"))
    assert.same({ 1, "", 0, false, "NONE", {} }, { back.i32, back.s, back.d, back.b, back.kind, back.packed })
    assert.equal("", pb.defaults("spec.pb.All").s)
    pb.option("no_default_values")
    assert.same({ i32 = 1 }, pb.decode("spec.pb.All", pb.fromhex("18 01")))
    pb.option("auto_default_values")
  end)

  it("D1 options change what comes", function()
    pb.option("enum_as_value")
    assert.equal(1, round({ kind = "SOME" }).kind)
    pb.option("enum_as_name")
    pb.option("int64_as_string")
    assert.equal("#18446744073709551615", round({ u64 = "#18446744073709551615" }).u64)
    assert.equal("#-9223372036854775807", round({ i64 = "-9223372036854775807" }).i64)
    assert.equal(5, round({ i64 = 5 }).i64)
    pb.option("int64_as_hexstring")
    assert.equal("#0xFF", round({ u64 = 255 }).u64)
    pb.option("int64_as_number")
    raises("invalid option 'x'", pb.option, "x")
  end)

  it("D1 hooks change messages", function()
    pb.option("enable_hooks")
    pb.option("enable_enchooks")
    pb.hook("spec.pb.All.Inner", function(m) return m.name end)
    pb.encode_hook("spec.pb.All.Inner", function(name) return { name = name } end)
    assert.equal("hooked", round({ inner = "hooked" }).inner)
    pb.hook("spec.pb.All.Inner", false)
    pb.encode_hook("spec.pb.All.Inner", false)
    pb.option("disable_hooks")
    pb.option("disable_enchooks")
    raises("type not found", pb.hook, "spec.pb.None")
  end)

  it("D1 says what is known", function()
    assert.same({ ".spec.pb.All", "All", "message" }, { pb.type("spec.pb.All") })
    assert.same({ ".spec.pb.All.Kind", "Kind", "enum" }, { pb.type(".spec.pb.All.Kind") })
    assert.is_nil(pb.type("none"))
    assert.same({ "i32", 3, "int32", nil, "optional" }, { pb.field("spec.pb.All", "i32") })
    assert.same({ "inners", 20, ".spec.pb.All.Inner", nil, "repeated" }, { pb.field("spec.pb.All", 20) })
    assert.same({ "text", 25, "string", nil, "optional", "choice" }, { pb.field("spec.pb.All", "text") })
    assert.is_nil(pb.field("spec.pb.All", "none"))
    assert.same({ 1, "SOME" }, { pb.enum("spec.pb.All.Kind", "SOME"), pb.enum("spec.pb.All.Kind", 1) })
    local names = {}
    for name in pb.fields("spec.pb.All.Inner") do names[#names + 1] = name end
    assert.same({ "name", "back" }, names)
    local found
    for name in pb.types() do found = found or name == ".spec.pb.All" end
    assert.is_true(found)
  end)

  it("D1 learns from descriptors' bytes", function()
    -- FileDescriptorSet { file { name: "t" package: "bin" syntax: "proto3"
    --   message_type { name: "M" field { name: "a" number: 1 label: 1 type: 9 } } } }
    local field = "\10\1a\24\1\32\1\40\9"
    local message = "\10\1M\18" .. string.char(#field) .. field
    local file = "\10\1t\18\3bin\34" .. string.char(#message) .. message .. "\98\6proto3"
    assert.is_true((pb.load("\10" .. string.char(#file) .. file)))
    assert.equal("\10\1x", pb.encode("bin.M", { a = "x" }))
    assert.is_false((pb.load("\10\200")))
    pb.clear("bin.M")
    assert.is_nil(pb.type("bin.M"))
  end)

  it("D1 refuses what does not fit", function()
    raises("type 'none' does not exists", pb.encode, "none", {})
    raises("type 'none' does not exists", pb.decode, "none", "")
    raises("table expected", pb.encode, "spec.pb.All", 1)
    raises("string expected for field 's', got boolean", pb.encode, "spec.pb.All", { s = true })
    raises("number expected for field 'd'", pb.encode, "spec.pb.All", { d = {} })
    raises("table expected at field 'inner'", pb.encode, "spec.pb.All", { inner = 1 })
    raises("table expected at field 'packed'", pb.encode, "spec.pb.All", { packed = 1 })
    raises("unknown enum value 'X'", pb.encode, "spec.pb.All", { kind = "X" })
    raises("string expected", pb.decode, "spec.pb.All", {})
    for _, bytes in ipairs { "\24", "\114\9x", "\81\1", "\27", "\24" .. ("\255"):rep(11), "\26\1" } do
      local value, err = pb.decode("spec.pb.All", bytes)
      assert.is_nil(value)
      assert.is_string(err)
    end
    local deep = {}
    deep.inner = { back = deep }
    raises("too many nested messages", pb.encode, "spec.pb.All", deep)
    local bytes = ""
    for _ = 1, 60 do
      local inner = "\18" .. require("lua_pack").pack("C", math.min(#bytes, 127)) .. bytes:sub(1, 127)
      bytes = "\138\1" .. string.char(math.min(#inner, 127)) .. inner:sub(1, 127)
    end
    pb.decode("spec.pb.All", bytes)
  end)
end)

describe("D1 protoc", function()
  it("D1 reads services and their options", function()
    local parsed = protoc.new():parse(TEXT, "spec_pb.proto")
    assert.same({ "spec.pb", "proto3" }, { parsed.package, parsed.syntax })
    assert.same({ "google/protobuf/timestamp.proto", "google/api/annotations.proto" }, parsed.dependency)
    assert.same({ 0, 1 }, parsed.public_dependency)
    local get, watch = parsed.service[1].method[1], parsed.service[1].method[2]
    assert.same({ "Get", ".spec.pb.All", ".spec.pb.All.Inner" }, { get.name, get.input_type, get.output_type })
    assert.same({ get = "/v1/{s}", additional_bindings = { post = "/v1", body = "*" } }, get.options["google.api.http"])
    assert.same({ true, true }, { watch.client_streaming, watch.server_streaming })
  end)

  it("D1 says where a text is wrong", function()
    local function fails(text, said)
      raises(said, function() protoc.new():parse(text, "bad.proto") end)
    end
    fails("nonsense", "bad.proto:1: unknown keyword 'nonsense'")
    fails('syntax = "proto3";\nmessage M { int32 a 1; }', "bad.proto:2: '=' expected near '1; }'")
    fails("message M { Missing m = 1; }", "bad.proto: unknown type 'Missing'")
    fails("message M { string a = x; }", "number expected")
    fails('import "no/such.proto";', "module load error: no/such.proto")
    fails("/* no end", "unfinished comment")
    fails('option a = "no end', "unfinished string")
    raises("not supported: protoc.compile", protoc.compile)
  end)

  it("D1 reads proto2: groups, defaults, extensions", function()
    local reader = protoc.new()
    reader:load([[
      package spec.two;
      message Old { required int32 a = 1; optional string b = 2 [default = "x\n\x41"]; extensions 100 to 199; }
      extend Old { optional int32 more = 100; }
    ]], "two.proto")
    assert.equal("\8\0\160\6\5", pb.encode("spec.two.Old", { a = 0, ["spec.two.more"] = 5 }))
    assert.equal("x\nA", pb.defaults("spec.two.Old").b)
  end)
end)

describe("D1 kong.tools.grpc", function()
  local grpc = require("kong.tools.grpc")

  it("D1 frames messages", function()
    assert.equal("\0\0\0\0\3abc", grpc.frame(0, "abc"))
    assert.same({ "abc", "rest" }, { grpc.unframe("\0\0\0\0\3abcrest") })
    assert.same({ nil, "\0\0\0\0\3ab" }, { grpc.unframe("\0\0\0\0\3ab") })
    assert.same({ nil, "\0\0" }, { grpc.unframe("\0\0") })
    assert.same({ "", "" }, { grpc.unframe("\0\0\0\0\0") })
  end)

  it("D1 walks the methods of a file", function()
    local name = os.tmpname() .. ".proto"
    local file = io.open(name, "w")
    file:write(TEXT)
    file:close()
    finally(function() os.remove(name) end)
    local seen = {}
    grpc.new():each_method(name, function(parsed, service, method)
      seen[#seen + 1] = parsed.package .. "." .. service.name .. "/" .. method.name
    end, true)
    assert.same({ "spec.pb.Things/Get", "spec.pb.Things/Watch" }, seen)
    -- times are texts now
    local bytes = pb.encode("spec.pb.All", { at = "2020-01-02T03:04:05Z" })
    assert.matches("^2020%-01%-02T03:04:05", pb.decode("spec.pb.All", bytes).at)
    pb.option("disable_hooks")
    pb.option("disable_enchooks")
  end)
end)

describe("D1 lua_pack", function()
  it("D1 packs and unpacks", function()
    assert.equal("\1\0\0\1\2", lua_pack.pack("C>I", 1, 258))
    assert.same({ 6, 1, 258 }, { lua_pack.unpack("\1\0\0\1\2", "C>I") })
    assert.equal("\2\1", lua_pack.pack("<H", 258))
    assert.equal("\3abcx\0", lua_pack.pack("pz", "abc", "x"))
    assert.same({ 7, "abc", "x" }, { lua_pack.unpack("\3abcx\0", "pz") })
    assert.same({ 3, "ab" }, { lua_pack.unpack("abc", "A2") })
    assert.same({ 9, 0.5 }, { lua_pack.unpack(lua_pack.pack("d", 0.5), "d") })
    assert.same({ 1 }, { lua_pack.unpack("", "I") })
    assert.same({ 5, -2 }, { lua_pack.unpack(lua_pack.pack("i", -2), "i") })
  end)

  it("D1 refuses junk", function()
    raises("number expected, got no value", lua_pack.pack, "I")
    raises("string expected, got table", lua_pack.pack, "z", {})
    raises("bad code '?'", lua_pack.pack, "?", 1)
  end)
end)
