//! Messages that are let through.

use super::*;
use crate::net::guard::{Framing, Version};
use crate::net::known::Known;

const GET: &[u8] =
    b"GET /a<b?x={1}`\xc3\xa4 HTTP/1.1\r\nHost: h:80\r\nX-Two: 1\r\nx-two:  2 \t\r\nACCEPT: */*\r\n\r\n";

#[test]
fn a04_head_is_kept_byte_by_byte_and_hyper_sees_a_skeleton() {
    read_split(GET, |seen| {
        assert_eq!(seen.text(), "GET / HTTP/1.1\r\n\r\n");
        assert!(seen.ended);
        assert_eq!(seen.heads.len(), 1);
        let head = seen.head(0);
        assert_eq!(head.raw(), GET);
        assert_eq!(head.method(), b"GET");
        assert_eq!(head.target(), b"/a<b?x={1}`\xc3\xa4");
        assert_eq!(head.version(), Some(Version::Http11));
        assert_eq!(head.request_line(), b"GET /a<b?x={1}`\xc3\xa4 HTTP/1.1");
        assert!(head.raw_headers().starts_with(b"Host: h:80\r\n"));
        let headers: Vec<_> = head.iter().collect();
        let expected: [(&[u8], &[u8]); 4] = [
            (b"Host", b"h:80"),
            (b"X-Two", b"1"),
            (b"x-two", b"2"),
            (b"ACCEPT", b"*/*"),
        ];
        assert_eq!(headers, expected);
        assert_eq!(head.get("x-TWO"), Some(&b"1"[..]));
        assert_eq!(head.get_all("x-two").collect::<Vec<_>>(), [b"1", b"2"]);
        assert_eq!(head.get("accept"), Some(&b"*/*"[..]));
        assert_eq!(head.known(Known::Accept), Some(&b"*/*"[..]));
        assert_eq!(head.get("cookie"), None);
        assert_eq!(head.get("x-three"), None);
        assert_eq!(head.host(), Some(&b"h:80"[..]));
        assert!(head.keep_alive());
        assert_eq!(seen.handle.bytes_received(), GET.len() as u64);
    });
}

#[test]
fn a04_bare_line_feeds_end_head_lines_as_in_nginx() {
    read_split(b"GET / HTTP/1.1\nHost: h\nA: b\n\nGET /2 HTTP/1.0\n\n", |seen| {
        assert_eq!(seen.text(), "GET / HTTP/1.1\r\n\r\nGET / HTTP/1.0\r\n\r\n");
        assert_eq!(seen.head(0).get("a"), Some(&b"b"[..]));
        assert_eq!(seen.head(1).target(), b"/2");
        assert!(!seen.head(1).keep_alive());
    });
}

#[test]
fn a04_pipeline_of_all_framings() {
    let input = b"\r\n\r\nPOST /1 HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nGET /\
        \r\nPOST /2 HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: Chunked\r\nTE: gzip, trailers\r\n\r\n\
        5;a=\"b\"\r\nhello\r\nA \r\n0123456789\r\n0\r\nX-Sum: 1\r\n\r\n\
        HEAD /3 HTTP/1.1\r\nHost: h\r\nConnection: Close\r\n\r\n";
    let expected = "POST / HTTP/1.1\r\ncontent-length: 5\r\n\r\nGET /\
        POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\nte: trailers\r\n\r\n\
        5;a=\"b\"\r\nhello\r\nA \r\n0123456789\r\n0\r\nX-Sum: 1\r\n\r\n\
        HEAD / HTTP/1.1\r\nconnection: close\r\n\r\n";
    read_split(input, |seen| {
        assert!(seen.error.is_none(), "{:?}", seen.error);
        assert_eq!(seen.text(), expected);
        assert_eq!(seen.heads.len(), 3);
        assert_eq!(seen.head(0).framing(), Framing::Length(5));
        assert_eq!(seen.head(1).framing(), Framing::Chunked);
        assert_eq!(seen.head(2).target(), b"/3");
    });
}

#[test]
fn a04_large_body_is_read_past_the_guard() {
    let mut input =
        b"PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 300000\r\nExpect: 100-continue\r\n\r\n".to_vec();
    input.extend(std::iter::repeat_n(b'x', 300_000));
    input.extend_from_slice(b"GET /next HTTP/1.1\r\nHost: h\r\n\r\n");
    for piece in [1000, 8192, 70_000, usize::MAX] {
        let seen = read_all(Script::new(input.chunks(piece)), Limits::default(), 8192);
        let skeleton = "PUT / HTTP/1.1\r\ncontent-length: 300000\r\nexpect: 100-continue\r\n\r\n";
        assert!(seen.text().starts_with(skeleton));
        assert_eq!(
            seen.bytes.len(),
            skeleton.len() + 300_000 + "GET / HTTP/1.1\r\n\r\n".len()
        );
        assert_eq!(seen.head(1).target(), b"/next");
        assert_eq!(seen.handle.bytes_received(), input.len() as u64);
    }
}

#[test]
fn a04_one_message_per_read() {
    let input = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n".repeat(200);
    let (mut guard, handle) = GuardedIo::new(Script::whole(&input), Limits::default());
    let mut storage = vec![0_u8; 8192];
    let mut buffer = ReadBuf::new(&mut storage);
    let mut cx = Context::from_waker(Waker::noop());
    assert!(
        Pin::new(&mut guard)
            .poll_read(&mut cx, buffer.unfilled())
            .is_ready()
    );
    assert_eq!(buffer.filled(), b"GET / HTTP/1.1\r\n\r\n");
    assert_eq!(handle.queued(), 1);
}

#[test]
fn a04_absolute_targets_are_taken_apart() {
    for (target, path, host) in [
        ("http://a.b:81/p?q", "/p?q", "a.b:81"),
        ("HTTP://a", "/", "a"),
        ("https://[::1]:8?x=1", "/?x=1", "[::1]:8"),
    ] {
        let seen = read(format!("GET {target} HTTP/1.1\r\nHost: other\r\n\r\n").as_bytes());
        assert_eq!(seen.head(0).target(), path.as_bytes());
        assert_eq!(seen.head(0).host(), Some(host.as_bytes()));
        assert_eq!(seen.head(0).get("host"), Some(&b"other"[..]));
    }
    let seen = read(b"OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_eq!(seen.head(0).target(), b"*");
}

#[test]
fn a04_head_started_tells_unfinished_heads() {
    let (mut guard, handle) = GuardedIo::new(
        Script::new([&b"\r\n"[..], b"GET", b" / HTTP/1.0\r\n\r\n"]),
        Limits::default(),
    );
    let mut started = Vec::new();
    for _ in 0..6 {
        let mut storage = vec![0_u8; 500];
        let mut buffer = ReadBuf::new(&mut storage);
        let mut cx = Context::from_waker(Waker::noop());
        let _ = Pin::new(&mut guard).poll_read(&mut cx, buffer.unfilled());
        started.push((handle.head_started(), handle.queued()));
    }
    assert_eq!(
        started,
        [
            (false, 0),
            (true, 0),
            (false, 1),
            (false, 1),
            (false, 1),
            (false, 1)
        ]
    );
}

#[test]
fn a04_upgrade_holds_bytes_back_until_declined_or_taken() {
    let input =
        b"GET /ws HTTP/1.1\r\nHost: h\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\r\nGET /2 HTTP/1.0\r\n\r\n";
    let seen = read(input);
    assert_eq!(
        seen.text(),
        "GET / HTTP/1.1\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n"
    );
    assert!(seen.head(0).wants_upgrade());

    let poll = |guard: &mut GuardedIo<Script>| {
        let mut storage = vec![0_u8; 500];
        let mut buffer = ReadBuf::new(&mut storage);
        let mut cx = Context::from_waker(Waker::noop());
        let _ = Pin::new(guard).poll_read(&mut cx, buffer.unfilled());
        String::from_utf8_lossy(buffer.filled()).into_owned()
    };
    let (mut guard, handle) = GuardedIo::new(Script::whole(input), Limits::default());
    assert!(poll(&mut guard).starts_with("GET / HTTP/1.1"));
    assert_eq!(poll(&mut guard), "");
    handle.decline_upgrade();
    assert_eq!(poll(&mut guard), "GET / HTTP/1.0\r\n\r\n");
    assert_eq!(handle.queued(), 2);

    let (mut guard, _) = GuardedIo::new(Script::whole(input), Limits::default());
    assert!(poll(&mut guard).starts_with("GET / HTTP/1.1"));
    assert_eq!(&guard.into_inner().1[..], b"GET /2 HTTP/1.0\r\n\r\n");
}

#[test]
fn a04_old_clients_keep_alive_only_when_they_ask() {
    let input = b"GET /1 HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\nPOST /2 HTTP/1.0\r\nContent-Length: 2\r\n\
        Expect: 100-continue\r\n\r\nab";
    read_split(input, |seen| {
        let expected = "GET / HTTP/1.0\r\nconnection: keep-alive\r\n\r\n\
            POST / HTTP/1.0\r\ncontent-length: 2\r\n\r\nab";
        assert_eq!(seen.text(), expected);
        assert!(seen.head(0).keep_alive() && !seen.head(1).keep_alive());
        assert!(!seen.head(1).expects_continue());
    });
}
