//! JSON both ways, held against lua-cjson's words and against serde_json.
#![allow(clippy::unwrap_used)]

use mlua::{Lua, LuaOptions, StdLib, Value};
use serde_json::json;

fn lua() -> Lua {
    // SAFETY: a test's own state.
    let lua = unsafe { Lua::unsafe_new_with(StdLib::ALL, LuaOptions::default()) };
    super::install(&lua).unwrap();
    lua.load("cjson, safe = require 'cjson', require 'cjson.safe'")
        .exec()
        .unwrap();
    lua
}

fn check(src: &str) {
    lua().load(src).set_name("=test").exec().unwrap();
}

/// A small generator, so that a failure can be repeated.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % n
    }
}

#[test]
fn a11_cjson_encodes_values() {
    check(
        r#"
        local function is(v, want) local got = cjson.encode(v) assert(got == want, got .. " ~= " .. want) end
        is("a\"\\/\b\f\n\r\t\1\127é", [["a\"\\\/\b\f\n\r\t\u0001\u007fé"]])
        is(1, "1") is(-0.0, "-0") is(0, "0") is(1.5, "1.5") is(1e14, "1e+14") is(99999999999999, "99999999999999")
        is(0.1, "0.1") is(1/3, "0.33333333333333") is(-12345, "-12345") is(1e300, "1e+300") is(10, "10") is(100, "100")
        is(true, "true") is(nil, "null") is(cjson.null, "null") is(cjson.empty_array, "[]")
        is({}, "{}") is({1, 2, {3}}, "[1,2,[3]]") is({a = {b = false}}, '{"a":{"b":false}}')
        is({[1] = 1, [3] = 3}, "[1,null,3]") is({[1.5] = 1}, '{"1.5":1}') is({[0] = 1}, '{"0":1}')
        is(setmetatable({}, cjson.array_mt), "[]") is(setmetatable({}, cjson.empty_array_mt), "[]")
        is(setmetatable({a = 1}, cjson.array_mt), "[]") is(setmetatable({1}, cjson.empty_array_mt), "[1]")
        assert(safe.encode(1/3) == "0.3333333333333333")
        assert(type(cjson.null) == "userdata" and cjson.null == safe.null)
        assert(cjson.array_mt == safe.array_mt and cjson._NAME == "cjson")
        local big = ("x"):rep(100000) is({big, big}, '["' .. big .. '","' .. big .. '"]')
        "#,
    );
}

#[test]
fn a11_cjson_raises_lua_cjsons_messages() {
    check(
        r##"
        local function fails(want, f, ...)
          local ok, err = pcall(f, ...)
          assert(not ok and err == want, tostring(err) .. " ~= " .. want)
        end
        fails("Cannot serialise function: type not supported", cjson.encode, print)
        fails("Cannot serialise userdata: type not supported", cjson.encode, io.stdout)
        fails("Cannot serialise boolean: table key must be a number or string", cjson.encode, {[true] = 1})
        fails("Cannot serialise number: must not be NaN or Infinity", cjson.encode, {0/0})
        fails("Cannot serialise table: excessively sparse array", cjson.encode, {[1] = 1, [100] = 1})
        local deep = {} deep.deep = deep
        fails("Cannot serialise, excessive depth (1001)", cjson.encode, deep)
        fails("bad argument #1 to '?' (expected 1 argument)", cjson.encode)
        fails("Expected value but found invalid token at character 1", cjson.decode, "nope")
        fails("Expected value but found T_END at character 1", cjson.decode, "")
        fails("Expected the end but found T_INTEGER at character 3", cjson.decode, "1 2")
        fails("Expected object key string but found T_INTEGER at character 2", cjson.decode, "{1:2}")
        fails("Expected object key string but found T_OBJ_END at character 8", cjson.decode, '{"a":1,}')
        fails("Expected colon but found T_COMMA at character 5", cjson.decode, '{"a",')
        fails("Expected comma or object end but found T_STRING at character 8", cjson.decode, '{"a":1 "b"')
        fails("Expected comma or array end but found T_END at character 3", cjson.decode, "[1")
        fails("Expected value but found T_ARR_END at character 4", cjson.decode, "[1,]")
        fails("Expected value but found unexpected end of string at character 5", cjson.decode, '"abc')
        fails("Expected value but found invalid escape code at character 3", cjson.decode, [["a\q"]])
        fails("Expected value but found invalid unicode escape code at character 2", cjson.decode, [["\ud800"]])
        fails("Expected value but found invalid number at character 1", cjson.decode, "-")
        fails("JSON parser does not support UTF-16 or UTF-32", cjson.decode, "\0{")
        fails("Found too many nested data structures (1001) at character 1001", cjson.decode, ("["):rep(1002))
        local ok, err = loadstring("return pcall(function() local x = require('cjson').decode('x') end)", "=place")()
        assert(err == "place:1: Expected value but found invalid token at character 1", err)
        local v, e = safe.decode("{") assert(v == nil and e == "Expected object key string but found T_END at character 2", e)
        local v, e = safe.encode(print) assert(v == nil and e == "Cannot serialise function: type not supported", e)
        local v, e = safe.decode(nil) assert(v == nil and e == "bad argument #1 to '?' (string expected, got nil)", e)
        "##,
    );
}

#[test]
fn a11_cjson_decodes_values() {
    check(
        r##"
        local d = cjson.decode
        assert(d("12") == 12 and d(" -1.5e2 ") == -150 and d("1e2") == 100 and d("0x10") == 16 and d("1.") == 1)
        assert(d("12345678901234567890") == 12345678901234567890 and 1/d("-0") == -1/0 and d(12) == 12)
        assert(d("nan") ~= d("nan") and d("Infinity") == 1/0 and d("-inf") == -1/0)
        assert(d("true") == true and d("false") == false and d("null") == cjson.null)
        assert(d([["\u00e9\ud83d\ude00\n\/"]]) == "é😀\n/" and d('"' .. ("\\n"):rep(5000) .. '"') == ("\n"):rep(5000))
        local t = d('{"a":[1,{"b":null},[]],"a2":{},"k":"v"}')
        assert(t.a[1] == 1 and t.a[2].b == cjson.null and next(t.a[3]) == nil and next(t.a2) == nil and t.k == "v")
        assert(d('{"a":1,"a":2}').a == 2 and getmetatable(d("[]")) == nil)
        for _, n in ipairs { 0, 1, 15, 16, 17, 32, 33, 100, 1000 } do
          local list, fields = {}, {}
          for i = 1, n do list[i] = i fields[i] = ('"k%d":%d'):format(i, i) end
          local a, o = d("[" .. table.concat(list, ", ") .. "]"), d("{" .. table.concat(fields, " ,") .. "}")
          assert(#a == n)
          for i = 1, n do assert(a[i] == i and o["k" .. i] == i) end
        end
        "##,
    );
}

#[test]
fn a11_cjson_settings_are_per_instance() {
    check(
        r##"
        local a, b = cjson.new(), safe.new()
        assert(a.decode_array_with_array_mt(true) == true and b.decode_array_with_array_mt() == false)
        assert(getmetatable(a.decode("[[]]")[1]) == cjson.array_mt and getmetatable(b.decode("[]")) == nil)
        assert(a.encode(a.decode('{"x":[]}')) == '{"x":[]}')
        assert(a.encode_number_precision(3) == 3 and a.encode(1/3) == "0.333" and b.encode(1/3) == "0.33333333333333")
        assert(not pcall(a.encode_number_precision, 17))
        a.encode_number_precision(14) a.encode_escape_forward_slash(false) assert(a.encode("/") == '"/"')
        a.encode_empty_table_as_object(false) assert(a.encode({}) == "[]")
        a.encode_sparse_array(true) assert(a.encode({[1000] = 1}) == '{"1000":1}')
        assert(select("#", a.encode_sparse_array()) == 3)
        a.encode_invalid_numbers("null") assert(a.encode({1/0}) == "[null]")
        a.encode_invalid_numbers(true) assert(a.encode({-1/0}) == "[-Infinity]")
        a.decode_invalid_numbers(false)
        assert(select(2, pcall(a.decode, "[0x10]")) == "Expected value but found invalid number at character 2")
        assert(select(2, pcall(a.decode, "nan")) == "Expected value but found invalid token at character 1")
        a.encode_max_depth(2) assert(not pcall(a.encode, {{{}}})) assert(a.encode({{}}) == "[[]]")
        a.decode_max_depth(2) assert(not pcall(a.decode, "[[[]]]"))
        a.encode_skip_unsupported_value_types(true) assert(a.encode(print) == "")
        local ok, e = pcall(safe.encode, 1, 2) assert(not ok and e == "bad argument #1 to '?' (expected 1 argument)", e)
        ok, e = pcall(safe.decode) assert(not ok and e == "bad argument #1 to '?' (expected 1 argument)", e)
        a.decode_allow_comment(true)
        for text, expected in pairs {
            ["{}/*x"] = "the end", ["[1 /*x"] = "comma or array end", ["/*x"] = "value", ["{/*x"] = "object key string",
        } do
            local ok, e = pcall(a.decode, text)
            assert(not ok and e == ("Expected %s but found unclosed multi-line comment at character %d"):format(expected, #text + 1), e)
        end
        assert(#a.decode("[1, /* two */ 2 // three\n]") == 2)
        a.encode_skip_unsupported_value_types(true) assert(a.encode({1, print, 2}) == "[1,2]")
        assert(a.encode({x = print}) == "{}")
        "##,
    );
}

#[test]
fn a11_cjson_any_bytes_are_an_answer_or_an_error() {
    let lua = lua();
    let decode: mlua::Function = lua.load("return safe.decode").eval().unwrap();
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    let alphabet = br#"{}[]",:\ubtnfalsre0123456789.eE+-xi /*"#;
    for _ in 0..40_000 {
        let n = dice.roll(24);
        let text: Vec<u8> = (0..n)
            .map(|_| match dice.roll(8) {
                0 => dice.roll(256) as u8,
                _ => alphabet[dice.roll(alphabet.len() as u64) as usize],
            })
            .collect();
        let (value, err): (Value, Option<String>) = decode.call(lua.create_string(&text).unwrap()).unwrap();
        assert!(value.is_nil() == err.is_some(), "{text:?}");
        if serde_json::from_slice::<serde_json::Value>(&text).is_ok() {
            assert!(!value.is_nil(), "{}", String::from_utf8_lossy(&text));
        }
    }
}

fn any(dice: &mut Dice, depth: u32) -> serde_json::Value {
    match dice.roll(if depth == 0 { 5 } else { 8 }) {
        0 => json!(null),
        1 => json!(dice.roll(2) == 0),
        2 => json!(dice.roll(1 << 40) as i64 - (1 << 39)),
        3 => json!(dice.roll(1 << 40) as f64 / 16.0 - 5e5),
        4 => {
            let n = dice.roll(30);
            json!(
                (0..n)
                    .map(|_| char::from_u32(dice.roll(0x300) as u32).unwrap())
                    .collect::<String>()
            )
        }
        5 | 6 => {
            let n = dice.roll(40);
            (0..n).map(|i| (format!("k{i}"), any(dice, depth - 1))).collect()
        }
        _ => {
            let n = dice.roll(40);
            (0..n).map(|_| any(dice, depth - 1)).collect()
        }
    }
}

#[test]
fn a11_cjson_round_trips_what_serde_json_writes() {
    let lua = lua();
    lua.load("safe.decode_array_with_array_mt(true) cjson.decode_array_with_array_mt(true)")
        .exec()
        .unwrap();
    let again: mlua::Function = lua
        .load("return function(s) return safe.encode(safe.decode(s)) end")
        .eval()
        .unwrap();
    let mut dice = Dice(42);
    for _ in 0..400 {
        let value = any(&mut dice, 3);
        // One number type: Lua has only doubles.
        let want: serde_json::Value = serde_json::from_str(&doubles(&value).to_string()).unwrap();
        let text: String = again.call(value.to_string()).unwrap();
        let got: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert!(doubles(&got) == want, "{text:.200}");
    }
}

fn doubles(v: &serde_json::Value) -> serde_json::Value {
    match v {
        serde_json::Value::Number(n) => json!(n.as_f64()),
        serde_json::Value::Array(a) => a.iter().map(doubles).collect(),
        serde_json::Value::Object(o) => o.iter().map(|(k, v)| (k.clone(), doubles(v))).collect(),
        v => v.clone(),
    }
}

#[test]
fn a11_cjson_survives_a_memory_cap_and_finalizers() {
    let lua = lua();
    lua.load(
        r#"
        local ffi = require "ffi"
        for i = 1, 2000 do
          ffi.gc(ffi.new("char[16]"), function() cjson.encode({ ("y"):rep(9000), cjson.decode('"\\n' .. ("z"):rep(3000) .. '"') }) end)
          local s = ("x"):rep(i * 10)
          assert(cjson.decode(cjson.encode({ s }))[1] == s)
        end"#,
    )
    .exec()
    .unwrap();
    let hungry: mlua::Function = lua
        .load(
            "local t = {} for i = 1, 500 do t[i] = ('k'):rep(100) .. '\\n' end
             return function() return cjson.decode(cjson.encode(t))[500] end",
        )
        .eval()
        .unwrap();
    lua.gc_collect().unwrap();
    let used = lua.used_memory();
    let (mut good, mut bad) = (0, 0);
    for extra in (0..400_000).step_by(4_000) {
        lua.set_memory_limit(used + extra).unwrap();
        match hungry.call::<String>(()) {
            Ok(s) => {
                assert_eq!(s.len(), 101);
                good += 1;
            }
            Err(_) => bad += 1,
        }
        lua.set_memory_limit(0).unwrap();
        lua.gc_collect().unwrap();
    }
    assert!(good > 0 && bad > 0, "{good} {bad}");
}
