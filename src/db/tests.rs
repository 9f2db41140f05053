//! Plugins' schemas judging what a declarative file configures, and what is refused before they are asked.
#![allow(clippy::unwrap_used)]

mod fuzz;

use std::path::PathBuf;
use std::rc::Rc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{Options, Refused, load};
use crate::store::Snapshot;
use crate::store::syntax::Format;
use crate::vm::{Vm, VmOptions};

/// A state and its drop-in folder with one plugin, `p`.
struct House {
    vm: Rc<Vm>,
    dir: PathBuf,
}

impl Drop for House {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

impl House {
    /// With this text as the plugin's `schema.lua`; none if it is empty.
    fn new(schema: &str) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let n = NEXT.fetch_add(1, Ordering::Relaxed);
        let dir = std::env::temp_dir().join(format!("moongate-db-{}-{n}", std::process::id()));
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
            lua_dir: dir.clone(),
            handler_timeout: Duration::from_millis(500),
            ..VmOptions::default()
        };
        let rooms = [
            crate::libs::install,
            crate::schema::install,
            super::install,
            crate::ngx::install,
            crate::pdk::install,
        ];
        let vm = Vm::new(&options, &rooms).unwrap();
        Self { vm, dir }
    }

    /// With these fields in `config`, and the rest of the schema.
    fn of(fields: &str, rest: &str) -> Self {
        Self::new(&format!(
            "local typedefs = require 'kong.db.schema.typedefs'
             return {{ name = 'p', fields = {{ {{ config = {{ type = 'record', fields = {{ {fields} }} }} }} }} {rest} }}"
        ))
    }

    fn load(&self, document: &Value) -> Result<Snapshot, Refused> {
        let options = Options {
            plugins: vec!["p".to_owned()],
            ..Options::default()
        };
        load(
            &self.vm,
            &document.to_string(),
            Format::Json,
            &options,
            |snapshot| snapshot,
        )
    }

    fn plugin(&self, entity: Value) -> Result<Snapshot, Refused> {
        self.load(&json!({ "_format_version": "3.0", "plugins": [entity] }))
    }

    /// The completed configuration, without what is not set.
    fn done(&self, config: Value) -> Value {
        let judged = self.plugin(json!({ "name": "p", "config": config }));
        let snapshot = judged.map_err(|refused| refused.text).unwrap();
        without_nulls(snapshot.plugins[0].config.clone())
    }

    /// The errors of the plugin's entity.
    fn refused(&self, config: Value) -> Value {
        let judged = self.plugin(json!({ "name": "p", "config": config }));
        judged.unwrap_err().error["fields"]["plugins"][0].take()
    }

    /// What is said where the plugin cannot be configured at all.
    fn unusable(&self) -> String {
        let judged = self.plugin(json!({ "name": "p" }));
        judged.unwrap_err().error["fields"]["error"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    }
}

fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(fields) => fields
            .into_iter()
            .filter(|(_, v)| !v.is_null())
            .map(|(k, v)| (k, without_nulls(v)))
            .collect(),
        other => other,
    }
}

#[test]
fn b01_defaults_are_filled_and_absent_fields_left_out() {
    let house = House::of(
        "{ a = { type = 'string', default = 'x' } }, { b = { type = 'integer' } },
         { list = { type = 'array', elements = { type = 'string' }, default = {} } },
         { deep = { type = 'record', fields = { { n = { type = 'number', default = 1.5 } }, { m = { type = 'map',
           keys = { type = 'string' }, values = { type = 'integer' } } } } } },
         { methods = { type = 'set', elements = typedefs.http_method } },
         { off = { type = 'record', required = false, fields = { { z = { type = 'number', default = 1 } } } } }",
        "",
    );
    let done = house.done(json!({ "b": 3, "methods": ["GET", "PUT", "GET"], "deep": { "m": {} } }));
    assert_eq!(
        done,
        json!({ "a": "x", "b": 3, "list": [], "deep": { "n": 1.5, "m": {} }, "methods": ["GET", "PUT"] })
    );
    let defaults = json!({ "a": "x", "deep": { "n": 1.5 }, "list": [] });
    assert_eq!(house.done(json!({})), defaults);
    let snapshot = house.plugin(json!({ "name": "p" })).unwrap();
    assert_eq!(without_nulls(snapshot.plugins[0].config.clone()), defaults);
    assert_eq!(
        house.refused(Value::Null),
        json!({ "config": "required field missing" })
    );
    let answers: bool = house
        .vm
        .lua()
        .load(
            "local c = require('moongate.schema.plugin').conf('p', { methods = { 'GET', 'PUT' }, list = {} })
             return c.methods.GET == true and not c.methods.POST and c.nothing == nil and #c.list == 0",
        )
        .eval()
        .unwrap();
    assert!(answers, "a handler's set answers membership");
}

#[test]
fn b01_errors_in_kongs_words() {
    let house = House::of(
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
        house.refused(given)["config"],
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
    for (given, field, text) in [
        (json!({ "s": "c" }), "s", "expected one of: a, b"),
        (json!({ "s": "" }), "s", "expected one of: a, b"),
        (json!({ "s": "a", "l": "x" }), "l", "expected an array"),
        (
            json!({ "s": "a", "short": "" }),
            "short",
            "length must be at least 1",
        ),
    ] {
        assert_eq!(house.refused(given)["config"][field], text);
    }
    assert_eq!(
        house.refused(json!("text")),
        json!({ "config": "expected a record" })
    );
}

#[test]
fn b01_entity_checks() {
    let house = House::of(
        "{ a = { type = 'string' } }, { b = { type = 'string' } }, { kind = { type = 'string' } },
         { r = { type = 'record', fields = { { x = { type = 'number' } }, { y = { type = 'number' } } },
           entity_checks = { { mutually_required = { 'x', 'y' } } } } }",
        ", entity_checks = { { only_one_of = { 'config.a', 'config.b' } },
           { conditional = { if_field = 'config.kind', if_match = { eq = 'full' }, then_field = 'config.b',
             then_match = { required = true } } },
           { custom_entity_check = { field_sources = { 'config' }, fn = function(e)
             if e.config.a == 'bad' then return nil, 'a is bad' end return true end } } }",
    );
    house.done(json!({ "a": "1", "r": { "x": 1, "y": 2 } }));
    assert_eq!(
        house.refused(json!({ "a": "1", "b": "2" }))["@entity"][0],
        "exactly one of these fields must be non-empty: 'config.a', 'config.b'"
    );
    let err = house.refused(json!({ "a": "1", "kind": "full" }));
    assert_eq!(err["config"]["b"], "required field missing");
    assert_eq!(
        err["@entity"][0],
        "failed conditional validation given value of field 'config.kind'"
    );
    assert_eq!(house.refused(json!({ "a": "bad" }))["@entity"][0], "a is bad");
    assert_eq!(
        house.refused(json!({ "a": "1", "r": { "x": 1 } }))["config"]["r"]["@entity"][0],
        "all or none of these fields must be set: 'x', 'y'"
    );
}

#[test]
fn b01_shorthand_fields_expand() {
    let house = House::new("return { name = 'p', fields = { { config = { type = 'record',
        fields = { { redis = { type = 'record', fields = { { host = { type = 'string' } }, { port = { type = 'integer', default = 6379 } } } } } },
        shorthand_fields = { { redis_host = { type = 'string', func = function(v) return { redis = { host = v } } end } } } } } } }");
    assert_eq!(
        house.done(json!({ "redis_host": "h" })),
        json!({ "redis": { "host": "h", "port": 6379 } })
    );
    // a shorthand's error stands at the entity, not in its record
    assert_eq!(
        house.refused(json!({ "redis_host": 1 })),
        json!({ "redis_host": "expected a string" })
    );
}

#[test]
fn b01_validators_that_throw_or_loop_name_their_place() {
    let throwing = House::of(
        "{ a = { type = 'string', custom_validator = function(v) return v.x.y end } },
         { b = { type = 'string', custom_validator = function(v) return nil, 'not ' .. v end } }",
        "",
    );
    let err = throwing.refused(json!({ "a": "1", "b": "good" }));
    let text = err["config"]["a"].as_str().unwrap();
    assert!(text.contains("schema.lua:2: attempt to index"), "{text}");
    assert_eq!(err["config"]["b"], "not good");
    let looping = House::of(
        "{ a = { type = 'string', custom_validator = function() while true do end end } }",
        "",
    );
    let start = Instant::now();
    let judged = looping.plugin(json!({ "name": "p", "config": { "a": "1" } }));
    let text = judged.unwrap_err().text;
    assert!(
        text.contains("in entry 1 of 'plugins'") && text.contains("longer than"),
        "{text}"
    );
    assert!(start.elapsed() < Duration::from_secs(10));
    looping.done(json!({}));
}

#[test]
fn b01_schemas_that_cannot_be_used_say_why() {
    for (schema, text) in [
        ("", "no configuration schema found for plugin: p"),
        ("return {", "schema.lua:1:"),
        ("local x = nil\nreturn x.y", "schema.lua:2:"),
        ("return require 'no.such.thing'", "no.such.thing"),
        ("return { no_consumer = true, fields = {} }", "'no_consumer'"),
        ("return { self_check = print, fields = {} }", "use entity_checks"),
        (
            "return { fields = { a = { type = 'string' } } }",
            "'fields' as a map",
        ),
        ("return 1", "p"),
    ] {
        let said = House::new(schema).unusable();
        assert!(said.contains(text), "{schema}: {said}");
    }
}

#[test]
fn b03_what_a_schema_says_of_the_other_fields() {
    let house = House::new(
        "local typedefs = require 'kong.db.schema.typedefs'
        return { name = 'other', fields = { { consumer = typedefs.no_consumer }, { protocols = typedefs.protocols_http },
        { config = { type = 'record', fields = {} } } } }",
    );
    let snapshot = house.plugin(json!({ "name": "p" })).unwrap();
    assert_eq!(snapshot.plugins[0].config, json!({}));
    let judged = house.load(&json!({
        "_format_version": "3.0",
        "consumers": [{ "username": "c" }],
        "plugins": [{ "name": "p", "consumer": "c" }, { "name": "p", "protocols": ["tcp"] }, { "name": "q" }],
    }));
    let errors = judged.unwrap_err().error["fields"]["plugins"].take();
    assert_eq!(errors[0], json!({ "consumer": "value must be null" }));
    assert_eq!(
        errors[1],
        json!({ "protocols": ["expected one of: grpc, grpcs, http, https"] })
    );
    assert_eq!(
        errors[2],
        json!({ "name": "plugin 'q' not enabled; add it to the 'plugins' configuration property" })
    );
}

#[test]
fn b01_certificates_keys_and_code() {
    let house = House::of(
        "{ c = typedefs.certificate }, { k = typedefs.key }, { code = typedefs.lua_code }, { q = typedefs.queue }",
        "",
    );
    let pem = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n";
    let done = house.done(json!({ "code": { "x": "return 1" } }));
    assert_eq!(done["q"]["max_entries"], 10000);
    let err = house.refused(json!({ "c": "no", "k": pem, "code": { "x": "return (" } }));
    for (field, text) in [
        ("c", "invalid certificate: "),
        ("k", "invalid key: "),
        ("code", "Error parsing function: "),
    ] {
        let said = err["config"][field].as_str().unwrap();
        assert!(said.starts_with(text), "{said}");
    }
}

#[test]
fn b04_what_is_wrong_is_told_all_at_once() {
    let house = House::of("{ a = { type = 'integer' } }", "");
    let judged = house.load(&json!({
        "_format_version": "3.0",
        "services": [{ "name": "s", "host": "h", "port": 70000, "plugins": [{ "name": "p", "config": { "a": "x" } }] }],
        "plugins": [{ "name": "p", "config": { "b": 1 } }],
    }));
    let error = judged.unwrap_err().error;
    assert_eq!(
        error["fields"],
        json!({
            "services": [{ "port": "value should be between 0 and 65535",
                           "plugins": [{ "config": { "a": "expected an integer" } }] }],
            "plugins": [{ "config": { "b": "unknown field" } }],
        })
    );
    assert_eq!(
        (&error["code"], &error["name"]),
        (&json!(14), &json!("invalid declarative configuration"))
    );
}

#[test]
fn b04_schemas_are_made_once_for_one_set_of_plugins() {
    let house = House::of("{ a = { type = 'integer' } }", "");
    house.done(json!({ "a": 1 }));
    let shared: bool = house
        .vm
        .lua()
        .load(
            "local setup, plugins = require 'moongate.db.setup', { p = true }
             local db = setup.new(plugins)
             return setup.new { p = true } == db and setup.schemas(plugins).plugins == db.plugins.schema
               and setup.schemas {} == nil and setup.new {} ~= db",
        )
        .eval()
        .unwrap();
    assert!(shared);
}
