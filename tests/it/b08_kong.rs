//! Kong's own key-auth, basic-auth and acl, as they are in a checkout of Kong that `MOONGATE_KONG` names.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::b05_dao::in_seconds;
use crate::b08_credentials::basic;
use crate::support::{Admin, Gateway, Origin, Response, Setup, service};

const PLUGINS: [&str; 3] = ["key-auth", "basic-auth", "acl"];

/// The plugins' folder of the checkout. A test without one says so and ends.
fn folder() -> Option<PathBuf> {
    let Some(kong) = std::env::var_os("MOONGATE_KONG") else {
        eprintln!("LEFT OUT: set MOONGATE_KONG to a checkout of Kong 3.10 to try its plugins");
        return None;
    };
    let folder = PathBuf::from(kong).join("kong/plugins");
    assert!(
        folder.join("key-auth/handler.lua").exists(),
        "no plugins in {folder:?}"
    );
    Some(folder)
}

/// A route by its host, with these plugins.
fn route(host: &str, plugins: Value) -> Value {
    json!({ "name": host, "hosts": [format!("{host}.test")], "plugins": plugins })
}

fn config(port: u16) -> Value {
    let mut config = service(port);
    let key = |config: Value| json!([{ "name": "key-auth", "config": config }]);
    let acl = |config: Value| json!([{ "name": "key-auth" }, { "name": "acl", "config": config }]);
    config["services"][0]["routes"] = json!([
        route("key", key(json!({}))),
        route(
            "hidden",
            key(json!({ "hide_credentials": true, "realm": "test-realm", "key_in_body": true }))
        ),
        route("body", key(json!({ "key_in_body": true }))),
        route(
            "names",
            key(json!({ "key_names": ["api_key", "x-key"], "key_in_query": false }))
        ),
        route("anonymous", key(json!({ "anonymous": "no-body" }))),
        route(
            "lost",
            key(json!({ "anonymous": "25720fcb-9d3c-4c3e-8e21-d8d8f1a3e3a1" }))
        ),
        route("preflight", key(json!({ "run_on_preflight": false }))),
        route("basic", json!([{ "name": "basic-auth" }])),
        route(
            "basic-hidden",
            json!([{ "name": "basic-auth",
            "config": { "hide_credentials": true, "realm": "other" } }])
        ),
        route(
            "basic-anonymous",
            json!([{ "name": "basic-auth", "config": { "anonymous": "no-body" } }])
        ),
        route("allow", acl(json!({ "allow": ["gold", "silver"] }))),
        route("deny", acl(json!({ "deny": ["gold"] }))),
        route(
            "acl-hidden",
            acl(json!({ "allow": ["gold"], "hide_groups_header": true }))
        ),
        route(
            "acl-alone",
            json!([{ "name": "acl", "config": { "allow": ["gold"] } }])
        ),
        route("both", json!([{ "name": "key-auth" }, { "name": "basic-auth" }])),
        route(
            "either",
            json!([
                { "name": "key-auth", "config": { "anonymous": "no-body" } },
                { "name": "basic-auth", "config": { "anonymous": "no-body" } },
                { "name": "acl", "config": { "allow": ["gold", "anonymous"] } },
            ])
        ),
    ]);
    config["consumers"] = json!([
        { "username": "no-body", "acls": [{ "group": "anonymous" }] },
        { "username": "bob", "custom_id": "b-7", "keyauth_credentials": [{ "key": "kong" }],
          "acls": [{ "group": "gold" }, { "group": "admin" }] },
        { "username": "ann", "keyauth_credentials": [{ "key": "anns-key" }, { "key": "short", "ttl": in_seconds(4) }] },
    ]);
    config["basicauth_credentials"] = json!([
        { "consumer": "bob", "username": "bob", "password": "kong:pass" },
        { "consumer": "ann", "username": "ann", "password": "annpass" },
    ]);
    config
}

struct Kong {
    gateway: Gateway,
    admin: Admin,
    origin: Origin,
}

impl Kong {
    fn start() -> Option<Self> {
        let folder = folder()?;
        let origin = Origin::echo();
        let mut setup = Setup::text(
            "kong.yml",
            &serde_norway::to_string(&config(origin.port)).unwrap(),
        );
        for name in PLUGINS {
            setup = setup.plugin_folder(&folder.join(name));
        }
        let (setup, admin) = setup.admin();
        let gateway = setup.start();
        Some(Self {
            gateway,
            admin,
            origin,
        })
    }

    #[track_caller]
    fn ask(&self, host: &str, path: &str, headers: &[(&str, &str)]) -> Response {
        let host = format!("{host}.test");
        let headers: Vec<_> = [("Host", host.as_str())]
            .into_iter()
            .chain(headers.iter().copied())
            .collect();
        self.gateway.get(path, &headers)
    }

    fn send(&self, host: &str, kind: &str, body: &str) -> Response {
        let host = format!("{host}.test");
        let headers = [("Host", host.as_str()), ("Content-Type", kind)];
        self.gateway.connect().ask("POST", "/", &headers, body.as_bytes())
    }
}

/// 401 with this challenge and message.
#[track_caller]
fn challenged(r: Response, challenge: &str, message: &str) {
    let r = r.is(401);
    assert_eq!(r.header("www-authenticate"), Some(challenge));
    assert_eq!(r.json()["message"], message);
    assert!(r.json()["request_id"].is_string(), "{}", r.text());
}

#[track_caller]
fn is_consumer(r: &Response, name: &str) {
    assert_eq!(r.seen_all("x-consumer-username"), [name]);
    assert!(r.seen("x-consumer-id").is_some());
}

#[track_caller]
fn forbidden(r: Response) {
    assert_eq!(r.is(403).json()["message"], "You cannot consume this service");
}

#[test]
fn b08_kongs_key_auth_finds_keys() {
    let Some(kong) = Kong::start() else { return };
    challenged(kong.ask("key", "/", &[]), "Key", "No API key found in request");
    challenged(
        kong.ask("key", "/?apikey=", &[]),
        "Key",
        "No API key found in request",
    );
    challenged(kong.ask("key", "/?apikey=123", &[]), "Key", "Unauthorized");
    challenged(kong.ask("key", "/", &[("apikey", "123")]), "Key", "Unauthorized");
    challenged(
        kong.ask("key", "/?apikey=kong&apikey=kong", &[]),
        "Key",
        "Duplicate API key found",
    );
    challenged(
        kong.ask("hidden", "/", &[]),
        "Key realm=\"test-realm\"",
        "No API key found in request",
    );
    assert!(kong.origin.seen().is_empty());
    let r = kong.ask("key", "/status?apikey=kong&x=1", &[]).is(200);
    is_consumer(&r, "bob");
    assert_eq!(r.seen("x-consumer-custom-id").as_deref(), Some("b-7"));
    assert!(r.seen("x-credential-identifier").unwrap().len() == 36);
    assert_eq!(r.seen("x-anonymous-consumer"), None);
    assert_eq!(r.json()["query"], "apikey=kong&x=1");
    let r = kong
        .ask(
            "key",
            "/",
            &[("apikey", "anns-key"), ("X-Consumer-Custom-ID", "forged")],
        )
        .is(200);
    is_consumer(&r, "ann");
    assert_eq!(r.seen("x-consumer-custom-id"), None, "cleared");
    assert_eq!(r.seen("apikey").as_deref(), Some("anns-key"));
    for (kind, body, status) in [
        (
            "application/x-www-form-urlencoded",
            "apikey=kong&a=b".to_owned(),
            200,
        ),
        (
            "application/json",
            json!({ "apikey": "kong", "a": "b" }).to_string(),
            200,
        ),
        ("application/x-www-form-urlencoded", "apikey=123".to_owned(), 401),
        ("application/json", json!({ "apikey": "123" }).to_string(), 401),
        ("text/plain", "apikey=kong".to_owned(), 401),
        (
            "application/x-www-form-urlencoded",
            "apikey=kong&apikey=kong".to_owned(),
            401,
        ),
    ] {
        let r = kong.send("body", kind, &body).is(status);
        if status == 200 {
            is_consumer(&r, "bob");
            assert_eq!(r.json()["body"], body);
        }
    }
    kong.ask("names", "/?x-key=kong", &[]).is(401);
    is_consumer(&kong.ask("names", "/", &[("X-Key", "kong")]).is(200), "bob");
    is_consumer(&kong.ask("names", "/", &[("api_key", "kong")]).is(200), "bob");
}

#[test]
fn b08_kongs_key_auth_hides_keys() {
    let Some(kong) = Kong::start() else { return };
    let r = kong.ask("hidden", "/?apikey=kong&x=1", &[]).is(200);
    is_consumer(&r, "bob");
    assert_eq!(r.json()["query"], "x=1");
    let r = kong.ask("hidden", "/", &[("apikey", "kong")]).is(200);
    assert_eq!(r.seen("apikey"), None);
    let r = kong
        .send("hidden", "application/x-www-form-urlencoded", "apikey=kong&a=b")
        .is(200);
    assert_eq!(r.json()["body"], "a=b");
    let r = kong
        .send("hidden", "application/json", r#"{"apikey":"kong","a":"b"}"#)
        .is(200);
    assert_eq!(r.json()["body"], r#"{"a":"b"}"#);
}

#[test]
fn b08_kongs_key_auth_knows_the_anonymous() {
    let Some(kong) = Kong::start() else { return };
    for headers in [&[][..], &[("apikey", "123")][..]] {
        let r = kong.ask("anonymous", "/", headers).is(200);
        is_consumer(&r, "no-body");
        assert_eq!(r.seen("x-anonymous-consumer").as_deref(), Some("true"));
        assert_eq!(r.seen("x-credential-identifier"), None);
    }
    let r = kong
        .ask(
            "anonymous",
            "/",
            &[("apikey", "kong"), ("X-Anonymous-Consumer", "true")],
        )
        .is(200);
    is_consumer(&r, "bob");
    assert_eq!(r.seen("x-anonymous-consumer"), None);
    let r = kong.ask("lost", "/", &[]).is(500);
    assert_eq!(
        r.json()["message"],
        "anonymous consumer 25720fcb-9d3c-4c3e-8e21-d8d8f1a3e3a1 is configured but doesn't exist"
    );
    let options = |host: &str| kong.gateway.connect().ask("OPTIONS", "/", &[("Host", host)], b"");
    options("preflight.test").is(200);
    challenged(options("key.test"), "Key", "No API key found in request");
}

#[test]
fn b08_kongs_key_auth_forgets_keys_whose_time_is_over() {
    let Some(kong) = Kong::start() else { return };
    is_consumer(&kong.ask("key", "/", &[("apikey", "short")]).is(200), "ann");
    let over = crate::support::eventually(std::time::Duration::from_secs(8), || {
        kong.ask("key", "/", &[("apikey", "short")]).status == 401
    });
    assert!(over, "it lives on");
    let mut config = config(kong.origin.port);
    config["consumers"][2]["keyauth_credentials"] = json!([{ "key": "new-key" }]);
    kong.ask("key", "/", &[("apikey", "new-key")]).is(401);
    kong.admin.accept(&config);
    is_consumer(&kong.ask("key", "/", &[("apikey", "new-key")]).is(200), "ann");
    kong.ask("key", "/", &[("apikey", "anns-key")]).is(401);
}

#[test]
fn b08_kongs_basic_auth_knows_passwords() {
    let Some(kong) = Kong::start() else { return };
    let realm = "Basic realm=\"service\"";
    let with = |header: &str, text: &str| kong.ask("basic", "/", &[(header, &basic(text))]);
    challenged(kong.ask("basic", "/", &[]), realm, "Unauthorized");
    challenged(
        kong.ask("basic", "/", &[("Authorization", "foobar")]),
        realm,
        "Unauthorized",
    );
    challenged(
        kong.ask("basic", "/", &[("Authorization", "Basic !!!")]),
        realm,
        "Unauthorized",
    );
    for wrong in ["bob:kong", "bob:", "bob", "nobody:kong:pass", "bob:annpass"] {
        challenged(with("Authorization", wrong), realm, "Unauthorized");
    }
    challenged(
        kong.ask("basic-hidden", "/", &[]),
        "Basic realm=\"other\"",
        "Unauthorized",
    );
    let r = with("Authorization", "bob:kong:pass").is(200);
    is_consumer(&r, "bob");
    assert_eq!(r.seen("x-credential-identifier").as_deref(), Some("bob"));
    assert_eq!(
        r.seen("authorization").as_deref(),
        Some(basic("bob:kong:pass").as_str())
    );
    is_consumer(&with("Proxy-Authorization", "ann:annpass").is(200), "ann");
    let lower = basic("ann:annpass").replace("Basic", "basic");
    is_consumer(
        &kong.ask("basic", "/", &[("Authorization", &lower)]).is(200),
        "ann",
    );
    let r = kong
        .ask("basic-hidden", "/", &[("Authorization", &basic("ann:annpass"))])
        .is(200);
    assert_eq!(r.seen("authorization"), None);
    let r = kong
        .ask("basic-anonymous", "/", &[("Authorization", &basic("ann:wrong"))])
        .is(200);
    is_consumer(&r, "no-body");
    assert_eq!(r.seen("x-anonymous-consumer").as_deref(), Some("true"));
    let exported = kong.admin.export();
    assert!(
        !exported.contains("annpass") && !exported.contains("kong:pass"),
        "stored as digests"
    );
    kong.admin.post("", "text/yaml", &exported).is(201);
    is_consumer(&with("Authorization", "ann:annpass").is(200), "ann");
}

#[test]
fn b08_kongs_acl_lets_groups_in() {
    let Some(kong) = Kong::start() else { return };
    challenged(kong.ask("allow", "/", &[]), "Key", "No API key found in request");
    forbidden(kong.ask("allow", "/?apikey=anns-key", &[]));
    let r = kong.ask("allow", "/?apikey=kong", &[]).is(200);
    let groups = r.seen("x-consumer-groups").unwrap();
    let mut groups: Vec<&str> = groups.split(", ").collect();
    groups.sort_unstable();
    assert_eq!(groups, ["admin", "gold"]);
    forbidden(kong.ask("deny", "/?apikey=kong", &[]));
    let r = kong.ask("deny", "/?apikey=anns-key", &[]).is(200);
    assert_eq!(
        r.seen("x-consumer-groups").as_deref(),
        Some(""),
        "as Kong says it of a consumer without groups"
    );
    let r = kong
        .ask("acl-hidden", "/?apikey=kong", &[("X-Consumer-Groups", "forged")])
        .is(200);
    assert_eq!(
        r.seen_all("x-consumer-groups"),
        ["forged"],
        "hiding is not clearing"
    );
    assert_eq!(
        kong.ask("acl-alone", "/", &[]).is(401).json()["message"],
        "Unauthorized"
    );
    let mut changed = config(kong.origin.port);
    changed["consumers"][2]["acls"] = json!([{ "group": "silver" }]);
    kong.admin.accept(&changed);
    kong.ask("allow", "/?apikey=anns-key", &[]).is(200);
}

#[test]
fn b08_kongs_plugins_authenticate_together() {
    let Some(kong) = Kong::start() else { return };
    let (good, bad) = (basic("ann:annpass"), basic("ann:wrong"));
    for (headers, status) in [
        (&[("apikey", "kong"), ("Authorization", good.as_str())][..], 200),
        (&[("apikey", "kong")][..], 401),
        (&[("Authorization", good.as_str())][..], 401),
        (&[("apikey", "123"), ("Authorization", good.as_str())][..], 401),
        (&[("apikey", "kong"), ("Authorization", bad.as_str())][..], 401),
    ] {
        let r = kong.ask("both", "/", headers).is(status);
        if status == 200 {
            is_consumer(&r, "ann");
            assert_eq!(
                r.seen("x-credential-identifier").as_deref(),
                Some("ann"),
                "the last one counts"
            );
        }
    }
    let r = kong.ask("either", "/", &[("apikey", "kong")]).is(200);
    is_consumer(&r, "bob");
    assert_eq!(r.seen("x-anonymous-consumer"), None);
    forbidden(kong.ask("either", "/", &[("Authorization", &good)]));
    let r = kong.ask("either", "/", &[("Authorization", &bad)]).is(200);
    is_consumer(&r, "no-body");
    assert_eq!(r.seen("x-consumer-groups").as_deref(), Some("anonymous"));
    let r = kong
        .ask("either", "/", &[("apikey", "kong"), ("Authorization", &bad)])
        .is(200);
    is_consumer(&r, "bob");
    assert_eq!(
        r.seen("x-credential-identifier").unwrap().len(),
        36,
        "the one that succeeded"
    );
}
