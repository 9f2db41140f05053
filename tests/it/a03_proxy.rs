//! HTTP/1.1 both ways.

use serde_json::json;

use crate::support::{Origin, Setup, service};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

#[test]
fn a03_client_connections_are_kept_alive() {
    let origin = Origin::echo();
    let gateway = Setup::new(&service(origin.port)).start();
    let mut client = gateway.connect();
    for i in 0..20 {
        let r = client.get(&format!("/{i}")).is(200);
        assert_eq!(r.json()["path"], format!("/{i}"));
        assert_ne!(r.header("connection"), Some("close"));
    }
    let r = client.ask("GET", "/", &[("Connection", "close")], b"").is(200);
    assert_eq!(r.header("connection"), Some("close"));
    assert!(client.closed());
}

#[test]
fn a03_http_1_0_closes_unless_asked_not_to() {
    let origin = Origin::echo();
    let gateway = Setup::new(&service(origin.port)).start();
    let mut client = gateway.connect();
    client.send("GET / HTTP/1.0\r\nHost: a\r\n\r\n");
    assert_eq!(client.answer(false).status, 200);
    assert!(client.closed());
    let mut client = gateway.connect();
    for _ in 0..2 {
        client.send("GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n");
        assert_eq!(client.answer(false).status, 200);
    }
    assert_eq!(
        origin.last().line(),
        "GET / HTTP/1.1",
        "the upstream is spoken to in 1.1"
    );
}

#[test]
fn a03_pipelined_requests_are_answered_in_order() {
    let origin = Origin::echo();
    let gateway = Setup::new(&service(origin.port)).start();
    let mut client = gateway.connect();
    let all: String = (0..10)
        .map(|i| format!("POST /{i} HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nb-{i}"))
        .collect();
    client.send(all);
    for i in 0..10 {
        let seen = client.answer(false).is(200).json();
        assert_eq!(
            (seen["path"].as_str(), seen["body"].as_str()),
            (Some(format!("/{i}").as_str()), Some(format!("b-{i}").as_str()))
        );
    }
}

#[test]
fn a03_upstream_connections_are_reused() {
    let origin = Origin::echo();
    let gateway = Setup::new(&service(origin.port)).start();
    for _ in 0..20 {
        gateway.get("/", &[]).is(200);
    }
    assert_eq!(origin.accepted(), 1);
}

#[test]
fn a03_an_upstream_that_closes_is_connected_to_again() {
    let origin = Origin::raw(|mut conn| {
        if conn.request().is_some() {
            conn.send(OK);
        }
    });
    let gateway = Setup::new(&service(origin.port)).start();
    for i in 0..10 {
        let mut client = gateway.connect();
        let r = if i % 2 == 0 {
            client.get("/")
        } else {
            client.ask("POST", "/", &[], b"x")
        };
        r.is(200);
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    assert_eq!(origin.accepted(), 10, "a stale connection costs no try");
}

#[test]
fn a03_a_connection_close_of_the_upstream_is_not_reused() {
    let origin = Origin::answering("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok");
    let gateway = Setup::new(&service(origin.port)).start();
    let mut client = gateway.connect();
    for _ in 0..3 {
        let r = client.get("/").is(200);
        assert_ne!(r.header("connection"), Some("close"), "hop by hop");
    }
    assert_eq!(origin.accepted(), 3);
}

#[test]
fn a03_head_has_no_body() {
    let origin = Origin::echo();
    let gateway = Setup::new(&service(origin.port)).start();
    let mut client = gateway.connect();
    let r = client.ask("HEAD", "/", &[], b"").is(200);
    assert!(r.header("content-length").unwrap().parse::<u64>().unwrap() > 0);
    client.get("/").is(200);
    assert_eq!(origin.accepted(), 1);
}

#[test]
fn a03_204_and_304_have_no_body() {
    let origin = Origin::replying(|seen| {
        if seen.line().contains("/204") {
            "HTTP/1.1 204 No Content\r\nX-A: 1\r\n\r\n".into()
        } else {
            "HTTP/1.1 304 Not Modified\r\nETag: \"x\"\r\nContent-Length: 5\r\n\r\n".into()
        }
    });
    let gateway = Setup::new(&service(origin.port)).start();
    let mut client = gateway.connect();
    for _ in 0..3 {
        let r = client.get("/204").is(204);
        assert_eq!(
            (r.header("x-a"), r.header("transfer-encoding")),
            (Some("1"), None)
        );
        let r = client.get("/304").is(304);
        assert_eq!(
            (r.header("etag"), r.header("transfer-encoding")),
            (Some("\"x\""), None)
        );
    }
    assert_eq!(origin.accepted(), 1);
}

#[test]
fn a03_trailers_go_both_ways() {
    let origin = Origin::answering(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n\
         2\r\nok\r\n0\r\nX-Sum: down\r\n\r\n",
    );
    let gateway = Setup::new(&service(origin.port)).start();
    let mut client = gateway.connect();
    client.send(
        "POST / HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n\
         3\r\nabc\r\n0\r\nX-Sum: up\r\n\r\n",
    );
    let r = client.answer(false).is(200);
    assert_eq!(r.body, b"ok");
    let (name, value) = r.trailers[0].clone();
    assert_eq!((name.to_lowercase().as_str(), value.as_str()), ("x-sum", "down"));
    let seen = origin.last();
    assert_eq!(seen.body, b"abc");
    assert_eq!(seen.trailers.to_lowercase(), "x-sum: up\r\n");
}

#[test]
fn a03_100_continue_comes_when_the_body_is_wanted() {
    let origin = Origin::echo();
    let gateway = Setup::new(&service(origin.port)).start();
    let mut client = gateway.connect();
    client.send("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n");
    assert_eq!(client.head().unwrap().status, 100);
    client.send("body");
    assert_eq!(client.answer(false).is(200).json()["body"], "body");
}

#[test]
fn a03_no_100_continue_when_a_plugin_refuses() {
    let origin = Origin::echo();
    let gateway = Setup::probe(origin.port).start();
    let mut client = gateway.connect();
    client.send(
        "POST / HTTP/1.1\r\nHost: a\r\nx-access: kong.response.exit(403)\r\n\
         Expect: 100-continue\r\nContent-Length: 4\r\n\r\n",
    );
    assert_eq!(client.head().unwrap().status, 403, "no 1xx before it");
    assert!(origin.seen().is_empty());
}

#[test]
fn a03_upstream_1xx_are_dropped() {
    let origin = Origin::answering(
        "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n\
         HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    );
    let gateway = Setup::new(&service(origin.port)).start();
    let mut client = gateway.connect();
    for _ in 0..2 {
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        let head = client.head().unwrap();
        assert_eq!((head.status, head.header("link")), (200, None));
        assert_eq!(client.take(2), b"ok");
    }
}

#[test]
fn a03_hop_by_hop_headers_end_here() {
    let origin = Origin::answering(
        "HTTP/1.1 200 OK\r\nConnection: keep-alive, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\n\
         Proxy-Authenticate: Basic\r\nX-End: 1\r\nContent-Length: 2\r\n\r\nok",
    );
    let gateway = Setup::new(&service(origin.port)).start();
    let r = gateway.get(
        "/",
        &[
            ("Connection", "keep-alive, X-Mine"),
            ("X-Mine", "1"),
            ("Keep-Alive", "timeout=1"),
            ("Proxy-Connection", "keep-alive"),
            ("TE", "gzip"),
            ("X-End", "1"),
        ],
    );
    assert_eq!((r.header("x-end"), r.header("keep-alive")), (Some("1"), None));
    let seen = origin.last();
    assert_eq!(seen.header("x-end"), Some("1"));
    for name in ["keep-alive", "proxy-connection", "te", "x-mine"] {
        assert_eq!(seen.header(name), None, "{name}: {}", seen.head);
    }
}

#[test]
fn a03_an_upstream_without_lengths_ends_with_its_connection() {
    let origin = Origin::raw(|mut conn| {
        conn.request();
        conn.send("HTTP/1.0 200 OK\r\nX-Old: 1\r\n\r\nall of it");
    });
    let gateway = Setup::new(&service(origin.port)).start();
    let mut client = gateway.connect();
    for _ in 0..2 {
        let r = client.get("/").is(200);
        assert_eq!((r.text().as_str(), r.complete), ("all of it", true));
    }
}

#[test]
fn a03_a_truncated_upstream_body_shows() {
    let origin = Origin::raw(|mut conn| {
        conn.request();
        conn.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort");
    });
    let gateway = Setup::new(&service(origin.port)).start();
    let mut client = gateway.connect();
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    let whole = client.try_answer(false).is_some_and(|r| r.complete);
    assert!(!whole, "never a whole answer out of half of one");
    gateway.logged("upstream prematurely closed connection");
    gateway.access_logged("\"GET / HTTP/1.1\"");
}

#[test]
fn a03_retries_go_to_the_next_target() {
    let origin = Origin::echo();
    let dead = crate::support::free_port();
    let mut config = service(1);
    config["services"][0]["host"] = json!("u");
    config["services"][0]["retries"] = json!(2);
    config["upstreams"] = json!([{ "name": "u", "targets": [
        { "target": format!("127.0.0.1:{dead}") }, { "target": format!("127.0.0.1:{}", origin.port) },
    ] }]);
    let gateway = Setup::new(&config).start();
    for _ in 0..6 {
        gateway.get("/", &[]).is(200);
    }
}
