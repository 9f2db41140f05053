//! Many clients of many identities over few connections: nobody travels on another's.

use serde_json::{Value, json};

use crate::support::certs::{Ca, Cert, Leaf};
use crate::support::tls_upstream::Options;
use crate::support::{Client, Gateway, Setup, TlsUpstream, service, with};

const CLIENTS: usize = 40;
const REQUESTS: usize = 60;

struct Stage {
    gateway: Gateway,
    upstream: TlsUpstream,
    identities: Vec<Cert>,
}

/// A gateway whose plugin shows the identity that `x-identity` names and trusts whom `x-trust` names.
fn stage(count: usize, settings: &[(&str, &str)]) -> Stage {
    let (ca, other) = (Ca::new("Root"), Ca::new("Other"));
    let server = ca.below(1).issue(&Leaf::named("127.0.0.1"));
    let upstream = TlsUpstream::start(&Options::new(&server).asking());
    let identities: Vec<Cert> = (0..count)
        .map(|i| {
            ca.below(i % 3)
                .issue(&Leaf::named(&format!("c{i}")).for_clients())
        })
        .collect();
    let map = |text: &dyn Fn(&Cert) -> String| -> Value {
        let pairs = identities.iter().enumerate();
        pairs
            .map(|(i, cert)| (format!("c{i}"), json!(text(cert))))
            .collect()
    };
    let conf = json!({
        "certificates": map(&Cert::chain_pem),
        "keys": map(&Cert::key_pem),
        "trust": { "right": ca.pem(), "wrong": other.pem() },
    });
    let mut config = service(upstream.port);
    config["services"][0]["protocol"] = json!("https");
    let setup = Setup::new(&with(config, "client-identity", conf))
        .set("moongate_lua_dir", concat!(env!("CARGO_MANIFEST_DIR"), "/lua"))
        .enable("client-identity");
    let gateway = settings.iter().fold(setup, |s, (k, v)| s.set(k, v)).start();
    Stage {
        gateway,
        upstream,
        identities,
    }
}

/// The same sequence for the same seed.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % n
    }
}

#[test]
fn c04_nobody_travels_on_another_s_connection() {
    let stage = stage(
        8,
        &[
            ("nginx_worker_processes", "2"),
            ("upstream_keepalive_pool_size", "16"),
        ],
    );
    let refused: usize = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|n| {
                let stage = &stage;
                scope.spawn(move || {
                    let (mut dice, mut client) = (Dice(n as u64), Client::connect(stage.gateway.port));
                    (0..REQUESTS)
                        .filter(|_| request(stage, &mut client, &mut dice))
                        .count()
                })
            })
            .collect();
        clients.into_iter().map(|c| c.join().unwrap()).sum()
    });
    let answered = CLIENTS * REQUESTS - refused;
    assert!(
        refused > 100 && answered > 1500,
        "{refused} refused, {answered} answered"
    );
    assert_eq!(
        stage.upstream.requests(),
        answered,
        "a refused server never sees a request"
    );
    // connections were kept, or the test shows nothing
    let kept = answered - stage.upstream.handshakes().min(answered);
    assert!(kept > answered / 2, "{kept} of {answered} over kept connections");
}

/// One request of a random identity and trust, which must get its own; whether the upstream was refused.
fn request(stage: &Stage, client: &mut Client, dice: &mut Dice) -> bool {
    let who = dice.below(stage.identities.len() + 1);
    let trust = ["", "", "right", "right", "right", "wrong"][dice.below(6)];
    let name = format!("c{who}");
    let mut headers = Vec::new();
    if who < stage.identities.len() {
        headers.push(("x-identity", name.as_str()));
    }
    if !trust.is_empty() {
        headers.push(("x-trust", trust));
    }
    let answer = client.ask("GET", "/", &headers, b"");
    if trust == "wrong" {
        answer.is(502);
        return true;
    }
    let seen = answer.is(200).json();
    let (came, chain) = (&seen["client"]["fingerprint"], &seen["client"]["length"]);
    match stage.identities.get(who) {
        Some(cert) => {
            assert_eq!(*came, cert.fingerprint(), "{headers:?} got {seen}");
            assert_eq!(*chain, cert.chain().len());
        }
        None => assert_eq!(seen["client"], Value::Null),
    }
    false
}

#[test]
fn c04_sessions_are_resumed_by_their_own_identity_only() {
    let stage = stage(4, &[("upstream_keepalive_pool_size", "0")]);
    let mut dice = Dice(7);
    let mut client = stage.gateway.connect();
    for _ in 0..200 {
        request(&stage, &mut client, &mut dice);
    }
    // each of four identities and none, verified and not, had a first handshake; most of the others resumed
    let (all, resumed) = (stage.upstream.handshakes(), stage.upstream.resumed());
    assert!(
        all - resumed >= 10 && resumed > all / 2,
        "{resumed} of {all} resumed"
    );
    for seen in stage.upstream.seen() {
        assert_eq!(seen["request"], 1, "a connection was kept");
    }
}
