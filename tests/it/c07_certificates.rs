//! Which certificate a client is shown: names, defaults, pairs, changes under load.

use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::certs::{Ca, Cert, Kind, Leaf};
use crate::support::listener::{configuration, default_cert, entities, s_client, setup, start};
use crate::support::{Origin, TlsClient, eventually};

fn issue(ca: &Ca, name: &str) -> Cert {
    ca.issue(&Leaf::named(name))
}

#[test]
fn c07_a_name_chooses_its_certificate() {
    let origin = Origin::echo();
    let ca = Ca::new("Root").intermediate("Between");
    let (exact, prefix, suffix) = (issue(&ca, "exact"), issue(&ca, "prefix"), issue(&ca, "suffix"));
    let default = default_cert();
    let list: [(&Cert, &[&str]); 3] = [
        (&exact, &["a.example.com", "other.test"]),
        (&prefix, &["*.example.com"]),
        (&suffix, &["a.example.*", "example.*"]),
    ];
    let config = configuration(origin.port, json!({}), entities(&list));
    let g = start(&config, &[&default]);
    for (name, cert) in [
        ("a.example.com", &exact),
        ("A.Example.COM", &exact),
        ("other.test", &exact),
        ("b.example.com", &prefix),
        ("a.example.net", &suffix),
        ("example.net", &suffix),
        ("example.com", &suffix),
        ("c.b.example.com", &default),
        ("localhost", &default),
        ("127.0.0.1", &default),
    ] {
        let mut client = TlsClient::new().connect(g.tls, name);
        assert_eq!(client.chain(), cert.chain(), "{name}: {}", client.fingerprint());
        let answer = client.get("/").is(200);
        assert_eq!(answer.seen("x-forwarded-proto").as_deref(), Some("https"));
    }
    // the whole chain goes out, the plain listener stays plain
    let shown = s_client(g.tls, &["-servername", "a.example.com", "-showcerts"]);
    assert!(
        shown.contains("CN = exact") && shown.contains("CN = Between"),
        "{shown}"
    );
    g.gateway.get("/", &[]).is(200);
}

#[test]
fn c07_a_star_takes_the_defaults_place_for_named_clients() {
    let origin = Origin::echo();
    let (star, default) = (issue(&Ca::new("Root"), "star"), default_cert());
    let config = configuration(origin.port, json!({}), entities(&[(&star, &["*"])]));
    let g = start(&config, &[&default]);
    let shown = |name: &str| TlsClient::new().connect(g.tls, name).chain();
    assert_eq!(shown("whatever.test"), star.chain());
    assert_eq!(shown("127.0.0.1"), default.chain());
}

#[test]
fn c07_rsa_and_ec_pairs_by_what_the_client_can_check() {
    let origin = Origin::echo();
    let ca = Ca::new("Root");
    let rsa = ca.issue(&Leaf::named("rsa").kind(Kind::Rsa2048));
    let ec = ca.issue(&Leaf::named("ec").kind(Kind::P384));
    let (default_rsa, default_ec) = (
        ca.issue(&Leaf::named("default-rsa").kind(Kind::Rsa2048)),
        ca.issue(&Leaf::named("default-ec")),
    );
    let id = "00000000-0000-4000-8000-000000000001";
    let more = json!({
        "certificates": [{ "id": id, "cert": rsa.pem(), "key": rsa.key_pem(), "cert_alt": ec.pem(), "key_alt": ec.key_pem() }],
        "snis": [{ "name": "pair.test", "certificate": { "id": id } }],
    });
    let config = configuration(origin.port, json!({}), more);
    let g = start(&config, &[&default_rsa, &default_ec]);
    for (name, sigalgs, cn) in [
        ("pair.test", "rsa_pss_rsae_sha256", "CN = rsa"),
        ("pair.test", "ecdsa_secp384r1_sha384", "CN = ec"),
        ("other.test", "rsa_pss_rsae_sha256", "CN = default-rsa"),
        ("other.test", "ecdsa_secp256r1_sha256", "CN = default-ec"),
    ] {
        let shown = s_client(g.tls, &["-servername", name, "-sigalgs", sigalgs, "-tls1_3"]);
        assert!(shown.contains(cn), "{name} {sigalgs}: {shown}");
    }
    // in TLS 1.2 the suite says which kind
    for (cipher, cn) in [
        ("ECDHE-RSA-AES128-GCM-SHA256", "CN = rsa"),
        ("ECDHE-ECDSA-AES256-GCM-SHA384", "CN = ec"),
    ] {
        let shown = s_client(g.tls, &["-servername", "pair.test", "-tls1_2", "-cipher", cipher]);
        assert!(
            shown.contains(cn) && shown.contains(&format!("Cipher is {cipher}")),
            "{shown}"
        );
    }
}

#[test]
fn c07_every_kind_of_key_is_served() {
    let origin = Origin::echo();
    let ca = Ca::new("Root");
    let certs: Vec<(Cert, String)> = Kind::ALL
        .iter()
        .map(|kind| {
            let name = format!("{kind:?}.test").to_lowercase();
            (ca.issue(&Leaf::named(&name).kind(*kind)), name)
        })
        .collect();
    let names: Vec<[&str; 1]> = certs.iter().map(|(_, name)| [name.as_str()]).collect();
    let list: Vec<(&Cert, &[&str])> = certs.iter().zip(&names).map(|((c, _), n)| (c, &n[..])).collect();
    let config = configuration(origin.port, json!({}), entities(&list));
    let g = start(&config, &[&default_cert()]);
    for (cert, name) in &certs {
        for version in [&rustls::version::TLS13, &rustls::version::TLS12] {
            let mut client = TlsClient::versions(&[version]).connect(g.tls, name);
            assert_eq!(client.chain(), cert.chain(), "{name}");
            client.get("/").is(200);
        }
    }
}

#[test]
fn c07_without_certificates_self_signed_ones_are_made_once() {
    let origin = Origin::echo();
    let config = configuration(origin.port, json!({}), json!({}));
    let (setup, tls) = setup(&config, &[]);
    let gateway = setup.start();
    let shown = |sigalgs: &str| s_client(tls, &["-sigalgs", sigalgs, "-servername", "localhost"]);
    assert!(shown("rsa_pss_rsae_sha256").contains("CN = localhost"));
    assert!(shown("ecdsa_secp256r1_sha256").contains("CN = localhost"));
    let folder = gateway.prefix().join("ssl");
    let mode = |name: &str| folder.join(name).metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(""), 0o700);
    for name in ["kong-default", "kong-default-ecdsa"] {
        assert_eq!(mode(&format!("{name}.key")), 0o600);
        let cert = folder.join(format!("{name}.crt"));
        let out = std::process::Command::new("openssl")
            .args(["x509", "-noout", "-text", "-in"])
            .arg(&cert)
            .output()
            .unwrap();
        let text = String::from_utf8(out.stdout).unwrap();
        assert!(
            text.contains("CA:FALSE") && text.contains("DNS:localhost"),
            "{text}"
        );
        let verified = std::process::Command::new("openssl")
            .args(["verify", "-CAfile"])
            .args([&cert, &cert])
            .output()
            .unwrap();
        assert!(verified.status.success(), "{verified:?}");
    }
    // a reload keeps what is there
    let before = std::fs::read(folder.join("kong-default.crt")).unwrap();
    gateway.signal("HUP");
    gateway.logged("reconfiguring");
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(std::fs::read(folder.join("kong-default.crt")).unwrap(), before);
    TlsClient::new().connect(tls, "localhost").get("/").is(200);
}

#[test]
fn c07_wrong_certificates_are_refused_at_start() {
    let ca = Ca::new("Root");
    let (one, two) = (issue(&ca, "one"), issue(&ca, "two"));
    let config = configuration(1, json!({}), json!({}));
    let refused = |cert: &str, key: &str| {
        let (setup, _) = setup(&config, &[]);
        let (status, said) = setup.set("ssl_cert", cert).set("ssl_cert_key", key).refused();
        assert!(!status.success());
        assert!(!said.contains("PRIVATE KEY"), "{said}");
        said
    };
    assert!(refused(&one.pem(), &two.key_pem()).contains("key values mismatch"));
    assert!(refused(&one.pem(), "/nowhere/key.pem").contains("ssl_cert_key: no such file: /nowhere/key.pem"));
    assert!(
        refused("/nowhere/cert.pem", &one.key_pem()).contains("ssl_cert: no such file: /nowhere/cert.pem")
    );
    assert!(refused(&one.pem(), "").contains("ssl_cert_key must be specified"));
    assert!(refused("", &one.key_pem()).contains("ssl_cert must be specified"));
}

/// Asks with fresh and kept connections until told to stop; how many answers were good, and what was not.
fn load(tls: u16, stop: &Arc<AtomicBool>, good: &Arc<AtomicUsize>, fresh: bool) -> Vec<String> {
    let client = TlsClient::new();
    let mut wrong = Vec::new();
    let mut kept = client.connect(tls, "a.test");
    while !stop.load(Ordering::Relaxed) {
        if fresh {
            match client.try_connect(tls, "a.test") {
                Ok(connection) => kept = connection,
                Err(e) => {
                    wrong.push(e.to_string());
                    continue;
                }
            }
        }
        let answer = kept.get("/");
        if answer.status == 200 {
            good.fetch_add(1, Ordering::Relaxed);
        } else {
            wrong.push(answer.head);
        }
    }
    wrong
}

#[test]
fn c07_a_change_reaches_the_next_handshake_and_fails_no_request() {
    let origin = Origin::echo();
    let ca = Ca::new("Root");
    let certs: Vec<Cert> = (0..4).map(|i| issue(&ca, &format!("v{i}"))).collect();
    let config =
        |i: usize| -> Value { configuration(origin.port, json!({}), entities(&[(&certs[i], &["a.test"])])) };
    let (setup, tls) = setup(&config(0), &[&default_cert()]);
    let (setup, admin) = setup.admin();
    let gateway = setup.start();
    let (stop, good) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let threads: Vec<_> = (0..4)
        .map(|i| {
            let (stop, good) = (stop.clone(), good.clone());
            std::thread::spawn(move || load(tls, &stop, &good, i % 2 == 0))
        })
        .collect();
    let shown = || TlsClient::new().connect(tls, "a.test").chain();
    assert_eq!(shown(), certs[0].chain());
    for i in [1, 2] {
        let mut under_way = TlsClient::new().connect(tls, "a.test");
        admin.accept(&config(i));
        assert!(eventually(Duration::from_secs(5), || shown() == certs[i].chain()));
        under_way.get("/").is(200);
        assert_eq!(under_way.chain(), certs[i - 1].chain());
    }
    gateway.reconfigure(&config(3));
    gateway.signal("HUP");
    assert!(eventually(Duration::from_secs(10), || shown() == certs[3].chain()));
    std::thread::sleep(Duration::from_millis(300));
    stop.store(true, Ordering::Relaxed);
    let wrong: Vec<String> = threads.into_iter().flat_map(|t| t.join().unwrap()).collect();
    assert!(
        wrong.is_empty(),
        "{} of {}: {wrong:?}",
        wrong.len(),
        good.load(Ordering::Relaxed)
    );
    assert!(good.load(Ordering::Relaxed) > 100);
}
