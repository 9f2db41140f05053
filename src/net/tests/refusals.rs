//! Messages that are refused: the rules of RFC 9112 and a corpus of request smuggling.

use super::*;

/// A refused head: its status; nothing of what follows may reach hyper.
fn refused(input: &[u8]) -> (u16, &'static str) {
    read_split(input, |seen| {
        assert!(seen.fault().is_some(), "let through: {}", seen.text());
        assert_eq!(seen.heads.len(), 1, "{}", seen.text());
        let skeleton = seen.text();
        assert!(
            skeleton.ends_with("\r\nconnection: close\r\n\r\n") && skeleton.matches("HTTP/").count() == 1
        );
        assert!(seen.error.is_none());
        assert!(
            !seen.ended,
            "the end of the client's sending must not look like an abort"
        );
    });
    let seen = read(input);
    let fault = seen.fault().unwrap();
    assert!(input.starts_with(fault.head.raw()) || input.starts_with(b"\r\n"));
    (fault.status, fault.reason)
}

fn header(line: &str) -> Vec<u8> {
    format!("POST / HTTP/1.1\r\nHost: h\r\n{line}\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n")
        .into_bytes()
}

#[test]
fn a04_refused_header_lines() {
    for line in [
        "Content-Length: 5\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 5",
        "Content-Length: 5\r\ncontent-length: 6",
        "Content-Length: 5, 5",
        "Content-Length: +5",
        "Content-Length: -5",
        "Content-Length: 0x5",
        "Content-Length: 5 5",
        "Content-Length: ",
        "Content-Length: 9223372036854775808",
        "Content-Length: 99999999999999999999999",
        "Transfer-Encoding: gzip",
        "Transfer-Encoding: gzip, chunked",
        "Transfer-Encoding: chunked, identity",
        "Transfer-Encoding: xchunked",
        "Transfer-Encoding: \"chunked\"",
        "Transfer-Encoding: chunked;q=1",
        "Transfer-Encoding:",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
        "Transfer-Encoding: \x0bchunked",
        "Transfer-Encoding : chunked",
        "Transfer-Encoding\t: chunked",
        " Transfer-Encoding: chunked",
        "X: a\r\n Transfer-Encoding: chunked",
        "X: a\r\n\tfolded",
        "X: a\0b",
        "X: a\x01b",
        "X: a\x7fb",
        "X: a\rTransfer-Encoding: chunked",
        "X: a\r\rb: c",
        ": no name",
        "no colon",
        "X\u{e4}: a",
        "X(: a",
        "X\0: a",
        "Host: h",
        "HOST: other",
    ] {
        assert_eq!(refused(&header(line)).0, 400, "{line:?}");
    }
}

#[test]
fn a04_refused_hosts() {
    for head in [
        "GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost:\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a@b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a..b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a:b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: [::1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: :80\r\n\r\n",
        "GET / HTTP/1.0\r\nHost: a b\r\n\r\n",
        "GET http:// HTTP/1.1\r\nHost: h\r\n\r\n",
        "GET http://u@h/ HTTP/1.1\r\nHost: h\r\n\r\n",
    ] {
        assert_eq!(refused(head.as_bytes()).0, 400, "{head:?}");
    }
}

#[test]
fn a04_refused_request_lines() {
    for (line, status) in [
        ("GET /", 400),
        ("GET", 400),
        ("GET  / HTTP/1.1", 400),
        ("GET /  HTTP/1.1", 400),
        ("GET / HTTP/1.1 ", 400),
        ("GET / a HTTP/1.1", 400),
        ("GET\t/ HTTP/1.1", 400),
        (" GET / HTTP/1.1", 400),
        ("get / HTTP/1.1", 400),
        ("G\0T / HTTP/1.1", 400),
        ("GET /\x01 HTTP/1.1", 400),
        ("GET /\r HTTP/1.1", 400),
        ("GET / HTTP/1.1\r", 400),
        ("GET a HTTP/1.1", 400),
        ("GET * HTTP/1.1", 400),
        ("GET ftp://h/ HTTP/1.1", 400),
        ("GET / http/1.1", 400),
        ("GET / HTTP/1", 400),
        ("GET / HTTP/0.9", 400),
        ("GET / HTTP/1.10", 400),
        ("GET / HTTP/11", 400),
        ("GET / HTTP/2.0", 505),
        ("GET / HTTP/3", 505),
        ("CONNECT h:443 HTTP/1.1", 405),
        ("TRACE / HTTP/1.1", 405),
    ] {
        let head = format!("{line}\r\nHost: h\r\n\r\n");
        assert_eq!(refused(head.as_bytes()).0, status, "{line:?}");
    }
    assert_eq!(refused(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").0, 400);
    assert_eq!(refused(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03").0, 400);
    assert_eq!(
        refused(b"\r\n\r\n\r\n\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n").0,
        400
    );
    assert_eq!(
        refused(b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n").0,
        400
    );
}

#[test]
fn a04_limits_are_414_and_431() {
    let limits = Limits {
        request_line: 300,
        header_line: 300,
        head: 900,
        headers: 10,
        ..Limits::default()
    };
    let status = |input: String| {
        for piece in [usize::MAX, 100, 1] {
            let seen = read_all(Script::new(input.as_bytes().chunks(piece)), limits, 8192);
            let Some(fault) = seen.fault() else { return 200 };
            if piece == 1 {
                return fault.status;
            }
        }
        200
    };
    let long = "x".repeat(300);
    assert_eq!(status(format!("GET /{long} HTTP/1.1\r\nHost: h\r\n\r\n")), 414);
    assert_eq!(status(format!("GET /{long}{long}")), 414);
    assert_eq!(
        status(format!("GET / HTTP/1.1\r\nHost: h\r\nA: {long}\r\n\r\n")),
        431
    );
    assert_eq!(
        status(format!("GET / HTTP/1.1\r\nHost: h\r\nA: {long}{long}")),
        431
    );
    let line = format!("A: {}\r\n", "x".repeat(250));
    assert_eq!(
        status(format!("GET / HTTP/1.1\r\nHost: h\r\n{line}{line}\r\n")),
        200
    );
    assert_eq!(
        status(format!(
            "GET / HTTP/1.1\r\nHost: h\r\n{line}{line}{line}{line}\r\n"
        )),
        431
    );
    assert_eq!(
        status(format!(
            "GET / HTTP/1.1\r\nHost: h\r\n{}\r\n",
            "A: b\r\n".repeat(9)
        )),
        200
    );
    assert_eq!(
        status(format!(
            "GET / HTTP/1.1\r\nHost: h\r\n{}\r\n",
            "A: b\r\n".repeat(10)
        )),
        431
    );
}

#[test]
fn a04_refused_heads_keep_what_was_read() {
    let seen = read(b"HEAD /x HTTP/1.0\r\nAccept: text/html\r\nbad line\r\n\r\n");
    let fault = seen.fault().unwrap();
    assert_eq!(fault.status, 400);
    assert_eq!(fault.reason, "client sent invalid header line");
    assert_eq!(fault.head.method(), b"HEAD");
    assert_eq!(fault.head.target(), b"/x");
    assert_eq!(fault.head.get("accept"), Some(&b"text/html"[..]));
    assert_eq!(fault.head.request_line(), b"HEAD /x HTTP/1.0");
    assert_eq!(seen.text(), "HEAD / HTTP/1.0\r\nconnection: close\r\n\r\n");
}

#[test]
fn a04_broken_chunks_fail_the_body_and_nothing_more_is_read() {
    let many = format!("0\r\n{}\r\n", "A: b\r\n".repeat(65));
    let extension = format!("1;{}\r\na\r\n0\r\n\r\n", "x".repeat(9000));
    for body in [
        "x\r\n",
        "\r\n",
        ";a\r\n",
        " 5\r\nhello\r\n",
        "5\nhello\r\n0\r\n\r\n",
        "5\r\nhello0\r\n\r\n",
        "5\r\nhello\n0\r\n\r\n",
        "5\r\nhello\r0\r\n\r\n",
        "5\r\nhelloo\r\n0\r\n\r\n",
        "0x5\r\nhello\r\n0\r\n\r\n",
        "+5\r\nhello\r\n0\r\n\r\n",
        "5 5\r\nhello\r\n0\r\n\r\n",
        "5;a\nhello\r\n0\r\n\r\n",
        "5;a\rb\r\nhello\r\n0\r\n\r\n",
        "5;a\0\r\nhello\r\n0\r\n\r\n",
        "FFFFFFFFFFFFFFFF\r\nhello",
        "10000000000000005\r\nhello\r\n0\r\n\r\n",
        "0000000000000000000005\r\nhello\r\n0\r\n\r\n",
        "0\r\n\rX",
        "0\r\n\n",
        "0\r\nbad trailer\r\n\r\n",
        "0\r\nA : b\r\n\r\n",
        "0\r\n A: b\r\n\r\n",
        "0\r\nA: b\n\r\n",
        "0\r\nA: \0\r\n\r\n",
        many.as_str(),
        extension.as_str(),
    ] {
        let input = format!(
            "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n{body}\
             GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n"
        );
        let check = |seen: &Seen| {
            assert_eq!(seen.heads.len(), 1, "{body:?}");
            let error = seen
                .error
                .as_ref()
                .unwrap_or_else(|| panic!("let through: {body:?}"));
            assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{body:?}");
            assert_eq!(seen.handle.body_fault().unwrap().status, 400);
            assert!(!seen.text().contains("smuggled"));
        };
        if input.len() < 300 {
            read_split(input.as_bytes(), check);
        }
        check(&read(input.as_bytes()));
    }
}

#[test]
fn a04_the_end_inside_a_message_is_an_end() {
    for input in [
        &b"GET / HT"[..],
        b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nhello",
        b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel",
    ] {
        let seen = read(input);
        assert!(seen.ended && seen.fault().is_none());
    }
}
