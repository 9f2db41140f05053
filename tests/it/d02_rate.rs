//! D2: `ngx.var.limit_rate` and the directives of the same name: how fast an answer leaves.

use std::time::{Duration, Instant};

use crate::support::{Client, Origin, Setup};

/// Half of the body is announced after the first second's share.
fn takes(client: &mut Client, lines: &str, body: usize) -> Duration {
    let began = Instant::now();
    client.send(format!("GET /a HTTP/1.1\r\nHost: a\r\n{lines}\r\n"));
    let r = client.answer(false).is(200);
    assert!(r.complete);
    assert_eq!(r.body.len(), body);
    began.elapsed()
}

fn large(n: usize) -> Origin {
    let body = "x".repeat(n);
    Origin::replying(move |seen| {
        if seen.line().contains("chunked") {
            return format!(
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{n:x}\r\n{body}\r\n0\r\n\r\n"
            )
            .into();
        }
        format!("HTTP/1.1 200 OK\r\nContent-Length: {n}\r\n\r\n{body}").into()
    })
}

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn d02_an_answer_leaves_no_faster_than_its_rate() {
    let origin = large(300_000);
    let gateway = Setup::probe(origin.port).start();
    let mut client = gateway.connect();
    assert!(takes(&mut client, "", 300_000) < SECOND);
    // whoever makes it, and whenever it is said before
    for (lines, length) in [
        ("X-Access: ngx.var.limit_rate = 150000\r\n", 300_000),
        ("X-Header-Filter: ngx.var.limit_rate = '150000'\r\n", 300_000),
        (
            "X-Header-Filter: ngx.var.limit_rate = 150000 ngx.header.content_length = nil\r\n",
            300_000,
        ),
        (
            "X-Access: ngx.var.limit_rate = '150k' ngx.say(('x'):rep(299999)) ngx.exit(200)\r\n",
            300_000,
        ),
        (
            "X-Access: ngx.var.limit_rate = 150000 for i = 1, 3 do ngx.print(('x'):rep(100000)) ngx.flush(true) end\r\n",
            300_000,
        ),
    ] {
        let took = takes(&mut client, lines, length);
        assert!(took > SECOND * 9 / 10 && took < SECOND * 4, "{lines} {took:?}");
    }
    // what is logged is what left
    let lines = "X-Access: ngx.var.limit_rate = 200000\r\n\
                 X-Log: kong.log.warn('LEFT ', ngx.var.body_bytes_sent, ' ', ngx.var.request_time >= '0.4', ' ', ngx.var.limit_rate)\r\n";
    takes(&mut client, lines, 300_000);
    gateway.logged("LEFT 300000 true 200000");
    let lines =
        "X-Access: ngx.var.limit_rate = 1000\r\nX-Log: kong.log.warn('GONE ', ngx.var.body_bytes_sent)\r\n";
    let mut gone = gateway.connect();
    gone.send(format!("GET /a HTTP/1.1\r\nHost: a\r\n{lines}\r\n"));
    gone.head().unwrap();
    gone.take(100);
    drop(gone);
    let line = gateway.logged("GONE ");
    let left: u64 = line
        .split("GONE ")
        .nth(1)
        .unwrap()
        .split(|c: char| !c.is_ascii_digit())
        .next()
        .unwrap()
        .parse()
        .unwrap();
    assert!(left < 10_000, "{left}");
    // a subrequest's has no effect, and none is none
    let lua = "ngx.var.limit_rate = 10 ngx.var.limit_rate = '0' ngx.say(ngx.var.limit_rate) ngx.exit(200)";
    let began = Instant::now();
    assert_eq!(gateway.get("/", &[("X-Access", lua)]).text(), "0\n");
    assert!(began.elapsed() < SECOND);
}

#[test]
fn d02_a_rate_by_setting_and_what_it_begins_after() {
    let origin = large(400_000);
    let gateway = Setup::probe(origin.port)
        .set("nginx_proxy_limit_rate", "100k")
        .set("nginx_location_limit_rate_after", "290k")
        .start();
    let mut client = gateway.connect();
    for path in ["X: 1\r\n", "X-Access: ngx.req.set_uri('/chunked')\r\n"] {
        let began = Instant::now();
        client.send(format!("GET /a HTTP/1.1\r\nHost: a\r\n{path}\r\n"));
        client.head().unwrap();
        client.take(290_000);
        assert!(began.elapsed() < SECOND, "what comes before is free");
        let chunked = path.contains("chunked");
        client.take(if chunked { 109_000 } else { 110_000 });
        if chunked {
            client = gateway.connect();
        }
        let took = began.elapsed();
        assert!(took < SECOND * 4, "{took:?}");
    }
    // Lua has the last word
    let took = takes(&mut client, "X-Access: ngx.var.limit_rate = 0\r\n", 400_000);
    assert!(took < SECOND, "{took:?}");
    let took = takes(&mut client, "X-Access: ngx.var.limit_rate = '50k'\r\n", 400_000);
    assert!(took > SECOND, "{took:?}");
}

#[test]
fn d02_who_flushes_waits_for_what_the_rate_holds_back() {
    let origin = large(1);
    let gateway = Setup::probe(origin.port).start();
    let mut client = gateway.connect();
    let lines = "X-Access: ngx.var.limit_rate = 50000 ngx.print(('x'):rep(100000)) local t = ngx.now() \
                 ngx.flush(true) ngx.update_time() kong.log.warn('FLUSHED ', ngx.now() - t > 0.8) ngx.exit(200)\r\n";
    takes(&mut client, lines, 100_000);
    gateway.logged("FLUSHED true");
}
