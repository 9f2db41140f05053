//! D2: trailers of strangers on both sides, and the Admin API's crowd.

use std::time::{Duration, Instant};

use crate::support::{Client, Gateway, Origin, Setup, eventually};

const CHUNKED: &str = "Transfer-Encoding: chunked\r\n";

fn post(client: &mut Client, named: &str, trailers: &str) {
    client.send(format!(
        "POST /a HTTP/1.1\r\nHost: a\r\n{CHUNKED}Trailer: {named}\r\n\r\n5\r\nhello\r\n0\r\n{trailers}"
    ));
}

fn good(gateway: &Gateway) {
    gateway.get("/good", &[]).is(200);
}

#[test]
fn d02_trailers_of_a_client_are_judged() {
    let origin = Origin::echo();
    let gateway = Setup::probe(origin.port)
        .set("nginx_http_client_body_timeout", "1s")
        .start();
    // those that were named go on, but never what would frame or direct the message
    let mut client = gateway.connect();
    let named = "x-one, content-length, transfer-encoding, host, te, trailer, x-two, authorization";
    let sent = "x-one: 1\r\ncontent-length: 99\r\ntransfer-encoding: chunked\r\nhost: evil\r\nte: x\r\ntrailer: y\r\n\
                authorization: z\r\nx-two:\r\nx-unnamed: 3\r\n\r\n";
    for _ in 0..2 {
        post(&mut client, named, sent);
        let seen = client.answer(false).is(200).json();
        assert_eq!(
            (seen["body"].as_str(), seen["body_length"].as_u64()),
            (Some("hello"), Some(5))
        );
        let trailers = origin.last().trailers.to_lowercase();
        let mut lines: Vec<&str> = trailers.lines().filter(|l| !l.is_empty()).collect();
        lines.sort_unstable();
        assert_eq!(lines, ["x-one: 1", "x-two: "]);
        assert!(origin.last().head.contains("Host: 127.0.0.1"));
    }
    let many = |n: usize| (0..n).map(|i| format!("x-{i}: 1\r\n")).collect::<String>();
    for (what, trailers, fits) in [
        ("as many as may be", many(64) + "\r\n", true),
        ("too many", many(65) + "\r\n", false),
        ("long", format!("x-one: {}\r\n\r\n", "y".repeat(8000)), true),
        ("too long", format!("x-one: {}\r\n\r\n", "y".repeat(9000)), false),
        ("a long name", format!("{}: 1\r\n\r\n", "y".repeat(9000)), false),
        ("CR in a value", "x-one: a\rb\r\n\r\n".into(), false),
        ("LF for an end", "x-one: a\nx-two: b\r\n\r\n".into(), false),
        ("NUL", "x-one: a\0\r\n\r\n".into(), false),
        ("a space in a name", "x one: a\r\n\r\n".into(), false),
        ("a space behind a name", "x-one : a\r\n\r\n".into(), false),
        ("no name", ": a\r\n\r\n".into(), false),
        ("no colon", "x-one\r\n\r\n".into(), false),
        ("a folded one", "x-one: a\r\n b\r\n\r\n".into(), false),
        ("CR CR LF for an end", "x-one: a\r\n\r\r\n".into(), false),
    ] {
        // streamed, and read by Lua
        for lines in ["", "X-Access: ngx.req.read_body()\r\n"] {
            let mut client = gateway.connect();
            client.send(format!(
                "POST /a HTTP/1.1\r\nHost: a\r\n{CHUNKED}{lines}Trailer: x-one\r\n\r\n5\r\nhello\r\n0\r\n{trailers}"
            ));
            let r = client.try_answer(false);
            let status = r.as_ref().map(|r| r.status);
            assert_eq!(status, Some(if fits { 200 } else { 400 }), "{what} {lines}");
            if !fits {
                assert_eq!(r.unwrap().header("connection"), Some("close"));
                assert!(client.closed(), "{what}");
            }
        }
    }
    // one that never ends
    for begun in ["", "x-one: ", "x-one: 1\r\n", "x-one: 1\r\n\r"] {
        let mut client = gateway.connect();
        let began = Instant::now();
        post(&mut client, "x-one", begun);
        assert!(
            client.try_answer(false).is_none_or(|r| r.status == 408),
            "{begun}"
        );
        assert!(client.closed() && began.elapsed() < Duration::from_secs(10));
    }
    good(&gateway);
    assert!(!gateway.errors().contains("panicked"));
}

#[test]
fn d02_trailers_of_an_upstream_are_judged() {
    let origin = Origin::raw(|mut conn| {
        while let Some(seen) = conn.request() {
            let case = seen.line().split(['/', ' ']).nth(2).unwrap().to_owned();
            let trailers = match &*case {
                "good" => "x-one: 1\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\nset-cookie: a=b\r\nx-unnamed: 1\r\n\r\n".into(),
                "many" => (0..200).map(|i| format!("x-{i}: 1\r\n")).collect::<String>() + "\r\n",
                "long" => format!("x-one: {}\r\n\r\n", "y".repeat(100_000)),
                "name" => format!("{}: 1\r\n\r\n", "y".repeat(100_000)),
                "cr" => "x-one: a\rHTTP/1.1 200 OK\r\n\r\n".into(),
                "nul" => "x-one: a\0\r\n\r\n".into(),
                "space" => "x one: a\r\n\r\n".into(),
                "endless" => {
                    conn.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: x-one\r\n\r\n5\r\nhello\r\n0\r\n");
                    for i in 0..40 {
                        std::thread::sleep(Duration::from_millis(100));
                        conn.send(format!("x-{i}: 1\r\n"));
                    }
                    return;
                }
                _ => "\r\n".into(),
            };
            conn.send(format!(
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: x-one, content-length, transfer-encoding, \
                 set-cookie\r\n\r\n5\r\nhello\r\n0\r\n{trailers}"
            ));
        }
    });
    let gateway = Setup::probe(origin.port).start();
    let ask = |case: &str, te: &str, lua: &str| {
        let mut client = gateway.connect();
        client.send(format!(
            "GET /{case} HTTP/1.1\r\nHost: a\r\n{te}X-Access: {lua}\r\n\r\n"
        ));
        client.answer(false).is(200)
    };
    let te = "TE: trailers\r\nConnection: te\r\n";
    let r = ask("good", te, "");
    assert_eq!((r.text().as_str(), r.complete), ("hello", true));
    let names: Vec<String> = r.trailers.iter().map(|(n, _)| n.to_lowercase()).collect();
    assert_eq!(names, ["x-one"]);
    // who does not ask for them gets none
    let r = ask("good", "", "");
    assert!(r.complete && r.trailers.is_empty());
    for case in ["many", "long", "name", "cr", "nul", "space"] {
        for te in [te, ""] {
            let r = ask(case, te, "");
            // what cannot be read is no end: the client must not take it for one
            assert!(!r.complete || r.trailers.is_empty(), "{case} {:?}", r.trailers);
            assert_eq!(r.text(), "hello");
            assert!(!r.complete, "{case}");
        }
        good(&gateway);
    }
    let began = Instant::now();
    let r = ask("endless", te, "kong.service.set_timeouts(1000, 1000, 1000)");
    assert!(!r.complete && began.elapsed() < Duration::from_secs(3));
    good(&gateway);
    assert!(!gateway.errors().contains("panicked"));
}

#[test]
fn d02_the_admin_api_has_so_many_clients_and_no_more() {
    let (setup, admin) = Setup::probe(1).admin();
    let _gateway = setup.set("nginx_admin_limit_conn", "8").start();
    assert!(eventually(Duration::from_secs(5), || {
        std::net::TcpStream::connect(("127.0.0.1", admin.port)).is_ok()
    }));
    assert!(eventually(Duration::from_secs(5), || admin
        .ask("GET", "/config", &[], b"")
        .status
        == 200));
    let mut kept: Vec<Client> = (0..8)
        .map(|_| {
            let mut client = Client::connect(admin.port);
            client.ask("GET", "/config", &[], b"").is(200);
            client
        })
        .collect();
    for _ in 0..20 {
        let mut client = Client::connect(admin.port);
        let r = client.ask("GET", "/config", &[], b"").is(503);
        assert_eq!(r.text(), r#"{"message":"Too many connections"}"#);
        assert!(client.closed());
    }
    // a flood of those that say nothing keeps none of the eight from it
    let flood: Vec<Client> = (0..300).map(|_| Client::connect(admin.port)).collect();
    for client in &mut kept {
        client.ask("GET", "/config", &[], b"").is(200);
    }
    drop((flood, kept));
    assert!(eventually(Duration::from_secs(5), || admin
        .ask("GET", "/config", &[], b"")
        .status
        == 200));
}
