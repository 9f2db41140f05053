//! Connections kept to TLS upstreams, through the whole gateway: each request on one of its own identity and trust.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::json;

use crate::c03_connector::Config;
use crate::support::certs::{Ca, Cert, Leaf};
use crate::support::tls_upstream::Options;
use crate::support::{Gateway, Setup, TlsUpstream, eventually};

/// Chooses identity and trust by headers; what it parsed once it keeps.
const CHOOSER: &str = r#"
local ssl, x509, store = require "ngx.ssl", require "resty.openssl.x509", require "resty.openssl.x509.store"
local P = { PRIORITY = 500, VERSION = "1.0.0" }
local known, stores = {}, {}
function P:access(conf)
  local name = kong.request.get_header("x-identity")
  if name then
    local mine = known[name]
    if not mine then
      mine = {
        chain = assert(ssl.parse_pem_cert(conf.map[name .. ".cert"])),
        key = assert(ssl.parse_pem_priv_key(conf.map[name .. ".key"])),
      }
      known[name] = mine
    end
    assert(kong.service.set_tls_cert_key(mine.chain, mine.key))
  end
  local trust = kong.request.get_header("x-trust")
  if trust then
    local st = stores[trust]
    if not st then
      st = assert(store.new())
      assert(st:add(assert(x509.new(conf.map[trust]))))
      stores[trust] = st
    end
    assert(kong.service.set_tls_verify(true))
    assert(kong.service.set_tls_verify_store(st))
    assert(kong.service.set_tls_verify_depth(tonumber(kong.request.get_header("x-depth") or 1)))
  end
end
return P
"#;

struct World {
    upstream: TlsUpstream,
    clients: Vec<Cert>,
    setup: Setup,
}

fn world(identities: usize, options: impl FnOnce(Options) -> Options) -> World {
    let (ca, other) = (Ca::new("Root"), Ca::new("Other root"));
    let server = ca.below(1).issue(&Leaf::named("up.test"));
    let upstream = TlsUpstream::start(&options(Options::new(&server).demanding()));
    let clients: Vec<Cert> = (0..identities)
        .map(|n| ca.below(1).issue(&Leaf::named(&format!("client {n}"))))
        .collect();
    let mut map = HashMap::from([("right".to_owned(), ca.pem()), ("wrong".to_owned(), other.pem())]);
    for (n, client) in clients.iter().enumerate() {
        map.insert(format!("{n}.cert"), client.chain_pem());
        map.insert(format!("{n}.key"), client.key_pem());
    }
    let mut config = Config::new();
    config.service("a", upstream.port, json!({ "retries": 5 }));
    config.plugin_with("chooser", json!({ "map": map }));
    World {
        upstream,
        clients,
        setup: config.setup().plugin("chooser", CHOOSER),
    }
}

/// What the workers together counted, by SIGUSR2.
fn counted(gateway: &Gateway, name: &str, workers: usize) -> u64 {
    let mark = "upstream connections: ";
    let before = gateway.errors().matches(mark).count();
    gateway.signal("USR2");
    assert!(eventually(Duration::from_secs(5), || {
        gateway.errors().matches(mark).count() == before + workers
    }));
    let errors = gateway.errors();
    let lines = errors.lines().filter(|l| l.contains(mark)).rev().take(workers);
    let value = |line: &str| -> u64 {
        let words = line
            .split(' ')
            .filter_map(|w| w.trim_end_matches(',').split_once('='));
        let mut found = words.filter(|(key, _)| *key == name);
        found
            .next()
            .unwrap_or_else(|| panic!("no {name}: {line}"))
            .1
            .parse()
            .unwrap()
    };
    lines.map(value).sum()
}

#[test]
fn c04_requests_of_eight_identities_never_share_a_connection() {
    const THREADS: usize = 32;
    const REQUESTS: usize = 80;
    let World {
        upstream,
        clients,
        setup,
    } = world(8, |o| o);
    let gateway = setup.set("nginx_worker_processes", "2").start();
    let (good, refused) = (AtomicUsize::new(0), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (gateway, clients, good, refused) = (&gateway, &clients, &good, &refused);
            scope.spawn(move || {
                let mut conn = gateway.connect();
                for n in 0..REQUESTS {
                    let which = (thread * 7 + n * 5 + n / 8) % clients.len();
                    let name = which.to_string();
                    let mut headers = vec![("Host", "up.test"), ("x-identity", name.as_str())];
                    // among them some that trust nobody here, and some that would not go that deep
                    let wrong = (thread + n) % 11 == 0;
                    let shallow = (thread + n) % 13 == 0;
                    match (wrong, shallow) {
                        (true, _) => headers.push(("x-trust", "wrong")),
                        (_, true) => headers.extend([("x-trust", "right"), ("x-depth", "0")]),
                        _ if n % 2 == 0 => headers.push(("x-trust", "right")),
                        _ => {}
                    }
                    let r = conn.ask("GET", "/a", &headers, b"");
                    if wrong || shallow {
                        assert_eq!(r.status, 502, "{headers:?}: {}", r.text());
                        refused.fetch_add(1, Ordering::Relaxed);
                        continue;
                    }
                    assert_eq!(r.status, 200, "{}", r.text());
                    let seen = r.json();
                    assert_eq!(seen["client"]["fingerprint"], clients[which].fingerprint());
                    assert_eq!(seen["client"]["length"], 2);
                    good.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    let (good, refused) = (good.into_inner(), refused.into_inner());
    assert_eq!(good + refused, THREADS * REQUESTS);
    assert!(good > 2000 && refused > 300, "{good} {refused}");
    // each connection carried one identity for its life
    let mut by_connection: HashMap<u64, String> = HashMap::new();
    for seen in upstream.seen() {
        let whose = seen["client"]["fingerprint"].as_str().unwrap().to_owned();
        let before = by_connection.insert(seen["connection"].as_u64().unwrap(), whose.clone());
        assert!(before.is_none_or(|before| before == whose));
    }
    let reused = counted(&gateway, "reused", 2);
    let (full, resumed) = (
        counted(&gateway, "handshakes_full", 2),
        counted(&gateway, "handshakes_resumed", 2),
    );
    println!(
        "{good} answered, {refused} refused; {reused} on kept connections, {} connections, {full} full handshakes, \
         {resumed} resumed",
        by_connection.len()
    );
    assert!(reused > good as u64 / 2);
    assert_eq!(resumed as usize, upstream.resumed());
    assert_eq!((full + resumed) as usize, by_connection.len());
}

#[test]
fn c04_sessions_are_resumed_per_identity_and_trust() {
    for tls12 in [true, false] {
        // one request per connection: what is left is the session
        let w = world(2, |o| if tls12 { o.tls12() } else { o.tls13() }.requests(1));
        let gateway = w.setup.start();
        let ask = |identity: &str, trust: Option<&str>| {
            let mut headers = vec![("Host", "up.test"), ("x-identity", identity)];
            headers.extend(trust.map(|t| ("x-trust", t)));
            let r = gateway.get("/a", &headers);
            (r.status == 200).then(|| r.json()).map(|seen| {
                let subject = seen["client"]["subject"].as_str().unwrap().to_owned();
                (subject, seen["resumed"].as_bool().unwrap())
            })
        };
        let of = |n: usize, resumed| Some((format!("client {n}"), resumed));
        assert_eq!(ask("0", None), of(0, false));
        assert_eq!(ask("0", None), of(0, true));
        assert_eq!(ask("1", None), of(1, false));
        assert_eq!(ask("1", None), of(1, true));
        assert_eq!(ask("0", None), of(0, true));
        assert_eq!(ask("0", Some("right")), of(0, false));
        assert_eq!(ask("0", Some("right")), of(0, true));
        // a session made unverified, or with the right store, is none for the wrong one
        assert_eq!(ask("0", Some("wrong")), None);
        assert_eq!(ask("1", Some("wrong")), None);
        assert_eq!(ask("1", Some("right")), of(1, false));
        let off = world(1, |o| if tls12 { o.tls12() } else { o.tls13() }.requests(1));
        let gateway = off
            .setup
            .set("nginx_proxy_proxy_ssl_session_reuse", "off")
            .start();
        for _ in 0..3 {
            let r = gateway
                .get("/a", &[("Host", "up.test"), ("x-identity", "0")])
                .is(200);
            assert_eq!(r.json()["resumed"], false);
        }
    }
}

#[test]
fn c04_the_pools_settings_and_counters() {
    let w = world(2, |o| o);
    let gateway = w
        .setup
        .set("upstream_keepalive_pool_size", "1")
        .set("upstream_keepalive_max_requests", "3")
        .set("upstream_keepalive_idle_timeout", "1")
        .start();
    let ask = |identity: &str| {
        let r = gateway
            .get("/a", &[("Host", "up.test"), ("x-identity", identity)])
            .is(200);
        r.json()["connection"].as_u64().unwrap()
    };
    assert_eq!([ask("0"), ask("0"), ask("0")], [1, 1, 1]);
    assert_eq!([ask("0"), ask("1"), ask("0"), ask("1")], [2, 3, 2, 3]);
    std::thread::sleep(Duration::from_millis(2300));
    assert_eq!(w.upstream.open(), 0, "idle for too long");
    assert_eq!(ask("0"), 4);
    assert_eq!(
        (counted(&gateway, "made", 1), counted(&gateway, "reused", 1)),
        (4, 4)
    );
    assert_eq!(
        (counted(&gateway, "idle", 1), counted(&gateway, "plans", 1)),
        (1, 1)
    );
    assert_eq!(counted(&gateway, "tls_configurations", 1), 2);
    assert_eq!(counted(&gateway, "handshakes_full", 1), 2);
    assert_eq!(counted(&gateway, "handshakes_resumed", 1), 2);
    let w = world(1, |o| o);
    let gateway = w.setup.set("upstream_keepalive_pool_size", "0").start();
    for n in 1..4 {
        let r = gateway
            .get("/a", &[("Host", "up.test"), ("x-identity", "0")])
            .is(200);
        assert_eq!(r.json()["connection"], n);
    }
}

/// Takes the identity that the request brings along.
const ANYBODY: &str = r#"
local ssl = require "ngx.ssl"
local P = { PRIORITY = 500, VERSION = "1.0.0" }
local key
function P:access(conf)
  key = key or assert(ssl.parse_pem_priv_key(conf.map.key))
  local der = ngx.decode_base64(kong.request.get_header("x-cert"))
  assert(kong.service.set_tls_cert_key(assert(ssl.parse_der_cert(der)), key))
end
return P
"#;

#[test]
fn c04_ten_thousand_identities_through_the_gateway_stay_bounded() {
    use base64::Engine as _;
    const KEPT: usize = 1024;
    let ca = Ca::new("Root");
    let upstream = TlsUpstream::start(&Options::new(&ca.issue(&Leaf::named("up.test"))).demanding());
    let first = ca.issue(&Leaf::named("client 0"));
    let mut config = Config::new();
    config.service("a", upstream.port, json!({}));
    config.plugin_with("anybody", json!({ "map": { "key": first.key_pem() } }));
    let setup = config.setup().plugin("anybody", ANYBODY);
    let setup = setup.set("nginx_http_keepalive_requests", "1000000");
    let gateway = setup.set("upstream_keepalive_pool_size", "0").start();
    let mut conn = gateway.connect();
    let mut ask = |n: usize| {
        let cert = ca.issue(&Leaf::named(&format!("client {n}")).key(&first.key));
        let text = base64::engine::general_purpose::STANDARD.encode(&cert.der);
        let r = conn.ask("GET", "/a", &[("x-cert", &text)], b"").is(200);
        assert_eq!(r.json()["client"]["fingerprint"], cert.fingerprint());
    };
    // the Lua state and the allocator have their fill first
    for _ in 0..400 {
        ask(0);
    }
    let before = gateway.memory_kib("VmRSS");
    for n in 1..KEPT {
        ask(n);
    }
    let full = gateway.memory_kib("VmRSS");
    for n in KEPT..10_000 {
        ask(n);
    }
    let end = gateway.memory_kib("VmRSS");
    println!(
        "resident: {before} KiB, {full} KiB with {KEPT} identities and their sessions ({} bytes each), {end} KiB \
         after 10000",
        full.saturating_sub(before) * 1024 / KEPT as u64
    );
    assert!(counted(&gateway, "tls_configurations", 1) <= KEPT as u64);
    assert!(counted(&gateway, "tls_configurations_evicted", 1) >= 10_000 - KEPT as u64);
    assert!(end < full + 16 * 1024, "{full} KiB, then {end} KiB");
    assert!(upstream.open() <= 1);
}
