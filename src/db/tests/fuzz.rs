//! Files with changes that know what a file looks like, the same ones on every run; `MOONGATE_FUZZ=10` makes ten
//! times as many.

use serde_json::{Map, Value, json};

use crate::db::testing::control;
use crate::db::{Options, Refused, load};
use crate::store::Snapshot;
use crate::store::syntax::Format;
use crate::store::testing::{Dice, rounds};
use crate::vm::Vm;

/// A plugin with a field of each type, rules between its fields, and an entity of its own.
const SCHEMA: &str = r#"
local typedefs = require "kong.db.schema.typedefs"
return { name = "fuzzed", fields = {
  { protocols = typedefs.protocols_http }, { consumer = typedefs.no_consumer },
  { config = { type = "record", shorthand_fields = {
      { old = { type = "string", func = function(v) return { text = v } end } },
    }, fields = {
    { text = { type = "string", len_min = 1, referenceable = true, match = "^[^x]*$" } },
    { n = { type = "number", between = { -10, 10 }, default = 1 } },
    { i = { type = "integer", gt = 0 } },
    { on = { type = "boolean", default = true } },
    { list = { type = "array", elements = { type = "string" }, len_max = 3 } },
    { set = { type = "set", elements = { type = "string", one_of = { "a", "b", "c" } }, default = { "a" } } },
    { map = { type = "map", keys = { type = "string", len_min = 2 }, values = { type = "array",
        elements = { type = "record", fields = { { deep = { type = "map", keys = { type = "string" },
          values = { type = "number" } } } } } } } },
    { other = { type = "map", keys = { type = "string" }, values = { type = "string" } } },
    { body = { type = "json", json_schema = { inline = { type = { "object", "null" },
        properties = { a = { type = "integer" } } } } } },
    { judged = { type = "string", custom_validator = function(v)
        if v == "raise" then error("raised by the schema") end
        return v ~= "bad", "is bad"
      end } },
    { inner = { type = "record", required = true, fields = {
      { host = typedefs.host }, { port = typedefs.port({ default = 80 }) }, { path = typedefs.path },
    } } },
  }, entity_checks = {
    { conditional = { if_field = "on", if_match = { eq = false }, then_field = "i",
      then_match = { required = true } } },
    { mutually_required = { "text", "judged" } },
    { custom_entity_check = { field_sources = { "other", "n" }, fn = function(entity)
      if entity.n == 0.5 then error({ code = 7 }) end
      return true
    end } },
  } } },
} }
"#;

const DAOS: &str = r#"
local typedefs = require "kong.db.schema.typedefs"
return { {
  name = "fuzzed_credentials", primary_key = { "id" }, endpoint_key = "key", cache_key = { "key" },
  workspaceable = true, fields = {
    { id = typedefs.uuid }, { created_at = typedefs.auto_timestamp_s },
    { consumer = { type = "foreign", reference = "consumers", required = true, on_delete = "cascade" } },
    { key = { type = "string", required = true, unique = true, auto = true } },
    { secret = { type = "string", encrypted = true } }, { tags = typedefs.tags },
  }, transformations = { { input = { "secret" }, on_write = function(secret)
    if secret == "raise" then error("raised on write") end
    return { secret = "hash of " .. secret }
  end } },
} }
"#;

const CERT: &str = include_str!("../../libs/openssl/tests/cert.pem");
const KEY: &str = include_str!("../../libs/openssl/tests/p256.pem");
const PUBLIC: &str = include_str!("../../libs/openssl/tests/p256_pub.pem");

fn seeds() -> Vec<Value> {
    let config = json!({ "text": "t", "judged": "j", "n": 2, "i": 3, "on": false, "list": ["a"], "set": ["a", "b"],
        "map": { "kk": [{ "deep": { "x": 1 } }] }, "other": { "a": "b" }, "body": { "a": 1 },
        "inner": { "host": "h", "path": "/p" } });
    vec![
        json!({ "_format_version": "3.0", "_transform": true, "_comment": "c", "_ignore": [1], "services": [
            { "name": "s", "url": "http://h:80/p", "retries": 1, "tags": ["a"], "routes": [
                { "name": "r", "paths": ["/a", "~/b/\\d+$"], "methods": ["GET"], "hosts": ["*.a.test"],
                  "headers": { "x-v": ["1"] }, "plugins": [{ "name": "fuzzed", "config": config }] },
                { "paths": ["/c"], "protocols": ["http"], "strip_path": false },
            ], "plugins": [{ "name": "fuzzed", "instance_name": "one" }] },
            { "name": "tls", "host": "pool", "protocol": "https", "tls_verify": true, "tls_verify_depth": 2 },
        ], "upstreams": [{ "name": "pool", "algorithm": "round-robin", "slots": 100,
            "healthchecks": { "passive": { "unhealthy": { "http_failures": 3 } } },
            "targets": [{ "target": "127.0.0.1:1", "weight": 10 }, { "target": "h.test:2" }] }],
          "consumers": [{ "username": "ann", "custom_id": "1", "fuzzed_credentials": [
                { "key": "k", "secret": "s" }, { "tags": ["x"] }] }, { "username": "bob" }] }),
        json!({ "_format_version": "3.0", "_transform": false,
          "services": [{ "id": "8b4ae0b8-07b1-4d2c-9d0b-a5ff1f8b2b4a", "name": "s", "host": "h" }],
          "routes": [{ "name": "r", "service": "s", "paths": ["/"], "https_redirect_status_code": 426 },
                     { "name": "e", "service": "s", "hosts": ["a.test"], "regex_priority": 3 }],
          "consumers": [{ "username": "ann" }],
          "fuzzed_credentials": [{ "key": "k", "consumer": "ann", "secret": "s" }],
          "plugins": [{ "name": "fuzzed", "route": "r", "config": config.clone(), "enabled": false },
                      { "name": "fuzzed", "service": "s", "config": { "old": "o", "judged": "j" } }],
          "vaults": [{ "name": "env", "prefix": "my-env", "config": { "prefix": "X_" } }],
          "key_sets": [{ "name": "set" }],
          "keys": [{ "name": "k", "kid": "1", "set": "set", "pem": { "public_key": PUBLIC } }],
          "workspaces": [{ "name": "default" }], "snis": [],
          "certificates": [{ "cert": CERT, "key": KEY, "tags": ["c"], "snis": [{ "name": "a.test" }] }] }),
        json!({ "_format_version": "1.1", "_info": { "defaults": {} }, "services": [{ "name": "s", "host": "h",
          "routes": [{ "name": "r", "paths": ["/a/(b|c)"] }] }],
          "plugins": [{ "name": "fuzzed", "service": "s", "config": {} }] }),
    ]
}

/// A value that belongs nowhere, or by chance somewhere.
fn odd(dice: &mut Dice) -> Value {
    let values = [
        json!(null),
        json!(true),
        json!(-1),
        json!(0.5),
        json!(1e308),
        json!(-0.0),
        json!(1e16),
        json!(u64::MAX),
        json!(""),
        json!("s"),
        json!("raise"),
        json!("bad"),
        json!("\0\u{2028}\u{1f600}"),
        json!("~/("),
        json!("/a//b"),
        json!("x".repeat(300)),
        json!([]),
        json!({}),
        json!([null]),
        json!([[]]),
        json!({ "id": "s" }),
        json!({ "id": null }),
        json!({ "a": { "b": [1] } }),
        json!(["a", "a"]),
        json!([1, "x", {}]),
        json!({ "": 1 }),
        json!({ "1": 1 }),
        json!("{vault://env/x}"),
        json!("yes"),
        json!("010"),
        json!("1_0"),
        json!("12:30:45"),
        json!("~"),
        json!("null"),
        json!(".5"),
        json!("0x1F"),
        json!(" a\n\nb\t: #c\n"),
        json!("- a"),
        json!("=<<"),
        json!("<<"),
        json!("2001-01-01"),
        json!("!!str a"),
        json!(".nan"),
        json!("8b4ae0b8-07b1-4d2c-9d0b-a5ff1f8b2b4a"),
        json!("~/((a{1000}){1000}){1000}"),
        json!({ "@entity": "x" }),
    ];
    dice.one(&values).clone()
}

/// All places in a value, as JSON pointers.
fn places(value: &Value, at: &str, found: &mut Vec<String>) {
    match value {
        Value::Array(items) => {
            for (i, item) in items.iter().enumerate() {
                let at = format!("{at}/{i}");
                found.push(at.clone());
                places(item, &at, found);
            }
        }
        Value::Object(fields) => {
            for (key, value) in fields {
                let at = format!("{at}/{}", key.replace('~', "~0").replace('/', "~1"));
                found.push(at.clone());
                places(value, &at, found);
            }
        }
        _ => {}
    }
}

fn parent_of<'v>(file: &'v mut Value, place: &str) -> Option<(&'v mut Value, String)> {
    let (parent, key) = place.rsplit_once('/')?;
    let key = key.replace("~1", "/").replace("~0", "~");
    Some((file.pointer_mut(parent)?, key))
}

fn mutate(dice: &mut Dice, file: &mut Value) {
    let mut all = Vec::new();
    places(file, "", &mut all);
    if all.is_empty() {
        return;
    }
    let place = dice.one(&all).clone();
    let other = dice.one(&all).clone();
    let Some(value) = file.pointer(&place).cloned() else {
        return;
    };
    match dice.roll(7) {
        0 | 1 => *file.pointer_mut(&place).unwrap() = odd(dice),
        2 => match parent_of(file, &place) {
            Some((Value::Object(fields), key)) => drop(fields.shift_remove(&key)),
            Some((Value::Array(items), key)) => drop(items.remove(key.parse().unwrap())),
            _ => {}
        },
        // said twice: an entry of a list again, a field under another name
        3 => match parent_of(file, &place) {
            Some((Value::Object(fields), key)) => {
                drop(fields.insert(format!("{key}{}", ["s", " ", "_"][dice.roll(3)]), value));
            }
            Some((Value::Array(items), _)) => items.push(value),
            _ => {}
        },
        4 => {
            let there = file.pointer(&other).cloned().unwrap_or_default();
            if let Some(slot) = file.pointer_mut(&place) {
                *slot = there;
            }
            if let Some(slot) = file.pointer_mut(&other) {
                *slot = value;
            }
        }
        5 => {
            if let Some((Value::Object(fields), _)) = parent_of(file, &place) {
                let names = [
                    "name", "id", "config", "tags", "plugins", "routes", "service", "consumer", "unknown",
                    "@entity",
                ];
                drop(fields.insert((*dice.one(&names)).to_owned(), odd(dice)));
            }
        }
        _ => {
            let key = *dice.one(&["id", "name", "x"]);
            *file.pointer_mut(&place).unwrap() = Value::Object(Map::from_iter([(key.to_owned(), value)]));
        }
    }
}

/// The texts in a tree of errors.
fn texts(tree: &Value) -> usize {
    match tree {
        Value::Object(fields) => fields.values().map(texts).sum(),
        Value::Array(items) => items.iter().map(texts).sum(),
        Value::Null => 0,
        _ => 1,
    }
}

fn options(flatten_errors: bool) -> Options {
    Options {
        plugins: vec!["fuzzed".to_owned()],
        vaults: vec!["env".to_owned()],
        flatten_errors,
    }
}

/// Kong's error object, with a reason that is no accident of ours.
fn check_refusal(refused: &Refused, text: &str) {
    let said = format!("{}\n{}\nof {text}", refused.text, refused.error);
    assert!(!refused.text.trim().is_empty(), "{said}");
    assert_eq!(refused.error["code"], 14, "{said}");
    assert_eq!(
        refused.error["name"], "invalid declarative configuration",
        "{said}"
    );
    assert!(
        texts(&refused.error["fields"]) > 0 || refused.error["flattened_errors"][0].is_object(),
        "{said}"
    );
    assert!(
        refused.error["message"].as_str().is_some_and(|m| !m.is_empty()),
        "{said}"
    );
    for accident in [
        "stack traceback",
        "attempt to",
        "stack overflow",
        "bad argument",
        "/src/",
    ] {
        assert!(!refused.text.contains(accident), "{said}");
    }
}

/// Every error is told once: of an entity, or where it stands.
fn check_flattened(plain: &Refused, flattened: &Refused, text: &str) {
    // what no entity's schema said has no list
    let none = Vec::new();
    let list = flattened.error["flattened_errors"].as_array().unwrap_or(&none);
    let of_entities: usize = list
        .iter()
        .map(|entry| entry["errors"].as_array().unwrap().len())
        .sum();
    let (all, left) = (texts(&plain.error["fields"]), texts(&flattened.error["fields"]));
    assert_eq!(
        all,
        of_entities + left,
        "{}\n{}\nof {text}",
        plain.error,
        flattened.error
    );
    for entry in list {
        assert!(entry["entity_type"].is_string(), "{entry}");
        for error in entry["errors"].as_array().unwrap() {
            assert!(
                error["message"].is_string() && error["type"].is_string(),
                "{entry}"
            );
        }
    }
}

/// Lua's `table: 0x...` told the same each time, and without the column in a row, whose fields have no order.
fn without_addresses(text: &str) -> String {
    let text = text.split(" at line ").next().unwrap_or_default();
    let mut parts = text.split("0x");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |told, part| {
        told + part.trim_start_matches(|c: char| c.is_ascii_hexdigit())
    })
}

/// The rows, without what says when they were written and in which workspace.
fn rows(snapshot: &Snapshot) -> Value {
    let text: String = crate::store::JsonPieces::new(snapshot).collect();
    let mut all: Value = serde_json::from_str(&text).unwrap();
    all.as_object_mut().unwrap().shift_remove("workspaces");
    for kind in all.as_object_mut().unwrap().values_mut() {
        for row in kind.as_object_mut().unwrap().values_mut() {
            let row = row.as_object_mut().unwrap();
            row.shift_remove("updated_at");
            row.shift_remove("ws_id");
        }
    }
    all
}

/// What was taken in is said as a file, and taken in again as the same.
fn check_round_trip(vm: &Vm, snapshot: &Snapshot, text: &str) {
    let yaml = snapshot.to_yaml();
    match load(vm, &yaml, Format::Yaml, &options(false), |snapshot| snapshot) {
        Ok(again) => {
            let (first, second) = (rows(snapshot), rows(&again));
            let mut all = Vec::new();
            places(&first, "", &mut all);
            places(&second, "", &mut all);
            let differs = all
                .iter()
                .rfind(|place| first.pointer(place) != second.pointer(place));
            assert!(
                differs.is_none(),
                "{differs:?}: {:?}, then {:?}\nin {yaml}\nof {text}",
                differs.map(|place| first.pointer(place)),
                differs.map(|place| second.pointer(place)),
            );
        }
        Err(refused) => panic!("{}\nin {yaml}\nof {text}", refused.text),
    }
}

/// The rows without what is made anew each time: when they were made, and ids that nothing names.
fn settled(snapshot: &Snapshot, text: &str) -> Vec<String> {
    let mut all = Vec::new();
    for (kind, of_kind) in rows(snapshot).as_object_mut().unwrap() {
        for row in of_kind.as_object_mut().unwrap().values_mut() {
            row.as_object_mut().unwrap().shift_remove("created_at");
            let row = row.to_string();
            let random = |word: &&str| {
                word.len() == 36
                    && word.as_bytes()[14] == b'4'
                    && word.matches('-').count() == 4
                    && !text.contains(*word)
            };
            let settled: Vec<&str> = row
                .split('"')
                .map(|w| if random(&w) { "random" } else { w })
                .collect();
            all.push(format!("{kind} {}", settled.join("\"")));
        }
    }
    all.sort();
    all
}

/// A document taken apart says what it says when it is read as a whole; a key that is written oddly makes it be.
fn check_as_a_whole(vm: &Vm, in_pieces: &Result<Snapshot, Refused>, text: &str) {
    let odd = text.replacen('{', "{\"_\\u0063omment\":null,", 1);
    match (
        in_pieces,
        &load(vm, &odd, Format::Json, &options(false), |snapshot| snapshot),
    ) {
        (Ok(one), Ok(other)) => assert_eq!(settled(one, text), settled(other, text), "{text}"),
        (Err(one), Err(other)) => {
            assert_eq!(
                without_addresses(&one.text),
                without_addresses(&other.text),
                "{text}"
            );
        }
        (one, other) => panic!(
            "{:?} in pieces, {:?} as a whole\nof {text}",
            one.as_ref().err().map(|e| &e.text),
            other.as_ref().err().map(|e| &e.text)
        ),
    }
}

#[test]
fn b04_fuzz_a_file_is_taken_in_and_told_again_or_refused_with_its_places() {
    let vm = control();
    let preload = "local name, text = ... package.preload[name] = function() return loadstring(text)() end";
    for (name, text) in [("schema", SCHEMA), ("daos", DAOS)] {
        let name = format!("kong.plugins.fuzzed.{name}");
        vm.lua().load(preload).call::<()>((name, text)).unwrap();
    }
    let seeds = seeds();
    for seed in &seeds {
        let text = seed.to_string();
        match load(&vm, &text, Format::Json, &options(false), |snapshot| snapshot) {
            Ok(snapshot) => check_round_trip(&vm, &snapshot, &text),
            Err(refused) => panic!("{}\nof {text}", refused.text),
        }
    }
    let mut dice = Dice::new(2);
    let (mut taken, mut refused) = (0, 0);
    for round in 0..rounds(2_000) {
        let mut file = dice.one(&seeds).clone();
        for _ in 0..*dice.one(&[1, 1, 1, 2, 4]) {
            mutate(&mut dice, &mut file);
        }
        let (text, format) = match round % 3 {
            0 => (serde_norway::to_string(&file).unwrap(), Format::Yaml),
            _ => (file.to_string(), Format::Either),
        };
        let loaded = load(&vm, &text, format, &options(false), |snapshot| snapshot);
        if round % 6 == 1
            && file
                .as_object()
                .is_some_and(|f| !f.is_empty() && !f.contains_key("_comment"))
        {
            check_as_a_whole(&vm, &loaded, &text);
        }
        match loaded {
            Ok(snapshot) => {
                taken += 1;
                if taken % 4 == 0 {
                    check_round_trip(&vm, &snapshot, &text);
                }
            }
            Err(plain) => {
                check_refusal(&plain, &text);
                refused += 1;
                if refused % 4 != 0 {
                    continue;
                }
                let flattened = load(&vm, &text, format, &options(true), |snapshot| snapshot)
                    .err()
                    .unwrap();
                check_refusal(&flattened, &text);
                assert_eq!(without_addresses(&plain.text), without_addresses(&flattened.text));
                if file.is_object() {
                    check_flattened(&plain, &flattened, &text);
                }
            }
        }
    }
    assert!(
        taken > 200 && refused > 200,
        "{taken} taken in, {refused} refused"
    );
}
