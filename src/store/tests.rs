#![allow(clippy::unwrap_used)]

use super::*;
use crate::entity::*;
use serde_json::{Map, Value, json};
use std::time::{Duration, SystemTime};

/// Knows the plugins `one` and `two`; `one` requires `config.key` and fills in `config.more`.
fn judge(name: &str, entity: &Value) -> Result<Value, Refusal> {
    let mut config = entity["config"].clone();
    match name {
        "one" if config.get("key").is_none() => {
            let errors = json!({ "config": { "key": "required field missing" } });
            Err(Refusal::Fields(errors.as_object().cloned().unwrap()))
        }
        "one" => {
            config["more"] = json!(true);
            Ok(config)
        }
        "two" => Ok(config),
        _ => Err(Refusal::NotEnabled),
    }
}

fn load(text: &str) -> Result<Snapshot, StoreError> {
    let now = SystemTime::UNIX_EPOCH + Duration::from_millis(1_700_000_000_500);
    Document::parse(text, Format::Either)?.into_snapshot(now, &[], &mut judge)
}

fn refused(text: &str) -> String {
    load(text).err().map(|error| error.to_string()).unwrap()
}

const NESTED: &str = r#"
_format_version: "3.0"
_transform: false
_comment: all of it nested
services:
- name: orders
  url: http://orders.internal:8080/api
  tags: [a, b, a]
  routes:
  - name: by-path
    paths: ["/orders", "~/o/(?<id>\\d+)"]
    methods: [GET]
    headers: { X-Version: [v1, v2] }
    plugins:
    - name: one
      config: { key: k }
  plugins:
  - name: two
consumers:
- username: ann
  custom_id: "7"
  keyauth_credentials:
  - key: secret
  plugins:
  - name: two
upstreams:
- name: pool
  targets:
  - target: 10.0.0.1:9000
  - target: "[::1]:9001"
    weight: 5
  - target: plain.host
plugins:
- name: two
"#;

#[test]
fn a12_kong_yml_nested() {
    let snapshot = load(NESTED).unwrap();
    let service = &snapshot.services[0];
    assert_eq!((service.host.as_str(), service.port), ("orders.internal", 8080));
    assert_eq!(service.path.as_deref(), Some("/api"));
    assert_eq!(service.connect_timeout, Duration::from_secs(60));
    assert_eq!((service.retries, service.enabled), (5, true));
    assert_eq!(service.tags, ["a", "b"]);
    let route = &snapshot.routes[0];
    assert_eq!(route.service, Some(ServiceIdx(0)));
    assert_eq!(route.raw["service"], json!({ "id": service.id }));
    assert_eq!(
        route.headers,
        [HeaderRule {
            name: "x-version".into(),
            values: vec!["v1".into(), "v2".into()]
        }]
    );
    assert_eq!((route.strip_path, route.https_redirect_status_code), (true, 426));
    assert_eq!(route.raw["created_at"], json!(1_700_000_000));
    assert!(route.raw.get("hosts").is_none(), "nulls are left out");
    let pool = &snapshot.upstreams[snapshot.upstream_by_name("pool").unwrap().index()];
    let targets: Vec<_> = pool
        .targets
        .iter()
        .map(|t| (t.host.as_str(), t.port, t.weight))
        .collect();
    assert_eq!(
        targets,
        [
            ("10.0.0.1", 9000, 100),
            ("::1", 9001, 5),
            ("plain.host", 8000, 100)
        ]
    );
    assert_eq!(pool.targets[0].raw["created_at"], json!(1_700_000_000.5));
    assert_eq!(
        pool.raw["healthchecks"]["active"]["healthy"]["http_statuses"],
        json!([200, 302])
    );
    let ann = snapshot.consumer_by_username("ann").unwrap();
    assert_eq!(snapshot.consumer_by_custom_id("7"), Some(ann));
    let credential = &snapshot.other["keyauth_credentials"][0];
    assert_eq!(credential["consumer"]["id"], json!(snapshot.consumers[0].id));
    assert_eq!(credential["key"], "secret");
    assert!(!snapshot.transform);
    let scopes: Vec<_> = snapshot
        .plugins
        .iter()
        .map(|p| (p.name.as_str(), p.route, p.service, p.consumer))
        .collect();
    assert_eq!(scopes.len(), 4);
    assert!(scopes.contains(&("one", Some(RouteIdx(0)), None, None)));
    assert!(scopes.contains(&("two", None, Some(ServiceIdx(0)), None)));
    assert!(scopes.contains(&("two", None, None, Some(ann))));
    assert!(scopes.contains(&("two", None, None, None)));
    let one = snapshot.plugins.iter().find(|p| p.name == "one").unwrap();
    assert_eq!(one.config, json!({ "key": "k", "more": true }));
    assert_eq!(one.raw["config"], one.config);
}

#[test]
fn a12_flat_references_by_name_and_id() {
    let snapshot = load(
        r#"{ "_format_version": "3.0",
        "plugins": [{ "name": "two", "route": "r", "consumer": { "id": "11111111-2222-4333-8444-555555555555" } }],
        "routes": [{ "name": "r", "hosts": ["*.example.com:80"], "service": "s" }],
        "services": [{ "name": "s", "host": "h", "port": 81.0, "read_timeout": 1 }],
        "targets": [{ "upstream": "u", "target": "t:1", "weight": 0 }],
        "upstreams": [{ "name": "u" }],
        "consumers": [{ "id": "11111111-2222-4333-8444-555555555555", "username": "c" }] }"#,
    )
    .unwrap();
    assert_eq!(snapshot.routes[0].service, Some(ServiceIdx(0)));
    assert_eq!(snapshot.services[0].read_timeout, Duration::from_millis(1));
    assert_eq!(snapshot.services[0].port, 81);
    assert_eq!(snapshot.upstreams[0].targets[0].weight, 0);
    let plugin = &snapshot.plugins[0];
    assert_eq!(
        (plugin.route, plugin.consumer),
        (Some(RouteIdx(0)), Some(ConsumerIdx(0)))
    );
    assert_eq!(plugin.raw["route"]["id"], json!(snapshot.routes[0].id));
    assert_eq!(
        snapshot.find_route("r"),
        snapshot.find_route(&snapshot.routes[0].id)
    );
}

#[test]
fn a12_ids_are_derived_as_kong_derives_them() {
    // Expected values: two steps of UUIDv5, worked out with another implementation (Python's uuid module).
    let snapshot = load(NESTED).unwrap();
    assert_eq!(snapshot.services[0].id, "580c8aca-d632-5804-b307-a24326e1e2d5");
    assert_eq!(
        snapshot.upstreams[0].targets[0].id,
        "798801c6-fbd0-52b9-980b-4f8048ac8632"
    );
    let global = snapshot
        .plugins
        .iter()
        .find(|p| p.name == "two" && p.raw.get("service").is_none());
    assert!(global.is_some());
    let global = snapshot.plugins.last().unwrap();
    assert_eq!(global.id, "7979563c-4eb4-5997-b790-f4121022b361");
    let scoped = snapshot.plugins.iter().find(|p| p.service.is_some()).unwrap();
    assert_eq!(scoped.id, "a7399397-b604-53af-b520-8d34a9d17130");
}

#[test]
fn a12_a_document_loaded_twice_has_the_same_ids() {
    let nameless =
        r#"{ "_format_version": "3.0", "services": [{ "host": "h", "routes": [{ "paths": ["/"] }] }] }"#;
    let (first, second) = (load(nameless).unwrap(), load(nameless).unwrap());
    assert_eq!(first.routes[0].id, second.routes[0].id);
    assert_eq!(first.hash, second.hash);
    assert_ne!(first.hash, load(NESTED).unwrap().hash);
    assert_eq!(Snapshot::empty().hash, EMPTY_HASH);
}

#[test]
fn a12_errors_are_kongs_tree() {
    let text = refused(
        r#"
_format_version: "3.0"
services:
- name: fine
  host: h
- name: bad name
  protocol: ftp
  port: 70000
  colour: red
  routes:
  - paths: ["nope", "/good", "/a/../b"]
"#,
    );
    let wanted = "\
in 'services':
  - in entry 2 of 'services':
    in 'colour': unknown field
    in 'name': invalid value 'bad name': the only accepted ascii characters are alphanumerics or ., -, _, and ~
    in 'protocol': expected one of: grpc, grpcs, http, https, tcp, tls, tls_passthrough, udp
    in 'host': required field missing
    in 'port': value should be between 0 and 65535
    in 'routes':
      - in entry 1 of 'routes':
        in 'paths':
          - in entry 1 of 'paths': should start with: / (fixed path) or ~/ (regex path)
          - in entry 3 of 'paths': non-normalized path, consider use '/b' instead";
    assert_eq!(text, wanted);
}

#[test]
fn a12_errors_of_the_document_itself() {
    assert_eq!(refused("{}"), "in '_format_version': required field missing");
    assert_eq!(
        refused(r#"{"_format_version":"4.0"}"#),
        "in '_format_version': expected one of: 1.1, 2.1, 3.0"
    );
    assert_eq!(
        refused("_format_version: 3.0"),
        "in '_format_version': expected a string"
    );
    assert_eq!(
        refused(r#"{"_format_version":"3.0","servics":[]}"#),
        "in 'servics': unknown field"
    );
    assert_eq!(
        refused(r#"{"_format_version":"3.0","services":{"a":1}}"#),
        "in 'services': expected an array"
    );
    assert!(refused("[1]").ends_with("expected an object"));
    assert!(refused("a: [").starts_with("failed parsing declarative configuration: "));
    let ours = load(r#"{"_format_version":"3.0","_gateway":{"x":1},"_info":{},"_ignore":[1]}"#);
    assert!(ours.unwrap().services.is_empty());
}

#[test]
fn a12_checks_over_several_fields() {
    let of = |entity: &str| refused(&format!(r#"{{"_format_version":"3.0",{entity}}}"#));
    assert!(of(r#""routes":[{"name":"r"}]"#).contains(
        "- in entry 1 of '@entity': must set one of 'methods', 'hosts', 'headers', 'paths', 'snis' when 'protocols' is 'https'"
    ));
    assert!(
        of(r#""routes":[{"protocols":["http","tcp"],"paths":["/"]}]"#).contains(
            "in 'protocols': these sets are mutually exclusive: ('http', 'https'), ('tcp', 'tls', 'udp')"
        )
    );
    assert!(
        of(r#""routes":[{"protocols":["http"],"paths":["/"],"snis":["a.b"]}]"#)
            .contains("'snis' can only be set when")
    );
    assert!(
        of(r#""routes":[{"paths":["/"],"headers":{"Host":["x"]}}]"#).contains("cannot contain 'host' header")
    );
    assert!(of(r#""routes":[{"paths":["~/a(?=b)"]}]"#).contains("invalid regex: '/a(?=b)' (look-around"));
    assert!(
        of(r#""consumers":[{"tags":["x"]}]"#)
            .contains("at least one of these fields must be non-empty: 'custom_id', 'username'")
    );
    assert!(
        of(r#""services":[{"host":"h","tls_verify":true}]"#).contains("in 'tls_verify': value must be null")
    );
    assert!(of(r#""services":[{"host":"h:80"}]"#).contains("in 'host': must not have a port"));
    assert!(of(r#""services":[{"url":"http:///x"}]"#).contains("in 'host': required field missing"));
    assert!(of(r#""upstreams":[{"name":"1.2.3.4"}]"#).contains("no ip addresses allowed"));
    assert!(
        of(r#""upstreams":[{"name":"u","hash_on":"header"}]"#)
            .contains("in 'hash_on_header': required field missing")
    );
    assert!(
        of(r#""upstreams":[{"name":"u","targets":[{"target":"a b"}]}]"#).contains("Invalid target ('a b')")
    );
    assert!(
        of(r#""services":[{"name":"s","host":"h","routes":[{"paths":["/"],"service":"s"}]}]"#)
            .contains("in 'service': value must be null")
    );
}

#[test]
fn a12_plugins_are_judged_by_name_and_config() {
    let text = refused(
        r#"{"_format_version":"3.0","plugins":[{"name":"one","config":{}},{"name":"gone"},{"config":{}}]}"#,
    );
    let wanted = "\
in 'plugins':
  - in entry 1 of 'plugins':
    in 'config':
      in 'key': required field missing
  - in entry 2 of 'plugins':
    in 'name': plugin 'gone' not enabled; add it to the 'plugins' configuration property
  - in entry 3 of 'plugins':
    in 'name': required field missing";
    assert_eq!(text, wanted);
}

#[test]
fn a12_names_ids_and_references_must_be_right() {
    let twice = refused(
        r#"{"_format_version":"3.0","services":[{"name":"a","host":"h"},{"name":"a","host":"h"}],
        "consumers":[{"username":"x","custom_id":"1"},{"username":"y","custom_id":"1"}]}"#,
    );
    assert!(twice.contains(
        "- in entry 2 of 'services': uniqueness violation: 'services' entity with name set to 'a' already declared"
    ));
    assert!(twice.contains("in 'y': uniqueness violation: 'consumers' entity with custom_id set to '1'"));
    let mixed = refused(
        r#"{"_format_version":"3.0","consumers":[{"username":"x","custom_id":"1"},{"username":"x"},
        {"username":"z","custom_id":"1"},{"username":"z"}]}"#,
    );
    let wanted = "\
in 'consumers':
  - in entry 2 of 'consumers': uniqueness violation: 'consumers' entity with username set to 'x' already declared
  in 'z': uniqueness violation: 'consumers' entity with custom_id set to '1' already declared
  - in entry 4 of 'consumers': uniqueness violation: 'consumers' entity with username set to 'z' already declared";
    assert_eq!(mixed, wanted);
    let id = refused(r#"{"_format_version":"3.0","plugins":[{"name":"two"},{"name":"two"}]}"#);
    assert!(id.contains("'plugins' entity with primary key set to"), "{id}");
    let lost = refused(r#"{"_format_version":"3.0","routes":[{"name":"r","paths":["/"],"service":"gone"}]}"#);
    assert_eq!(
        lost,
        "in 'routes':\n  in 'r':\n    - in entry 1 of 'r': invalid reference 'service: gone' (no such entry in 'services')"
    );
    assert!(
        refused(r#"{"_format_version":"3.0","services":[{"id":"X","host":"h"}]}"#)
            .contains("in 'id': expected a valid UUID")
    );
}

#[test]
fn a12_yaml_merges_aliases_and_limits() {
    let snapshot = load(
        "_format_version: '3.0'\n_comment: &c hello\nservices:\n- &base\n  name: a\n  host: h\n  port: 8080\n\
         - <<: *base\n  name: b\n",
    )
    .unwrap();
    assert_eq!(
        (snapshot.services[1].name.as_deref(), snapshot.services[1].port),
        (Some("b"), 8080)
    );
    let mut laughs = String::from("a0: &a0 [lol,lol,lol,lol,lol,lol,lol,lol,lol]\n");
    for level in 1..9 {
        let inner = vec![format!("*a{}", level - 1); 9].join(",");
        laughs.push_str(&format!("a{level}: &a{level} [{inner}]\n"));
    }
    assert!(Document::parse(&laughs, Format::Yaml).is_err());
    let deep = format!("{}1{}", "[".repeat(100), "]".repeat(100));
    assert!(Document::parse(&format!("{{\"a\":{deep}}}"), Format::Json).is_err());
    assert!(Document::parse(&format!("{{\"a\":{deep}}}"), Format::Yaml).is_err());
}

#[test]
fn a12_junk_is_refused_without_a_panic() {
    let mut seed = 1u64;
    for _ in 0..2000 {
        let mut junk = NESTED.as_bytes().to_vec();
        for _ in 0..6 {
            seed = seed
                .wrapping_mul(6364136223846793005)
                .wrapping_add(1442695040888963407);
            let at = (seed >> 33) as usize % junk.len();
            junk[at] = b"{}[]:,-&*!'\"\n 0x~"[(seed >> 20) as usize % 17];
        }
        if let Ok(text) = String::from_utf8(junk) {
            let _ = load(&text).map_err(|error| error.to_string());
        }
    }
}

#[test]
fn a12_every_default_is_json() {
    for kind in crate::entity::kinds::ENTITIES {
        let mut object = Map::new();
        let mut errors = Map::new();
        crate::entity::shape::judge(kind.fields, &mut object, &[], &mut errors);
        let required = errors.values().all(|error| error == "required field missing");
        assert!(required, "{}: {errors:?}", kind.name);
    }
}

fn index(plugins: &str) -> (Snapshot, PluginIndex) {
    let snapshot = load(&format!(
        r#"{{"_format_version":"3.0",
        "services":[{{"name":"s0","host":"h"}},{{"name":"s1","host":"h"}}],
        "routes":[{{"name":"r0","paths":["/"],"service":"s0"}},{{"name":"r1","paths":["/x"],"service":"s0"}}],
        "consumers":[{{"username":"c0"}},{{"username":"c1"}}],
        "plugins":[{plugins}]}}"#
    ))
    .unwrap();
    let order = PluginOrder::new([
        ("one".to_owned(), 10.0),
        ("two".to_owned(), 20.0),
        ("zwei".to_owned(), 20.0),
    ]);
    let index = PluginIndex::build(&snapshot, &order);
    (snapshot, index)
}

#[test]
fn a10_order_is_priority_then_name_descending() {
    let order = PluginOrder::new([
        ("a".into(), 5.0),
        ("b".into(), 5.0),
        ("c".into(), 900.0),
        ("d".into(), -1.0),
    ]);
    assert_eq!(order.names(), ["c", "b", "a", "d"]);
    assert_eq!(order.id("a"), Some(PluginId(2)));
}

/// Kong's order of precedence.
const SCOPES: [&str; 8] = [
    r#""route":"r0","service":"s0","consumer":"c0""#,
    r#""route":"r0","consumer":"c0""#,
    r#""service":"s0","consumer":"c0""#,
    r#""route":"r0","service":"s0""#,
    r#""consumer":"c0""#,
    r#""route":"r0""#,
    r#""service":"s0""#,
    r#""enabled":true"#,
];

#[test]
fn a10_the_most_specific_configuration_applies() {
    // Each configuration applies once all before it are gone.
    for first in 0..SCOPES.len() {
        let plugins: Vec<_> = SCOPES[first..]
            .iter()
            .map(|s| format!(r#"{{"name":"two",{s}}}"#))
            .collect();
        let (_, index) = index(&plugins.join(","));
        let two = PluginId(1);
        let (r0, s0, c0) = (Some(RouteIdx(0)), Some(ServiceIdx(0)), Some(ConsumerIdx(0)));
        assert_eq!(
            index.lookup(two, r0, s0, c0, Blind::default()),
            Some(ConfigIdx(0)),
            "{first}"
        );
    }
}

#[test]
fn a10_a_handler_may_be_blind_to_a_scope() {
    let plugins: Vec<_> = SCOPES
        .iter()
        .map(|s| format!(r#"{{"name":"two",{s}}}"#))
        .collect();
    let (_, index) = index(&plugins.join(","));
    let find = |route: u32, service: u32, consumer: Option<u32>, blind| {
        let (route, service) = (Some(RouteIdx(route)), Some(ServiceIdx(service)));
        index
            .lookup(PluginId(1), route, service, consumer.map(ConsumerIdx), blind)
            .map(|c| c.0)
    };
    let seeing = Blind::default();
    assert_eq!(find(0, 0, None, seeing), Some(3));
    assert_eq!(find(1, 0, None, seeing), Some(6));
    assert_eq!(find(1, 1, None, seeing), Some(7));
    assert_eq!(find(1, 1, Some(0), seeing), Some(4));
    assert_eq!(find(0, 0, Some(1), seeing), Some(3));
    assert_eq!(
        find(
            0,
            0,
            Some(0),
            Blind {
                no_consumer: true,
                ..seeing
            }
        ),
        Some(3)
    );
    assert_eq!(
        find(
            0,
            0,
            Some(0),
            Blind {
                no_route: true,
                ..seeing
            }
        ),
        Some(2)
    );
    assert_eq!(
        find(
            0,
            0,
            None,
            Blind {
                no_service: true,
                ..seeing
            }
        ),
        Some(5)
    );
    assert_eq!(index.globals(PluginId(1)), Some(ConfigIdx(7)));
    assert_eq!(
        index.lookup(PluginId(1), None, None, None, seeing),
        Some(ConfigIdx(7))
    );
}

#[test]
fn a10_what_is_disabled_or_of_streams_does_not_apply() {
    let (_, index) = index(
        r#"{"name":"two","enabled":false},{"name":"one","config":{"key":1},"protocols":["tcp"]},
        {"name":"two","route":"r0","enabled":false}"#,
    );
    assert!(index.used().is_empty());
    for plugin in 0..4 {
        let found = index.lookup(
            PluginId(plugin),
            Some(RouteIdx(0)),
            Some(ServiceIdx(0)),
            None,
            Blind::default(),
        );
        assert_eq!((found, index.globals(PluginId(plugin))), (None, None));
    }
}

#[test]
fn a12_stream_and_grpc_routes_are_judged_by_their_family() {
    let of = |route: &str| refused(&format!(r#"{{"_format_version":"3.0","routes":[{route}]}}"#));
    assert!(of(r#"{"protocols":["tcp"],"paths":["/"]}"#).contains(
        "in 'paths': cannot set 'paths' when 'protocols' is 'tcp', 'tls', 'tls_passthrough' or 'udp'"
    ));
    assert!(of(r#"{"protocols":["tcp"]}"#).contains("must set one of 'sources', 'destinations', 'snis'"));
    assert!(of(r#"{"protocols":["tls_passthrough"]}"#).contains("must set snis when"));
    assert!(
        of(r#"{"protocols":["grpc"],"methods":["GET"],"strip_path":true}"#)
            .contains("in 'strip_path': cannot set 'strip_path'")
    );
    assert!(
        of(r#"{"protocols":["grpcs"]}"#).contains("must set one of 'hosts', 'headers', 'paths', 'snis' when")
    );
    assert!(of(r#"{"protocols":["http"]}"#).contains("one of 'methods', 'hosts', 'headers', 'paths' when"));
    let good = load(r#"{"_format_version":"3.0","routes":[{"protocols":["grpc"],"paths":["/"]}]}"#).unwrap();
    assert!(!good.routes[0].strip_path, "gRPC keeps the path");
}
