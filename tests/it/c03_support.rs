//! The TLS test support itself: its certificates are what they say, its servers report what they got.

use std::io::{ErrorKind, Read as _, Write as _};
use std::time::Duration;

use serde_json::Value;

use crate::support::certs::keys::openssl;
use crate::support::certs::{Ca, Cert, Key, Kind, Leaf, der};
use crate::support::peers::Peer;
use crate::support::tls_client::TlsConnection;
use crate::support::tls_upstream::{Fault, Options};
use crate::support::{TempDir, TlsClient, TlsUpstream, eventually};

/// OpenSSL's word on a certificate.
fn verified(ca: &Ca, cert: &Cert, more: &[&str]) -> String {
    let dir = TempDir::new();
    let file = |name: &str, text: &str| dir.write(name, text).display().to_string();
    let (root, above) = (file("ca.pem", &ca.pem()), file("above.pem", &cert.chain_pem()));
    let leaf = file("leaf.pem", &cert.pem());
    let args = ["verify", "-CAfile", &root, "-untrusted", &above];
    let out = std::process::Command::new("openssl")
        .args(args)
        .args(more)
        .arg(&leaf)
        .output()
        .unwrap();
    String::from_utf8_lossy(&[out.stdout, out.stderr].concat()).into_owned()
}

fn text(cert: &Cert) -> String {
    let args = ["x509", "-inform", "DER", "-noout", "-text"];
    String::from_utf8(openssl(&args, &cert.der)).unwrap()
}

#[test]
fn c02_support_makes_every_kind_of_key_and_leaf() {
    let ca = Ca::new("Root");
    for kind in Kind::ALL {
        let cert = ca.issue(&Leaf::named("kind.test").kind(kind));
        assert!(
            verified(&ca, &cert, &["-verify_hostname", "kind.test"]).contains("OK"),
            "{kind:?}"
        );
        let says = text(&cert);
        let want = match kind {
            Kind::Rsa2048 => "2048 bit",
            Kind::Rsa3072 => "3072 bit",
            Kind::Rsa4096 => "4096 bit",
            Kind::P256 => "P-256",
            Kind::P384 => "P-384",
            Kind::P521 => "P-521",
            Kind::Ed25519 => "ED25519",
        };
        assert!(says.contains(want), "{kind:?}: {says}");
        // the key is the certificate's, in every spelling
        let spki = |pem: &str, pass: &str| {
            let args = ["pkey", "-pubout", "-outform", "DER", "-passin", pass];
            openssl(&args, pem.as_bytes())
        };
        assert_eq!(der::spki(&cert.der), cert.key.spki(), "{kind:?}");
        assert_eq!(spki(&cert.key_pem(), "pass:"), cert.key.spki());
        let encrypted = cert.key.encrypted_pem("secret");
        assert!(encrypted.starts_with("-----BEGIN ENCRYPTED PRIVATE KEY-----"));
        assert_eq!(spki(&encrypted, "pass:secret"), cert.key.spki());
        if kind != Kind::Ed25519 {
            let label = if matches!(kind, Kind::P256 | Kind::P384 | Kind::P521) {
                "EC"
            } else {
                "RSA"
            };
            let pem = cert.key.traditional_pem();
            assert!(
                pem.starts_with(&format!("-----BEGIN {label} PRIVATE KEY-----")),
                "{pem}"
            );
            assert_eq!(spki(&pem, "pass:"), cert.key.spki());
            let old = cert.key.old_encrypted_pem("secret");
            assert!(old.contains("Proc-Type: 4,ENCRYPTED"));
            assert_eq!(spki(&old, "pass:secret"), cert.key.spki());
        }
    }
    assert_eq!(Key::of(Kind::Rsa2048).pkcs8(), Key::of(Kind::Rsa2048).pkcs8());
    assert_ne!(Key::of(Kind::P256).pkcs8(), Key::of(Kind::P256).pkcs8());
}

#[test]
fn c02_support_makes_odd_certificates() {
    let ca = Ca::new("Root");
    let expired = ca.issue(&Leaf::named("a.test").expired());
    let says = verified(&ca, &expired, &[]);
    assert!(
        says.contains("certificate has expired"),
        "{says}{}",
        text(&expired)
    );
    let early = ca.issue(&Leaf::named("a.test").not_yet());
    assert!(verified(&ca, &early, &[]).contains("not yet valid"));
    let alone = Leaf::named("a.test").self_signed();
    assert!(verified(&ca, &alone, &[]).contains("self-signed certificate"));
    let v1 = ca.issue(&Leaf::cn_only("old.test").v1());
    assert_eq!((der::version(&v1.der), der::version(&expired.der)), (1, 3));
    assert!(text(&v1).contains("Version: 1"), "{}", text(&v1));
    assert!(verified(&ca, &v1, &["-verify_hostname", "old.test"]).contains("OK"));
    assert_eq!(v1.common_name(), "old.test");
    let deep = ca.below(3).issue(&Leaf::named("a.test"));
    assert_eq!(deep.chain().len(), 4);
    assert!(verified(&ca, &deep, &["-verify_depth", "3"]).contains("OK"));
    assert!(verified(&ca, &deep, &["-verify_depth", "2"]).contains("chain too long"));
    assert!(verified(&Ca::new("Root"), &deep, &[]).contains("error"));
    let san = ca.issue(
        &Leaf::cn_only("x")
            .san(&["*.b.test", "127.0.0.1"])
            .uri("spiffe://t/a"),
    );
    let expired = Ca::expired("Old root");
    let below = verified(&expired, &expired.issue(&Leaf::named("a.test")), &[]);
    assert!(below.contains("certificate has expired"), "{below}");
    let key = Key::of(Kind::P384);
    let servers = ca.issue(&Leaf::named("a.test").key(&key).for_servers());
    assert!(verified(&ca, &servers, &["-purpose", "sslclient"]).contains("purpose"));
    assert_eq!(der::spki(&servers.der), key.spki());
    assert_eq!(der::element(&key.traditional_der()).tag, 0x30);
    let says = text(&san);
    assert!(
        says.contains("DNS:*.b.test, IP Address:127.0.0.1, URI:spiffe://t/a"),
        "{says}"
    );
}

fn ask(conn: &mut TlsConnection) -> Value {
    conn.ask("POST", "/x?y", &[("X-A", "1")], b"hello").is(200).json()
}

#[test]
fn c03_support_upstream_reports_what_it_got() {
    let ca = Ca::new("Root");
    let server = ca.below(1).issue(&Leaf::named("up.test"));
    for kind in Kind::ALL {
        let upstream = TlsUpstream::start(&Options::new(&server).demanding());
        let client = ca.below(2).issue(&Leaf::named("client").kind(kind));
        for versions in [&[&rustls::version::TLS12], &[&rustls::version::TLS13]] {
            let tls = TlsClient::versions(versions).showing(&client);
            let mut conn = tls.connect(upstream.port, "up.test");
            let (first, second) = (ask(&mut conn), ask(&mut conn));
            assert_eq!(first["client"]["fingerprint"], client.fingerprint(), "{kind:?}");
            assert_eq!(first["client"]["subject"], "client");
            assert_eq!(first["client"]["length"], 3);
            assert_eq!(first["sni"], "up.test");
            assert_eq!(first["version"], conn.version());
            assert_eq!(
                (&first["target"], &first["body"]),
                (&"/x?y".into(), &"hello".into())
            );
            assert_eq!((&first["request"], &second["request"]), (&1.into(), &2.into()));
            assert_eq!(first["connection"], second["connection"]);
            assert_eq!(first["resumed"], false);
            assert_eq!(conn.fingerprint(), server.fingerprint());
            assert_eq!(conn.chain().len(), 2);
            let again = ask(&mut tls.connect(upstream.port, "up.test"));
            assert_eq!(again["resumed"], true, "{kind:?} {}", conn.version());
            let afresh = ask(&mut tls.clone().forgetful().connect(upstream.port, "up.test"));
            assert_eq!(afresh["resumed"], false, "{kind:?}");
            assert_eq!(again["client"]["fingerprint"], client.fingerprint());
        }
        assert_eq!(
            (upstream.accepted(), upstream.handshakes(), upstream.resumed()),
            (6, 6, 2)
        );
        assert_eq!((upstream.requests(), upstream.seen().len()), (8, 8));
    }
}

#[test]
fn c03_support_upstream_has_its_options() {
    let ca = Ca::new("Root");
    let server = ca.below(2).issue(&Leaf::named("up.test"));
    let options = Options::new(&server.clone().without_chain()).alpn(&["http/1.1"]);
    let upstream = TlsUpstream::start(&options.without_sessions());
    let tls = TlsClient::new().alpn(&["h2", "http/1.1"]);
    for _ in 0..2 {
        let mut conn = tls.connect(upstream.port, "up.test");
        let seen = ask(&mut conn);
        assert_eq!(conn.chain(), std::slice::from_ref(&server.der));
        assert_eq!(conn.alpn_chosen().as_deref(), Some("http/1.1"));
        assert_eq!((&seen["alpn"], conn.resumed()), (&"http/1.1".into(), false));
    }
}

#[test]
fn c03_support_upstream_serves_with_every_kind_of_key() {
    let ca = Ca::new("Root");
    for kind in Kind::ALL {
        let server = ca.issue(&Leaf::cn_only("up").kind(kind).v1());
        let upstream = TlsUpstream::start(&Options::new(&server).asking().tls13());
        let mut conn = TlsClient::new().connect(upstream.port, "127.0.0.1");
        let seen = ask(&mut conn);
        assert_eq!((&seen["client"], &seen["sni"]), (&Value::Null, &Value::Null));
        assert_eq!(conn.fingerprint(), server.fingerprint());
    }
}

#[test]
fn c03_support_upstream_refuses_whom_it_should() {
    let (ca, other) = (Ca::new("Root"), Ca::new("Other"));
    let server = ca.issue(&Leaf::named("up.test"));
    let ask_with = |upstream: &TlsUpstream, tls: &TlsClient| {
        let mut conn = tls.try_connect(upstream.port, "up.test").ok()?;
        conn.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        conn.try_answer(false)
    };
    let with = |ca: &Ca| TlsClient::new().showing(&ca.issue(&Leaf::named("client")));
    let upstream = TlsUpstream::start(&Options::new(&server).verifying(&ca));
    assert!(ask_with(&upstream, &with(&ca)).is_some());
    assert!(ask_with(&upstream, &with(&other)).is_none());
    assert!(ask_with(&upstream, &TlsClient::new()).is_none());
    assert!(eventually(Duration::from_secs(5), || upstream.failures().len() == 2));
    let upstream = TlsUpstream::start(&Options::new(&server).demanding().tls12());
    assert!(ask_with(&upstream, &with(&other)).is_some());
    assert!(ask_with(&upstream, &TlsClient::new()).is_none());
}

#[test]
fn c06_support_upstream_misbehaves_as_asked() {
    let server = Ca::new("Root").issue(&Leaf::named("up.test"));
    let upstream = TlsUpstream::start(&Options::new(&server).requests(2));
    let answers = |fault: Fault| {
        upstream.misbehave(&[fault]);
        let Ok(mut conn) = TlsClient::new().try_connect(upstream.port, "up.test") else {
            return "no handshake".to_owned();
        };
        let mut so_far = String::new();
        for _ in 0..2 {
            conn.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi");
            so_far += match conn.try_answer(false) {
                Some(r) if r.complete => "whole ",
                Some(_) => "cut ",
                None => "none ",
            };
        }
        so_far
    };
    assert_eq!(answers(Fault::Well), "whole whole ");
    for fault in [
        Fault::CloseAtOnce,
        Fault::ResetAtOnce,
        Fault::CloseInHandshake,
        Fault::ResetInHandshake,
    ] {
        assert_eq!(answers(fault), "no handshake", "{fault:?}");
    }
    assert_eq!(answers(Fault::PlainText), "no handshake");
    let after = [Fault::CloseAfterHandshake, Fault::ResetAfterHandshake];
    let before = [
        Fault::CloseBeforeAnswer,
        Fault::ResetBeforeAnswer,
        Fault::CloseInHead,
    ];
    for fault in after.into_iter().chain(before) {
        assert_eq!(answers(fault), "none none ", "{fault:?}");
    }
    assert_eq!(answers(Fault::CloseInBody), "cut none ");
    let idle = [
        Fault::CloseWhenIdle,
        Fault::TruncateWhenIdle,
        Fault::HalfCloseWhenIdle,
        Fault::ResetWhenIdle,
    ];
    for fault in idle.into_iter().chain([Fault::AnswerAndClose]) {
        assert_eq!(answers(fault), "whole none ", "{fault:?}");
    }
    assert_eq!(answers(Fault::AnswerBeforeBody), "whole whole ");
    let closed = eventually(Duration::from_secs(5), || upstream.open() == 0);
    assert!(closed, "{} connections are open", upstream.open());
    // what hangs says nothing more
    let hangs = [
        Fault::HangAtOnce,
        Fault::HangInHandshake,
        Fault::HangBeforeAnswer,
        Fault::HangInHead,
        Fault::HangInBody,
    ];
    for fault in hangs {
        upstream.misbehave(&[fault]);
        let tcp = std::net::TcpStream::connect(("127.0.0.1", upstream.port)).unwrap();
        tcp.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
        let mut tls = TlsClient::new().over(tcp, "up.test");
        let mut got = Vec::new();
        let _ = tls.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        let e = tls.read_to_end(&mut got).unwrap_err();
        assert!(
            matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
            "{fault:?}: {e}"
        );
        let (some, body) = (!got.is_empty(), got.windows(4).any(|w| w == b"\r\n\r\n"));
        let want = (
            matches!(fault, Fault::HangInHead | Fault::HangInBody),
            fault == Fault::HangInBody,
        );
        assert_eq!((some, body), want, "{fault:?}");
    }
}

#[test]
fn c03_support_peers_see_client_certificates() {
    let ca = Ca::new("Root");
    let server = ca.below(1).issue(&Leaf::named("up.test"));
    let client = ca.below(1).issue(&Leaf::named("somebody").for_clients());
    let tls = TlsClient::new().showing(&client);
    if let Some(nginx) = Peer::nginx(&server, &ca, "on", "") {
        let mut conn = tls.connect(nginx.port, "up.test");
        let seen = conn.get("/").is(200).json();
        assert_eq!(seen["verify"], "SUCCESS", "{seen}");
        assert!(seen["client"].as_str().unwrap().contains("CN=somebody"), "{seen}");
        assert_eq!(seen["sni"], "up.test");
        assert_eq!(conn.get("/").json()["request"], 2);
        assert_eq!(
            tls.connect(nginx.port, "up.test").get("/").json()["resumed"],
            true
        );
        TlsClient::new().connect(nginx.port, "up.test").get("/").is(400);
    }
    for version in ["-tls1_2", "-tls1_3"] {
        let peer = Peer::s_server(&server, &ca, &["-Verify", "4", "-verify_return_error", version]);
        let Some(peer) = peer else { return };
        let mut conn = tls.connect(peer.port, "up.test");
        conn.send("GET / HTTP/1.0\r\n\r\n");
        let page = conn.answer(false).is(200).text();
        assert!(page.contains("somebody"), "{page}");
        assert!(page.contains(&conn.version()), "{page}");
        assert_eq!(conn.chain().len(), 2);
    }
    if let Some(peer) = Peer::s_server_files(&server, &ca, "hello you", &[]) {
        let mut conn = TlsClient::new().connect(peer.port, "up.test");
        conn.send("GET /hello HTTP/1.0\r\n\r\n");
        assert_eq!(conn.answer(false).is(200).text(), "hello you");
    }
}
