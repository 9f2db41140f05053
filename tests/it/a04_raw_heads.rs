//! Heads that must be refused, and heads that must pass as they are.

use serde_json::json;

use crate::support::{Gateway, Origin, Setup, service, with};

/// Says in every later phase that it ran, so that answers show which way they left.
const MARK: &str = r#"
local P = { PRIORITY = 1, VERSION = "1.0.0" }
function P:header_filter() kong.response.set_header("X-Marked", "yes") end
function P:body_filter() ngx.ctx.seen = (ngx.ctx.seen or 0) + 1 end
function P:log() kong.log.err("marked ", ngx.status, " ", tostring(ngx.ctx.seen ~= nil)) end
return P
"#;

fn gateway(origin: &Origin) -> Gateway {
    Setup::new(&with(service(origin.port), "mark", json!({})))
        .plugin("mark", MARK)
        .start()
}

/// Sends bytes, wants this status, the end of the connection, and the mark of the one way out.
fn refused(gateway: &Gateway, bytes: &[u8], statuses: &[u16]) -> Result<(), String> {
    let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(120)]).into_owned();
    let mut client = gateway.connect();
    client.send(bytes);
    let Some(r) = client.try_answer(false) else {
        return Err(format!("{shown:?}: no answer"));
    };
    if !statuses.contains(&r.status) {
        return Err(format!("{shown:?}: {} instead of {statuses:?}", r.status));
    }
    if r.header("x-marked") != Some("yes") {
        return Err(format!("{shown:?}: header_filter did not run: {}", r.head));
    }
    if !client.closed() {
        return Err(format!("{shown:?}: the connection stays open"));
    }
    Ok(())
}

fn all(cases: Vec<(Vec<u8>, &'static [u16])>) {
    let origin = Origin::echo();
    let gateway = gateway(&origin);
    let failed: Vec<String> = cases
        .iter()
        .filter_map(|(bytes, statuses)| refused(&gateway, bytes, statuses).err())
        .collect();
    assert!(failed.is_empty(), "{}", failed.join("\n"));
    assert!(
        origin.seen().is_empty(),
        "the upstream saw {:?}",
        origin.last().head
    );
    gateway.logged("marked 4");
    gateway.get("/", &[]).is(200);
}

fn headers(lines: &[&str]) -> Vec<(Vec<u8>, &'static [u16])> {
    let case = |line: &&str| {
        let text = format!("POST / HTTP/1.1\r\nHost: a\r\n{line}\r\n\r\nhello");
        (text.into_bytes(), &[400u16, 501][..])
    };
    lines.iter().map(case).collect()
}

#[test]
fn a04_ambiguous_framing_is_refused() {
    all(headers(&[
        "Content-Length: 5\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 5",
        "Content-Length: 5\r\nContent-Length: 6",
        "Content-Length: 5, 6",
        "Content-Length: +5",
        "Content-Length: -5",
        "Content-Length: 0x5",
        "Content-Length: 5x",
        "Content-Length:",
        "Content-Length: 5 5",
        "Content-Length: 99999999999999999999999",
        "Transfer-Encoding: gzip",
        "Transfer-Encoding: xchunked",
        "Transfer-Encoding: chunked, gzip",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding : chunked",
        "Transfer-Encoding: \x0bchunked",
    ]));
}

#[test]
fn a04_malformed_header_lines_are_refused() {
    let mut cases = headers(&[
        "X-Fold: a\r\n b",
        "X-Fold: a\r\n\tb",
        "X-Space : a",
        " X-First: a",
        ": no name",
        "no colon",
        "X-Cr: a\rb",
        "X-Nul: a\0b",
        "X(Y): a",
        "X\u{e9}: a",
    ]);
    cases.push((b"GET / HTTP/1.1\r\n Host: a\r\n\r\n".to_vec(), &[400]));
    all(cases);
}

#[test]
fn a04_malformed_request_lines_are_refused() {
    let line = |l: &str| -> (Vec<u8>, &'static [u16]) {
        (format!("{l}\r\nHost: a\r\n\r\n").into_bytes(), &[400, 505])
    };
    let mut cases: Vec<_> = [
        "GET / HTTP/2.0",
        "GET / HTTP/3.1",
        "GET / HTTP/1.1.1",
        "GET / http/1.1",
        "GET / HTTP/a.b",
        "GET / HTTQ/1.1",
        "GET  HTTP/1.1",
        "G\0T / HTTP/1.1",
        "GET /a b HTTP/1.1",
        "GET relative HTTP/1.1",
        "GE(T / HTTP/1.1",
        "GET /\x01 HTTP/1.1",
    ]
    .iter()
    .map(|l| line(l))
    .collect();
    cases.push((b"GET / HTTP/1.1\r\n\r\n".to_vec(), &[400]));
    cases.push((b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n".to_vec(), &[400]));
    cases.push((b"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n".to_vec(), &[400]));
    all(cases);
}

#[test]
fn a04_what_is_not_http_is_refused() {
    all(vec![
        (
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n".to_vec(),
            &[400],
        ),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), &[400, 505]),
        (b"\0\0\0\0\0\0\0\0\r\n\r\n".to_vec(), &[400]),
        (b"hello\r\n\r\n".to_vec(), &[400]),
        ((0..=255u8).chain(*b"\r\n\r\n").collect::<Vec<u8>>(), &[400]),
    ]);
}

#[test]
fn a04_bad_chunks_end_the_request() {
    let origin = Origin::echo();
    let gateway = gateway(&origin);
    for chunks in [
        "zz\r\nhello\r\n0\r\n\r\n",
        "5\r\nhelloXX0\r\n\r\n",
        "-5\r\nhello\r\n0\r\n\r\n",
        "fffffffffffffffff\r\nhello\r\n0\r\n\r\n",
        "5 5\r\nhello\r\n0\r\n\r\n",
        "0x5\r\nhello\r\n0\r\n\r\n",
        "5\nhello\r\n0\r\n\r\n",
    ] {
        let mut client = gateway.connect();
        client.send(format!(
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}"
        ));
        let r = client.answer(false);
        assert_eq!(r.status, 400, "{chunks:?}");
        assert!(client.closed(), "{chunks:?}");
    }
    assert!(origin.seen().is_empty(), "a request with a broken body arrived");
}

#[test]
fn a04_long_targets_and_heads_have_limits() {
    let long = "x".repeat(9 << 10);
    let many = "X-A: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n".repeat(600);
    let count = "a: b\r\n".repeat(2000);
    all(vec![
        (
            format!("GET /{long} HTTP/1.1\r\nHost: a\r\n\r\n").into_bytes(),
            &[414],
        ),
        (
            format!("GET / HTTP/1.1\r\nHost: a\r\nX-L: {long}\r\n\r\n").into_bytes(),
            &[431],
        ),
        (
            format!("GET / HTTP/1.1\r\nHost: a\r\n{many}\r\n").into_bytes(),
            &[431],
        ),
        (
            format!("GET / HTTP/1.1\r\nHost: a\r\n{count}\r\n").into_bytes(),
            &[431],
        ),
    ]);
}

#[test]
fn a04_a_bad_second_request_does_not_spoil_the_first() {
    let origin = Origin::echo();
    let gateway = gateway(&origin);
    let mut client = gateway.connect();
    client.send("GET /one HTTP/1.1\r\nHost: a\r\n\r\nGET /two HTTP/1.1\r\nHost : a\r\n\r\n");
    assert_eq!(client.answer(false).is(200).json()["path"], "/one");
    client.answer(false).is(400);
    assert!(client.closed());
}

#[test]
fn a04_slow_heads_time_out() {
    let origin = Origin::echo();
    let gateway = Setup::new(&service(origin.port))
        .set("moongate_client_header_timeout", "500ms")
        .set("moongate_client_body_timeout", "500ms")
        .start();
    let mut slow = gateway.connect();
    slow.send("GET / HTT");
    let mut body = gateway.connect();
    body.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc");
    gateway.get("/", &[]).is(200);
    let end = |r: Option<crate::support::Response>| r.is_none_or(|r| r.status == 408);
    assert!(end(slow.try_answer(false)) && slow.closed());
    assert!(end(body.try_answer(false)) && body.closed());
}

#[test]
fn a04_names_order_and_duplicates_are_kept() {
    let origin = Origin::echo();
    let gateway = gateway(&origin);
    let mut client = gateway.connect();
    client.send(
        "GET / HTTP/1.1\r\nHost: a\r\nX-UPPER: 1\r\nx-lower: 2\r\nX-Dup: a\r\nX-Other: 3\r\nX-dup: b\r\n\
         Cookie: c=1\r\n\r\n",
    );
    client.answer(false).is(200);
    let head = origin.last().head;
    let mine: Vec<&str> = head
        .split("\r\n")
        .filter(|l| l.to_lowercase().starts_with("x-") && !l.to_lowercase().starts_with("x-forwarded"))
        .filter(|l| !l.to_lowercase().starts_with("x-kong") && !l.to_lowercase().starts_with("x-real"))
        .collect();
    assert_eq!(
        mine,
        ["X-UPPER: 1", "x-lower: 2", "X-Dup: a", "X-Other: 3", "X-dup: b"]
    );
}

#[test]
fn a04_the_raw_head_is_there_for_lua() {
    let origin = Origin::echo();
    let gateway = Setup::probe(origin.port).start();
    let mut client = gateway.connect();
    let code = "ngx.say(ngx.var.request) ngx.print(ngx.req.raw_header())";
    let head = format!("GET /a?b=%41 HTTP/1.1\r\nhOsT: a\r\nX-access: {code}\r\nx-B: 1\r\nX-b: 2\r\n\r\n");
    client.send(&head);
    let text = client.answer(false).is(200).text();
    assert_eq!(text, format!("GET /a?b=%41 HTTP/1.1\n{head}"));
}

#[test]
fn a04_targets_that_nginx_proxies_are_proxied() {
    let origin = Origin::echo();
    let gateway = gateway(&origin);
    let mut client = gateway.connect();
    for target in [
        "/a<b>",
        "/a`b",
        "/{x}|y",
        "/a\"b",
        "/a^b\\c",
        "/?q={}|<>`\"",
        "/%C3%A4",
    ] {
        client.send(format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n"));
        client.answer(false).is(200);
        let line = origin.last().line().to_owned();
        assert!(
            line.starts_with("GET /") && line.ends_with(" HTTP/1.1"),
            "{target}: {line}"
        );
        if let Some((_, query)) = target.split_once('?') {
            assert!(line.contains(query), "{line}");
        }
    }
    client.send("GET http://other.test:81/path?x=1 HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(client.answer(false).is(200).json()["path"], "/path");
    client.send("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(client.answer(false).status < 500);
}
