//! What declarative documents say: formats, notes, references, ids, transformations; and `config parse`.

use std::process::Command;

use serde_json::{Value, json};

use crate::support::{Admin, Gateway, Origin, Setup, TempDir, service};

/// An entity whose text is stored in capitals, as a password is stored hashed.
const SECRETS: &str = r#"
local typedefs = require "kong.db.schema.typedefs"
return { {
  name = "secrets",
  primary_key = { "id" },
  endpoint_key = "name",
  cache_key = { "name" },
  workspaceable = true,
  fields = {
    { id = typedefs.uuid },
    { consumer = { type = "foreign", reference = "consumers", required = true, on_delete = "cascade" } },
    { name = { type = "string", required = true, unique = true } },
    { text = { type = "string", required = true } },
    { tags = typedefs.tags },
  },
  transformations = { {
    input = { "text" },
    needs = { "consumer.id" },
    on_write = function(text, consumer_id) return { text = text:upper() .. "@" .. consumer_id:sub(1, 8) } end,
  } },
} }
"#;

fn start() -> (Gateway, Admin) {
    let (setup, admin) = Setup::new(&service(1))
        .plugin("mark", "return { PRIORITY = 1, VERSION = '1.0.0' }")
        .lua("kong/plugins/mark/daos.lua", SECRETS)
        .admin();
    (setup.start(), admin)
}

/// The only entity of a kind.
#[track_caller]
fn only(entities: &Value, kind: &str) -> Value {
    let all = entities[kind]
        .as_object()
        .unwrap_or_else(|| panic!("no {kind}: {entities:#}"));
    assert_eq!(all.len(), 1, "{all:#?}");
    all.values().next().unwrap().clone()
}

#[track_caller]
fn yaml(admin: Admin, text: &str) -> Value {
    admin.post("", "text/yaml", text).is(201).json()
}

#[test]
fn b04_formats_before_3_0_have_their_paths_migrated() {
    let (_gateway, admin) = start();
    for (format, path, wanted) in [
        ("1.1", "/a(?<x>\\d+)", "~/a(?<x>\\d+)"),
        ("2.1", "/b.*", "~/b.*"),
        ("2.1", "/plain-path_1~2", "/plain-path_1~2"),
        ("2.1", "/c%41", "/cA"),
        ("3.0", "/a(x)", "/a(x)"),
    ] {
        let nested = json!({ "_format_version": format, "services": [
            { "name": "s", "host": "h", "routes": [{ "name": "r", "paths": [path] }] },
        ] });
        let flat = json!({ "_format_version": format, "routes": [{ "name": "r", "paths": [path] }] });
        for config in [nested, flat] {
            assert_eq!(
                only(&admin.accept(&config), "routes")["paths"],
                json!([wanted]),
                "{format} {path}"
            );
        }
    }
    for format in [json!("1.0"), json!("2.0"), json!("4.0"), json!("3")] {
        let error = admin.refuse("", &json!({ "_format_version": format }));
        assert_eq!(
            error["fields"]["_format_version"], "expected one of: 1.1, 2.1, 3.0",
            "{format}"
        );
    }
    let error = admin.refuse("", &json!({ "services": [] }));
    assert_eq!(error["fields"]["_format_version"], "required field missing");
}

#[test]
fn b04_notes_are_no_entities() {
    let (_gateway, admin) = start();
    let entities = yaml(
        admin,
        "_format_version: '3.0'\n_comment: what this is for\n_ignore: [ anything, { goes: here } ]\n\
         _info: { select_tags: [ a ], defaults: {} }\n\
         services:\n- name: s\n  host: h\n  _comment: a note\n  _ignore: [ 1 ]\n  \
         plugins:\n  - { name: mark, config: { tag: t }, _comment: x }\n",
    );
    for kind in ["services", "plugins"] {
        let entity = only(&entities, kind);
        assert!(
            entity.as_object().unwrap().keys().all(|k| !k.starts_with('_')),
            "{entity:#}"
        );
    }
    assert_eq!(entities.as_object().unwrap().len(), 2, "{entities:#}");
    assert!(!admin.export().contains("note"));
    for (config, at, message) in [
        (json!({ "_comment": 1 }), "_comment", "expected a string"),
        (json!({ "_ignore": "x" }), "_ignore", "expected an array"),
        (json!({ "_other": "x" }), "_other", "unknown field"),
    ] {
        let mut config = config;
        config["_format_version"] = json!("3.0");
        assert_eq!(admin.refuse("", &config)["fields"], json!({ at: message }));
    }
}

#[test]
fn b04_references_go_by_name_or_id_flat_and_nested() {
    let (_gateway, admin) = start();
    let flat = yaml(
        admin,
        "_format_version: '3.0'\n\
         plugins:\n- { name: mark, route: r, service: s, consumer: bob, config: { tag: x } }\n\
         secrets:\n- { name: n, consumer: bob, text: t }\n\
         routes:\n- { name: r, service: s, paths: [ /r ] }\n\
         services:\n- { name: s, url: 'https://example.test/base' }\n\
         consumers:\n- { username: bob }\n",
    );
    let nested = yaml(
        admin,
        "_format_version: '3.0'\n\
         services:\n- name: s\n  url: https://example.test:443/base\n  routes:\n  - name: r\n    paths: [ /r ]\n    \
         plugins:\n    - { name: mark, service: s, consumer: bob, config: { tag: x } }\n\
         consumers:\n- username: bob\n  secrets:\n  - { name: n, text: t }\n",
    );
    for kind in ["services", "routes", "consumers", "secrets"] {
        let (mut a, mut b) = (only(&flat, kind), only(&nested, kind));
        for entity in [&mut a, &mut b] {
            let fields = entity.as_object_mut().unwrap();
            fields.retain(|name, _| !name.ends_with("_at"));
        }
        assert_eq!(a, b, "the same entities, ids and all");
    }
    let service = only(&flat, "services");
    assert_eq!(
        (
            &service["protocol"],
            &service["host"],
            &service["port"],
            &service["path"]
        ),
        (
            &json!("https"),
            &json!("example.test"),
            &json!(443),
            &json!("/base")
        )
    );
    for entities in [&flat, &nested] {
        let plugin = only(entities, "plugins");
        let bob = only(entities, "consumers")["id"].clone();
        assert_eq!(plugin["route"]["id"], only(entities, "routes")["id"]);
        assert_eq!(plugin["service"]["id"], service["id"]);
        assert_eq!(plugin["consumer"]["id"], bob);
        assert_eq!(only(entities, "secrets")["consumer"]["id"], bob);
    }
    let by_id = json!({ "_format_version": "3.0", "services": [{ "name": "s", "host": "h" }],
        "routes": [{ "name": "r", "paths": ["/"], "service": { "id": service["id"] } },
            { "name": "q", "paths": ["/"], "service": service["id"] }] });
    for route in admin.accept(&by_id)["routes"].as_object().unwrap().values() {
        assert_eq!(route["service"]["id"], service["id"]);
    }
    let lost =
        json!({ "_format_version": "3.0", "routes": [{ "name": "r", "paths": ["/"], "service": "none" }] });
    assert_eq!(
        admin.refuse("", &lost)["fields"]["routes"],
        json!({ "r": ["invalid reference 'service: none' (no such entry in 'services')"] })
    );
}

#[test]
fn b04_ids_are_uuids_of_names() {
    let (_gateway, admin) = start();
    let entities = yaml(
        admin,
        "_format_version: '3.0'\n\
         services:\n- name: my-service\n  host: h\n  routes:\n  - { name: r, paths: [ / ] }\n  \
         plugins:\n  - { name: mark }\n\
         consumers:\n- username: my-user\n  secrets: [ { name: n, text: t } ]\n\
         upstreams:\n- { name: pool, targets: [ { target: '127.0.0.1:81' } ] }\n",
    );
    // RFC 4122 version 5, in the namespace of the kind, which is one of fd02801f-0957-4a15-a55a-c8d9606f30b5
    assert_eq!(
        only(&entities, "services")["id"],
        "0855b320-0dd2-547d-891d-601e9b38647f"
    );
    assert_eq!(
        only(&entities, "consumers")["id"],
        "4b1b701d-de2b-5588-9aa2-3b97061d9f52"
    );
    assert_eq!(
        only(&entities, "routes")["id"],
        "da7ba03a-f1be-52d4-8a7e-c8f32640689a"
    );
    // of the fields of a cache key: plugins:*:mark:(route):(service):(consumer), secrets:*:n
    assert_eq!(
        only(&entities, "plugins")["id"],
        "5655e3b8-5eb5-57ac-96b8-da093149fa99"
    );
    assert_eq!(
        only(&entities, "secrets")["id"],
        "fb23a96c-0245-5e8d-ace1-f1e994dd65fa"
    );
    // targets:*:(upstream):127.0.0.1:81
    assert_eq!(
        only(&entities, "upstreams")["id"],
        "84cf81c7-fae6-5920-b712-292931a8c3ff"
    );
    assert_eq!(
        only(&entities, "targets")["id"],
        "f6fe641a-e03c-58fc-b81b-358e47b9b7c8"
    );
    let own = "b5b1f5a2-8f11-4f0c-9a35-6a3a5d3f2c10";
    let given =
        json!({ "_format_version": "3.0", "services": [{ "id": own, "name": "my-service", "host": "h" }] });
    assert_eq!(only(&admin.accept(&given), "services")["id"], own);
}

#[test]
fn b04_texts_are_transformed_unless_they_were_before() {
    let (_gateway, admin) = start();
    let config = |transform: Option<bool>| {
        let mut config = json!({ "_format_version": "3.0", "consumers": [{
            "username": "my-user", "secrets": [{ "name": "n", "text": "quiet" }],
        }] });
        if let Some(transform) = transform {
            config["_transform"] = json!(transform);
        }
        config
    };
    for transform in [None, Some(true)] {
        let entities = admin.accept(&config(transform));
        assert_eq!(
            only(&entities, "secrets")["text"],
            "QUIET@4b1b701d",
            "clear texts are not repeated"
        );
        assert!(admin.export().contains("QUIET@4b1b701d"), "{}", admin.export());
    }
    let exported = admin.export();
    assert!(exported.contains("_transform: false"));
    admin.post("", "text/yaml", &exported).is(201);
    assert!(
        admin.export().contains("QUIET@4b1b701d\n"),
        "once is enough: {}",
        admin.export()
    );
    admin.accept(&config(Some(false)));
    assert!(admin.export().contains("text: quiet"));
    let error = admin.refuse("", &json!({ "_format_version": "3.0", "_transform": "no" }));
    assert_eq!(error["fields"]["_transform"], "expected a boolean");
}

#[test]
fn b04_yaml_is_read_as_kong_reads_it() {
    let origin = Origin::echo();
    let text = "# a comment\n---\n_format_version: \"3.0\"\nx-anchors: &defaults\n  retries: 3\n";
    let (_gateway, admin) = start();
    // unknown top-level keys are refused, with or without an anchor in them
    let error = admin.post("", "text/yaml", text).is(400).json();
    assert_eq!(error["fields"]["x-anchors"], "unknown field");
    let entities = yaml(
        admin,
        &format!(
            "_format_version: '3.0'\nservices:\n- &s\n  name: s\n  host: 127.0.0.1\n  port: {}\n  retries: 0x10\n  \
             tags: [ 'yes', \"2020-01-01\", ~x ]\n- <<: *s\n  name: other\n  enabled: off\n",
            origin.port
        ),
    );
    let services = entities["services"].as_object().unwrap();
    assert_eq!(services.len(), 2);
    let other = services.values().find(|s| s["name"] == "other").unwrap();
    assert_eq!(
        (&other["port"], &other["enabled"], &other["retries"]),
        (&json!(origin.port), &json!(false), &json!(16))
    );
    assert_eq!(other["tags"], json!(["yes", "2020-01-01", "~x"]));
}

/// Runs `config parse` on a text; whether it went well, and what it said.
fn parse(name: &str, text: &str) -> (bool, String) {
    let dir = TempDir::new();
    let file = dir.write(name, text);
    let out = Command::new(env!("CARGO_BIN_EXE_moongate"))
        .args(["config", "parse"])
        .arg(&file)
        .env_clear()
        .env("PATH", std::env::var("PATH").unwrap())
        .env("KONG_PREFIX", dir.path().join("prefix"))
        .env("KONG_DATABASE", "off")
        .env("KONG_PLUGINS", "off")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&out.stdout).into_owned() + &String::from_utf8_lossy(&out.stderr);
    (out.status.success(), said)
}

#[test]
fn b04_config_parse_prints_errors_as_a_tree() {
    let (ok, said) = parse(
        "kong.yml",
        "_format_version: '3.0'\nservices:\n- { name: s, host: h }\n",
    );
    assert!(ok && said.contains("parse successful"), "{said}");
    let (ok, said) = parse(
        "kong.yml",
        "_format_version: '3.0'\nservices:\n- { name: s, host: h }\n- name: t\n",
    );
    assert!(!ok);
    assert!(
        said.contains("Error: Failed parsing:\nin 'services':\n  - in entry 2 of 'services':\n    in 'host': required field missing\n"),
        "{said}"
    );
    let (ok, said) = parse(
        "kong.json",
        r#"{"_format_version":"3.0","services":[{"name":"s","host":"h","routes":[{"name":"r","paths":["x"]}]}]}"#,
    );
    assert!(!ok);
    let tree = "in 'services':\n  - in entry 1 of 'services':\n    in 'routes':\n      - in entry 1 of 'routes':\n        \
        in 'paths':\n          - in entry 1 of 'paths': should start with: / (fixed path) or ~/ (regex path)\n";
    assert!(said.contains(tree), "{said}");
    let (ok, said) = parse("kong.yml", "_format_version: '3.0'\nservices: [\n");
    assert!(
        !ok && said.contains("failed parsing declarative configuration"),
        "{said}"
    );
    let (ok, said) = parse("kong.txt", "_format_version: '3.0'\n");
    assert!(!ok, "{said}");
    assert!(
        said.contains("unknown file type: ") && said.contains("(Accepted types: json, yaml)"),
        "{said}"
    );
}
