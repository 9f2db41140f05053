//! B4 against entities that are wrong: the place is told field by field, and nothing of it is left out.

use serde_json::{Value, json};

use super::b04_bad_input::{Victim, good};

const CERT: &str = include_str!("../../src/libs/openssl/tests/cert.pem");
const KEY: &str = include_str!("../../src/libs/openssl/tests/p256.pem");
const OTHER_KEY: &str = include_str!("../../src/libs/openssl/tests/rsa8.pem");

/// Values that are wrong for a field.
fn wrong(field: &str) -> Value {
    const LISTS: &[&str] = &[
        "paths",
        "hosts",
        "methods",
        "headers",
        "protocols",
        "tags",
        "snis",
        "ca_certificates",
        "config",
        "healthchecks",
        "sources",
        "destinations",
    ];
    match field {
        f if LISTS.contains(&f) => json!(7),
        f if f.ends_with("_count") => json!("x"),
        _ => json!({ "not": ["this"] }),
    }
}

#[test]
fn b04_bad_entities_are_refused_field_by_field() {
    let v = Victim::start(|s| s);
    // one entity for each field, of the wrong type there and right everywhere else
    for (kind, base, fields) in [
        (
            "services",
            json!({ "host": "h" }),
            "id name retries protocol host port path connect_timeout write_timeout read_timeout \
            tags client_certificate tls_verify tls_verify_depth ca_certificates enabled url",
        ),
        (
            "routes",
            json!({ "paths": ["/"] }),
            "id name protocols https_redirect_status_code strip_path preserve_host \
            request_buffering response_buffering tags service methods hosts paths headers snis regex_priority path_handling",
        ),
        (
            "consumers",
            json!({ "username": "u" }),
            "id username custom_id tags",
        ),
        (
            "plugins",
            json!({ "name": "tell" }),
            "id name instance_name protocols enabled tags config service route consumer ordering",
        ),
        (
            "upstreams",
            json!({ "name": "u" }),
            "id name algorithm hash_on hash_fallback hash_on_header hash_on_cookie_path slots \
            healthchecks tags host_header client_certificate",
        ),
        (
            "targets",
            json!({ "target": "h:1", "upstream": "u" }),
            "id target weight tags upstream",
        ),
        (
            "certificates",
            json!({ "cert": CERT, "key": KEY }),
            "id cert key cert_alt tags snis",
        ),
        (
            "snis",
            json!({ "name": "a.test", "certificate": "c" }),
            "id name tags certificate",
        ),
        (
            "ca_certificates",
            json!({ "cert": CERT }),
            "id cert cert_digest tags",
        ),
        (
            "vaults",
            json!({ "name": "env", "prefix": "my-env" }),
            "id name prefix description config tags",
        ),
        ("key_sets", json!({ "name": "k" }), "id name tags"),
        (
            "keys",
            json!({ "name": "k", "kid": "1", "jwk": "{}" }),
            "id name kid jwk pem set tags",
        ),
    ] {
        let fields: Vec<&str> = fields.split_whitespace().collect();
        let entities: Vec<Value> = fields
            .iter()
            .map(|field| {
                let mut entity = base.clone();
                entity[field] = wrong(field);
                entity
            })
            .collect();
        let error = v.refuses(
            json!({ "_format_version": "3.0", kind: entities }).to_string(),
            &[kind],
        );
        for (i, field) in fields.iter().enumerate() {
            let told = &error["fields"][kind][i];
            assert!(!told[field].is_null(), "{kind}.{field}: {told}");
        }
        for odd in [
            json!(1),
            json!("x"),
            json!(true),
            json!({ "a": 1 }),
            json!([1, "x", null, []]),
        ] {
            v.refuses(
                json!({ "_format_version": "3.0", kind: odd }).to_string(),
                &[kind, "expected "],
            );
        }
    }
    v.is_well();
}

#[test]
fn b04_bad_entities_are_refused_rule_by_rule() {
    let v = Victim::start(|s| s);
    let id = "8b4ae0b8-07b1-4d2c-9d0b-a5ff1f8b2b4a";
    let broken = CERT.replace("MIIC", "MIIX");
    let chain = |cert: &str, key: &str| json!({ "cert": cert, "key": key });
    let of = |mut config: Value| {
        config["_format_version"] = json!("3.0");
        config.to_string()
    };
    let route = |path: &str| of(json!({ "routes": [{ "name": "r", "paths": ["/ok", path] }] }));
    let service = |extra: Value| {
        let mut service = json!({ "name": "s", "host": "h" });
        service
            .as_object_mut()
            .unwrap()
            .extend(extra.as_object().unwrap().clone());
        of(json!({ "services": [service] }))
    };
    for (text, wanted) in [
        // twice
        (
            of(json!({ "services": [{ "id": id, "host": "h" }, { "id": id, "host": "i" }] })),
            &["uniqueness violation: 'services' entity with primary key set to '8b4ae0b8"][..],
        ),
        (
            of(json!({ "services": [{ "name": "s", "host": "h" }, { "name": "s", "host": "i" }] })),
            &["uniqueness violation: 'services' entity with name set to 's' already declared"],
        ),
        (
            of(
                json!({ "services": [{ "name": "s", "host": "h", "routes": [{ "name": "r", "paths": ["/"] }] }],
            "routes": [{ "name": "r", "paths": ["/a"] }] }),
            ),
            &["uniqueness violation: 'routes' entity with name set to 'r'"],
        ),
        (
            of(
                json!({ "consumers": [{ "username": "a", "custom_id": "1" }, { "username": "b", "custom_id": "1" }] }),
            ),
            &["uniqueness violation: 'consumers' entity with custom_id set to '1'"],
        ),
        (
            of(
                json!({ "snis": [{ "name": "a.test", "certificate": id }, { "name": "a.test", "certificate": id }],
            "certificates": [{ "id": id, "cert": CERT, "key": KEY }] }),
            ),
            &["uniqueness violation: 'snis' entity with name set to 'a.test'"],
        ),
        // regular expressions
        (route("~/("), &["routes", "paths", "invalid regex: '/('"]),
        (route("~/a{1000000000}"), &["routes", "paths", "invalid regex"]),
        (
            route("~/(((a{1000}){1000}){1000})"),
            &["routes", "paths", "invalid regex"],
        ),
        (route("~/\\pL{60000}"), &["routes", "exceeds size limit"]),
        (
            route(&format!("~/{}", "(".repeat(5_000) + &")".repeat(5_000))),
            &["routes", "paths", "invalid regex"],
        ),
        (route("~/a(?=b)"), &["routes", "look-ahead"]),
        (route("no-slash"), &["routes", "paths", "should start with: /"]),
        (
            of(json!({ "routes": [{ "hosts": ["a*b*c"] }] })),
            &["routes", "hosts", "invalid"],
        ),
        // certificates: one bad in the middle of good ones
        (
            of(json!({ "certificates": [chain(CERT, KEY), chain(&broken, KEY), chain(CERT, KEY)] })),
            &["certificates", "cert", "invalid certificate"],
        ),
        (
            of(json!({ "certificates": [chain(CERT, KEY), chain(CERT, OTHER_KEY)] })),
            &["certificates", "certificate does not match key"],
        ),
        (
            of(json!({ "certificates": [chain(&CERT[..300], KEY)] })),
            &["certificates", "cert", "invalid"],
        ),
        (
            of(json!({ "certificates": [chain(CERT, "none")] })),
            &["certificates", "key", "invalid"],
        ),
        (
            of(json!({ "ca_certificates": [{ "cert": format!("{CERT}{CERT}") }] })),
            &["ca_certificates", "only one certificate"],
        ),
        // what is not there
        (
            of(json!({ "routes": [{ "name": "r", "paths": ["/"], "service": "none" }] })),
            &[
                "routes",
                "invalid reference 'service: none' (no such entry in 'services')",
            ],
        ),
        (
            of(json!({ "plugins": [{ "name": "tell", "consumer": "none" }] })),
            &["plugins", "invalid reference 'consumer: none'"],
        ),
        (
            of(json!({ "targets": [{ "target": "h:1", "upstream": "none" }] })),
            &["targets", "invalid reference 'upstream: none'"],
        ),
        (
            of(json!({ "snis": [{ "name": "a.test", "certificate": "none" }] })),
            &["snis", "invalid reference 'certificate"],
        ),
        (
            of(json!({ "plugins": [{ "name": "absent" }] })),
            &["plugins", "plugin 'absent' not enabled"],
        ),
        (
            of(json!({ "vaults": [{ "name": "absent", "prefix": "p-q" }] })),
            &["vaults", "absent"],
        ),
        (of(json!({ "servces": [] })), &["servces", "unknown field"]),
        (
            service(json!({ "hots": 1 })),
            &["services", "hots", "unknown field"],
        ),
        (
            of(json!({ "plugins": [{ "name": "tell", "config": { "none": 1 } }] })),
            &["config", "none", "unknown field"],
        ),
        // numbers and texts at their limits
        (service(json!({ "port": 1e308 })), &["services", "port"]),
        (
            service(json!({ "port": -0.5 })),
            &["services", "port", "expected an integer"],
        ),
        (
            service(json!({ "retries": 32768 })),
            &["services", "retries", "value should be between 0 and 32767"],
        ),
        (service(json!({ "host": "a\u{2028}b" })), &["services", "host"]),
        (service(json!({ "name": "a\0b" })), &["services", "name"]),
        (service(json!({ "tags": ["a\u{7}"] })), &["services", "tags"]),
        // versions
        ("{}".to_owned(), &["_format_version", "required field missing"]),
        (
            json!({ "_format_version": 3.0 }).to_string(),
            &["_format_version", "expected a string"],
        ),
        (
            json!({ "_format_version": "9.9" }).to_string(),
            &["_format_version", "expected one of: 1.1, 2.1, 3.0"],
        ),
        (
            of(json!({ "_transform": "yes" })),
            &["_transform", "expected a boolean"],
        ),
        (of(json!({ "_comment": {} })), &["_comment", "expected a string"]),
    ] {
        v.refuses(text, wanted);
    }
    // of a name that is there twice in one object the last counts, as in Kong
    v.takes(
        good("dup")
            .to_string()
            .replace("\"tag\":", "\"tag\":\"other\",\"tag\":"),
        "dup",
    );
    // a text may have anything in it that its field allows
    let odd = json!({ "_format_version": "3.0", "_comment": "\u{2028}\u{1f600}", "routes": [{ "name": "r", "paths": ["/"], "regex_priority": -0.0 }],
        "plugins": [{ "name": "tell", "config": { "tag": "odd", "n": -1e308, "map": { "\0": "\u{2028}", "x": "x".repeat(100_000) } } }] });
    v.takes(odd.to_string(), "odd");
    v.is_well();
}

#[test]
fn b04_bad_flattened_errors_leave_nothing_out() {
    let v = Victim::start(|s| s);
    let texts = |tree: &Value| {
        fn count(tree: &Value) -> usize {
            match tree {
                Value::Object(fields) => fields.values().map(count).sum(),
                Value::Array(items) => items.iter().map(count).sum(),
                Value::Null => 0,
                _ => 1,
            }
        }
        count(tree)
    };
    for config in [
        json!({ "services": [{ "host": 1, "routes": [{ "paths": ["x"], "plugins": [{ "name": "tell", "config": { "tag": 1 } }, 7] }, "x"] }, null, 5] }),
        json!({ "services": { "a": 1 }, "routes": "x", "servces": [{ "a": 1 }], "plugins": [[]] }),
        json!({ "certificates": [{ "cert": "x", "key": "y", "snis": [{ "name": 1 }, 2], "tags": "x" }], "consumers": [{}, { "username": [] }] }),
        json!({ "upstreams": [{ "name": "u", "targets": [{ "target": {} }, { "id": 1 }], "healthchecks": { "active": { "type": 1, "x": { "y": [1] } } } }] }),
        json!({ "plugins": [{ "name": "absent", "config": [1] }, { "name": 5 }, { "config": {} }, { "name": "tell", "route": { "id": "x", "paths": 1 } }] }),
        json!({ "routes": [{ "name": "r", "paths": ["/"], "service": "none" }], "services": [{ "name": "s", "host": "h" }, { "name": "s", "host": "h" }] }),
        json!({ "services": [{ "@entity": 1, "host": "h", "": { "": [] }, "1": 2, "routes": { "1": { "paths": 1 } } }] }),
    ] {
        let text = {
            let mut config = config.clone();
            config["_format_version"] = json!("3.0");
            config.to_string()
        };
        let plain = v.refuses(&text, &[]);
        let answer = v
            .post("?flatten_errors=1", "application/json", text.as_bytes())
            .is(400)
            .json();
        let list = answer["flattened_errors"].as_array().unwrap();
        let told: usize = list
            .iter()
            .map(|entry| entry["errors"].as_array().unwrap().len())
            .sum();
        assert_eq!(
            texts(&plain["fields"]),
            told + texts(&answer["fields"]),
            "{plain}\n{answer}"
        );
        v.still_serves();
    }
    v.is_well();
}
