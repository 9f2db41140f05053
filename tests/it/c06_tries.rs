//! Tries: what is tried again, each limit by itself, what the client and the log are told.

use std::io::Write as _;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::gateway::PROBE;
use crate::support::{Gateway, Origin, Setup, service, with};

fn gateway(port: u16, change: impl FnOnce(&mut serde_json::Value)) -> Gateway {
    let mut config = with(service(port), "probe", json!({}));
    change(&mut config);
    Setup::new(&config).plugin("probe", PROBE).start()
}

#[test]
fn c06_each_limit_is_its_own() {
    // takes nothing after the head
    let deaf = Origin::raw(|mut conn| {
        conn.head();
        std::thread::sleep(Duration::from_secs(20));
    });
    let mute = Origin::raw(|mut conn| {
        conn.request();
        std::thread::sleep(Duration::from_secs(20));
    });
    let gateway = gateway(deaf.port, |_| {});
    let began = Instant::now();
    let mut client = gateway.connect();
    let mut writer = client.stream.try_clone().unwrap();
    client.send(format!(
        "PUT / HTTP/1.1\r\nHost: h\r\nx-access: kong.service.set_timeouts(20000, 700, 20000)\r\nContent-Length: {}\r\n\r\n",
        256 << 20
    ));
    let writing = std::thread::spawn(move || {
        let piece = vec![b'x'; 1 << 20];
        (0..256).take_while(|_| writer.write_all(&piece).is_ok()).count()
    });
    client.answer(false).is(504);
    drop(client);
    let _ = writing.join();
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    gateway.logged("upstream timed out (110: Connection timed out) while sending request to upstream");
    let began = Instant::now();
    let code = format!(
        "kong.service.set_target('127.0.0.1', {}) kong.service.set_timeouts(20000, 20000, 600)",
        mute.port
    );
    let r = gateway.access(&code).is(504);
    assert!(
        r.text().contains("The upstream server is timing out"),
        "{}",
        r.text()
    );
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    gateway
        .logged("upstream timed out (110: Connection timed out) while reading response header from upstream");
}

/// What a client is told, how often the upstream was asked, with one retry.
fn tried(origin: &Origin, method: &str, body: &[u8]) -> (u16, usize) {
    let g = gateway(origin.port, |config| config["services"][0]["retries"] = json!(1));
    let before = origin.accepted();
    let code = "kong.service.set_timeouts(2000, 2000, 300)";
    let r = g.connect().ask(method, "/", &[("x-access", code)], body);
    (r.status, origin.accepted() - before)
}

#[test]
fn c06_what_is_tried_again() {
    let reads_and_closes = Origin::raw(|mut conn| drop(conn.request()));
    let reads_and_hangs = Origin::raw(|mut conn| {
        conn.request();
        std::thread::sleep(Duration::from_secs(3));
    });
    let speaks_nonsense = Origin::raw(|mut conn| {
        conn.request();
        conn.send("SSH-2.0-OpenSSH\r\n\r\n");
    });
    let breaks_off_in_its_head = Origin::raw(|mut conn| {
        conn.request();
        conn.send("HTTP/1.1 200 OK\r\nContent-Le");
    });
    let answers_5xx = Origin::answering("HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n");
    for (origin, method, body, want) in [
        (&reads_and_closes, "GET", &b""[..], (502, 2)),
        (&reads_and_closes, "PUT", b"x", (502, 2)),
        (&reads_and_closes, "DELETE", b"", (502, 2)),
        (&reads_and_closes, "POST", b"x", (502, 1)),
        (&reads_and_closes, "POST", b"", (502, 1)),
        (&reads_and_closes, "PATCH", b"x", (502, 1)),
        (&reads_and_closes, "LOCK", b"", (502, 1)),
        (&reads_and_hangs, "GET", b"", (504, 2)),
        (&reads_and_hangs, "POST", b"x", (504, 1)),
        (&speaks_nonsense, "GET", b"", (502, 1)),
        (&breaks_off_in_its_head, "GET", b"", (502, 2)),
        (&breaks_off_in_its_head, "POST", b"x", (502, 1)),
        (&answers_5xx, "GET", b"", (503, 1)),
    ] {
        assert_eq!(tried(origin, method, body), want, "{method}");
    }
}

#[test]
fn c06_a_post_that_reached_nobody_goes_on() {
    // nobody listens at the first target: no byte of the POST was sent
    let good = Origin::echo();
    let g = gateway(1, |config| {
        config["services"][0]["host"] = json!("pool");
        config["services"][0]["retries"] = json!(1);
        config["upstreams"] = json!([{ "name": "pool", "targets": [
            { "target": format!("127.0.0.1:{}", crate::support::free_port()) },
            { "target": format!("127.0.0.1:{}", good.port) },
        ] }]);
    });
    for _ in 0..4 {
        let r = g.connect().ask("POST", "/", &[], b"the body").is(200);
        assert_eq!(r.json()["body"], "the body");
    }
    assert_eq!(good.seen().len(), 4);
}

#[test]
fn c06_a_failed_handshake_is_no_byte_sent() {
    use crate::support::certs::{Ca, Leaf};
    use crate::support::tls_upstream::{Fault, Options};
    let cert = Ca::new("Servers").issue(&Leaf::named("localhost"));
    for fault in [
        Fault::CloseAtOnce,
        Fault::ResetAtOnce,
        Fault::HangAtOnce,
        Fault::CloseInHandshake,
        Fault::ResetInHandshake,
        Fault::HangInHandshake,
        Fault::PlainText,
    ] {
        let upstream = crate::support::TlsUpstream::start(&Options::new(&cert));
        let g = gateway(upstream.port, |config| {
            config["services"][0]["protocol"] = json!("https");
            config["services"][0]["retries"] = json!(1);
        });
        upstream.misbehave(&[fault]);
        let code = "kong.service.set_timeouts(400, 2000, 2000)";
        let r = g.connect().ask("POST", "/", &[("x-access", code)], b"once");
        assert_eq!(r.status, 200, "{fault:?}: {}", r.text());
        assert_eq!(upstream.requests(), 1, "{fault:?}");
    }
}

#[test]
fn c06_an_answer_before_the_body_is_read() {
    let early = Origin::raw(|mut conn| {
        conn.head();
        conn.send("HTTP/1.1 403 Early\r\nContent-Length: 2\r\n\r\nno");
        std::thread::sleep(Duration::from_millis(500));
    });
    let g = gateway(early.port, |config| config["services"][0]["retries"] = json!(3));
    let body = vec![b'x'; 8 << 20];
    let r = g.connect().ask("POST", "/", &[], &body).is(403);
    assert_eq!(r.text(), "no");
    assert_eq!(early.accepted(), 1);
}

#[test]
fn c06_a_consumer_is_hashed_by_its_id_or_the_credentials() {
    let origins: Vec<Origin> = (0..3).map(|_| Origin::echo()).collect();
    let g = gateway(1, |config| {
        config["services"][0]["host"] = json!("pool");
        let targets = origins
            .iter()
            .map(|o| json!({ "target": format!("127.0.0.1:{}", o.port) }));
        let targets: Vec<_> = targets.collect();
        config["upstreams"] = json!([{ "name": "pool", "hash_on": "consumer", "targets": targets }]);
        config["consumers"] = json!([{ "username": "known" }]);
    });
    let ask = |lua: &str| {
        let code = format!("{lua} ngx.ctx.asked = true");
        let log = "kong.log.warn('hashed by ', ngx.ctx.balancer_data.hash_value, ';')";
        g.get("/", &[("x-access", &code), ("x-log", log)]).is(200);
    };
    ask("kong.client.authenticate({ id = 'c-1', username = 'x' }, { id = 'k-1' })");
    g.logged("hashed by c-1;");
    ask("kong.client.authenticate(nil, { id = 'k-1' })");
    g.logged("hashed by k-1;");
    ask("kong.client.authenticate(kong.client.load_consumer('known', true))");
    ask("");
    g.logged("hashed by ;");
}
