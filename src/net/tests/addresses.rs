//! Real addresses and what the upstream is told of them.

use std::net::SocketAddr;

use super::*;
use crate::net::forwarded::{Observed, PortMaps, forwarded};
use crate::net::real_ip::{ClientAddress, Peer, RealIp, RealIpHeader, Trusted};

fn head(lines: &str) -> RequestHead {
    let seen = read(format!("GET / HTTP/1.1\r\nHost: h\r\n{lines}\r\n").as_bytes());
    seen.head(0).clone()
}

fn rules(trusted: &[&str], header: &str, recursive: bool) -> RealIp {
    RealIp {
        trusted: Trusted::parse(trusted).unwrap(),
        header: RealIpHeader::parse(header),
        recursive,
    }
}

fn client(rules: &RealIp, peer: &str, lines: &str) -> String {
    let peer = if peer == "unix:" {
        Peer::Unix
    } else {
        Peer::Ip(peer.parse().unwrap())
    };
    let address = rules.client(peer, None, &head(lines));
    match address {
        ClientAddress {
            ip: Some(ip),
            port: Some(port),
        } => SocketAddr::new(ip, port).to_string(),
        ClientAddress {
            ip: Some(ip),
            port: None,
        } => ip.to_string(),
        ClientAddress { ip: None, .. } => "unix:".to_owned(),
    }
}

#[test]
fn a06_untrusted_peers_are_not_believed() {
    let rules = rules(
        &["192.168.1.0/24", "192.168.2.1", "2001:0db8::/32"],
        "X-Forwarded-For",
        true,
    );
    assert_eq!(
        client(&rules, "9.9.9.9:1", "X-Forwarded-For: 1.1.1.1\r\n"),
        "9.9.9.9:1"
    );
    assert_eq!(
        client(&rules, "192.168.1.7:1", "X-Forwarded-For: 1.1.1.1\r\n"),
        "1.1.1.1"
    );
    assert_eq!(
        client(&rules, "192.168.2.2:1", "X-Forwarded-For: 1.1.1.1\r\n"),
        "192.168.2.2:1"
    );
    assert_eq!(
        client(&rules, "[2001:db8::7]:1", "X-Forwarded-For: 1.1.1.1\r\n"),
        "1.1.1.1"
    );
    assert_eq!(
        client(&rules, "[::ffff:192.168.1.7]:1", "X-Forwarded-For: 1.1.1.1\r\n"),
        "1.1.1.1"
    );
    assert_eq!(client(&rules, "192.168.1.7:1", ""), "192.168.1.7:1");
    assert_eq!(
        client(&RealIp::default(), "192.168.1.7:1", "X-Real-IP: 1.1.1.1\r\n"),
        "192.168.1.7:1"
    );
}

#[test]
fn a06_recursive_search_stops_at_the_last_untrusted_address() {
    let sent = "X-Forwarded-For: 6.6.6.6, 1.1.1.1, 10.0.0.2,10.0.0.3 ,\r\n";
    let last = rules(&["10.0.0.0/8"], "x-forwarded-for", false);
    let recursive = rules(&["10.0.0.0/8"], "x-forwarded-for", true);
    assert_eq!(client(&last, "10.0.0.1:1", sent), "10.0.0.3");
    assert_eq!(client(&recursive, "10.0.0.1:1", sent), "1.1.1.1");
    let all = "X-Forwarded-For: 10.0.0.9, 10.0.0.2\r\n";
    assert_eq!(client(&recursive, "10.0.0.1:1", all), "10.0.0.9");
    let several = "X-Forwarded-For: 5.5.5.5\r\nX-Forwarded-For: 10.0.0.5, 10.0.0.4\r\n";
    assert_eq!(client(&recursive, "10.0.0.1:1", several), "5.5.5.5");
    assert_eq!(client(&last, "10.0.0.1:1", several), "10.0.0.4");
    let junk = "X-Forwarded-For: 5.5.5.5, unknown, 10.0.0.2\r\n";
    assert_eq!(client(&recursive, "10.0.0.1:1", junk), "10.0.0.2");
    assert_eq!(
        client(&recursive, "10.0.0.1:1", "X-Forwarded-For: nonsense\r\n"),
        "10.0.0.1:1"
    );
    assert_eq!(
        client(&recursive, "10.0.0.1:1", "X-Forwarded-For: \r\n"),
        "10.0.0.1:1"
    );
}

#[test]
fn a06_other_headers_ports_and_unix_peers() {
    let real = rules(&["0.0.0.0/0", "::/0", "unix:"], "X-Real-IP", false);
    assert_eq!(
        client(
            &real,
            "10.0.0.1:1",
            "X-Real-IP: 1.2.3.4\r\nX-Real-IP: 9.9.9.9\r\n"
        ),
        "1.2.3.4"
    );
    assert_eq!(
        client(&real, "10.0.0.1:1", "X-Real-IP: 1.2.3.4:567\r\n"),
        "1.2.3.4:567"
    );
    assert_eq!(
        client(&real, "10.0.0.1:1", "X-Real-IP: [2001:db8::1]:567\r\n"),
        "[2001:db8::1]:567"
    );
    assert_eq!(
        client(&real, "10.0.0.1:1", "X-Real-IP: 2001:db8::1\r\n"),
        "2001:db8::1"
    );
    assert_eq!(client(&real, "unix:", "X-Real-IP: 1.2.3.4\r\n"), "1.2.3.4");
    assert_eq!(client(&real, "unix:", ""), "unix:");
    let other = rules(&["10.0.0.1"], "CF-Connecting-IP", false);
    assert_eq!(
        client(&other, "10.0.0.1:1", "cf-connecting-ip: 1.2.3.4\r\n"),
        "1.2.3.4"
    );
    let proxied = rules(&["10.0.0.1"], "proxy_protocol", false);
    let address = proxied.client(
        Peer::Ip("10.0.0.1:1".parse().unwrap()),
        Some("1.2.3.4:99".parse().unwrap()),
        &head(""),
    );
    assert_eq!(
        address,
        ClientAddress {
            ip: Some("1.2.3.4".parse().unwrap()),
            port: Some(99)
        }
    );
    assert!(Trusted::parse(["10.0.0.0/33"]).is_err());
    assert!(Trusted::parse(["host"]).is_err());
}

const OBSERVED: Observed<'_> = Observed {
    remote_addr: "1.2.3.4",
    realip_remote_addr: "10.0.0.1",
    trusted: false,
    scheme: "http",
    host: b"example.com",
    port: 8000,
    request_uri: b"/api/x?y=?z",
    prefix: Some(b"/api"),
};

const TOLD: &str = "X-Forwarded-For: 1.2.3.4\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: outer\r\n\
    X-Forwarded-Port: 444\r\nX-Forwarded-Path: /p\r\nX-Forwarded-Prefix: /q\r\nX-Forwarded-Proto: ftp\r\n";

#[test]
fn a06_untrusted_forwarded_headers_are_replaced() {
    let head = head(TOLD);
    let told = forwarded(&head, &OBSERVED);
    assert_eq!(&*told.by, b"1.2.3.4, 10.0.0.1");
    assert_eq!(told.proto, b"http");
    assert_eq!(told.host, b"example.com");
    assert_eq!(&*told.port, b"8000");
    assert_eq!(told.path, b"/api/x");
    assert_eq!(told.prefix, Some(&b"/api"[..]));
    assert_eq!(told.real_ip, b"1.2.3.4");
}

#[test]
fn a06_trusted_forwarded_headers_are_passed_on() {
    let head = head(TOLD);
    let told = forwarded(
        &head,
        &Observed {
            trusted: true,
            ..OBSERVED
        },
    );
    assert_eq!(&*told.by, b"1.2.3.4, 10.0.0.1");
    assert_eq!(told.proto, b"https");
    assert_eq!(told.host, b"outer");
    assert_eq!(&*told.port, b"444");
    assert_eq!(told.path, b"/p");
    assert_eq!(told.prefix, Some(&b"/q"[..]));
}

#[test]
fn a06_forwarded_headers_without_any_sent() {
    let head = head("");
    let seen = Observed {
        trusted: true,
        prefix: Some(b"/"),
        port: 12345,
        request_uri: b"/",
        ..OBSERVED
    };
    let told = forwarded(&head, &seen);
    assert_eq!(&*told.by, b"1.2.3.4");
    assert_eq!(&*told.port, b"12345");
    assert_eq!(told.path, b"/");
    assert_eq!(told.prefix, None);
}

#[test]
fn a06_port_maps_name_the_outer_port() {
    let maps = PortMaps::parse(["80:8000", "443:8443"]).unwrap();
    assert_eq!(
        (maps.outer(8000), maps.outer(8443), maps.outer(9000)),
        (80, 443, 9000)
    );
    let error = PortMaps::parse(["80"]).unwrap_err().to_string();
    assert_eq!(error, "invalid port mapping (`port_maps`): 80");
}
