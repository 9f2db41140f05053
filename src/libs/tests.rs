//! The libraries, by what they answer.
#![allow(clippy::unwrap_used)]

use std::rc::Rc;

use crate::vm::{Vm, VmOptions};

fn vm() -> Rc<Vm> {
    // what the libraries ask for when they are called: `ngx`, `kong`, schemas
    let rooms = [
        super::install,
        crate::schema::install,
        crate::db::install,
        crate::ngx::install,
        crate::pdk::install,
        crate::cache::install,
    ];
    Vm::new(&VmOptions::default(), &rooms).unwrap()
}

fn check(src: &str) {
    let vm = vm();
    let prelude = "local function same(got, want) local i = require 'inspect' got, want = i(got), i(want)
        if got ~= want then error(got .. ' ~= ' .. want, 2) end end ";
    if let Err(e) = vm.lua().load(format!("{prelude}{src}")).set_name("=test").exec() {
        panic!("{e}");
    }
}

#[test]
fn a11_every_module_loads() {
    let vm = vm();
    let names = super::MODULES
        .iter()
        .map(|m| m.0)
        .chain(super::BUNDLES.iter().flat_map(|b| b.2.iter().copied()));
    for name in names {
        let loaded = vm.lua().load("return type(require(...))").call::<String>(name);
        assert!(
            matches!(loaded.as_deref(), Ok("table" | "function")),
            "{name}: {loaded:?}"
        );
    }
    assert!(vm.lua().load("require 'resty.no.such'").exec().is_err());
}

#[test]
fn a11_tables_of_openresty() {
    check(
        "assert(require'table.isempty'{} and not require'table.isempty'{1})
         assert(require'table.isarray'{1, 2} and not require'table.isarray'{a = 1} and require'table.isarray'{})
         assert(require'table.nkeys'{1, nil, 3, a = 4} == 3)
         local t = {1, a = {}} local c = require'table.clone'(t) assert(c ~= t and c.a == t.a and c[1] == 1)
         assert(require'table.new'(2, 2) and require'table.clear')",
    );
}

#[test]
fn a11_tools_string() {
    check(
        r#"local s = require "kong.tools.string"
        same(table.concat(s.split("a,b,c", ","), "|"), "a|b|c") same(table.concat(s.split("a,b,", ","), "|"), "a|b|") same(#s.split("", ","), 0)
        same(s.strip("  a b \r\n"), "a b") same(s.strip(nil), "") same(s.strip("   "), "") same(s.strip(12), "12")
        same({s.splitn("a:b:c", ":", 2)}, {{"a", "b:c"}, 2}) same({s.splitn("ab", "")}, {{"", "a", "b", ""}, 4})
        same({s.split_once("k=v=w", "=")}, {"k", "v=w"}) same({s.split_once("k", "=")}, {"k"})
        local n = 0 for part in s.isplitn("a b c", " ") do n = n + 1 same(part, ({"a", "b", "c"})[n]) end same(n, 3)
        same({s.validate_utf8("a\255")}, {false, 2}) same(s.validate_utf8("é"), true)
        same(s.replace_dashes_lower("X-Forwarded-For"), "x_forwarded_for")
        same(s.parse_ngx_size("8k"), 8192) same(s.bytes_to_str(1536, "k"), "1.50 KiB") same(s.bytes_to_str(3), "3")
        same(s.try_decode_base64("aGk="), "hi") same(s.try_decode_base64("!"), "!")
        same(s.join(",", {1, 2}), "1,2")"#,
    );
}

#[test]
fn a11_tools_table_uri_ip_http() {
    check(
        r#"local t = require "kong.tools.table"
        same(t.table_merge({a = 1, b = 1}, {b = 2}), {a = 1, b = 2}) assert(t.table_contains({"x"}, "x"))
        same(t.deep_merge({a = {x = 1}}, {a = {y = 2}}), {a = {x = 1, y = 2}})
        local loop = {} loop.loop = loop local c = t.cycle_aware_deep_copy(loop) assert(c ~= loop and c.loop == c)
        assert(t.is_array({1, 2}) and not t.is_array({[2] = 1}) and t.is_array({["1"] = 1}, "lapis"))
        same(t.add_error(t.add_error(nil, "k", "a"), "k", "b").k[2], "b") same(t.table_path({a = {b = 3}}, {"a", "b"}), 3)
        assert(not pcall(function() t.EMPTY.x = 1 end))
        local n = require("kong.tools.uri").normalize
        for from, to in pairs { ["/a/./b/../c"] = "/a/c", ["/.."] = "/", ["/a/.."] = "/", ["/%61%2f"] = "/a%2F", ["../x"] = "x",
          ["/a//b"] = "/a/b", ["/a/../../b"] = "/b", ["."] = "", ["/a/."] = "/a/", ["//"] = "/", ["/a/b/"] = "/a/b/" } do
          if n(from, true) ~= to then error(from .. " -> " .. n(from, true) .. ", not " .. to) end
        end
        same(n("/a//b/./c"), "/a//b/c") same(require("kong.tools.uri").escape("/a b"), "/a%20b")
        local ip = require "kong.tools.ip"
        assert(ip.is_valid_ipv4("1.2.3.4") and not ip.is_valid_ipv4("1.2.3.256") and ip.is_valid_ipv6("::1"))
        assert(ip.is_valid_cidr("10.0.0.0/8") and not ip.is_valid_cidr("10.0.0.0/33") and ip.is_valid_ip_or_cidr("::/0"))
        same(ip.normalize_ip("[::1]:80"), {host = "0000:0000:0000:0000:0000:0000:0000:0001", port = 80, type = "ipv6"})
        same(ip.normalize_ip("a.b:99999"), nil) same(ip.normalize_ip("a-.b"), nil)
        same(ip.normalize_ip("example.com:80").port, 80) same(ip.format_host("::1", 80), "[0000:0000:0000:0000:0000:0000:0000:0001]:80")
        local http = require "kong.tools.http"
        same(http.validate_header_name("X-A"), "X-A") assert(select(2, http.validate_header_name("a b")):find("bad header name 'a b'"))
        same(http.get_response_type("text/html;q=0.5, application/xml"), "application/xml; charset=utf-8")
        same(http.get_response_type("*/*"), "application/json; charset=utf-8")
        same(http.parse_directive_header("no-cache, max-age=60"), {["max-age"] = 60, ["no-cache"] = true})
        same(http.encode_args({b = 1, a = {x = 2}}), "a%2ex=2&b=1") same(http.decode_args({a = "true"}), {a = true})
        same(require("kong.tools.time").nginx_conf_time_to_seconds("1m30s"), 90)
        local stamps = require("kong.tools.timestamp").get_timestamps(1700000000000)
        same(stamps.day, 1699920000000) same(stamps.year, 1672531200000)"#,
    );
}

#[test]
fn a11_penlight_subsets() {
    check(
        r#"local sx, tx, path = require "pl.stringx", require "pl.tablex", require "pl.path"
        same(sx.strip("--a--", "-"), "a") assert(sx.startswith("abc", {"x", "ab"}) and sx.endswith("abc", "bc"))
        same({sx.partition("a=b=c", "=")}, {"a", "=", "b=c"}) same({sx.rpartition("a=b=c", "=")}, {"a=b", "=", "c"})
        same(sx.replace("a.b.c", ".", "%", 1), "a%b.c") same(sx.count("aXbX", "X"), 2) same(sx.rjust("7", 3, "0"), "007")
        assert(tx.deepcompare({a = {1, {2}}}, {a = {1, {2}}}) and not tx.deepcompare({1}, {1, 2}))
        assert(tx.compare_no_order({1, 2}, {2, 1}) and not tx.compare_no_order({1, 1}, {1, 2}))
        same(#tx.keys({a = 1, b = 2}), 2) same(tx.merge({a = 1}, {b = 2}, true), {a = 1, b = 2})
        same(tx.map(function(v) return v * 2 end, {a = 2}), {a = 4}) same(tx.find({"a", "b"}, "b"), 2)
        same(path.join("/a", "b", "c.lua"), "/a/b/c.lua") same({path.splitext("/a/b.c.lua")}, {"/a/b.c", ".lua"})
        same(path.normpath("/a/./b/../c"), "/a/c") same(path.basename("/a/b"), "b") assert(path.exists("Cargo.toml") and path.isdir("src"))
        same(require("pl.pretty").write({1, a = "x"}, ""), '{1,a="x"}')
        same(require("pl.pretty").write({a = {b = true}}), '{\n  a = {\n    b = true\n  }\n}')
        local class = require "pl.class"
        local A = class() function A:_init(x) self.x = x end function A:get() return self.x end
        local B = class(A) function B:_init(x) self:super(x + 1) end
        local b = B(1) same(b:get(), 2) assert(b:is_a(A) and B:class_of(b))
        local L = require "pl.List" local l = L{3, 1, 2} same(l:sort():concat(","), "1,2,3") same(tostring(l), "{1,2,3}")"#,
    );
}

#[test]
fn a11_resty_digests_random_cache() {
    check(
        r#"local str = require "resty.string"
        local function hex(name, text) local d = require("resty." .. name):new() d:update(text:sub(1, 1)) d:update(text:sub(2)) return str.to_hex(d:final()) end
        same(hex("md5", "abc"), "900150983cd24fb0d6963f7d28e17f72") same(hex("sha1", "abc"), "a9993e364706816aba3e25717850c26c9cd0d89d")
        same(hex("sha256", "abc"):sub(1, 16), "ba7816bf8f01cfea") same(#hex("sha512", "abc"), 128)
        same(#require("resty.random").bytes(16, true), 16) same(#require("kong.tools.rand").random_string(), 32)
        local id = require("kong.tools.uuid") assert(id.is_valid_uuid(id.uuid()) and not id.is_valid_uuid("x"))
        same(require("resty.jit-uuid").generate_v5("6ba7b810-9dad-11d1-80b4-00c04fd430c8", "python.org"), "886313e1-3b8a-5372-9b90-0c9aee199e5d")
        local b = require "ngx.base64" same(b.encode_base64url("\255\254"), "__4") same(b.decode_base64url("__4"), "\255\254")
        same(b.decode_base64url("*"), nil)
        local now = 0 package.loaded["moongate.clock"] = function() return now end
        local c = require("resty.lrucache").new(2)
        c:set("a", 1) c:set("b", 2) same(c:get("a"), 1) c:set("c", 3) same(c:get("b"), nil) same(c:get_keys(), {"c", "a"})
        c:set("a", 5, 10, 7) now = 11 same({c:get("a")}, {[2] = 5, [3] = 7}) c:delete("a") same(c:count(), 1)
        local gz = require "kong.tools.gzip" same(gz.inflate_gzip(gz.deflate_gzip(("x"):rep(1000))), ("x"):rep(1000))
        assert(not gz.inflate_gzip("no gzip"))"#,
    );
}

#[test]
fn a11_inspect_urls_and_names() {
    check(
        r#"local i = require "inspect"
        same = function(a, b) if a ~= b then error(a .. " ~= " .. b, 2) end end
        same(i({1, 2, 3}), "{ 1, 2, 3 }") same(i({}), "{}") same(i({a = 1, b = "x"}), '{\n  a = 1,\n  b = "x"\n}')
        same(i({1, a = {b = true}}), '{ 1,\n  a = {\n    b = true\n  }\n}') same(i('say "hi"'), [['say "hi"']])
        same(i({[1.5] = 1, ["a b"] = 2}), '{\n  [1.5] = 1,\n  ["a b"] = 2\n}') same(i({a = {}}, {depth = 1}), '{\n  a = {...}\n}')
        local loop = {} loop.me = loop same(i(loop), "<1>{\n  me = <table 1>\n}") same(i(print), "<function 1>")
        same(i(setmetatable({}, {x = 1})), "{\n  <metatable> = {\n    x = 1\n  }\n}")
        local url = require "socket.url"
        local u = url.parse("http://u:p@[::1]:8080/a;p?q=1#f")
        same(u.scheme .. u.host .. u.port .. u.path .. u.params .. u.query .. u.fragment .. u.user .. u.password, "http::18080/apq=1fup")
        same(url.build(u), "http://u:p@[::1]:8080/a;p?q=1#f") same(url.absolute("http://a/b/c", "../d"), "http://a/d")
        same(url.unescape(url.escape("a b&c")), "a b&c")
        same(require("kong.constants").HEADERS.CONSUMER_ID, "X-Consumer-ID")
        same(require("kong.constants").LOG_LEVELS.error, 4)"#,
    );
}

#[test]
fn a10_base_plugin_extends() {
    check(
        r#"local Base = require "kong.plugins.base_plugin"
        local Mine = Base:extend() Mine.PRIORITY = 7
        function Mine:new() Mine.super.new(self, "mine") end
        function Mine:access(conf) Mine.super.access(self) self.seen = conf.x end
        local plugin = Mine() plugin:access({ x = 3 })
        assert(plugin.seen == 3 and plugin._name == "mine" and plugin.PRIORITY == 7 and plugin:is(Base))
        plugin:header_filter({})"#,
    );
}
