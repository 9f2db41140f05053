#![allow(clippy::unwrap_used)]

mod fuzz;

use super::syntax::{Format, MakeJson, parse};
use super::*;
use crate::entity::*;
use serde_json::{Value, json};

fn yaml(text: &str) -> Result<Value, StoreError> {
    parse(text, Format::Yaml, &MakeJson)
}

#[test]
fn b04_yaml_aliases_and_merge_keys() {
    let value = yaml(
        "base: &base { a: 1, b: x }\nother: &other { b: y, c: 2 }\n\
         one:\n  <<: *base\n  b: own\nmany:\n  <<: [*base, *other]\n1: number\ntrue: yes\n",
    )
    .unwrap();
    assert_eq!(value["one"], json!({ "a": 1, "b": "own" }));
    assert_eq!(value["many"], json!({ "a": 1, "b": "x", "c": 2 }));
    assert_eq!((&value["1"], &value["true"]), (&json!("number"), &json!(true)));
}

#[test]
fn b04_bad_text_says_where() {
    let cases = [
        ("{\"a\": [1, 2", Format::Json, "line 1 column"),
        ("a: [1, 2", Format::Yaml, "1:"),
        ("a: &x [*x]", Format::Yaml, "too"),
        ("a: .inf", Format::Yaml, "not finite"),
        ("? [1]\n: 2", Format::Yaml, "a key that is a string or a number"),
    ];
    for (text, format, wanted) in cases {
        let error = parse(text, format, &MakeJson).unwrap_err().to_string();
        assert!(error.contains(wanted), "{text}: {error}");
    }
    for open in ["[", "{\"a\":", "- "] {
        let error = parse(&open.repeat(5000), Format::Either, &MakeJson).unwrap_err();
        assert!(error.to_string().contains("nested too deeply"), "{open}: {error}");
    }
}

#[test]
fn b04_a_short_text_cannot_become_a_great_value() {
    let mut text = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n".to_owned();
    for i in 1..30 {
        let list = vec![format!("*a{}", i - 1); 10].join(",");
        text.push_str(&format!("a{i}: &a{i} [{list}]\n"));
    }
    let error = yaml(&text).unwrap_err().to_string();
    assert!(
        error.contains("expands to too much") || error.contains("repetition"),
        "{error}"
    );
    let long = " ".repeat(syntax::MAX_TEXT + 1);
    assert!(matches!(yaml(&long), Err(StoreError::Limit(_))));
}

fn kinds() -> Vec<EntityKind> {
    let kind = |name: &str, unique: &[&str], foreign: &[(&str, &str)]| EntityKind {
        name: name.to_owned(),
        primary_key: vec!["id".to_owned()],
        unique: unique.iter().map(|f| (*f).to_owned()).collect(),
        foreign: foreign
            .iter()
            .map(|(field, kind)| Foreign {
                field: (*field).to_owned(),
                reference: (*kind).to_owned(),
            })
            .collect(),
        cache_key_template: (name == "plugins")
            .then(|| "plugins:{name}:{route}:{service}:{consumer}::{ws_id}".to_owned()),
        ..EntityKind::default()
    };
    vec![
        kind("consumers", &["username", "custom_id"], &[]),
        kind("plugins", &["instance_name"], &[("consumer", "consumers")]),
        kind("keyauth_credentials", &["key"], &[("consumer", "consumers")]),
        EntityKind {
            cache_key_template: Some("keys:{kid}:{set}".to_owned()),
            ..kind("keys", &[], &[])
        },
    ]
}

#[test]
fn b05_rows_are_found_by_every_key() {
    let mut builder = Builder::new(kinds());
    for (id, name) in [("c2", "bob"), ("c1", "ann")] {
        let row = json!({ "id": id, "username": name, "custom_id": null, "tags": ["all", name] });
        builder.add("consumers", &row.to_string()).unwrap();
    }
    for (id, key, consumer) in [("k3", "x", "c1"), ("k1", "y", "c1"), ("k2", "z", "c2")] {
        let row = json!({ "id": id, "key": key, "consumer": { "id": consumer } });
        builder.add("keyauth_credentials", &row.to_string()).unwrap();
    }
    let plugin = json!({ "id": "p1", "name": "one", "enabled": true, "protocols": ["http"],
        "consumer": { "id": "c2" }, "config": { "a": null } });
    builder.add("plugins", &plugin.to_string()).unwrap();
    assert!(builder.add("nothing", r#"{ "id": "x" }"#).is_err());
    assert!(builder.add("plugins", r#"{ "id": "x", "name": 1 }"#).is_err());
    for (id, set) in [("1", "a"), ("2", "b")] {
        let key = json!({ "id": id, "kid": "k", "set": { "id": set } });
        builder.add("keys", &key.to_string()).unwrap();
    }
    let snapshot = builder.finish("hash".to_owned());
    let keys = snapshot.rows("keys").unwrap();
    let at = ["keys:k:a", "keys:k:b", "keys:k:c"].map(|key| keys.by_composed(key));
    assert_eq!(at, [Some(0), Some(1), None], "a key without a workspace");
    assert_eq!(snapshot.consumer_by_username("ann"), Some(ConsumerIdx(1)));
    assert_eq!(snapshot.consumer_by_id("c2"), Some(ConsumerIdx(0)));
    assert_eq!(snapshot.plugins[0].consumer, Some(ConsumerIdx(0)));
    let consumers = snapshot.rows("consumers").unwrap();
    assert_eq!(
        consumers.value(0).unwrap(),
        json!({ "id": "c2", "username": "bob", "custom_id": null, "tags": ["all", "bob"] })
    );
    assert_eq!(consumers.all(), [1, 0]);
    assert_eq!(consumers.tagged(&["all"], true), [1, 0]);
    assert_eq!(consumers.tagged(&["all", "bob"], true), [0]);
    assert_eq!(consumers.tagged(&["bob", "ann", "none"], false), [1, 0]);
    assert!(consumers.tagged(&["all", "none"], true).is_empty());
    let keys = snapshot.rows("keyauth_credentials").unwrap();
    assert_eq!(keys.of_parent("consumer", "c1"), [1, 0]);
    assert!(keys.of_parent("consumer", "c9").is_empty());
    assert_eq!(keys.by_key("key", "z"), Some(2));
    let plugins = snapshot.rows("plugins").unwrap();
    assert_eq!(plugins.by_composed("plugins:one:::c2::ws"), Some(0));
    assert_eq!(plugins.by_composed("plugins:one:::c2:::ws"), None);
}

#[test]
fn b04_a_snapshot_is_told_whole_and_in_order() {
    let kind = |name: &str, key: &[&str]| EntityKind {
        name: name.to_owned(),
        primary_key: key.iter().map(|field| (*field).to_owned()).collect(),
        fields: ["name", "id", "unset", "config", "set"].map(str::to_owned).into(),
        ..EntityKind::default()
    };
    let mut builder = Builder::new(vec![kind("odd\"kind", &["id"]), kind("pairs", &["set", "name"])]);
    let row = r#"{"set":{"id":"s,1"}, "name":"a\/\"\u00e4{,","ws_id":"w","id":"x\"1","odd \"field":[{"b":1,"a":{"d":[],"c":2}}],
        "config":{"z":1,"a":[true,null,"{"]}}"#;
    builder.add("odd\"kind", row).unwrap();
    for name in ["p2", "p1"] {
        let row = json!({ "name": name, "set": { "id": "s" }, "config": 1.5 });
        builder.add("pairs", &row.to_string()).unwrap();
    }
    let snapshot = builder.finish(String::new());
    let text: String = super::JsonPieces::new(&snapshot).collect();
    let expected = concat!(
        r#"{"odd\"kind":{"x\"1":{"config":{"a":[true,null,"{"],"z":1},"id":"x\"1","name":"a\/\"\u00e4{,","#,
        r#""odd \"field":[{"a":{"c":2,"d":[]},"b":1}],"set":{"id":"s,1"},"unset":null}},"#,
        r#""pairs":{"s:p1":{"config":1.5,"id":null,"name":"p1","set":{"id":"s"},"unset":null},"#,
        r#""s:p2":{"config":1.5,"id":null,"name":"p2","set":{"id":"s"},"unset":null}}}"#
    );
    assert_eq!(text, expected);
    let row = snapshot.rows("odd\"kind").unwrap().value(0).unwrap();
    let told: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(told["odd\"kind"]["x\"1"]["name"], row["name"]);
}
