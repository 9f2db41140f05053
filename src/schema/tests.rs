//! Judging plugins' configurations.
#![allow(clippy::unwrap_used)]

use std::path::PathBuf;
use std::rc::Rc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::*;
use crate::vm::VmOptions;

/// A state whose drop-in folder holds one plugin `p` with this schema, in a folder of the test's own.
fn vm(schema: &str) -> Rc<Vm> {
    static NEXT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    let n = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let dir: PathBuf = std::env::temp_dir().join(format!("moongate-schema-{}-{n}", std::process::id()));
    let plugin = dir.join("kong/plugins/p");
    std::fs::create_dir_all(&plugin).unwrap();
    std::fs::write(
        plugin.join("handler.lua"),
        "return { PRIORITY = 1, VERSION = '1' }",
    )
    .unwrap();
    if !schema.is_empty() {
        std::fs::write(plugin.join("schema.lua"), schema).unwrap();
    }
    let options = VmOptions {
        lua_dir: dir,
        handler_timeout: Duration::from_millis(300),
        ..VmOptions::default()
    };
    Vm::new(&options, &[crate::libs::install, install, crate::ngx::install]).unwrap()
}

fn config(fields: &str, rest: &str) -> Rc<Vm> {
    vm(&format!(
        "local typedefs = require 'kong.db.schema.typedefs'
         return {{ name = 'p', fields = {{ {{ config = {{ type = 'record', fields = {{ {fields} }} }} }} }} {rest} }}"
    ))
}

fn refused(vm: &Vm, given: Value) -> Value {
    judge(vm, "p", &given).unwrap_err()
}

#[test]
fn a10_defaults_are_filled_and_absent_fields_left_out() {
    let vm = config(
        "{ a = { type = 'string', default = 'x' } }, { b = { type = 'integer' } },
         { list = { type = 'array', elements = { type = 'string' }, default = {} } },
         { deep = { type = 'record', fields = { { n = { type = 'number', default = 1.5 } }, { m = { type = 'map',
           keys = { type = 'string' }, values = { type = 'integer' } } } } } },
         { methods = { type = 'set', elements = typedefs.http_method } },
         { off = { type = 'record', required = false, fields = { { z = { type = 'number', default = 1 } } } } }",
        "",
    );
    let done = judge(
        &vm,
        "p",
        &json!({ "b": 3, "methods": ["GET", "PUT", "GET"], "deep": { "m": {} } }),
    )
    .unwrap();
    assert_eq!(
        done,
        json!({ "a": "x", "b": 3, "list": [], "deep": { "n": 1.5, "m": {} }, "methods": ["GET", "PUT"] })
    );
    assert_eq!(
        judge(&vm, "p", &Value::Null).unwrap(),
        json!({ "a": "x", "deep": { "n": 1.5 }, "list": [] })
    );
    let conf = conf(vm.lua(), "p", &done).unwrap();
    let ok: bool = vm
        .lua()
        .load("local c = ... return c.methods.GET == true and not c.methods.POST and c.nothing == nil and #c.list == 0")
        .call(conf)
        .unwrap();
    assert!(ok);
}

#[test]
fn a10_errors_in_kongs_words() {
    let vm = config(
        "{ s = { type = 'string', required = true, one_of = { 'a', 'b' } } }, { n = { type = 'number', between = { 1, 2 } } },
         { i = { type = 'integer', gt = 0 } }, { l = { type = 'array', elements = { type = 'string', match = '^x' } } },
         { m = { type = 'map', keys = { type = 'string' }, values = { type = 'boolean' } } },
         { u = { type = 'string', uuid = true } }, { re = { type = 'string', is_regex = true } },
         { h = typedefs.host }, { port = typedefs.port }, { url = typedefs.url }, { ip = typedefs.ip_or_cidr },
         { t = typedefs.timeout }, { hn = typedefs.header_name }, { p = typedefs.path }, { short = { type = 'string', len_max = 2 } }",
        "",
    );
    let given = json!({
        "n": 3, "i": 1.5, "l": ["x1", "y"], "m": { "k": 1 }, "u": "no", "re": "(", "h": "a:80", "port": 70000,
        "url": "nowhere", "ip": "1.2.3", "t": -1, "hn": "a b", "p": "x", "short": "abc", "what": 1
    });
    assert_eq!(
        refused(&vm, given)["config"],
        json!({
            "s": "required field missing", "n": "value should be between 1 and 2", "i": "expected an integer",
            "l": [null, "invalid value: y"], "m": "expected a boolean", "u": "expected a valid UUID",
            "re": "not a valid regex: (", "h": "must not have a port", "port": "value should be between 0 and 65535",
            "url": "missing host in url", "ip": "invalid ip or cidr range: '1.2.3'",
            "t": "value should be between 0 and 2147483646",
            "hn": "bad header name 'a b', allowed characters are A-Z, a-z, 0-9, '_', and '-'",
            "p": "should start with: /", "short": "length must be at most 2", "what": "unknown field"
        })
    );
    assert_eq!(
        refused(&vm, json!({ "s": "c" }))["config"]["s"],
        "expected one of: a, b"
    );
    assert_eq!(
        refused(&vm, json!({ "s": "" }))["config"]["s"],
        "expected one of: a, b"
    );
    assert_eq!(
        refused(&vm, json!({ "s": "a", "l": "x" }))["config"]["l"],
        "expected an array"
    );
    assert_eq!(
        refused(&vm, json!({ "s": "a", "short": "" }))["config"]["short"],
        "length must be at least 1"
    );
    assert_eq!(
        refused(&vm, json!("text")),
        json!({ "config": "expected a record" })
    );
}

#[test]
fn a10_entity_checks() {
    let vm = config(
        "{ a = { type = 'string' } }, { b = { type = 'string' } }, { kind = { type = 'string' } },
         { r = { type = 'record', fields = { { x = { type = 'number' } }, { y = { type = 'number' } } },
           entity_checks = { { mutually_required = { 'x', 'y' } } } } }",
        ", entity_checks = { { only_one_of = { 'config.a', 'config.b' } },
           { conditional = { if_field = 'config.kind', if_match = { eq = 'full' }, then_field = 'config.b',
             then_match = { required = true } } },
           { custom_entity_check = { field_sources = { 'config' }, fn = function(e)
             if e.config.a == 'bad' then return nil, 'a is bad' end return true end } } }",
    );
    assert!(judge(&vm, "p", &json!({ "a": "1", "r": { "x": 1, "y": 2 } })).is_ok());
    assert_eq!(
        refused(&vm, json!({ "a": "1", "b": "2" }))["@entity"][0],
        "exactly one of these fields must be non-empty: 'config.a', 'config.b'"
    );
    let err = refused(&vm, json!({ "a": "1", "kind": "full" }));
    assert_eq!(err["config"]["b"], "required field missing");
    assert_eq!(
        err["@entity"][0],
        "failed conditional validation given value of field 'config.kind'"
    );
    assert_eq!(refused(&vm, json!({ "a": "bad" }))["@entity"][0], "a is bad");
    assert_eq!(
        refused(&vm, json!({ "a": "1", "r": { "x": 1 } }))["config"]["r"]["@entity"][0],
        "all or none of these fields must be set: 'x', 'y'"
    );
}

#[test]
fn a10_shorthand_fields_expand() {
    let vm = vm("return { name = 'p', fields = { { config = { type = 'record',
        fields = { { redis = { type = 'record', fields = { { host = { type = 'string' } }, { port = { type = 'integer', default = 6379 } } } } } },
        shorthand_fields = { { redis_host = { type = 'string', func = function(v) return { redis = { host = v } } end } } } } } } }");
    assert_eq!(
        judge(&vm, "p", &json!({ "redis_host": "h" })).unwrap(),
        json!({ "redis": { "host": "h", "port": 6379 } })
    );
    assert_eq!(
        refused(&vm, json!({ "redis_host": 1 }))["config"]["redis_host"],
        "expected a string"
    );
}

#[test]
fn a10_validators_that_throw_or_loop_name_their_place() {
    let vm1 = config(
        "{ a = { type = 'string', custom_validator = function(v) return v.x.y end } },
         { b = { type = 'string', custom_validator = function(v) return nil, 'not ' .. v end } }",
        "",
    );
    let err = refused(&vm1, json!({ "a": "1", "b": "good" }));
    let text = err["config"]["a"].as_str().unwrap();
    assert!(text.contains("schema.lua:2: attempt to index"), "{text}");
    assert_eq!(err["config"]["b"], "not good");
    let vm2 = config(
        "{ a = { type = 'string', custom_validator = function() while true do end end } }",
        "",
    );
    let start = Instant::now();
    let err = refused(&vm2, json!({ "a": "1" })).to_string();
    assert!(
        start.elapsed() < Duration::from_secs(5) && err.contains("longer than"),
        "{err}"
    );
    assert!(judge(&vm2, "p", &json!({})).is_ok());
}

#[test]
fn a10_schemas_that_cannot_be_used_say_why() {
    let none = vm("");
    assert_eq!(
        judge(&none, "p", &json!({ "any": [] })).unwrap(),
        json!({ "any": [] })
    );
    assert!(refused_name(&none, "q").contains("module 'kong.plugins.q.handler' not found"));
    assert!(refused_name(&vm("return {"), "p").contains("schema.lua:1:"));
    assert!(refused_name(&vm("local x = nil\nreturn x.y"), "p").contains("schema.lua:2:"));
    assert!(refused_name(&vm("return require 'no.such.thing'"), "p").contains("no.such.thing"));
    assert!(refused_name(&vm("return { no_consumer = true, fields = {} }"), "p").contains("'no_consumer'"));
    assert!(
        refused_name(&vm("return { fields = { a = { type = 'string' } } }"), "p")
            .contains("'fields' as a map")
    );
    assert!(refused_name(&vm("return 1"), "p").contains("is a number, not a table"));
}

fn refused_name(vm: &Vm, plugin: &str) -> String {
    judge(vm, plugin, &json!({})).unwrap_err()["name"]
        .as_str()
        .unwrap_or_default()
        .to_string()
}

#[test]
fn a10_entity_fields_of_a_schema() {
    let vm = vm("local typedefs = require 'kong.db.schema.typedefs'
        return { name = 'other', fields = { { consumer = typedefs.no_consumer }, { protocols = typedefs.protocols_http },
        { config = { type = 'record', fields = {} } } } }");
    let fields = entity_fields(&vm, "p").unwrap();
    assert!(fields.no_consumer && !fields.no_route && !fields.no_service);
    assert_eq!(fields.protocols.unwrap(), ["grpc", "grpcs", "http", "https"]);
    assert_eq!(judge(&vm, "p", &json!({})).unwrap(), json!({}));
    assert!(entity_fields(&vm, "q").is_err());
}

#[test]
fn a10_certificates_keys_and_code() {
    let vm = config(
        "{ c = typedefs.certificate }, { k = typedefs.key }, { code = typedefs.lua_code }, { q = typedefs.queue }",
        "",
    );
    let pem = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n";
    let done = judge(&vm, "p", &json!({ "code": { "x": "return 1" } })).unwrap();
    assert_eq!(done["q"]["max_entries"], 10000);
    let err = refused(&vm, json!({ "c": "no", "k": pem, "code": { "x": "return (" } }));
    assert!(
        err["config"]["c"]
            .as_str()
            .unwrap()
            .starts_with("invalid certificate: ")
    );
    assert!(err["config"]["k"].as_str().unwrap().starts_with("invalid key: "));
    assert!(
        err["config"]["code"]
            .as_str()
            .unwrap()
            .starts_with("Error parsing function: ")
    );
}
