//! The client's real address, and the headers that tell about it.

use serde_json::json;

use crate::support::{Origin, Setup, service};

const WHO: &str = "ngx.say(ngx.var.remote_addr, ' ', ngx.var.realip_remote_addr, ' ', kong.client.get_ip(),
    ' ', kong.client.get_forwarded_ip())";

#[test]
fn a06_without_trust_headers_change_nothing() {
    let gateway = Setup::probe(1).start();
    let code = crate::support::gateway::one_line(WHO);
    let r = gateway.get(
        "/",
        &[
            ("x-access", &code),
            ("X-Real-IP", "10.0.0.1"),
            ("X-Forwarded-For", "10.0.0.2"),
        ],
    );
    assert_eq!(r.is(200).text(), "127.0.0.1 127.0.0.1 127.0.0.1 127.0.0.1\n");
}

#[test]
fn a06_a_trusted_peer_names_the_client() {
    let gateway = Setup::probe(1).set("trusted_ips", "127.0.0.0/8,::1").start();
    let code = crate::support::gateway::one_line(WHO);
    let r = gateway.get("/", &[("x-access", &code), ("X-Real-IP", "10.0.0.1")]);
    assert_eq!(r.is(200).text(), "10.0.0.1 127.0.0.1 127.0.0.1 10.0.0.1\n");
    let r = gateway.get("/", &[("x-access", &code), ("X-Real-IP", "nonsense")]);
    assert_eq!(r.is(200).text(), "127.0.0.1 127.0.0.1 127.0.0.1 127.0.0.1\n");
}

#[test]
fn a06_x_forwarded_for_by_its_last_untrusted_entry() {
    let chain = "10.0.0.9, 10.0.0.1, 192.168.0.7";
    for (recursive, want) in [("off", "192.168.0.7"), ("on", "10.0.0.1")] {
        let gateway = Setup::probe(1)
            .set("trusted_ips", "127.0.0.1,192.168.0.0/16")
            .set("real_ip_header", "X-Forwarded-For")
            .set("real_ip_recursive", recursive)
            .start();
        let r = gateway.get(
            "/",
            &[
                ("x-access", "ngx.print(ngx.var.remote_addr)"),
                ("X-Forwarded-For", chain),
            ],
        );
        assert_eq!(r.is(200).text(), want, "recursive {recursive}");
    }
}

#[test]
fn a06_forwarding_headers_from_a_stranger_are_replaced() {
    let origin = Origin::echo();
    let gateway = Setup::new(&service(origin.port)).start();
    let r = gateway.get(
        "/path?x=1",
        &[
            ("Host", "Shop.test:8080"),
            ("X-Forwarded-For", "10.0.0.2"),
            ("X-Forwarded-Proto", "https"),
            ("X-Forwarded-Host", "evil.test"),
            ("X-Forwarded-Port", "1"),
            ("X-Real-IP", "10.0.0.1"),
        ],
    );
    let r = r.is(200);
    let seen = |name: &str| r.seen(name).unwrap_or_default();
    assert_eq!(seen("X-Forwarded-For"), "10.0.0.2, 127.0.0.1");
    assert_eq!(seen("X-Forwarded-Proto"), "http");
    assert_eq!(seen("X-Forwarded-Host"), "shop.test");
    assert_eq!(seen("X-Forwarded-Port"), gateway.port.to_string());
    assert_eq!(seen("X-Forwarded-Path"), "/path");
    assert_eq!(seen("X-Real-IP"), "127.0.0.1");
    assert_eq!(r.seen_all("X-Forwarded-For").len(), 1);
}

#[test]
fn a06_forwarding_headers_from_a_trusted_peer_are_kept() {
    let origin = Origin::echo();
    let gateway = Setup::new(&service(origin.port))
        .set("trusted_ips", "0.0.0.0/0")
        .start();
    let r = gateway
        .get(
            "/path",
            &[
                ("X-Forwarded-For", "10.0.0.2"),
                ("X-Forwarded-Proto", "https"),
                ("X-Forwarded-Host", "outer.test"),
                ("X-Forwarded-Port", "444"),
                ("X-Forwarded-Path", "/outer"),
                ("X-Forwarded-Prefix", "/pre"),
            ],
        )
        .is(200);
    for (name, want) in [
        ("X-Forwarded-Proto", "https"),
        ("X-Forwarded-Host", "outer.test"),
        ("X-Forwarded-Port", "444"),
        ("X-Forwarded-Path", "/outer"),
        ("X-Forwarded-Prefix", "/pre"),
        ("X-Forwarded-For", "10.0.0.2, 127.0.0.1"),
    ] {
        assert_eq!(r.seen(name).as_deref(), Some(want), "{name}");
    }
}

#[test]
fn a06_a_stripped_path_is_told() {
    let origin = Origin::echo();
    let mut config = service(origin.port);
    config["services"][0]["routes"][0] = json!({ "name": "r", "paths": ["/pre"], "strip_path": true });
    let gateway = Setup::new(&config).start();
    let r = gateway.get("/pre/fix?q=1", &[]).is(200);
    assert_eq!(r.json()["path"], "/fix");
    assert_eq!(r.seen("X-Forwarded-Prefix").as_deref(), Some("/pre"));
    assert_eq!(r.seen("X-Forwarded-Path").as_deref(), Some("/pre/fix"));
}

#[test]
fn a06_answers_tell_who_and_how_long() {
    let origin = Origin::echo();
    let gateway = Setup::probe(origin.port).start();
    let r = gateway.get("/", &[]).is(200);
    let number = |name: &str| r.header(name).unwrap().parse::<u64>().unwrap();
    number("X-Kong-Upstream-Latency");
    number("X-Kong-Proxy-Latency");
    let via = r.header("via").unwrap();
    assert!(via.starts_with("1.1 moongate/"), "{via}");
    let id = r.header("X-Kong-Request-Id").unwrap();
    assert!(
        id.len() == 32 && id.chars().all(|c| c.is_ascii_hexdigit()),
        "{id}"
    );
    assert_eq!(r.seen("X-Kong-Request-Id").as_deref(), Some(id));
    assert!(r.seen("via").unwrap().starts_with("1.1 moongate/"));

    let r = gateway.access("kong.response.exit(200, 'mine')").is(200);
    assert!(r.header("server").unwrap().starts_with("moongate/"));
    assert!(r.header("X-Kong-Response-Latency").is_some());
    assert!(r.header("X-Kong-Proxy-Latency").is_none() && r.header("via").is_none());
}

#[test]
fn a06_the_upstreams_server_and_via_stay() {
    let origin =
        Origin::answering("HTTP/1.1 200 OK\r\nServer: up/1\r\nVia: 1.0 other\r\nContent-Length: 2\r\n\r\nok");
    let gateway = Setup::new(&service(origin.port)).start();
    let r = gateway.get("/", &[("Via", "1.1 front")]).is(200);
    assert_eq!(r.header("server"), Some("up/1"));
    assert!(r.all("via").join(", ").starts_with("1.0 other, 1.1 moongate/"));
    assert!(
        origin
            .last()
            .header("via")
            .unwrap()
            .starts_with("1.1 front, 1.1 moongate/")
    );
}

#[test]
fn a06_headers_can_be_switched() {
    let origin = Origin::echo();
    let gateway = Setup::probe(origin.port)
        .set("headers", "off")
        .set("headers_upstream", "off")
        .start();
    let r = gateway.get("/", &[]).is(200);
    for name in [
        "via",
        "x-kong-upstream-latency",
        "x-kong-proxy-latency",
        "x-kong-request-id",
    ] {
        assert_eq!(r.header(name), None, "{name}");
    }
    assert_eq!(r.seen("x-kong-request-id"), None);
    let gateway = Setup::probe(origin.port)
        .set("headers", "X-Kong-Upstream-Status,via")
        .start();
    let r = gateway.get("/", &[]).is(200);
    assert_eq!(r.header("x-kong-upstream-status"), Some("200"));
    assert!(r.header("via").is_some() && r.header("x-kong-proxy-latency").is_none());
}
