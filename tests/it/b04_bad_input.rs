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

/// A configuration that answers `tag` to everything.
pub(super) fn good(tag: &str) -> Value {
    json!({
        "_format_version": "3.0",
        "routes": [{ "name": "r", "paths": ["/"] }],
        "plugins": [{ "name": "tell", "config": { "tag": tag } }],
    })
}

/// Whether one of the texts between `|` is there.
pub(super) fn says(said: &str, wanted: &str) -> bool {
    wanted.split('|').any(|wanted| said.contains(wanted))
}

/// A running gateway to which bad configurations are sent.
pub(super) struct Victim {
    pub(super) gateway: Gateway,
    admin: u16,
    idle_kib: u64,
    pub(super) answer: Cell<&'static str>,
    sent: Cell<usize>,
}

impl Victim {
    pub(super) fn start(prepare: impl FnOnce(Setup) -> Setup) -> Self {
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
    pub(super) fn still_serves(&self) {
        assert_eq!(self.gateway.get("/", &[]).is(200).text(), self.answer.get());
    }

    fn cpu(&self) -> Duration {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.gateway.pid())).unwrap();
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
        let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
        Duration::from_millis(ticks * 10)
    }

    pub(super) fn post(&self, query: &str, kind: &str, text: &[u8]) -> Response {
        let mut client = Client::connect(self.admin);
        client
            .stream
            .set_read_timeout(Some(Duration::from_secs(60)))
            .unwrap();
        client.ask(
            "POST",
            &format!("/config{query}"),
            &[("Content-Type", kind)],
            text,
        )
    }

    /// The text is refused, in words that have all of these in them; Kong's error object.
    #[track_caller]
    pub(super) fn refuses(&self, text: impl AsRef<[u8]>, wanted: &[&str]) -> Value {
        self.sent.set(self.sent.get() + 1);
        let text = text.as_ref();
        let shown = || String::from_utf8_lossy(&text[..text.len().min(300)]).into_owned();
        let before = self.cpu();
        let answer = self.post("", "text/yaml", text);
        let took = self.cpu().saturating_sub(before);
        let said = answer.text();
        assert_eq!(answer.status, 400, "{}\n{said}", shown());
        let error = answer.json();
        assert_eq!(error["code"], 14, "{}\n{said}", shown());
        assert_eq!(error["name"], "invalid declarative configuration");
        assert!(
            error["fields"].as_object().is_some_and(|f| !f.is_empty()),
            "{}\n{said}",
            shown()
        );
        for wanted in wanted {
            assert!(
                says(&said, wanted),
                "no {wanted:?} for\n{}\nin\n{said:.3000}",
                shown()
            );
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
    pub(super) fn takes(&self, text: impl AsRef<[u8]>, answer: &'static str) {
        self.post("", "text/yaml", text.as_ref()).is(201);
        self.answer.set(answer);
        self.still_serves();
    }

    /// After all of it: a good one is still taken in, and memory stayed within bounds.
    #[track_caller]
    pub(super) fn is_well(&self) {
        self.takes(good("last").to_string(), "last");
        let peak = self.gateway.memory_kib("VmHWM").saturating_sub(self.idle_kib);
        eprintln!(
            "{} refused, {} MiB at most, {:?} of CPU",
            self.sent.get(),
            peak >> 10,
            self.cpu()
        );
        assert!(peak < MOST_MEMORY_KIB, "{peak} KiB above the idle gateway");
        assert!(!self.gateway.output().contains("panicked"));
    }
}

#[test]
fn b04_bad_text_is_refused_with_line_and_column() {
    let v = Victim::start(|s| s);
    let whole = good("cut").to_string();
    for at in (1..whole.len()).step_by(9) {
        v.refuses(
            &whole[..at],
            &["failed parsing declarative configuration", " line 1 column "],
        );
    }
    // what it cannot be without comes last, so that every piece of it is wrong
    let yaml = "services:\n- name: \"s\"\n  host: h\n  routes: [ { name: r, paths: [ '/a' ] } ]\n\
                consumers:\n  - { username: ann }\n_format_version: '3.0'\n";
    for at in (1..yaml.len() - 2).step_by(8) {
        let error = v.refuses(&yaml[..at], &[]);
        let fields = error["fields"].to_string();
        assert!(
            [
                "failed parsing declarative configuration: ",
                "_format_version",
                "expected an object"
            ]
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
        (
            (0..400).map(|i| format!("{}a:\n", " ".repeat(i))).collect(),
            "nested too deeply",
        ),
        ("&a ".repeat(n), place),
        ("*a ".repeat(n), "unknown anchor"),
        ("services: &a [*a]".to_owned(), "services"),
        ("a: &a { b: *a }".to_owned(), place),
        ("a: &a\n  <<: *a\n".to_owned(), place),
        (
            "services: .nan".to_owned(),
            "services: a number that is not finite",
        ),
        (
            "services: [{ name: s, host: h, port: -.inf }]".to_owned(),
            "services[0].port: a number that is not finite",
        ),
        (
            "{\"_format_version\":\"3.0\",\"services\":[{\"port\":1e309}]}".to_owned(),
            "expected an integer",
        ),
        (
            "{\"_format_version\":\"3.0\",\"services\":[{\"port\":NaN}]}".to_owned(),
            "expected an integer",
        ),
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
        (
            &b"_format_version: '3.0'\nservices: [{ name: \"\xff\" }]"[..],
            "2:21: invalid UTF-8",
        ),
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
    let large = format!(
        "a: &a \"{}\"\nb:\n{}",
        "x".repeat(100_000),
        "- *a\n".repeat(10_000)
    );
    v.refuses(large, &["expands to too much"]);
    v.is_well();
}

#[test]
fn b04_bad_enormous_texts_cost_no_more_than_they_must() {
    let v = Victim::start(|s| s);
    let long = format!(
        "{{\"_format_version\":\"3.0\",\"x\":\"{}\"}}",
        "x".repeat(65 << 20)
    );
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
    v.refuses(
        same.to_string(),
        &["uniqueness violation: 'services' entity with name set to 'nnn"],
    );
    let many: Vec<Value> = (0..20_000)
        .map(|i| json!({ "username": format!("u{}", i % 19_999) }))
        .collect();
    let error = v.refuses(
        json!({ "_format_version": "3.0", "consumers": many }).to_string(),
        &["uniqueness violation: 'consumers' entity with username set to 'u0' already declared"],
    );
    assert!(error["fields"]["consumers"].is_object() || error["fields"]["consumers"][19_999].is_string());
    let tags: Vec<Value> = (0..200_000).map(|_| json!("/")).collect();
    v.refuses(
        json!({ "_format_version": "3.0", "services": [{ "name": "s", "host": "h", "tags": tags }] })
            .to_string(),
        &["services", "tags"],
    );
    v.refuses(
        "[],".repeat(1 << 19),
        &["failed parsing declarative configuration"],
    );
    let lists = format!("[{}0]", "[],".repeat(1 << 16));
    v.refuses(
        format!("{{\"_format_version\":\"3.0\",\"services\":{lists}}}"),
        &["services"],
    );
    let lists = format!("[{}0]", "[],".repeat(1 << 19));
    v.refuses(
        format!("{{\"_format_version\":\"3.0\",\"_ignore\":{lists},\"x\":1}}"),
        &["unknown field"],
    );
    v.refuses(
        format!("{{\"a\":\"{}", "\\u0000".repeat(4 << 20)),
        &["EOF while parsing a string"],
    );
    v.is_well();
}

#[test]
fn b04_bad_files_leave_the_gateway_as_it_is_on_sighup() {
    let v = Victim::start(|s| {
        s.lua("kong/plugins/wild/schema.lua", super::b04_bad_schemas::WILD)
            .lua("kong/plugins/wild/handler.lua", super::b04_bad_schemas::QUIET)
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
        (
            b"_format_version: '3.0'\nservices: [{ name: s }]\n".to_vec(),
            "in 'host': required field missing",
        ),
        (
            b"_format_version: '3.0'\nroutes: [{ name: r, paths: [ '~/(' ] }]\n".to_vec(),
            "in 'paths':",
        ),
        (vec![b'#'; 65 << 20], "more than 64 MiB"),
        (wild("says"), "said so"),
        (wild("loops"), "in entry 1 of 'plugins' (wild)"),
        (wild("eats"), "not enough memory|ran longer than"),
    ] {
        std::fs::write(&file, &text).unwrap();
        let before = (refusals(), v.gateway.errors().len());
        v.gateway.signal("HUP");
        let refused = eventually(Duration::from_secs(60), || refusals() > before.0);
        let said = v.gateway.errors()[before.1..].to_owned();
        assert!(refused && says(&said, wanted), "no {wanted:?} in\n{said:.3000}");
        v.still_serves();
    }
    std::fs::write(&file, good("again").to_string()).unwrap();
    v.gateway.signal("HUP");
    v.gateway.logged("reloaded");
    v.answer.set("again");
    v.still_serves();
    v.is_well();
}
