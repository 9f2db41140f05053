//! TLS to upstreams: who presents what, whom it trusts, what is asked for by name, how it fails.

use serde_json::{Value, json};

use crate::support::certs::{Ca, Cert, Kind, Leaf};
use crate::support::peers::Peer;
use crate::support::tls_upstream::{Fault, Options};
use crate::support::{Gateway, Setup, TempDir, TlsUpstream, free_port};

fn id(n: usize) -> String {
    format!("00000000-0000-4000-8000-{n:012}")
}

/// A declarative configuration in the making; each service has a route at `/NAME` that keeps the client's Host.
pub struct Config(Value);

impl Config {
    pub fn new() -> Self {
        Self(json!({
            "_format_version": "3.0", "services": [], "certificates": [], "ca_certificates": [],
            "upstreams": [], "plugins": [],
        }))
    }

    fn push(&mut self, kind: &str, row: Value) -> usize {
        let rows = self.0[kind].as_array_mut().unwrap();
        rows.push(row);
        rows.len()
    }

    /// A certificate entity; its reference.
    pub fn certificate(&mut self, cert: &Cert) -> Value {
        let n = id(1000 + self.0["certificates"].as_array().unwrap().len());
        self.push(
            "certificates",
            json!({ "id": n, "cert": cert.chain_pem(), "key": cert.key_pem() }),
        );
        json!({ "id": n })
    }

    /// A CA certificate entity; its id.
    pub fn ca(&mut self, ca: &Ca) -> String {
        let n = id(2000 + self.0["ca_certificates"].as_array().unwrap().len());
        self.push("ca_certificates", json!({ "id": n, "cert": ca.pem() }));
        n
    }

    /// A service with further fields.
    pub fn service(&mut self, name: &str, port: u16, more: Value) -> &mut Self {
        let mut row = json!({
            "name": name, "protocol": "https", "host": "127.0.0.1", "port": port, "retries": 0,
            "routes": [{ "name": name, "paths": [format!("/{name}")], "preserve_host": true, "strip_path": false }],
        });
        for (key, value) in more.as_object().unwrap() {
            row[key] = value.clone();
        }
        self.push("services", row);
        self
    }

    pub fn upstream(&mut self, name: &str, targets: &[u16], more: Value) -> &mut Self {
        let targets: Vec<_> = targets
            .iter()
            .map(|port| json!({ "target": format!("127.0.0.1:{port}") }))
            .collect();
        let mut row = json!({ "name": name, "targets": targets });
        for (key, value) in more.as_object().unwrap() {
            row[key] = value.clone();
        }
        self.push("upstreams", row);
        self
    }

    pub fn plugin(&mut self, name: &str) -> &mut Self {
        self.plugin_with(name, json!({}))
    }

    pub fn plugin_with(&mut self, name: &str, config: Value) -> &mut Self {
        self.push("plugins", json!({ "name": name, "config": config }));
        self
    }

    pub fn setup(&self) -> Setup {
        Setup::new(&self.0)
    }

    pub fn start(&self) -> Gateway {
        self.setup().start()
    }
}

/// What the upstream reported, for a Host.
fn seen(gateway: &Gateway, path: &str, host: &str) -> Value {
    gateway.get(path, &[("Host", host)]).is(200).json()
}

#[test]
fn c03_every_kind_of_key_is_presented_over_both_versions() {
    let ca = Ca::new("Root");
    let server = ca.below(1).issue(&Leaf::named("up.test"));
    let old = TlsUpstream::start(&Options::new(&server).demanding().tls12());
    let new = TlsUpstream::start(&Options::new(&server).demanding().tls13());
    let mut config = Config::new();
    let clients: Vec<Cert> = Kind::ALL
        .iter()
        .map(|kind| ca.below(2).issue(&Leaf::named("client").kind(*kind)))
        .collect();
    for (n, client) in clients.iter().enumerate() {
        let reference = config.certificate(client);
        config.service(
            &format!("old{n}"),
            old.port,
            json!({ "client_certificate": reference }),
        );
        config.service(
            &format!("new{n}"),
            new.port,
            json!({ "client_certificate": reference }),
        );
    }
    let gateway = config.start();
    for (n, client) in clients.iter().enumerate() {
        for (name, version) in [("old", "TLSv1.2"), ("new", "TLSv1.3")] {
            let said = seen(&gateway, &format!("/{name}{n}"), "up.test:1234");
            let kind = Kind::ALL[n];
            assert_eq!(said["client"]["fingerprint"], client.fingerprint(), "{kind:?}");
            assert_eq!(
                said["client"]["length"], 3,
                "the intermediates go along: {kind:?}"
            );
            assert_eq!(
                (&said["version"], &said["sni"]),
                (&json!(version), &json!("up.test"))
            );
            assert_eq!(said["alpn"], Value::Null);
        }
    }
}

#[test]
fn c03_servers_of_every_kind_are_verified() {
    let ca = Ca::new("Root");
    let mut config = Config::new();
    let trusted = json!([config.ca(&ca)]);
    let mut upstreams = Vec::new();
    for (n, kind) in Kind::ALL.iter().enumerate() {
        let cert = ca.below(1).issue(&Leaf::named("up.test").kind(*kind));
        for (name, options) in [
            ("old", Options::new(&cert).tls12()),
            ("new", Options::new(&cert).tls13()),
        ] {
            let upstream = TlsUpstream::start(&options);
            let on = json!({ "tls_verify": true, "tls_verify_depth": 1, "ca_certificates": trusted });
            config.service(&format!("{name}{n}"), upstream.port, on);
            upstreams.push(upstream);
        }
    }
    let gateway = config.start();
    for (n, kind) in Kind::ALL.iter().enumerate() {
        for name in ["old", "new"] {
            let r = gateway.get(&format!("/{name}{n}"), &[("Host", "up.test")]);
            assert_eq!(r.status, 200, "{kind:?} {name}: {}", gateway.errors());
        }
    }
}

#[test]
fn c03_sni_is_the_final_host_and_no_address() {
    let ca = Ca::new("Root");
    let server = ca.issue(&Leaf::cn_only("x").san(&["up.test", "127.0.0.1", "::1"]));
    let upstream = TlsUpstream::start(&Options::new(&server));
    let mut config = Config::new();
    let on = json!({ "tls_verify": true, "ca_certificates": [config.ca(&ca)] });
    config.service("a", upstream.port, on);
    config.service("off", upstream.port, json!({}));
    config.plugin("probe");
    let gateway = config
        .setup()
        .plugin("probe", crate::support::gateway::PROBE)
        .start();
    for (host, sni) in [
        ("up.test", json!("up.test")),
        ("UP.test:8443", json!("up.test")),
        ("127.0.0.1", Value::Null),
        ("127.0.0.1:99", Value::Null),
        ("[::1]", Value::Null),
        ("[::1]:99", Value::Null),
    ] {
        assert_eq!(seen(&gateway, "/a", host)["sni"], sni, "{host}");
    }
    // what is no name is not sent, and nothing matches it
    let odd = gateway.get("/a", &[("Host", "-odd.test")]);
    assert_eq!(odd.status, 502);
    gateway.logged("upstream SSL certificate does not match \"-odd.test\" while SSL handshaking to upstream");
    let off = gateway.get("/off", &[("Host", "-odd.test")]).is(200).json();
    assert_eq!(off["sni"], Value::Null);
    // what a plugin writes is what is sent and verified
    let header = (
        "x-access",
        "kong.service.request.set_header('Host', 'up.test:77')",
    );
    let said = gateway
        .get("/a", &[header, ("Host", "nobody.test")])
        .is(200)
        .json();
    assert_eq!(said["sni"], "up.test");
    gateway.get("/a", &[("Host", "nobody.test")]).is(502);
    gateway
        .logged("upstream SSL certificate does not match \"nobody.test\" while SSL handshaking to upstream");
}

#[test]
fn c03_off_accepts_what_openssl_would_and_on_says_why_not() {
    let (ca, other) = (Ca::new("Root"), Ca::new("Other root"));
    let name = || Leaf::named("up.test");
    let servers = [
        ("good", ca.issue(&name()), None),
        (
            "expired",
            ca.issue(&name().expired()),
            Some("(10:certificate has expired)"),
        ),
        (
            "early",
            ca.issue(&name().not_yet()),
            Some("(9:certificate is not yet valid)"),
        ),
        (
            "alone",
            name().self_signed(),
            Some("(18:self-signed certificate)"),
        ),
        (
            "stranger",
            other.issue(&name()),
            Some("(20:unable to get local issuer certificate)"),
        ),
        ("v1", ca.issue(&Leaf::cn_only("up.test").v1()), None),
        (
            "deep",
            ca.below(2).issue(&name()),
            Some("(22:certificate chain too long)"),
        ),
    ];
    let mut config = Config::new();
    let (right, wrong) = (config.ca(&ca), config.ca(&other));
    let mut upstreams = Vec::new();
    for (name, cert, _) in &servers {
        let upstream = TlsUpstream::start(&Options::new(cert));
        let port = upstream.port;
        config.service(&format!("{name}-off"), port, json!({ "tls_verify": false }));
        config.service(&format!("{name}-unset"), port, json!({}));
        let on = |ca: &str, depth| json!({ "tls_verify": true, "tls_verify_depth": depth, "ca_certificates": [ca] });
        config.service(&format!("{name}-on"), port, on(&right, 1));
        config.service(&format!("{name}-deeper"), port, on(&right, 2));
        config.service(&format!("{name}-wrong"), port, on(&wrong, 2));
        upstreams.push(upstream);
    }
    let gateway = config.start();
    let status = |path: &str| gateway.get(path, &[("Host", "up.test")]).status;
    for (name, _, refusal) in &servers {
        assert_eq!(status(&format!("/{name}-off")), 200, "{name}");
        assert_eq!(
            status(&format!("/{name}-unset")),
            200,
            "{name}: Kong's default is off"
        );
        let on = status(&format!("/{name}-on"));
        match refusal {
            None => assert_eq!(on, 200, "{name}: {}", gateway.errors()),
            Some(words) => {
                assert_eq!(on, 502, "{name}");
                let line = gateway.logged(&format!(
                    "upstream SSL certificate verify error: {words} while SSL handshaking to upstream"
                ));
                assert!(
                    line.contains("[error]") && line.contains("client: 127.0.0.1"),
                    "{line}"
                );
            }
        }
        // a wrong store is refused though connections made with the right one are kept
        let wrong = status(&format!("/{name}-wrong"));
        assert_eq!(wrong, if *name == "stranger" { 200 } else { 502 }, "{name}");
    }
    assert_eq!(status("/deep-deeper"), 200);
}

#[test]
fn c03_identity_by_precedence() {
    let ca = Ca::new("Root");
    let server = ca.issue(&Leaf::named("up.test"));
    let upstream = TlsUpstream::start(&Options::new(&server).asking());
    let who = |name: &str| ca.issue(&Leaf::named(name));
    let mut config = Config::new();
    let of_service = config.certificate(&who("of-service"));
    let of_upstream = config.certificate(&who("of-upstream"));
    config.upstream(
        "pool.test",
        &[upstream.port],
        json!({ "client_certificate": of_upstream }),
    );
    config.upstream("bare.test", &[upstream.port], json!({}));
    let service = |host: &str| json!({ "host": host, "client_certificate": of_service });
    config.service("service", upstream.port, service("127.0.0.1"));
    config.service("both", 1, service("pool.test"));
    config.service("upstream", 1, json!({ "host": "pool.test" }));
    config.service("neither", upstream.port, json!({}));
    config.service("bare", 1, json!({ "host": "bare.test" }));
    let expect = |gateway: &Gateway, fallback: Option<&str>| {
        for (path, name) in [
            ("/service", Some("of-service")),
            ("/both", Some("of-service")),
            ("/upstream", Some("of-upstream")),
            ("/neither", fallback),
            ("/bare", fallback),
        ] {
            let said = seen(gateway, path, "up.test");
            assert_eq!(said["client"]["subject"], json!(name), "{path}");
        }
    };
    expect(&config.start(), None);
    let (dir, own) = (TempDir::new(), who("of-settings"));
    let file = |name: &str, text: &str| dir.write(name, text).display().to_string();
    let files = (file("c.pem", &own.chain_pem()), file("k.pem", &own.key_pem()));
    let with = |cert: &str, key: &str| {
        config
            .setup()
            .set("client_ssl", "on")
            .set("client_ssl_cert", cert)
            .set("client_ssl_cert_key", key)
    };
    expect(&with(&files.0, &files.1).start(), Some("of-settings"));
    // as text, and in base64 as Kong takes it
    use base64::Engine as _;
    let packed = base64::engine::general_purpose::STANDARD.encode(own.chain_pem());
    expect(&with(&packed, &own.key_pem()).start(), Some("of-settings"));
    // Kong's default certificate, made at the start
    let gateway = config.setup().set("client_ssl", "on").start();
    let said = seen(&gateway, "/neither", "up.test");
    assert_eq!(said["client"]["subject"], "localhost", "{said}");
    for (cert, key, words) in [
        (
            files.0.as_str(),
            who("x").key_pem().as_str(),
            "client_ssl_cert_key: key values mismatch",
        ),
        (
            "/nowhere.pem",
            files.1.as_str(),
            "client_ssl_cert: failed loading",
        ),
        (files.0.as_str(), "junk", "client_ssl_cert_key: failed loading"),
    ] {
        let (status, said) = with(cert, key).refused();
        assert!(!status.success() && said.contains(words), "{words}: {said}");
        assert!(!said.contains("PRIVATE KEY"), "{said}");
    }
}

#[test]
fn c03_a_certificate_that_cannot_be_presented_is_refused() {
    let ca = Ca::new("Root");
    let mut config = Config::new();
    let mut odd = ca.issue(&Leaf::named("odd"));
    odd.key = ca.issue(&Leaf::named("other")).key;
    let odd = config.certificate(&odd);
    config.service("a", 1, json!({ "client_certificate": odd }));
    let (status, said) = config.setup().refused();
    assert!(
        !status.success() && said.contains("certificate does not match key"),
        "{said}"
    );
    assert!(!said.contains("PRIVATE KEY"), "{said}");
}

#[test]
fn c03_settings_stand_where_nothing_else_is_said() {
    let (ca, other) = (Ca::new("Root"), Ca::new("Other root"));
    let shallow = TlsUpstream::start(&Options::new(&ca.below(1).issue(&Leaf::named("up.test"))));
    let deep = TlsUpstream::start(&Options::new(&ca.below(2).issue(&Leaf::named("up.test"))));
    let mut config = Config::new();
    let wrong = config.ca(&other);
    config.service("plain", shallow.port, json!({}));
    config.service("deep", deep.port, json!({}));
    config.service("on", shallow.port, json!({ "tls_verify": true }));
    config.service("off", shallow.port, json!({ "tls_verify": false }));
    config.service("own", shallow.port, json!({ "ca_certificates": [wrong] }));
    config.service("deeper", deep.port, json!({ "tls_verify_depth": 2 }));
    let dir = TempDir::new();
    let root = dir.write("root.pem", &ca.pem()).display().to_string();
    let statuses = |gateway: &Gateway| {
        ["/plain", "/deep", "/on", "/off", "/own", "/deeper"]
            .map(|path| gateway.get(path, &[("Host", "up.test")]).status)
    };
    // trust, and Kong's depth of 1
    let gateway = config.setup().set("lua_ssl_trusted_certificate", &root).start();
    assert_eq!(statuses(&gateway), [200, 200, 200, 200, 200, 200]);
    let verify = |setup: Setup| setup.set("nginx_proxy_proxy_ssl_verify", "on");
    let gateway = verify(config.setup().set("lua_ssl_trusted_certificate", &root)).start();
    assert_eq!(statuses(&gateway), [200, 502, 200, 200, 502, 200]);
    assert!(
        gateway.output().matches("is not honoured").count() == 0,
        "{}",
        gateway.output()
    );
    let deeper = config
        .setup()
        .set("lua_ssl_trusted_certificate", &format!("system,{root}"))
        .set("lua_ssl_verify_depth", "2");
    assert_eq!(statuses(&verify(deeper).start()), [200, 200, 200, 200, 502, 200]);
    // nginx's own directives come before
    let own = config
        .setup()
        .set("lua_ssl_trusted_certificate", "system")
        .set("nginx_proxy_proxy_ssl_trusted_certificate", &root)
        .set("nginx_proxy_proxy_ssl_verify_depth", "2");
    assert_eq!(statuses(&verify(own).start()), [200, 200, 200, 200, 502, 200]);
    // without any of ours in the store nobody is trusted
    let nobody = verify(config.setup().set("lua_ssl_trusted_certificate", "system")).start();
    assert_eq!(statuses(&nobody), [502, 502, 502, 200, 502, 502]);
    let old = TlsUpstream::start(&Options::new(&ca.issue(&Leaf::named("up.test"))).tls12());
    let mut config = Config::new();
    config.service("old", old.port, json!({}));
    config.service("new", shallow.port, json!({}));
    let gateway = config
        .setup()
        .set("nginx_proxy_proxy_ssl_protocols", "TLSv1.3")
        .start();
    assert_eq!(gateway.get("/old", &[]).status, 502);
    gateway.logged("SSL_do_handshake() failed (SSL: ");
    assert_eq!(seen(&gateway, "/new", "up.test")["version"], "TLSv1.3");
    let (status, said) = config
        .setup()
        .set("nginx_proxy_proxy_ssl_protocols", "TLSv1.1")
        .refused();
    assert!(
        !status.success() && said.contains("proxy_ssl_protocols = TLSv1.1"),
        "{said}"
    );
}

#[test]
fn c03_a_server_that_wants_another_certificate_refuses() {
    let (ca, other) = (Ca::new("Root"), Ca::new("Other root"));
    let server = ca.issue(&Leaf::named("up.test"));
    let (good, bad) = (ca.issue(&Leaf::named("good")), other.issue(&Leaf::named("bad")));
    let mut config = Config::new();
    let (good, bad) = (config.certificate(&good), config.certificate(&bad));
    let old = TlsUpstream::start(&Options::new(&server).verifying(&ca).tls12());
    let new = TlsUpstream::start(&Options::new(&server).verifying(&ca).tls13());
    for (name, port) in [("old", old.port), ("new", new.port)] {
        config.service(
            &format!("{name}-good"),
            port,
            json!({ "client_certificate": good }),
        );
        config.service(
            &format!("{name}-bad"),
            port,
            json!({ "client_certificate": bad, "retries": 2 }),
        );
        config.service(&format!("{name}-none"), port, json!({ "retries": 2 }));
    }
    let gateway = config.start();
    for name in ["old", "new"] {
        let get = |who: &str| gateway.get(&format!("/{name}-{who}"), &[]).status;
        assert_eq!(
            (get("good"), get("bad"), get("none"), get("good")),
            (200, 502, 502, 200)
        );
    }
    // in TLS 1.2 within the handshake, in 1.3 on the first read: both are tries that may be followed by others
    gateway.logged("SSL_do_handshake() failed (SSL: error:0A000418:SSL routines::tlsv1 alert unknown ca:SSL alert number 48) while SSL handshaking to upstream");
    gateway.logged("SSL_read() failed (SSL: error:0A00045C:SSL routines::tlsv13 alert certificate required:SSL alert number 116) while reading response header from upstream");
    assert_eq!((old.requests(), new.requests()), (2, 2));
    assert_eq!(old.accepted(), 1 + 3 + 3, "{:?}", old.failures());
    assert_eq!(new.accepted(), 1 + 3 + 3, "{:?}", new.failures());
    // not so for a request that must not be sent twice
    let before = new.accepted();
    let r = gateway.connect().ask("POST", "/new-none", &[], b"x");
    assert_eq!((r.status, new.accepted()), (502, before + 1));
}

#[test]
fn c03_a_failed_handshake_is_a_try_and_another_target_may_serve() {
    let ca = Ca::new("Root");
    let good = TlsUpstream::start(&Options::new(&ca.issue(&Leaf::named("up.test"))));
    let bad = TlsUpstream::start(&Options::new(&ca.issue(&Leaf::named("up.test").expired())));
    let plain = TlsUpstream::start(&Options::new(&ca.issue(&Leaf::named("up.test"))));
    plain.misbehave(&[Fault::PlainText; 64]);
    let mut config = Config::new();
    let on =
        json!({ "host": "pool.test", "tls_verify": true, "ca_certificates": [config.ca(&ca)], "retries": 3 });
    let targets = [bad.port, plain.port, free_port(), good.port];
    config.upstream("pool.test", &targets, json!({}));
    config.service("a", 1, on);
    let gateway = config.start();
    for _ in 0..8 {
        gateway.get("/a", &[("Host", "up.test")]).is(200);
        let r = gateway
            .connect()
            .ask("POST", "/a", &[("Host", "up.test")], b"body");
        assert_eq!((r.status, &r.json()["body"]), (200, &json!("body")));
    }
    gateway.logged("upstream SSL certificate verify error: (10:certificate has expired) while SSL handshaking to upstream");
    gateway.logged("SSL_do_handshake() failed (SSL: error:0A00010B:SSL routines::wrong version number) while SSL handshaking to upstream");
    assert_eq!((bad.requests(), good.requests()), (0, 16));
}

#[test]
fn c03_nginx_and_openssl_as_upstreams() {
    let ca = Ca::new("Root");
    let mut config = Config::new();
    let trusted = json!([config.ca(&ca)]);
    let client = ca.below(1).issue(&Leaf::named("client").kind(Kind::P384));
    let mine = config.certificate(&client);
    let on = |client: bool| {
        let mut on = json!({ "tls_verify": true, "tls_verify_depth": 1, "ca_certificates": trusted });
        if client {
            on["client_certificate"] = mine.clone();
        }
        on
    };
    let mut peers = Vec::new();
    for (n, kind) in [Kind::Rsa2048, Kind::P256, Kind::P521, Kind::Ed25519]
        .iter()
        .enumerate()
    {
        let server = ca.below(1).issue(&Leaf::named("up.test").kind(*kind));
        let Some(nginx) = Peer::nginx(&server, &ca, "on", "") else {
            return;
        };
        config.service(&format!("nginx{n}"), nginx.port, on(true));
        config.service(&format!("nginx-none{n}"), nginx.port, on(false));
        peers.push(nginx);
        for (version, flag) in [("12", "-tls1_2"), ("13", "-tls1_3")] {
            let Some(openssl) = Peer::s_server(&server, &ca, &["-Verify", "4", flag]) else {
                return;
            };
            config.service(&format!("openssl{version}-{n}"), openssl.port, on(true));
            config.service(&format!("openssl{version}-none{n}"), openssl.port, on(false));
            peers.push(openssl);
        }
    }
    let gateway = config.start();
    let host = [("Host", "up.test")];
    for n in 0..4 {
        let first = seen(&gateway, &format!("/nginx{n}"), "up.test");
        assert!(first["client"].as_str().unwrap().contains("CN=client"), "{first}");
        assert_eq!(
            (&first["verify"], &first["sni"]),
            (&json!("SUCCESS"), &json!("up.test"))
        );
        let again = seen(&gateway, &format!("/nginx{n}"), "up.test");
        assert_eq!(first["connection"], again["connection"]);
        // nginx completes the handshake and answers itself; that is the upstream's answer
        let r = gateway.get(&format!("/nginx-none{n}"), &host).is(400);
        assert!(
            r.text().contains("No required SSL certificate was sent"),
            "{}",
            r.text()
        );
        for (version, told) in [("12", "TLSv1.2"), ("13", "TLSv1.3")] {
            // the page it makes
            let r = gateway.get(&format!("/openssl{version}-{n}"), &host).is(200);
            assert!(
                r.text().contains(told) && r.text().contains("CN=client"),
                "{}",
                r.text()
            );
            gateway.get(&format!("/openssl{version}-none{n}"), &host).is(502);
        }
    }
    gateway.logged(
        "tlsv13 alert certificate required:SSL alert number 116) while reading response header from upstream",
    );
    gateway.logged("alert handshake failure:SSL alert number 40) while SSL handshaking to upstream");
}
