//! TLS upstreams that misbehave at each stage: what is tried again, what is not, what the client sees.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::c03_connector::Config;
use crate::support::certs::{Ca, Leaf};
use crate::support::tls_upstream::{Fault, Options};
use crate::support::{Client, Gateway, Origin, Response, TlsUpstream, eventually};

const LIMIT: u64 = 400;

/// One service that tries twice, one that tries once, at the same upstream.
fn start(options: impl FnOnce(Options) -> Options) -> (TlsUpstream, Gateway) {
    start_within(LIMIT, options)
}

/// The same with another limit of each step.
fn start_within(limit: u64, options: impl FnOnce(Options) -> Options) -> (TlsUpstream, Gateway) {
    let ca = Ca::new("Root");
    let upstream = TlsUpstream::start(&options(Options::new(&ca.issue(&Leaf::named("up.test")))));
    let mut config = Config::new();
    for (name, retries) in [("two", 1), ("one", 0)] {
        let limits = json!({
            "retries": retries, "connect_timeout": limit, "write_timeout": limit, "read_timeout": limit,
        });
        config.service(name, upstream.port, limits);
    }
    // what is kept goes soon: each case begins afresh
    let gateway = config
        .setup()
        .set("upstream_keepalive_idle_timeout", "0.3")
        .start();
    (upstream, gateway)
}

/// Waits until the gateway keeps no connection.
fn nothing_kept(upstream: &TlsUpstream) {
    assert!(eventually(Duration::from_secs(5), || upstream.open() == 0));
}

fn ask(gateway: &Gateway, method: &str, path: &str) -> Response {
    let body: &[u8] = if method == "GET" { b"" } else { b"some body" };
    gateway.connect().ask(method, path, &[], body)
}

/// A way to misbehave on the first connection.
struct Case {
    fault: Fault,
    /// The status where there is one try only.
    status: u16,
    /// Whether a GET, and a POST, is tried again.
    again: (bool, bool),
    logged: &'static str,
}

const fn case(fault: Fault, status: u16, again: (bool, bool), logged: &'static str) -> Case {
    Case {
        fault,
        status,
        again,
        logged,
    }
}

const CLOSED: &str = "peer closed connection in SSL handshake";
const TIMED_OUT: &str = "upstream timed out (110: Connection timed out) while SSL handshaking to upstream";
const PREMATURE: &str = "upstream prematurely closed connection while reading response header from upstream";
const RESET: &str =
    "recv() failed (104: Connection reset by peer) while reading response header from upstream";
const SILENT: &str =
    "upstream timed out (110: Connection timed out) while reading response header from upstream";
const GET_ONLY: (bool, bool) = (true, false);
const BOTH: (bool, bool) = (true, true);

#[test]
fn c06_transport_each_stage_of_a_try() {
    for tls12 in [true, false] {
        let (upstream, gateway) = start(|o| if tls12 { o.tls12() } else { o.tls13() }.requests(1));
        let cases = [
            case(Fault::CloseAtOnce, 502, BOTH, CLOSED),
            case(Fault::ResetAtOnce, 502, BOTH, CLOSED),
            case(Fault::HangAtOnce, 504, BOTH, TIMED_OUT),
            case(Fault::CloseInHandshake, 502, BOTH, CLOSED),
            case(Fault::ResetInHandshake, 502, BOTH, CLOSED),
            case(Fault::HangInHandshake, 504, BOTH, TIMED_OUT),
            case(
                Fault::PlainText,
                502,
                BOTH,
                "SSL_do_handshake() failed (SSL: error:0A00010B:SSL routines::wrong version number)",
            ),
            case(Fault::CloseBeforeAnswer, 502, GET_ONLY, PREMATURE),
            case(Fault::ResetBeforeAnswer, 502, GET_ONLY, RESET),
            case(Fault::HangBeforeAnswer, 504, GET_ONLY, SILENT),
            case(Fault::CloseInHead, 502, GET_ONLY, PREMATURE),
            case(Fault::HangInHead, 504, GET_ONLY, SILENT),
        ];
        for c in &cases {
            let fault = c.fault;
            for (method, again) in [("GET", c.again.0), ("POST", c.again.1)] {
                let began = Instant::now();
                upstream.misbehave(&[fault]);
                let r = ask(&gateway, method, "/one");
                assert_eq!(r.status, c.status, "{fault:?} {method}: {}", r.text());
                let line = gateway.logged(c.logged);
                let url = format!("upstream: \"https://127.0.0.1:{}/one\"", upstream.port);
                assert!(line.contains(&url), "{line}");
                upstream.misbehave(&[fault]);
                let (accepted, requests) = (upstream.accepted(), upstream.requests());
                let r = ask(&gateway, method, "/two");
                let tries = if again { 2 } else { 1 };
                assert_eq!(upstream.accepted() - accepted, tries, "{fault:?} {method}");
                assert_eq!(r.status, if again { 200 } else { c.status }, "{fault:?} {method}");
                assert!(upstream.requests() - requests <= tries);
                assert!(began.elapsed() < Duration::from_millis(8 * LIMIT), "{fault:?}");
            }
        }
    }
}

#[test]
fn c06_transport_a_connection_lost_after_the_handshake() {
    let (upstream, gateway) = start(|o| o.requests(1));
    for fault in [Fault::CloseAfterHandshake, Fault::ResetAfterHandshake] {
        upstream.misbehave(&[fault]);
        assert_eq!(ask(&gateway, "GET", "/one").status, 502, "{fault:?}");
        upstream.misbehave(&[fault]);
        assert_eq!(ask(&gateway, "GET", "/two").status, 200, "{fault:?}");
    }
}

#[test]
fn c06_transport_a_body_that_breaks_off_is_not_asked_for_again() {
    let (upstream, gateway) = start(|o| o);
    for (fault, logged) in [
        (
            Fault::CloseInBody,
            "upstream prematurely closed connection while reading upstream",
        ),
        (
            Fault::HangInBody,
            "upstream timed out (110: Connection timed out) while reading upstream",
        ),
    ] {
        upstream.misbehave(&[fault]);
        let accepted = upstream.accepted();
        let mut client = gateway.connect();
        client.send("GET /two HTTP/1.1\r\nHost: up.test\r\n\r\n");
        let r = client.answer(false);
        assert_eq!((r.status, r.complete), (200, false), "{fault:?}");
        assert!(!r.body.is_empty() && client.closed());
        assert_eq!(upstream.accepted(), accepted + 1);
        gateway.logged(logged);
    }
}

#[test]
fn c06_transport_idle_connections_that_go_cost_no_try() {
    for tls12 in [true, false] {
        let (upstream, gateway) = start(|o| if tls12 { o.tls12() } else { o.tls13() });
        for fault in [
            Fault::CloseWhenIdle,
            Fault::TruncateWhenIdle,
            Fault::ResetWhenIdle,
            Fault::HalfCloseWhenIdle,
        ] {
            for method in ["GET", "POST"] {
                upstream.misbehave(&[fault]);
                let accepted = upstream.accepted();
                assert_eq!(ask(&gateway, "GET", "/one").status, 200, "{fault:?}");
                std::thread::sleep(Duration::from_millis(30));
                // no try is left to lose
                let r = ask(&gateway, method, "/one");
                assert_eq!(
                    (r.status, upstream.accepted() - accepted),
                    (200, 2),
                    "{fault:?} {method}"
                );
                nothing_kept(&upstream);
            }
        }
        assert!(!gateway.errors().contains("[error]"), "{}", gateway.errors());
    }
}

#[test]
fn c06_transport_closed_at_the_worst_moment() {
    let (upstream, gateway) = start(|o| o);
    let plain = {
        let turn = std::sync::atomic::AtomicUsize::new(0);
        Origin::raw(move |mut conn| {
            // the first connection ends when it has read its second request
            let first = turn
                .fetch_add(1, std::sync::atomic::Ordering::SeqCst)
                .is_multiple_of(2);
            for n in 1.. {
                if conn.request().is_none() || (first && n == 2) {
                    return;
                }
                conn.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
            }
        })
    };
    let mut config = Config::new();
    config.service("plain", plain.port, json!({ "protocol": "http" }));
    let other = config
        .setup()
        .set("upstream_keepalive_idle_timeout", "0.3")
        .start();
    for method in ["GET", "POST"] {
        upstream.misbehave(&[Fault::CloseOnSecond]);
        let accepted = (upstream.accepted(), plain.accepted());
        let want = if method == "GET" { (200, 2) } else { (502, 1) };
        assert_eq!(ask(&gateway, "GET", "/one").status, 200);
        let r = ask(&gateway, method, "/one");
        assert_eq!((r.status, upstream.accepted() - accepted.0), want, "TLS {method}");
        assert_eq!(ask(&other, "GET", "/plain").status, 200);
        let r = ask(&other, method, "/plain");
        assert_eq!((r.status, plain.accepted() - accepted.1), want, "plain {method}");
        nothing_kept(&upstream);
        std::thread::sleep(Duration::from_millis(1500));
    }
}

#[test]
fn c06_transport_an_answer_before_the_body_is_read_reaches_the_client() {
    // not about limits: an upstream that gets no time of a busy machine must not seem to hang
    let (upstream, gateway) = start_within(20_000, |o| o);
    let body = vec![b'x'; 4 << 20];
    for fault in [Fault::AnswerBeforeBody, Fault::AnswerAndClose] {
        for _ in 0..5 {
            upstream.misbehave(&[fault]);
            let requests = upstream.requests();
            let mut client: Client = gateway.connect();
            let r = client.ask("POST", "/two", &[], &body);
            assert_eq!(r.status, 200, "{fault:?}: {}", gateway.errors());
            assert_eq!(r.json()["method"], "POST");
            assert_eq!(upstream.requests(), requests + 1, "{fault:?}");
        }
    }
}

#[test]
fn c06_transport_writing_has_a_limit_of_its_own() {
    let (upstream, gateway) = start(|o| o);
    upstream.misbehave(&[Fault::HangBeforeBody]);
    let began = Instant::now();
    // more than the sockets hold; what went by cannot be sent again
    let r = gateway.connect().ask("PUT", "/two", &[], &vec![b'x'; 32 << 20]);
    assert_eq!(r.status, 504);
    assert!(began.elapsed() >= Duration::from_millis(LIMIT));
    gateway.logged("upstream timed out (110: Connection timed out) while sending request to upstream");
    assert_eq!(upstream.accepted(), 1);
}

#[test]
fn c06_transport_what_comes_unasked_for_is_nobodys_answer() {
    let plain = Origin::raw(|mut conn| {
        while conn.request().is_some() {
            conn.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
            std::thread::sleep(Duration::from_millis(20));
            conn.send("HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n");
        }
    });
    let mut config = Config::new();
    config.service("plain", plain.port, json!({ "protocol": "http" }));
    let gateway = config.start();
    for n in 1..4 {
        let r = ask(&gateway, "POST", "/plain").is(200);
        assert_eq!((r.text().as_str(), plain.accepted()), ("ok", n));
        std::thread::sleep(Duration::from_millis(60));
    }
}

#[test]
fn c06_transport_connecting_is_refused_or_takes_too_long() {
    // a listener whose queue is full answers no further SYN
    let tcp = || socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    let full = tcp();
    let any: std::net::SocketAddr = "127.0.0.1:0".parse().unwrap();
    full.bind(&any.into()).unwrap();
    full.listen(0).unwrap();
    let address = full.local_addr().unwrap();
    let port = address.as_socket().unwrap().port();
    let waiting: Vec<_> = (0..4)
        .map(|_| {
            let socket = tcp();
            socket.set_nonblocking(true).unwrap();
            let _ = socket.connect(&address);
            socket
        })
        .collect();
    let mut config = Config::new();
    for (scheme, tls) in [("http", "plain"), ("https", "tls")] {
        let limits = json!({ "protocol": scheme, "retries": 0, "connect_timeout": LIMIT });
        config.service(&format!("full-{tls}"), port, limits.clone());
        config.service(&format!("closed-{tls}"), crate::support::free_port(), limits);
    }
    let gateway = config.start();
    for tls in ["plain", "tls"] {
        let began = Instant::now();
        assert_eq!(ask(&gateway, "GET", &format!("/full-{tls}")).status, 504);
        let took = began.elapsed();
        assert!(
            took >= Duration::from_millis(LIMIT) && took < Duration::from_millis(4 * LIMIT),
            "{took:?}"
        );
        assert_eq!(ask(&gateway, "POST", &format!("/closed-{tls}")).status, 502);
    }
    gateway.logged("upstream timed out (110: Connection timed out) while connecting to upstream");
    gateway.logged("connect() failed (111: Connection refused) while connecting to upstream");
    drop(waiting);
}
