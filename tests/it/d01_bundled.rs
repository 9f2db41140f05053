//! More of Kong's own plugins, as they are in a checkout of Kong that `MOONGATE_KONG` names: each does its work in a
//! request at least.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use crate::b05_dao::in_seconds;
use crate::support::{Gateway, Origin, Response, Setup, eventually, service};

/// What a variable of the environment names, with a folder below it. A test without one says so and ends.
pub fn folder(variable: &str, below: &str, what: &str) -> Option<PathBuf> {
    let Some(root) = std::env::var_os(variable) else {
        eprintln!("LEFT OUT: set {variable} to {what}");
        return None;
    };
    Some(PathBuf::from(root).join(below))
}

pub fn kong() -> Option<PathBuf> {
    folder(
        "MOONGATE_KONG",
        "kong/plugins",
        "a checkout of Kong 3.10 to try its plugins",
    )
}

/// Routes by their hosts, each with plugins; more of the configuration beside.
pub struct Trial {
    pub config: Value,
    names: Vec<String>,
}

impl Trial {
    pub fn new(port: u16) -> Self {
        let mut config = service(port);
        config["services"][0]["routes"] = json!([]);
        Self {
            config,
            names: Vec::new(),
        }
    }

    pub fn route(mut self, host: &str, plugins: &[(&str, Value)]) -> Self {
        let mut list = Vec::new();
        for (name, conf) in plugins {
            list.push(json!({ "name": name, "config": conf }));
            if !self.names.iter().any(|n| n == name) {
                self.names.push((*name).to_owned());
            }
        }
        let route =
            json!({ "name": host, "hosts": [format!("{host}.test")], "plugins": list, "strip_path": false });
        let routes = self.config["services"][0]["routes"].as_array_mut();
        routes.unwrap().push(route);
        self
    }

    pub fn more(mut self, key: &str, value: Value) -> Self {
        self.config[key] = value;
        self
    }

    pub fn start(self, folder: &Path, change: impl FnOnce(Setup) -> Setup) -> Trying {
        let mut setup = Setup::new(&self.config);
        for name in &self.names {
            setup = setup.plugin_folder(&folder.join(name));
        }
        Trying(change(setup).start())
    }
}

/// A gateway with such routes.
pub struct Trying(pub Gateway);

impl Trying {
    #[track_caller]
    pub fn send(
        &self,
        method: &str,
        host: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Response {
        let host = format!("{host}.test");
        let headers: Vec<_> = [("Host", host.as_str())]
            .into_iter()
            .chain(headers.iter().copied())
            .collect();
        self.0.connect().ask(method, path, &headers, body.as_bytes())
    }

    #[track_caller]
    pub fn get(&self, host: &str, path: &str, headers: &[(&str, &str)]) -> Response {
        self.send("GET", host, path, headers, "")
    }

    #[track_caller]
    pub fn post(&self, host: &str, body: &Value) -> Response {
        self.send(
            "POST",
            host,
            "/",
            &[("Content-Type", "application/json")],
            &body.to_string(),
        )
    }
}

fn seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

fn hmac_sha256(key: &str, text: &str) -> Vec<u8> {
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, key.as_bytes());
    ring::hmac::sign(&key, text.as_bytes()).as_ref().to_vec()
}

#[test]
fn d01_plugins_that_let_in_or_refuse() {
    let Some(folder) = kong() else { return };
    let origin = Origin::echo();
    let g = Trial::new(origin.port)
        .route(
            "cors",
            &[(
                "cors",
                json!({ "origins": ["https://a.test"], "methods": ["GET"],
                "credentials": true, "max_age": 30, "exposed_headers": ["x-up"] }),
            )],
        )
        .route(
            "size",
            &[(
                "request-size-limiting",
                json!({ "allowed_payload_size": 10, "size_unit": "bytes" }),
            )],
        )
        .route("deny", &[("ip-restriction", json!({ "deny": ["127.0.0.0/8"] }))])
        .route("allow", &[("ip-restriction", json!({ "allow": ["127.0.0.1"] }))])
        .route(
            "bot",
            &[("bot-detection", json!({ "deny": ["evil(bot|crawler)"] }))],
        )
        .route(
            "stop",
            &[(
                "request-termination",
                json!({ "status_code": 403, "message": "So long" }),
            )],
        )
        .route(
            "mirror",
            &[(
                "request-termination",
                json!({ "echo": true, "status_code": 404, "trigger": "x-mirror" }),
            )],
        )
        .start(&folder, |s| s);

    let r = g.get("cors", "/", &[("Origin", "https://a.test")]).is(200);
    assert_eq!(r.header("access-control-allow-origin"), Some("https://a.test"));
    assert_eq!(r.header("access-control-allow-credentials"), Some("true"));
    assert_eq!(r.header("access-control-expose-headers"), Some("x-up"));
    let preflight = [
        ("Origin", "https://a.test"),
        ("Access-Control-Request-Method", "GET"),
    ];
    let r = g.send("OPTIONS", "cors", "/", &preflight, "").is(200);
    assert_eq!(r.header("access-control-max-age"), Some("30"));
    assert_eq!(r.header("access-control-allow-methods"), Some("GET"));
    assert_eq!(origin.seen().len(), 1, "the preflight is answered here");

    g.send("POST", "size", "/", &[], "0123456789").is(200);
    let r = g.send("POST", "size", "/", &[], "0123456789a").is(413);
    assert_eq!(r.json()["message"], "Request size limit exceeded");

    let r = g.get("deny", "/", &[]).is(403);
    assert_eq!(r.json()["message"], "IP address not allowed: 127.0.0.1");
    g.get("allow", "/", &[]).is(200);

    g.get("bot", "/", &[("User-Agent", "curl/8")]).is(200);
    g.get("bot", "/", &[("User-Agent", "an evilbot")]).is(403);
    let r = g.get("bot", "/", &[("User-Agent", "Googlebot/2.1")]).is(403);
    assert_eq!(r.json()["message"], "Forbidden");

    assert_eq!(g.get("stop", "/", &[]).is(403).json()["message"], "So long");
    g.get("mirror", "/", &[]).is(200);
    let r = g.get("mirror", "/some/path?x=1", &[("x-mirror", "yes")]).is(404);
    assert_eq!(r.json()["request"]["path"], "/some/path");
    assert_eq!(r.json()["matched_route"]["name"], "mirror");
}

#[test]
fn d01_plugins_that_change_requests_and_responses() {
    let Some(folder) = kong() else { return };
    let origin = Origin::echo();
    let g = Trial::new(origin.port)
        .route(
            "id",
            &[(
                "correlation-id",
                json!({ "header_name": "x-id", "generator": "uuid#counter", "echo_downstream": true }),
            )],
        )
        .route(
            "request",
            &[(
                "request-transformer",
                json!({
                    "add": { "headers": ["x-new:$(headers['x-old'])", "x-lit:1"], "querystring": ["q:2"], "body": ["b:3"] },
                    "remove": { "headers": ["x-gone"] }, "rename": { "headers": ["x-was:x-is"] },
                    "replace": { "headers": ["x-there:new"], "uri": "/other" }, "append": { "querystring": ["many:b"] },
                    "http_method": "PUT",
                }),
            )],
        )
        .route(
            "response",
            &[(
                "response-transformer",
                json!({
                    "add": { "headers": ["x-new:1"], "json": ["added:yes"] }, "remove": { "headers": ["x-up"], "json": ["headers"] },
                    "rename": { "json": ["path:where"] }, "replace": { "json": ["method:none"] },
                }),
            )],
        )
        .route(
            "lua",
            &[
                ("pre-function", json!({
                    "access": ["kong.service.request.set_header('x-pre', kong.request.get_path())"],
                    "header_filter": ["kong.response.set_header('x-filtered', 'yes')"],
                    "body_filter": ["ngx.arg[1] = ngx.arg[1] and ngx.arg[1]:gsub('GET', 'GOT')"],
                })),
                ("post-function", json!({
                    "access": ["local n = 0; return function() n = n + 1; kong.service.request.set_header('x-post', n) end"],
                    "rewrite": ["kong.ctx.shared.seen = 1"],
                    "log": ["kong.log.warn('logged by post-function ', kong.ctx.shared.seen or 'nothing')"],
                })),
            ],
        )
        .start(&folder, |s| s);

    let r = g.get("id", "/", &[]).is(200);
    let id = r.seen("x-id").unwrap();
    assert!(id.len() == 38 && id.ends_with("#1"), "{id}");
    assert_eq!(r.header("x-id"), Some(id.as_str()));
    let r = g.get("id", "/", &[("x-id", "mine")]).is(200);
    assert_eq!(r.seen("x-id").as_deref(), Some("mine"));

    let headers = [
        ("x-old", "old"),
        ("x-gone", "1"),
        ("x-was", "w"),
        ("x-there", "t"),
        ("Content-Type", "application/json"),
    ];
    let r = g
        .send("POST", "request", "/path?many=a", &headers, r#"{"a":1}"#)
        .is(200);
    let saw = r.json();
    assert_eq!(saw["method"], "PUT");
    assert_eq!(saw["path"], "/other");
    assert!(saw["query"].as_str().unwrap().contains("q=2"), "{saw}");
    assert!(saw["query"].as_str().unwrap().contains("many=a&many=b"), "{saw}");
    let body: Value = serde_json::from_str(saw["body"].as_str().unwrap()).unwrap();
    assert_eq!(body, json!({ "a": 1, "b": "3" }));
    assert_eq!(r.seen("x-new").as_deref(), Some("old"));
    assert_eq!(r.seen("x-lit").as_deref(), Some("1"));
    assert_eq!(r.seen("x-is").as_deref(), Some("w"));
    assert_eq!(r.seen("x-there").as_deref(), Some("new"));
    assert_eq!(r.seen("x-gone"), None);

    let r = g.get("response", "/p", &[]).is(200);
    assert_eq!(r.header("x-new"), Some("1"));
    assert_eq!(r.header("x-up"), None);
    assert!(r.complete);

    let r = g.get("lua", "/p", &[]).is(200);
    assert_eq!(r.header("x-filtered"), Some("yes"));
    assert_eq!(r.json()["method"], "GOT");
    assert_eq!(r.seen("x-pre").as_deref(), Some("/p"));
    assert_eq!(r.seen("x-post").as_deref(), Some("1"));
    assert_eq!(
        g.get("lua", "/p", &[]).is(200).seen("x-post").as_deref(),
        Some("2")
    );
    g.0.logged("logged by post-function");
}

/// The JSON that `response-transformer` rewrites: it does so for a response that says that it is JSON.
#[test]
fn d01_response_transformer_rewrites_json() {
    let Some(folder) = kong() else { return };
    let body = r#"{"a":"s","gone":2,"old":3,"there":4}"#;
    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 36\r\n\r\n";
    let origin = Origin::replying(move |_| format!("{head}{body}").into());
    let g = Trial::new(origin.port)
        .route(
            "json",
            &[(
                "response-transformer",
                json!({
                    "add": { "json": ["added:yes", "a:no"] }, "remove": { "json": ["gone"] },
                    "rename": { "json": ["old:new"] }, "replace": { "json": ["there:5", "absent:6"] },
                    "append": { "json": ["a:x"] },
                }),
            )],
        )
        .start(&folder, |s| s);
    let r = g.get("json", "/", &[]).is(200);
    let want = json!({ "a": ["s", "x"], "new": 3, "there": "5", "added": "yes" });
    assert_eq!(r.json(), want);
}

#[test]
fn d01_plugins_that_count() {
    let Some(folder) = kong() else { return };
    let body = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Type: text/plain\r\nX-Kong-Limit: video=2\r\nX-Up: 1\r\n\r\nok";
    let origin = Origin::answering(body);
    let g = Trial::new(origin.port)
        .route(
            "rate",
            &[("rate-limiting", json!({ "minute": 2, "policy": "local" }))],
        )
        .route(
            "respond",
            &[(
                "response-ratelimiting",
                json!({ "limits": { "video": { "minute": 3 } }, "policy": "local" }),
            )],
        )
        .route(
            "cache",
            &[(
                "proxy-cache",
                json!({ "strategy": "memory", "content_type": ["text/plain"], "cache_ttl": 60 }),
            )],
        )
        .start(&folder, |s| s);

    // a minute may end meanwhile
    let limited = (0..5).map(|_| g.get("rate", "/", &[])).collect::<Vec<_>>();
    assert_eq!(limited[0].header("x-ratelimit-limit-minute"), Some("2"));
    assert_eq!(limited[0].header("ratelimit-remaining"), Some("1"));
    assert!(limited[0].header("ratelimit-reset").is_some());
    let refused = limited.iter().find(|r| r.status == 429).expect("none is refused");
    assert_eq!(refused.json()["message"], "API rate limit exceeded");
    assert!(refused.header("retry-after").is_some());

    let r = g.get("respond", "/", &[]).is(200);
    assert_eq!(r.header("x-ratelimit-limit-video-minute"), Some("3"));
    assert_eq!(r.header("x-ratelimit-remaining-video-minute"), Some("1"));
    assert_eq!(r.header("x-kong-limit"), None);
    // counted in log, from a timer
    let refused = eventually(Duration::from_secs(5), || {
        std::thread::sleep(Duration::from_millis(50));
        g.get("respond", "/", &[]).status == 429
    });
    assert!(refused);

    let before = origin.seen().len();
    let r = g.get("cache", "/a", &[]).is(200);
    assert_eq!(r.header("x-cache-status"), Some("Miss"));
    let key = r.header("x-cache-key").unwrap().to_owned();
    assert_eq!(key.len(), 64);
    let hit = eventually(Duration::from_secs(5), || {
        g.get("cache", "/a", &[]).header("x-cache-status") == Some("Hit")
    });
    assert!(hit);
    let r = g.get("cache", "/a", &[]).is(200);
    assert_eq!(r.header("x-cache-key"), Some(key.as_str()));
    assert_eq!((r.text().as_str(), r.header("x-up")), ("ok", Some("1")));
    assert!(r.header("age").is_some());
    let asked = origin.seen().len() - before;
    assert!(asked <= 2, "{asked} requests to the upstream");
    assert_eq!(
        g.send("POST", "cache", "/a", &[], "x").header("x-cache-status"),
        Some("Bypass")
    );
}

fn jwt(key: &str, payload: &Value) -> String {
    let part = |v: &Value| URL_SAFE_NO_PAD.encode(v.to_string());
    let text = format!(
        "{}.{}",
        part(&json!({ "typ": "JWT", "alg": "HS256" })),
        part(payload)
    );
    let signature = URL_SAFE_NO_PAD.encode(hmac_sha256(key, &text));
    format!("{text}.{signature}")
}

#[test]
fn d01_plugins_that_authenticate() {
    let Some(folder) = kong() else { return };
    let origin = Origin::echo();
    let g = Trial::new(origin.port)
        .route(
            "jwt",
            &[(
                "jwt",
                json!({ "claims_to_verify": ["exp"], "uri_param_names": ["token"] }),
            )],
        )
        .route(
            "hmac",
            &[(
                "hmac-auth",
                json!({ "enforce_headers": ["date", "@request-target"], "validate_request_body": true }),
            )],
        )
        .route(
            "hook",
            &[(
                "standard-webhooks",
                json!({ "secret_v1": "the secret", "tolerance_second": 300 }),
            )],
        )
        .more("consumers", json!([{ "username": "bob" }]))
        .more(
            "jwt_secrets",
            json!([{ "consumer": "bob", "key": "issuer", "secret": "shh", "algorithm": "HS256" }]),
        )
        .more(
            "hmacauth_credentials",
            json!([{ "consumer": "bob", "username": "bobs", "secret": "hmac secret" }]),
        )
        .start(&folder, |s| s);

    let exp = seconds() + 60;
    let good = jwt("shh", &json!({ "iss": "issuer", "exp": exp }));
    let bearer = |token: &str| format!("Bearer {token}");
    let r = g.get("jwt", "/", &[("Authorization", &bearer(&good))]).is(200);
    assert_eq!(r.seen("x-consumer-username").as_deref(), Some("bob"));
    assert_eq!(r.seen("x-credential-identifier").as_deref(), Some("issuer"));
    g.get("jwt", &format!("/?token={good}"), &[]).is(200);
    g.get("jwt", "/", &[]).is(401);
    for (token, message) in [
        (
            jwt("other", &json!({ "iss": "issuer", "exp": exp })),
            "Invalid signature",
        ),
        (
            jwt("shh", &json!({ "iss": "nobody", "exp": exp })),
            "No credentials found for given 'iss'",
        ),
    ] {
        let r = g.get("jwt", "/", &[("Authorization", &bearer(&token))]).is(401);
        assert_eq!(r.json()["message"], message);
    }
    let old = jwt("shh", &json!({ "iss": "issuer", "exp": seconds() - 60 }));
    let r = g.get("jwt", "/", &[("Authorization", &bearer(&old))]).is(401);
    assert!(r.text().contains("token expired"), "{}", r.text());

    let date = g.get("hook", "/", &[]).is(400).header("date").unwrap().to_owned();
    let digest = ring::digest::digest(&ring::digest::SHA256, b"{}");
    let digest = format!("SHA-256={}", STANDARD.encode(digest));
    let signed = |secret: &str, target: &str| {
        let text = format!("date: {date}\n@request-target: {target}");
        format!(
            r#"hmac username="bobs", algorithm="hmac-sha256", headers="date @request-target", signature="{}""#,
            STANDARD.encode(hmac_sha256(secret, &text))
        )
    };
    let ask = |authorization: &str, body: &str| {
        let headers = [
            ("Date", date.as_str()),
            ("Digest", &digest),
            ("Authorization", authorization),
        ];
        g.send("POST", "hmac", "/r?x=1", &headers, body)
    };
    let r = ask(&signed("hmac secret", "post /r?x=1"), "{}").is(200);
    assert_eq!(r.seen("x-consumer-username").as_deref(), Some("bob"));
    let r = ask(&signed("another", "post /r?x=1"), "{}").is(401);
    assert_eq!(r.json()["message"], "HMAC signature does not match");
    ask(&signed("hmac secret", "post /r?x=2"), "{}").is(401);
    let r = ask(&signed("hmac secret", "post /r?x=1"), "other").is(401);
    assert_eq!(r.json()["message"], "HMAC signature does not match");

    let (id, now) = ("msg_1", seconds().to_string());
    let hook = |secret: &str, body: &str| {
        let signature = STANDARD.encode(hmac_sha256(secret, &format!("{id}.{now}.{{}}")));
        let signature = format!("v1,{signature}");
        let headers = [
            ("webhook-id", id),
            ("webhook-timestamp", now.as_str()),
            ("webhook-signature", signature.as_str()),
        ];
        g.send("POST", "hook", "/", &headers, body)
    };
    hook("the secret", "{}").is(200);
    hook("the secret", "{ }").is(400);
    hook("no secret", "{}").is(400);
}

#[test]
fn d01_oauth2_takes_tokens_and_makes_none_without_a_database() {
    let Some(folder) = kong() else { return };
    let origin = Origin::echo();
    let plugin = "7d1f3f0a-6c0b-4c5e-8a43-0f3b0f9a1c11";
    let mut trial = Trial::new(origin.port).route(
        "oauth2",
        &[(
            "oauth2",
            json!({ "scopes": ["read"], "enable_client_credentials": true, "global_credentials": true,
                "accept_http_if_already_terminated": true, "provision_key": "p" }),
        )],
    );
    trial.config["services"][0]["routes"][0]["plugins"][0]["id"] = json!(plugin);
    let g = trial
        .more("consumers", json!([{ "username": "bob" }]))
        .more(
            "oauth2_credentials",
            json!([{ "id": "9a3c5b1e-2a55-4c1b-9c3e-5d5fbd3f3c11", "consumer": "bob", "name": "app", "client_id": "bobs-app",
                "client_secret": "bobs-secret", "redirect_uris": ["http://there.test/"] }]),
        )
        .more(
            "oauth2_tokens",
            json!([{ "credential": { "id": "9a3c5b1e-2a55-4c1b-9c3e-5d5fbd3f3c11" }, "expires_in": 3600,
                "access_token": "the-token", "scope": "read", "ttl": in_seconds(600) }]),
        )
        .start(&folder, |s| s.set("trusted_ips", "127.0.0.1"));
    let r = g.get("oauth2", "/", &[]).is(401);
    assert_eq!(r.json()["error_description"], "The access token is missing");
    let r = g.get("oauth2", "/", &[("Authorization", "Bearer other")]).is(401);
    assert_eq!(r.json()["error"], "invalid_token");
    let r = g
        .get("oauth2", "/", &[("Authorization", "Bearer the-token")])
        .is(200);
    assert_eq!(r.seen("x-consumer-username").as_deref(), Some("bob"));
    assert_eq!(r.seen("x-authenticated-scope").as_deref(), Some("read"));
    // a token is a row of the database, which is not there: as on Kong the plugin raises what the DAO says
    let headers = [
        ("X-Forwarded-Proto", "https"),
        ("Content-Type", "application/x-www-form-urlencoded"),
    ];
    let grant = "grant_type=client_credentials&client_id=bobs-app&client_secret=bobs-secret&scope=read";
    let r = g.send("POST", "oauth2", "/oauth2/token", &headers, grant).is(500);
    assert_eq!(r.json()["message"], "An unexpected error occurred");
    g.0.logged("cannot create 'oauth2_tokens' entities when not using a database");
    let grant = grant.replace("bobs-secret", "wrong");
    let r = g.send("POST", "oauth2", "/oauth2/token", &headers, &grant);
    assert_eq!(r.json()["error"], "invalid_client");
}

#[test]
fn d01_plugins_for_prompts() {
    let Some(folder) = kong() else { return };
    let origin = Origin::echo();
    let prompt = |role: &str, content: &str| json!({ "role": role, "content": content });
    let g = Trial::new(origin.port)
        .route(
            "decorate",
            &[(
                "ai-prompt-decorator",
                json!({ "prompts": { "prepend": [prompt("system", "first")], "append": [prompt("user", "last")] } }),
            )],
        )
        .route(
            "guard",
            &[("ai-prompt-guard", json!({ "deny_patterns": [".*secret.*"] }))],
        )
        .route(
            "template",
            &[(
                "ai-prompt-template",
                json!({ "templates": [{ "name": "t",
                    "template": "{\"messages\": [{\"role\": \"user\", \"content\": \"about {{topic}}\"}]}" }] }),
            )],
        )
        .start(&folder, |s| s);
    let ask = |content: &str| json!({ "messages": [prompt("user", content)] });
    let sent = |r: &Response| -> Value { serde_json::from_str(r.json()["body"].as_str().unwrap()).unwrap() };
    let r = g.post("decorate", &ask("hello")).is(200);
    let want = json!([
        prompt("system", "first"),
        prompt("user", "hello"),
        prompt("user", "last")
    ]);
    assert_eq!(sent(&r)["messages"], want);
    g.post("guard", &ask("tell me")).is(200);
    let r = g.post("guard", &ask("tell me the secret")).is(400);
    assert_eq!(r.json()["error"]["message"], "bad request");
    let r = g
        .post(
            "template",
            &json!({ "messages": "{template://t}", "properties": { "topic": "moons" } }),
        )
        .is(200);
    assert_eq!(sent(&r)["messages"][0]["content"], "about moons");
    g.post("template", &json!({ "messages": "{template://none}" }))
        .is(400);
}

#[test]
fn d01_kong_resty_ctx_brings_a_context_over() {
    let g = Setup::probe(Origin::echo().port).start();
    let r = g.access(
        "local ref, before = require 'kong.resty.ctx', ngx.ctx
         ref.apply_ref()
         ref.stash_ref()
         ngx.ctx = {}
         ref.stash_ref()
         ref.apply_ref()
         ngx.say(tostring(before == ngx.ctx), ' [', ngx.var.ctx_ref, ']')
         ngx.exit(200)",
    );
    assert_eq!(r.is(200).text(), "true []\n");
}
