//! Handshakes that go wrong or on for long, protocols and suites by setting, closing, other people's clients.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::certs::{Ca, Leaf};
use crate::support::listener::{configuration, default_cert, s_client, setup, start};
use crate::support::{Gateway, Origin, TlsClient, eventually};

fn negotiated(tls: u16, args: &[&str]) -> Option<String> {
    let shown = s_client(tls, args);
    let line = shown.lines().find(|l| l.contains("Cipher is"))?;
    let line = line.trim_start_matches("New, ").replace(", Cipher is ", " ");
    (!line.contains("(NONE)")).then_some(line)
}

#[test]
fn c07_protocols_and_suites_by_setting() {
    let origin = Origin::echo();
    let config = configuration(origin.port, json!({}), json!({}));
    let with = |settings: &[(&str, &str)]| -> (Gateway, u16) {
        let (mut setup, tls) = setup(&config, &[&default_cert()]);
        for (key, value) in settings {
            setup = setup.set(key, value);
        }
        (setup.start(), tls)
    };
    let (_g, tls) = with(&[("ssl_cipher_suite", "modern")]);
    assert!(negotiated(tls, &["-tls1_2"]).is_none());
    assert!(negotiated(tls, &["-tls1_3"]).unwrap().starts_with("TLSv1.3"));
    let (_g, tls) = with(&[("ssl_cipher_suite", "intermediate")]);
    assert!(negotiated(tls, &["-tls1_2"]).unwrap().contains("ECDHE-ECDSA-"));
    assert!(negotiated(tls, &["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-SHA"]).is_none());
    assert!(negotiated(tls, &["-tls1_1", "-cipher", "DEFAULT:@SECLEVEL=0"]).is_none());
    let (g, tls) = with(&[
        ("ssl_cipher_suite", "custom"),
        ("ssl_protocols", "TLSv1.1 TLSv1.2"),
        (
            "ssl_ciphers",
            "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-ECDSA-AES128-GCM-SHA256",
        ),
        ("ssl_prefer_server_ciphers", "on"),
    ]);
    let theirs = "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384";
    assert_eq!(
        negotiated(tls, &["-cipher", theirs]).as_deref(),
        Some("TLSv1.2 ECDHE-ECDSA-AES256-GCM-SHA384")
    );
    assert!(negotiated(tls, &["-tls1_3"]).is_none());
    g.logged("ssl_protocols: TLSv1.1 is not supported");
    let (_g, tls) = with(&[(
        "nginx_http_ssl_conf_command",
        "Ciphersuites TLS_AES_128_GCM_SHA256",
    )]);
    assert_eq!(
        negotiated(tls, &[]).as_deref(),
        Some("TLSv1.3 TLS_AES_128_GCM_SHA256")
    );
    for (key, value, said) in [
        (
            "ssl_protocols",
            "TLSv1.1",
            "ssl_protocols = TLSv1.1 is not supported",
        ),
        ("ssl_ciphers", "RC4-SHA", "ssl_ciphers RC4-SHA: no cipher match"),
    ] {
        let (setup, _) = setup(&config, &[&default_cert()]);
        let (status, output) = setup.set("ssl_cipher_suite", "custom").set(key, value).refused();
        assert!(!status.success() && output.contains(said), "{output}");
    }
}

#[test]
fn c07_only_http_1_is_offered_within() {
    let origin = Origin::echo();
    let g = start(
        &configuration(origin.port, json!({}), json!({})),
        &[&default_cert()],
    );
    let chosen = |alpn: &[&str]| {
        TlsClient::new()
            .alpn(alpn)
            .try_connect(g.tls, "a.test")
            .map(|c| c.alpn_chosen())
    };
    assert_eq!(chosen(&["h2", "http/1.1"]).unwrap().as_deref(), Some("http/1.1"));
    assert_eq!(chosen(&[]).unwrap(), None);
    assert!(chosen(&["h2"]).is_err());
    g.gateway.logged("no application protocol");
}

#[test]
fn c07_plain_http_to_a_tls_port_is_told_so() {
    let origin = Origin::echo();
    let g = start(
        &configuration(origin.port, json!({}), json!({})),
        &[&default_cert()],
    );
    let mut client = crate::support::Client::connect(g.tls);
    let answer = client.get("/").is(400);
    assert_eq!(answer.header("content-type"), Some("text/html"));
    assert_eq!(answer.header("connection"), Some("close"));
    for part in [
        "<title>400 The plain HTTP request was sent to HTTPS port</title>",
        "<center><h1>400 Bad Request</h1></center>\r\n<center>The plain HTTP request was sent to HTTPS port</center>",
    ] {
        assert!(answer.text().contains(part), "{}", answer.text());
    }
    assert!(client.closed(), "it stays open");
    g.gateway.access_logged("\"GET / HTTP/1.1\" 400");
    g.gateway.logged("client sent plain HTTP request to HTTPS port");
    assert_eq!(origin.accepted(), 0);
}

#[test]
fn c07_slow_and_silent_clients_are_cut() {
    let origin = Origin::echo();
    let config = configuration(origin.port, json!({}), json!({}));
    let (setup, tls) = setup(&config, &[&default_cert()]);
    let gateway = setup.set("nginx_http_client_header_timeout", "1s").start();
    let gone_within = |begin: &[u8], drip: bool| {
        let mut stream = TcpStream::connect(("127.0.0.1", tls)).unwrap();
        stream.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        stream.write_all(begin).unwrap();
        let start = Instant::now();
        let mut byte = [0; 64];
        while start.elapsed() < Duration::from_secs(5) {
            if drip && stream.write_all(&[0]).is_err() {
                return true;
            }
            match stream.read(&mut byte) {
                Ok(0) => return true,
                Ok(_) => {}
                Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => {}
                Err(_) => return true,
            }
        }
        false
    };
    assert!(gone_within(b"", false));
    // the head of a record that holds a long ClientHello, then a byte now and then
    assert!(gone_within(&[22, 3, 1, 0x20, 0, 1, 0, 0x1f, 0xfc], true));
    gateway.logged(
        "client timed out (110: Connection timed out) while SSL handshaking, client: 127.0.0.1, server:",
    );
    TlsClient::new().connect(tls, "a.test").get("/").is(200);
}

#[test]
fn c07_junk_for_a_hello_ends_with_an_alert_and_a_line() {
    let origin = Origin::echo();
    let g = start(
        &configuration(origin.port, json!({}), json!({})),
        &[&default_cert()],
    );
    let answer_to = |bytes: &[u8]| {
        let mut stream = TcpStream::connect(("127.0.0.1", g.tls)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let _ = stream.write_all(bytes);
        let mut all = Vec::new();
        let _ = stream.read_to_end(&mut all);
        all
    };
    let endless = |fill: u8| {
        let mut bytes = Vec::new();
        for _ in 0..40 {
            bytes.extend([22, 3, 1, 2, 0]);
            bytes.extend([fill; 512]);
        }
        bytes
    };
    for (bytes, words) in [
        (vec![22, 3, 1, 0, 5, 1, 0, 0, 1, 0], "length mismatch"),
        (vec![22, 3, 1, 0, 4, 2, 0, 0, 0], "unexpected message"),
        (vec![22, 3, 1, 0, 4, 1, 1, 0, 0], "excessive message size"),
        (vec![22, 3, 1, 0xff, 0xff, 1], "packet length too long"),
        (vec![22, 9, 9, 0, 4, 1, 0, 0, 0], "wrong version number"),
        (vec![0x80, 46, 1, 3, 1, 0, 21], "wrong version number"),
        (endless(2), "unexpected message"),
        (endless(1), "excessive message size"),
    ] {
        let answer = answer_to(&bytes);
        assert!(answer.is_empty() || answer[..2] == [21, 3], "{words}: {answer:?}");
        let line = g
            .gateway
            .logged(&format!("SSL routines::{words}) while SSL handshaking"));
        assert!(
            line.contains("[info]") && line.contains(", client: 127.0.0.1, server: 127.0.0.1:"),
            "{line}"
        );
    }
    // a thousand broken ones
    let mut hello = Vec::new();
    let client = rustls::ClientConnection::new(
        client_config(),
        rustls::pki_types::ServerName::try_from("a.test").unwrap(),
    );
    client.unwrap().write_tls(&mut hello).unwrap();
    let mut seed = 7_u64;
    let mut random = move || {
        seed = seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) as usize
    };
    for _ in 0..1000 {
        let mut bytes = hello.clone();
        for _ in 0..4 {
            let at = random() % bytes.len();
            bytes[at] = random() as u8;
        }
        bytes.truncate(random() % bytes.len() + 1);
        let mut stream = TcpStream::connect(("127.0.0.1", g.tls)).unwrap();
        let _ = stream.write_all(&bytes);
    }
    TlsClient::new().connect(g.tls, "a.test").get("/").is(200);
    assert!(!g.gateway.output().contains("panicked"));
    at_rest(&g.gateway);
}

fn client_config() -> std::sync::Arc<rustls::ClientConfig> {
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    std::sync::Arc::new(config)
}

/// Waits until nothing is under way.
fn at_rest(gateway: &Gateway) {
    let done = eventually(Duration::from_secs(10), || {
        gateway.signal("USR2");
        std::thread::sleep(Duration::from_millis(100));
        let errors = gateway.errors();
        let last = errors.lines().rev().find(|l| l.contains("gauges:"));
        last.is_some_and(|l| l.contains("exchanges=0 connections=0 handshakes=0"))
    });
    assert!(
        done,
        "{}",
        gateway
            .errors()
            .lines()
            .rev()
            .find(|l| l.contains("gauges:"))
            .unwrap_or("no gauges")
    );
}

/// A gauge of the last line.
fn gauge(gateway: &Gateway, name: &str) -> u64 {
    let errors = gateway.errors();
    let line = errors.lines().rev().find(|l| l.contains("gauges:")).unwrap();
    let rest = line.split(&format!(" {name}=")).nth(1).unwrap();
    rest.split_whitespace().next().unwrap().parse().unwrap()
}

#[test]
fn c07_a_thousand_handshakes_leave_nothing_behind() {
    let origin = Origin::echo();
    let ca = Ca::new("Root");
    let other = ca.issue(&Leaf::named("plugin"));
    let lua = format!(
        "ngx.sleep(0)
         ssl.clear_certs()
         ssl.set_cert(assert(ssl.parse_pem_cert([[{}]])))
         ssl.set_priv_key(assert(ssl.parse_pem_priv_key([[{}]])))
         kong.client.tls.request_client_certificate(assert(ssl.parse_pem_cert([[{}]])))
         kong.ctx.shared.x = 1",
        other.chain_pem(),
        other.key_pem(),
        ca.pem()
    );
    let phases = json!({ "certificate": lua });
    let g = start(&configuration(origin.port, phases, json!({})), &[&default_cert()]);
    let run = |n: usize| {
        let threads: Vec<_> = (0..4)
            .map(|t| {
                let tls = g.tls;
                std::thread::spawn(move || {
                    let client = TlsClient::new().forgetful();
                    for i in 0..n / 4 {
                        let mut c = client.connect(tls, "a.test");
                        if (i + t) % 3 == 0 {
                            c.get("/").is(200);
                        }
                    }
                })
            })
            .collect();
        threads.into_iter().for_each(|t| t.join().unwrap());
    };
    run(40);
    at_rest(&g.gateway);
    let (slots, references, descriptors) = (
        gauge(&g.gateway, "slots"),
        gauge(&g.gateway, "registry_refs"),
        g.gateway.descriptors(),
    );
    run(1000);
    at_rest(&g.gateway);
    assert_eq!(gauge(&g.gateway, "slots"), slots);
    assert!(gauge(&g.gateway, "registry_refs") <= references + 16);
    assert!(g.gateway.descriptors() <= descriptors + 2);
}

#[test]
fn c07_closing_is_announced() {
    let origin = Origin::echo();
    let config = configuration(origin.port, json!({}), json!({}));
    let (setup, tls) = setup(&config, &[&default_cert()]);
    let mut gateway = setup.set("nginx_http_keepalive_timeout", "1s").start();
    // an idle connection that is closed ends with close_notify: rustls reads a clean end, not an error
    let clean_end = |c: &mut crate::support::tls_client::TlsConnection| {
        let mut byte = [0; 16];
        matches!(c.stream.read(&mut byte), Ok(0))
    };
    let mut idle = TlsClient::new().connect(tls, "a.test");
    idle.get("/").is(200);
    assert!(clean_end(&mut idle), "idle");
    let mut told = TlsClient::new().connect(tls, "a.test");
    told.ask("GET", "/", &[("connection", "close")], b"").is(200);
    assert!(clean_end(&mut told), "close");
    // a drain finishes what is under way and ends idle ones
    let mut idle = TlsClient::new().connect(tls, "a.test");
    idle.get("/").is(200);
    let mut busy = TlsClient::new().connect(tls, "a.test");
    let lua = "ngx.sleep(0.5) return 'done'";
    let head = format!("GET / HTTP/1.1\r\nHost: a\r\nx-access: {lua}\r\n\r\n");
    busy.send(&head);
    std::thread::sleep(Duration::from_millis(150));
    gateway.signal("QUIT");
    assert!(clean_end(&mut idle), "drained");
    assert_eq!(busy.answer(false).is(200).json(), json!(["done"]));
    assert!(clean_end(&mut busy), "drained after its request");
    assert!(gateway.wait(Duration::from_secs(5)).is_some());
}

#[test]
fn c07_large_bodies_both_ways_over_tls() {
    let origin = Origin::echo();
    let g = start(
        &configuration(origin.port, json!({}), json!({})),
        &[&default_cert()],
    );
    let body: Vec<u8> = (0..3_000_000_u32).map(|i| (i % 251) as u8).collect();
    for version in [&rustls::version::TLS13, &rustls::version::TLS12] {
        let mut client = TlsClient::versions(&[version]).connect(g.tls, "a.test");
        for _ in 0..2 {
            let answer = client.ask("POST", "/", &[], &body).is(200);
            assert_eq!(
                answer.json()["body_length"].as_u64().unwrap_or(body.len() as u64),
                body.len() as u64
            );
        }
        // refused in its head, much of the body still to come: the answer arrives all the same
        let lua = "return kong.response.exit(403, 'no')";
        let answer = client.ask("POST", "/", &[("x-access", lua)], &body);
        assert_eq!(answer.status, 403);
    }
}

#[test]
fn c07_curl_and_openssl_as_clients() {
    let origin = Origin::echo();
    let ca = Ca::new("Root");
    let cert = ca.issue(&Leaf::named("a.test"));
    let (setup, tls) = setup(&configuration(origin.port, json!({}), json!({})), &[&cert]);
    let root = setup.dir().join("root.pem");
    std::fs::write(&root, ca.pem()).unwrap();
    let _gateway = setup.start();
    for version in ["--tlsv1.2", "--tlsv1.3"] {
        let out = Command::new("curl")
            .args(["-sS", "--cacert"])
            .arg(&root)
            .args([version, "--resolve", &format!("a.test:{tls}:127.0.0.1")])
            .args([
                "-w",
                "%{http_code} %{ssl_verify_result} %{num_connects}\n",
                "-o",
                "/dev/null",
            ])
            .arg(format!("https://a.test:{tls}/x"))
            .args(["-o", "/dev/null"])
            .arg(format!("https://a.test:{tls}/y"))
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&[out.stdout, out.stderr].concat()).into_owned();
        assert_eq!(said, "200 0 1\n200 0 0\n", "{version}");
    }
    let root = root.display().to_string();
    let shown = s_client(
        tls,
        &[
            "-CAfile",
            &root,
            "-verify_hostname",
            "a.test",
            "-servername",
            "a.test",
        ],
    );
    assert!(shown.contains("Verify return code: 0 (ok)"), "{shown}");
}

#[test]
fn c07_the_admin_api_over_tls() {
    let origin = Origin::echo();
    let config = configuration(origin.port, json!({}), json!({}));
    let (setup, _) = setup(&config, &[&default_cert()]);
    let port = crate::support::free_port();
    let gateway = setup
        .set("admin_listen", &format!("127.0.0.1:{port} ssl"))
        .start();
    let connect = || TlsClient::new().try_connect(port, "localhost");
    assert!(eventually(Duration::from_secs(5), || connect().is_ok()));
    let answer = connect().unwrap().get("/config").is(200).json();
    assert!(answer["config"].as_str().unwrap().contains("tlsprobe"));
    assert!(gateway.prefix().join("ssl/admin-kong-default.key").exists());
    let mut plain = crate::support::Client::connect(port);
    plain.send("GET /config HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(plain.try_answer(false).is_none());
}
