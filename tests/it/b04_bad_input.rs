//! B4 against configurations that are broken, enormous or malicious: each is refused with a reason that names its
//! place, in bounded time and memory, the one before goes on serving, and the next good one is taken in.

use std::cell::Cell;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{Client, Gateway, Response, Setup, eventually, free_port};

/// Answers with what it is configured with.
const TELL: &str = "local P = { PRIORITY = 1, VERSION = '1.0.0' }
function P:access(conf) kong.response.exit(200, conf.tag) end
return P";

/// What judging may take of the processor, in a debug build, and of memory.
const MOST_CPU: Duration = Duration::from_secs(10);
const MOST_MEMORY_KIB: u64 = 600 << 10;

const CERT: &str = include_str!("../../src/libs/openssl/tests/cert.pem");
const KEY: &str = include_str!("../../src/libs/openssl/tests/p256.pem");
const OTHER_KEY: &str = include_str!("../../src/libs/openssl/tests/rsa8.pem");

/// A configuration that answers `tag` to everything.
fn good(tag: &str) -> Value {
    json!({
        "_format_version": "3.0",
        "routes": [{ "name": "r", "paths": ["/"] }],
        "plugins": [{ "name": "tell", "config": { "tag": tag } }],
    })
}

/// A running gateway to which bad configurations are sent.
struct Victim {
    gateway: Gateway,
    admin: u16,
    idle_kib: u64,
    answer: Cell<&'static str>,
    sent: Cell<usize>,
}

impl Victim {
    fn start(prepare: impl FnOnce(Setup) -> Setup) -> Self {
        let admin = free_port();
        let setup = Setup::text("kong.yml", &good("first").to_string())
            .plugin("tell", TELL)
            .set("admin_listen", &format!("127.0.0.1:{admin}"))
            .set("nginx_admin_client_max_body_size", "0");
        let gateway = prepare(setup).start();
        let up = eventually(Duration::from_secs(5), || {
            std::net::TcpStream::connect(("127.0.0.1", admin)).is_ok()
        });
        assert!(up);
        let victim = Self {
            idle_kib: gateway.memory_kib("VmRSS"),
            gateway,
            admin,
            answer: Cell::new("first"),
            sent: Cell::new(0),
        };
        victim.still_serves();
        victim
    }

    #[track_caller]
    fn still_serves(&self) {
        assert_eq!(self.gateway.get("/", &[]).is(200).text(), self.answer.get());
    }

    fn cpu(&self) -> Duration {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.gateway.pid())).unwrap();
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
        let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
        Duration::from_millis(ticks * 10)
    }

    fn post(&self, query: &str, kind: &str, text: &[u8]) -> Response {
        let mut client = Client::connect(self.admin);
        client.stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        client.ask("POST", &format!("/config{query}"), &[("Content-Type", kind)], text)
    }

    /// The text is refused, in words that have all of these in them; Kong's error object.
    #[track_caller]
    fn refuses(&self, text: impl AsRef<[u8]>, wanted: &[&str]) -> Value {
        self.sent.set(self.sent.get() + 1);
        let text = text.as_ref();
        let shown = || String::from_utf8_lossy(&text[..text.len().min(300)]).into_owned();
        let before = self.cpu();
        let answer = self.post("", "text/plain", text);
        let took = self.cpu().saturating_sub(before);
        let said = answer.text();
        assert_eq!(answer.status, 400, "{}\n{said}", shown());
        let error = answer.json();
        assert_eq!(error["code"], 14, "{}\n{said}", shown());
        assert_eq!(error["name"], "invalid declarative configuration");
        assert!(error["fields"].as_object().is_some_and(|f| !f.is_empty()), "{}\n{said}", shown());
        for wanted in wanted {
            assert!(said.contains(wanted), "no {wanted:?} for\n{}\nin\n{said:.3000}", shown());
        }
        for accident in ["panicked", "stack traceback", "attempt to", "could not be judged"] {
            assert!(!said.contains(accident), "{}\n{said:.3000}", shown());
        }
        assert!(took < MOST_CPU, "{took:?} for {}", shown());
        self.still_serves();
        error
    }

    /// The text is taken in, and serves.
    #[track_caller]
    fn takes(&self, text: impl AsRef<[u8]>, answer: &'static str) {
        self.post("", "text/plain", text.as_ref()).is(201);
        self.answer.set(answer);
        self.still_serves();
    }

    /// After all of it: a good one is still taken in, and memory stayed within bounds.
    #[track_caller]
    fn is_well(&self) {
        self.takes(good("last").to_string(), "last");
        let peak = self.gateway.memory_kib("VmHWM").saturating_sub(self.idle_kib);
        eprintln!("{} refused, {} MiB at most, {:?} of CPU", self.sent.get(), peak >> 10, self.cpu());
        assert!(peak < MOST_MEMORY_KIB, "{peak} KiB above the idle gateway");
        assert!(!self.gateway.output().contains("panicked"));
    }
}

#[test]
fn b04_bad_text_is_refused_with_line_and_column() {
    let v = Victim::start(|s| s);
    let whole = good("cut").to_string();
    for at in (1..whole.len()).step_by(9) {
        v.refuses(&whole[..at], &["failed parsing declarative configuration", " line 1 column "]);
    }
    // what it cannot be without comes last, so that every piece of it is wrong
    let yaml = "services:\n- name: \"s\"\n  host: h\n  routes: [ { name: r, paths: [ '/a' ] } ]\n\
                consumers:\n  - { username: ann }\n_format_version: '3.0'\n";
    for at in (1..yaml.len() - 2).step_by(8) {
        let error = v.refuses(&yaml[..at], &[]);
        let fields = error["fields"].to_string();
        assert!(
            ["failed parsing declarative configuration: ", "_format_version", "expected an object"]
                .iter()
                .any(|said| fields.contains(said)),
            "{fields}"
        );
    }
    let n = 100_000;
    let place = "failed parsing declarative configuration: ";
    for (text, wanted) in [
        ("[".repeat(n), "nested too deeply"),
        ("{\"a\":".repeat(n), "nested too deeply"),
        ("{a: ".repeat(n), "line 1 column 2"),
        ("- ".repeat(n), "nested too deeply"),
        ("? ".repeat(n), "a key that is a string or a number"),
        ("[".repeat(n) + &"]".repeat(n), "nested too deeply"),
        ("a: ".to_owned() + &"[a, ".repeat(n), "nested too deeply"),
        ((0..400).map(|i| format!("{}a:\n", " ".repeat(i))).collect(), "nested too deeply"),
        ("&a ".repeat(n), place),
        ("*a ".repeat(n), "unknown anchor"),
        ("services: &a [*a]".to_owned(), "services"),
        ("a: &a { b: *a }".to_owned(), place),
        ("a: &a\n  <<: *a\n".to_owned(), place),
        ("services: .nan".to_owned(), "services: a number that is not finite"),
        ("services: [{ name: s, host: h, port: -.inf }]".to_owned(), "services[0].port: a number that is not finite"),
        ("{\"_format_version\":\"3.0\",\"services\":[{\"port\":1e309}]}".to_owned(), "number out of range"),
        ("{\"_format_version\":\"3.0\",\"services\":[{\"port\":NaN}]}".to_owned(), "expected an integer"),
        ("\0\u{1}\u{2}\u{7f}".to_owned(), place),
        ("a: \"\u{7}".to_owned(), place),
        ("{\"a\": \"\\ud800\"}".to_owned(), "line 1 column"),
        ("a: b: c".to_owned(), "1:5: mapping values are not allowed"),
        ("a: 'x\n".to_owned(), place),
        ("a: b\n---\na: b\n".to_owned(), place),
        ("%YAML 9.9\n---\na: b\n".to_owned(), place),
        ("\tservices: []".to_owned(), place),
        ("3.0".to_owned(), "expected an object"),
        ("\"kong\"".to_owned(), "expected an object"),
        ("null".to_owned(), "expected an object"),
        ("[]".to_owned(), "required field missing"),
        ("x".repeat(1 << 20), "expected an object"),
    ] {
        v.refuses(text, &[wanted]);
    }
    for (bytes, wanted) in [
        (&b"_format_version: '3.0'\nservices: [{ name: \"\xff\" }]"[..], "2:21: invalid UTF-8"),
        (b"{\"a\": \"\xc3\x28\"}", "1:8: invalid UTF-8"),
        (b"\xed\xa0\x80", "1:1: invalid UTF-8"),
        (b"\xff\xfe{\0}\0", "1:1: invalid UTF-8"),
        (&[0x80; 4096], "1:1: invalid UTF-8"),
    ] {
        v.refuses(bytes, &[wanted]);
    }
    let bomb = (1..30).fold("a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n".to_owned(), |text, i| {
        text + &format!("a{i}: &a{i} [{}]\n", vec![format!("*a{}", i - 1); 10].join(","))
    });
    v.refuses(bomb, &[place]);
    // many aliases of one large text
    let large = format!("a: &a \"{}\"\nb:\n{}", "x".repeat(100_000), "- *a\n".repeat(10_000));
    v.refuses(large, &["expands to too much"]);
    v.is_well();
}

#[test]
fn b04_bad_enormous_texts_cost_no_more_than_they_must() {
    let v = Victim::start(|s| s);
    let long = format!("{{\"_format_version\":\"3.0\",\"x\":\"{}\"}}", "x".repeat(65 << 20));
    v.refuses(&long, &["more than 64 MiB"]);
    drop(long);
    let keys: String = (0..50_000).map(|i| format!("\"unknown{i}\":{i},")).collect();
    let error = v.refuses(
        format!("{{{keys}\"_format_version\":\"3.0\"}}"),
        &["unknown49999", "unknown field"],
    );
    assert_eq!(error["fields"].as_object().unwrap().len(), 50_000);
    let name = "n".repeat(4 << 20);
    let same = json!({ "_format_version": "3.0", "services": [{ "name": name, "host": "h" }, { "name": name, "host": "h" }] });
    v.refuses(same.to_string(), &["uniqueness violation: 'services' entity with name set to 'nnn"]);
    let many: Vec<Value> = (0..20_000).map(|i| json!({ "username": format!("u{}", i % 19_999) })).collect();
    let error = v.refuses(
        json!({ "_format_version": "3.0", "consumers": many }).to_string(),
        &["uniqueness violation: 'consumers' entity with username set to 'u0' already declared"],
    );
    assert!(error["fields"]["consumers"].is_object() || error["fields"]["consumers"][19_999].is_string());
    let tags: Vec<Value> = (0..200_000).map(|_| json!("/")).collect();
    v.refuses(
        json!({ "_format_version": "3.0", "services": [{ "name": "s", "host": "h", "tags": tags }] }).to_string(),
        &["services", "tags"],
    );
    v.refuses("[],".repeat(1 << 19), &["failed parsing declarative configuration"]);
    let lists = format!("[{}0]", "[],".repeat(1 << 16));
    v.refuses(format!("{{\"_format_version\":\"3.0\",\"services\":{lists}}}"), &["services"]);
    let lists = format!("[{}0]", "[],".repeat(1 << 19));
    v.refuses(format!("{{\"_format_version\":\"3.0\",\"_ignore\":{lists},\"x\":1}}"), &["unknown field"]);
    v.refuses(format!("{{\"a\":\"{}", "\\u0000".repeat(4 << 20)), &["EOF while parsing a string"]);
    v.is_well();
}

/// Values that are wrong for a field.
fn wrong(field: &str) -> Value {
    const LISTS: &[&str] = &["paths", "hosts", "methods", "headers", "protocols", "tags", "snis", "ca_certificates", "config",
        "healthchecks", "sources", "destinations"];
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
        ("services", json!({ "host": "h" }), "id name retries protocol host port path connect_timeout write_timeout read_timeout \
            tags client_certificate tls_verify tls_verify_depth ca_certificates enabled url"),
        ("routes", json!({ "paths": ["/"] }), "id name protocols https_redirect_status_code strip_path preserve_host \
            request_buffering response_buffering tags service methods hosts paths headers snis regex_priority path_handling"),
        ("consumers", json!({ "username": "u" }), "id username custom_id tags"),
        ("plugins", json!({ "name": "tell" }), "id name instance_name protocols enabled tags config service route consumer ordering"),
        ("upstreams", json!({ "name": "u" }), "id name algorithm hash_on hash_fallback hash_on_header hash_on_cookie_path slots \
            healthchecks tags host_header client_certificate"),
        ("targets", json!({ "target": "h:1", "upstream": "u" }), "id target weight tags upstream"),
        ("certificates", json!({ "cert": CERT, "key": KEY }), "id cert key cert_alt tags snis"),
        ("snis", json!({ "name": "a.test", "certificate": "c" }), "id name tags certificate"),
        ("ca_certificates", json!({ "cert": CERT }), "id cert cert_digest tags"),
        ("vaults", json!({ "name": "env", "prefix": "my-env" }), "id name prefix description config tags"),
        ("key_sets", json!({ "name": "k" }), "id name tags"),
        ("keys", json!({ "name": "k", "kid": "1", "jwk": "{}" }), "id name kid jwk pem set tags"),
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
        let error = v.refuses(json!({ "_format_version": "3.0", kind: entities }).to_string(), &[kind]);
        for (i, field) in fields.iter().enumerate() {
            let told = &error["fields"][kind][i];
            assert!(!told[field].is_null(), "{kind}.{field}: {told}");
        }
        for odd in [json!(1), json!("x"), json!(true), json!({ "a": 1 }), json!([1, "x", null, []])] {
            v.refuses(json!({ "_format_version": "3.0", kind: odd }).to_string(), &[kind, "expected "]);
        }
    }
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
        service.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        of(json!({ "services": [service] }))
    };
    for (text, wanted) in [
        // twice
        (of(json!({ "services": [{ "id": id, "host": "h" }, { "id": id, "host": "i" }] })),
            &["uniqueness violation: 'services' entity with primary key set to '8b4ae0b8"][..]),
        (of(json!({ "services": [{ "name": "s", "host": "h" }, { "name": "s", "host": "i" }] })),
            &["uniqueness violation: 'services' entity with name set to 's' already declared"]),
        (of(json!({ "services": [{ "name": "s", "host": "h", "routes": [{ "name": "r", "paths": ["/"] }] }],
            "routes": [{ "name": "r", "paths": ["/a"] }] })), &["uniqueness violation: 'routes' entity with name set to 'r'"]),
        (of(json!({ "consumers": [{ "username": "a", "custom_id": "1" }, { "username": "b", "custom_id": "1" }] })),
            &["uniqueness violation: 'consumers' entity with custom_id set to '1'"]),
        (of(json!({ "snis": [{ "name": "a.test", "certificate": id }, { "name": "a.test", "certificate": id }],
            "certificates": [{ "id": id, "cert": CERT, "key": KEY }] })), &["uniqueness violation: 'snis' entity with name set to 'a.test'"]),
        // regular expressions
        (route("~/("), &["routes", "paths", "invalid regex: '/('"]),
        (route("~/a{1000000000}"), &["routes", "paths", "invalid regex"]),
        (route("~/(((a{1000}){1000}){1000})"), &["routes", "paths", "invalid regex"]),
        (route("~/\\pL{60000}"), &["routes", "exceeds size limit"]),
        (route(&format!("~/{}", "(".repeat(5_000) + &")".repeat(5_000))), &["routes", "paths", "invalid regex"]),
        (route("~/a(?=b)"), &["routes", "look-ahead"]),
        (route("no-slash"), &["routes", "paths", "should start with: /"]),
        (of(json!({ "routes": [{ "hosts": ["a*b*c"] }] })), &["routes", "hosts", "invalid"]),
        // certificates: one bad in the middle of good ones
        (of(json!({ "certificates": [chain(CERT, KEY), chain(&broken, KEY), chain(CERT, KEY)] })),
            &["certificates", "cert", "invalid certificate"]),
        (of(json!({ "certificates": [chain(CERT, KEY), chain(CERT, OTHER_KEY)] })), &["certificates", "certificate does not match key"]),
        (of(json!({ "certificates": [chain(&CERT[..300], KEY)] })), &["certificates", "cert", "invalid"]),
        (of(json!({ "certificates": [chain(CERT, "none")] })), &["certificates", "key", "invalid"]),
        (of(json!({ "ca_certificates": [{ "cert": format!("{CERT}{CERT}") }] })), &["ca_certificates", "only one certificate"]),
        // what is not there
        (of(json!({ "routes": [{ "name": "r", "paths": ["/"], "service": "none" }] })),
            &["routes", "invalid reference 'service: none' (no such entry in 'services')"]),
        (of(json!({ "plugins": [{ "name": "tell", "consumer": "none" }] })), &["plugins", "invalid reference 'consumer: none'"]),
        (of(json!({ "targets": [{ "target": "h:1", "upstream": "none" }] })), &["targets", "invalid reference 'upstream: none'"]),
        (of(json!({ "snis": [{ "name": "a.test", "certificate": "none" }] })), &["snis", "invalid reference 'certificate"]),
        (of(json!({ "plugins": [{ "name": "absent" }] })), &["plugins", "plugin 'absent' not enabled"]),
        (of(json!({ "vaults": [{ "name": "absent", "prefix": "p-q" }] })), &["vaults", "absent"]),
        (of(json!({ "servces": [] })), &["servces", "unknown field"]),
        (service(json!({ "hots": 1 })), &["services", "hots", "unknown field"]),
        (of(json!({ "plugins": [{ "name": "tell", "config": { "none": 1 } }] })), &["config", "none", "unknown field"]),
        // numbers and texts at their limits
        (service(json!({ "port": 1e308 })), &["services", "port"]),
        (service(json!({ "port": -0.5 })), &["services", "port", "expected an integer"]),
        (service(json!({ "retries": 32768 })), &["services", "retries", "value should be between 0 and 32767"]),
        (service(json!({ "host": "a\u{2028}b" })), &["services", "host"]),
        (service(json!({ "name": "a\0b" })), &["services", "name"]),
        (service(json!({ "tags": ["a\u{7}"] })), &["services", "tags"]),
        // versions
        ("{}".to_owned(), &["_format_version", "required field missing"]),
        (json!({ "_format_version": 3.0 }).to_string(), &["_format_version", "expected a string"]),
        (json!({ "_format_version": "9.9" }).to_string(), &["_format_version", "expected one of: 1.1, 2.1, 3.0"]),
        (of(json!({ "_transform": "yes" })), &["_transform", "expected a boolean"]),
        (of(json!({ "_comment": {} })), &["_comment", "expected a string"]),
    ] {
        v.refuses(text, wanted);
    }
    // of a name that is there twice in one object the last counts, as in Kong
    v.takes(good("dup").to_string().replace("\"tag\":", "\"tag\":\"other\",\"tag\":"), "dup");
    // a text may have anything in it that its field allows
    let odd = json!({ "_format_version": "3.0", "_comment": "\u{2028}\u{1f600}", "routes": [{ "name": "r", "paths": ["/"], "regex_priority": -0.0 }],
        "plugins": [{ "name": "tell", "config": { "tag": "odd", "n": -1e308, "map": { "\0": "\u{2028}", "": "x".repeat(100_000) } } }] });
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
        let answer = v.post("?flatten_errors=1", "application/json", text.as_bytes()).is(400).json();
        let list = answer["flattened_errors"].as_array().unwrap();
        let told: usize = list.iter().map(|entry| entry["errors"].as_array().unwrap().len()).sum();
        assert_eq!(texts(&plain["fields"]), told + texts(&answer["fields"]), "{plain}\n{answer}");
        v.still_serves();
    }
    v.is_well();
}

/// Fields whose functions misbehave, each in its own way.
const WILD: &str = r#"
local seen = {}
local function field(fn) return { type = "string", custom_validator = fn } end
local function map(fn)
  return { type = "map", keys = { type = "string" }, values = { type = "string" }, custom_validator = fn }
end
local function endless() return 1 + endless() end
local function kept() return pcall(kept) and kept() or 1 end
return { name = "wild", fields = { { config = { type = "record", shorthand_fields = {
    { short = { type = "string", func = function() error("in a shorthand") end } },
  }, fields = {
  { says = field(function() error("said so") end) },
  { shows = field(function() error({ code = 7, why = "a table" }) end) },
  { empty = field(function() error(nil) end) },
  { odd = field(function() return nil, { deep = { "told", 5 } } end) },
  { cycle = field(function() local t = {} t.t = t return nil, t end) },
  { code = field(function() return nil, print end) },
  { loops = field(function() while true do end end) },
  { hides = field(function() while true do pcall(function() while true do end end) end end) },
  { searches = field(function() for i = 1, 1e12 do local _ = ("x"):rep(10):find("y") end end) },
  { yields = field(function() coroutine.yield() end) },
  { sleeps = field(function() ngx.sleep(0.01) return true end) },
  { exits = field(function() kong.response.exit(500) end) },
  { ends = field(function() ngx.exit(500) end) },
  { recurses = field(function() return endless() > 0 end) },
  { nests = field(function() return kept() end) },
  { eats = field(function() for i = 1, 1e9 do seen[i] = ("x"):rep(3e7) .. i end end) },
  { grows = field(function() local s = ("x"):rep(1000000) while true do s = s .. s end end) },
  { patterns = field(function() return (("a"):rep(40)):find(("a?"):rep(20) .. ("a"):rep(20) .. "$") ~= nil end) },
  { changes = map(function(v) v.me = v return true end) },
  { fills = map(function(v) v.f = print return true end) },
  { index = field(function(v) return v.a.b end) },
  { checked = { type = "string" } },
  { thrown = { type = "string" } },
}, entity_checks = {
  { custom_entity_check = { field_sources = { "checked" }, fn = function(entity)
    if entity.checked and entity.checked ~= ngx.null then error("in a check") end
    return true
  end } },
  { custom_entity_check = { field_sources = { "thrown" }, fn = function(entity)
    if entity.thrown and entity.thrown ~= ngx.null then error(setmetatable({}, { __tostring = function() return "an object" end })) end
    return true
  end } },
} } } } }
"#;

const QUIET: &str = "return { PRIORITY = 1, VERSION = '1.0.0' }";

#[test]
fn b04_bad_schema_functions_are_stopped_and_named() {
    let v = Victim::start(|s| {
        s.lua("kong/plugins/wild/schema.lua", WILD)
            .lua("kong/plugins/wild/handler.lua", QUIET)
            .enable("wild")
            .set("moongate_handler_timeout", "1s")
            .set("moongate_lua_memory_limit", "64m")
    });
    let with = |field: &str, value: Value| {
        let mut config = good("wild");
        let plugins = config["plugins"].as_array_mut().unwrap();
        plugins.push(json!({ "name": "wild", "instance_name": "it", "config": { field: value } }));
        config.to_string()
    };
    let stopped = "in entry 2 of 'plugins' (wild): ";
    for (field, wanted) in [
        ("says", &["says", "custom_validator failed: ", "said so"][..]),
        ("shows", &["shows", "custom_validator failed: ", "a table"]),
        ("empty", &["empty", "custom_validator failed: nil"]),
        ("odd", &["odd", "deep", "told"]),
        ("cycle", &["cycle"]),
        ("code", &["code", "function: "]),
        ("short", &["short", "failed: ", "in a shorthand"]),
        ("checked", &["@entity", "custom_entity_check failed: ", "in a check"]),
        ("thrown", &["@entity", "custom_entity_check failed: an object"]),
        ("loops", &[stopped, "schema.lua:", "ran longer than moongate_handler_timeout allows"]),
        ("hides", &[stopped, "ran longer than moongate_handler_timeout allows"]),
        ("searches", &[stopped, "ran longer than moongate_handler_timeout allows"]),
        ("eats", &["eats", "not enough memory"]),
        ("grows", &["grows", "not enough memory"]),
        ("changes", &["plugins", "nests too deep"]),
        ("fills", &["plugins", "a function has no place in a configuration"]),
    ] {
        let value = if ["changes", "fills"].contains(&field) { json!({ "a": "b" }) } else { json!("x") };
        v.refuses(with(field, value), wanted);
    }
    // these words are Lua's own
    for (field, wanted) in [("yields", "attempt to yield"), ("sleeps", ""), ("exits", ""), ("ends", ""), ("recurses", "stack overflow"), ("index", "attempt to index"), ("nests", "")] {
        let answer = v.post("", "application/json", with(field, json!("x")).as_bytes()).is(400);
        let said = answer.json()["fields"].to_string();
        assert!(said.contains(field) && said.contains(wanted), "{field}: {said}");
        v.still_serves();
    }
    // a validator that is merely slow is let be
    v.takes(with("patterns", json!("x")), "wild");
    v.is_well();
}

#[test]
fn b04_bad_schemas_and_handlers_are_named_with_their_file() {
    let v = Victim::start(|s| {
        s.lua("kong/plugins/turns/schema.lua", "return { name = 'turns', fields = { { config = { type = 'record', fields = {} } } } }")
            .lua("kong/plugins/turns/handler.lua", QUIET)
            .enable("turns")
            .set("plugins", "bundled,tell,turns")
            .set("moongate_handler_timeout", "1s")
            .set("moongate_lua_memory_limit", "64m")
    });
    let dir = v.gateway.dir().join("lua/kong/plugins");
    let turns = |file: &str, text: &str| std::fs::write(dir.join("turns").join(file), text).unwrap();
    let fields = "fields = { { config = { type = 'record', fields = {} } } }";
    let sound = format!("return {{ name = 'turns', {fields} }}");
    for (schema, wanted) in [
        ("return { name = 'turns', fields = {\n".to_owned(), &["turns", "schema.lua:"][..]),
        ("error('at load')".to_owned(), &["turns", "at load"]),
        ("error({ 1 })".to_owned(), &["turns"]),
        ("return 7".to_owned(), &["turns"]),
        ("return nil".to_owned(), &["turns"]),
        ("return {}".to_owned(), &["turns", "name"]),
        ("return { name = 'turns', fields = { { config = { type = 'nothing' } } } }".to_owned(), &["turns", "config"]),
        ("return { name = 'turns', fields = { { config = { type = 'record', fields = { { a = 1 } } } } } }".to_owned(), &["turns"]),
        ("return { no_consumer = true, fields = { a = { type = 'string' } }, self_check = function() end }".to_owned(), &["turns"]),
        ("local t = { type = 'record' } t.fields = { { a = t } } return { name = 'turns', fields = { { config = t } } }".to_owned(), &["turns"]),
        ("while true do end".to_owned(), &["ran longer than moongate_handler_timeout allows"]),
        ("return require 'not.there'".to_owned(), &["turns", "not.there"]),
    ] {
        turns("schema.lua", &schema);
        v.refuses(good("x").to_string(), wanted);
    }
    turns("schema.lua", &sound);
    for (daos, wanted) in [
        ("error('in daos')", &["turns", "in daos"][..]),
        ("return {", &["daos.lua:"]),
        ("return { { name = 'things' } }", &["things"]),
        ("return { { name = 'things', primary_key = { 'id' }, fields = { { id = { type = 'nothing' } } } } }", &["things"]),
        ("return { { name = 'things', primary_key = { 'id' }, fields = { { id = { type = 'string' } }, \
            { o = { type = 'foreign', reference = 'absent' } } } } }", &["absent"]),
        ("while true do end", &["ran longer than moongate_handler_timeout allows"]),
    ] {
        turns("daos.lua", daos);
        v.refuses(good("x").to_string(), wanted);
    }
    std::fs::remove_file(dir.join("turns/daos.lua")).unwrap();
    // a plugin that nobody used yet, and that does not load
    let late = dir.join("late");
    std::fs::create_dir_all(&late).unwrap();
    std::fs::write(late.join("schema.lua"), sound.replace("turns", "late")).unwrap();
    let mut config = good("late");
    config["plugins"].as_array_mut().unwrap().push(json!({ "name": "late" }));
    for (handler, wanted) in [
        ("local P = {", &["late", "handler.lua:"][..]),
        ("error('never')", &["late", "never"]),
        ("return { PRIORITY = 'high', VERSION = '1' }", &["late", "PRIORITY"]),
    ] {
        std::fs::write(late.join("handler.lua"), handler).unwrap();
        v.refuses(config.to_string(), wanted);
    }
    std::fs::write(late.join("handler.lua"), QUIET).unwrap();
    v.takes(config.to_string(), "late");
    v.is_well();
}

#[test]
fn b04_bad_files_leave_the_gateway_as_it_is_on_sighup() {
    let v = Victim::start(|s| {
        s.lua("kong/plugins/wild/schema.lua", WILD)
            .lua("kong/plugins/wild/handler.lua", QUIET)
            .enable("wild")
            .set("moongate_handler_timeout", "1s")
            .set("moongate_lua_memory_limit", "64m")
    });
    let file = v.gateway.dir().join("kong.yml");
    let refusals = || v.gateway.errors().matches("reload refused: ").count();
    let wild = |field: &str| {
        let mut config = good("x");
        config["plugins"][0] = json!({ "name": "wild", "config": { field: "x" } });
        config.to_string().into_bytes()
    };
    for (text, wanted) in [
        (b"".to_vec(), "expected an object"),
        (b"services: [".to_vec(), "kong.yml:"),
        (b"\xff\xfe\0".to_vec(), "1:1: invalid UTF-8"),
        ("{a: ".repeat(100_000).into_bytes(), "nested too deeply"),
        (b"_format_version: '3.0'\nservices: [{ name: s }]\n".to_vec(), "in 'host': required field missing"),
        (b"_format_version: '3.0'\nroutes: [{ name: r, paths: [ '~/(' ] }]\n".to_vec(), "in 'paths':"),
        (vec![b'#'; 65 << 20], "more than 64 MiB"),
        (wild("says"), "said so"),
        (wild("loops"), "in entry 1 of 'plugins' (wild)"),
        (wild("eats"), "not enough memory"),
    ] {
        std::fs::write(&file, &text).unwrap();
        let before = (refusals(), v.gateway.errors().len());
        v.gateway.signal("HUP");
        let refused = eventually(Duration::from_secs(60), || refusals() > before.0);
        let said = v.gateway.errors()[before.1..].to_owned();
        assert!(refused && said.contains(wanted), "no {wanted:?} in\n{said:.3000}");
        v.still_serves();
    }
    std::fs::write(&file, good("again").to_string()).unwrap();
    v.gateway.signal("HUP");
    v.gateway.logged("reloaded");
    v.answer.set("again");
    v.still_serves();
    v.is_well();
}
