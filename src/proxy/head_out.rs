//! The request head as the upstream gets it, and the skeleton that hyper gets.
//!
//! Order, case and duplicates of the client's headers are kept; hop-by-hop headers go, forwarding headers come.
//! Must not: choose addresses.

use http::{HeaderValue, Method, Request, header};

use crate::exchange::{Body, Exchange};
use crate::net::plain::is_plain;
use crate::settings::Settings;
use crate::upstream::OutBody;

/// How the body is framed towards the upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// No body and no length.
    None,
    /// Content-Length.
    Length(u64),
    /// Transfer-Encoding: chunked.
    Chunked,
}

/// The framing of the exchange's body; `streaming` is what the client's own head said, since no header that Lua
/// writes changes the bytes that are still to come.
pub fn framing(x: &Exchange, streaming: Framing) -> Framing {
    match &x.request.body {
        Body::Memory(b) if b.is_empty() && x.request.content_length.is_none() && !x.request.has_body => {
            Framing::None
        }
        Body::Memory(b) => Framing::Length(b.len() as u64),
        Body::File(_, len) => Framing::Length(*len),
        Body::Streaming => streaming,
    }
}

fn line(out: &mut Vec<u8>, name: &str, value: impl AsRef<[u8]>) {
    let value = value.as_ref();
    if value.is_empty() {
        return;
    }
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    put_value(out, value);
    out.extend_from_slice(b"\r\n");
}

/// A line whose value is the gateway's own.
fn own_line(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

/// A value that Lua may have written: what would end the line becomes a space.
fn put_value(out: &mut Vec<u8>, value: &[u8]) {
    if is_plain(value) {
        return out.extend_from_slice(value);
    }
    out.extend(value.iter().map(|b| match b {
        b'\r' | b'\n' | 0 => b' ',
        b => *b,
    }));
}

fn is_token(name: &[u8]) -> bool {
    let punctuation = b"!#$%&'*+-.^_`|~";
    !name.is_empty()
        && name
            .iter()
            .all(|b| b.is_ascii_alphanumeric() || punctuation.contains(b))
}

/// Method and target; what Lua wrote into them cannot end the line or start another part of it.
fn request_line(out: &mut Vec<u8>, x: &Exchange) {
    let method = x.request.method.as_bytes();
    out.extend_from_slice(if is_token(method) { method } else { b"GET" });
    out.push(b' ');
    let uri = x.outbound.uri.as_bytes();
    if uri.iter().all(|b| *b > b' ' && *b != 0x7f) {
        out.extend_from_slice(uri);
    } else {
        for b in uri {
            if *b > b' ' && *b != 0x7f {
                out.push(*b);
            } else {
                const HEX: &[u8; 16] = b"0123456789ABCDEF";
                out.extend_from_slice(&[b'%', HEX[usize::from(b >> 4)], HEX[usize::from(b & 15)]]);
            }
        }
    }
    out.extend_from_slice(b" HTTP/1.1\r\n");
}

/// Writes the head for `host_header` into `out`.
pub fn write(out: &mut Vec<u8>, x: &Exchange, settings: &Settings, host_header: &str, framing: Framing) {
    request_line(out, x);
    line(out, "Host", host_header);
    let o = &x.outbound;
    match &o.connection {
        Some(written) => line(out, "Connection", written),
        None => own_line(out, "Connection", b"keep-alive"),
    }
    line(out, "X-Forwarded-For", &o.x_forwarded_for);
    line(out, "X-Forwarded-Proto", &o.x_forwarded_proto);
    line(out, "X-Forwarded-Host", &o.x_forwarded_host);
    line(out, "X-Forwarded-Port", &o.x_forwarded_port);
    line(out, "X-Forwarded-Path", &o.x_forwarded_path);
    line(
        out,
        "X-Forwarded-Prefix",
        o.x_forwarded_prefix.as_deref().unwrap_or_default(),
    );
    write_ip(out, x);
    if settings.headers_upstream.request_id {
        own_line(out, "X-Kong-Request-Id", &x.id);
    }
    match framing {
        Framing::None => {}
        Framing::Length(n) => {
            out.extend_from_slice(b"Content-Length: ");
            decimal(out, n);
            out.extend_from_slice(b"\r\n");
        }
        Framing::Chunked => line(out, "Transfer-Encoding", "chunked"),
    }
    client_headers(out, x, settings.headers_upstream.request_id);
    out.extend_from_slice(b"\r\n");
}

fn client_headers(out: &mut Vec<u8>, x: &Exchange, own_id: bool) {
    let headers = &x.request.headers;
    // "keep-alive" and "close" alone name no header
    let dropped: Vec<&[u8]> = headers
        .get_all(b"connection")
        .flat_map(|list| list.split(|b| *b == b','))
        .map(<[u8]>::trim_ascii)
        .filter(|n| {
            !n.is_empty() && !n.eq_ignore_ascii_case(b"keep-alive") && !n.eq_ignore_ascii_case(b"close")
        })
        .collect();
    let o = &x.outbound;
    if let Some(te) = &o.te {
        line(out, "TE", te);
    }
    if let Some(via) = &o.via {
        line(out, "Via", via);
    }
    let mut via_seen = o.via.is_some();
    for (name, value) in headers.iter() {
        if !headers.is_raw(name) && !is_token(name) {
            continue;
        }
        if is_own(name, own_id) || dropped.iter().any(|d| d.eq_ignore_ascii_case(name)) {
            continue;
        }
        if o.via.is_some() && name.eq_ignore_ascii_case(b"via") {
            continue;
        }
        if name.len() == 2 && name.eq_ignore_ascii_case(b"te") {
            if o.te.is_none() && contains_token(value, b"trailers") {
                line(out, "TE", "trailers");
            }
            continue;
        }
        out.extend_from_slice(name);
        out.extend_from_slice(b": ");
        if headers.is_raw(value) {
            out.extend_from_slice(value);
        } else {
            put_value(out, value);
        }
        if !via_seen && name.len() == 3 && name.eq_ignore_ascii_case(b"via") {
            via_seen = true;
            out.extend_from_slice(b", ");
            out.extend_from_slice(via_token(x));
        }
        out.extend_from_slice(b"\r\n");
    }
    if !via_seen {
        own_line(out, "Via", via_token(x));
    }
}

fn via_token(x: &Exchange) -> &'static [u8] {
    if x.request.version == 10 {
        concat!("1.0 moongate/", env!("CARGO_PKG_VERSION")).as_bytes()
    } else {
        concat!("1.1 moongate/", env!("CARGO_PKG_VERSION")).as_bytes()
    }
}

fn contains_token(list: &[u8], token: &[u8]) -> bool {
    list.split(|b| *b == b',')
        .any(|t| t.trim_ascii().eq_ignore_ascii_case(token))
}

/// Headers that are this hop's own, or that the gateway writes itself.
fn is_own(name: &[u8], own_id: bool) -> bool {
    let is = |s: &str| name.eq_ignore_ascii_case(s.as_bytes());
    match name.len() {
        4 => is("host"),
        6 => is("expect"),
        7 => is("upgrade"),
        9 => is("x-real-ip"),
        10 => is("connection") || is("keep-alive"),
        14 => is("content-length"),
        15 => is("x-forwarded-for"),
        16 => {
            is("x-forwarded-host")
                || is("x-forwarded-port")
                || is("x-forwarded-path")
                || is("proxy-connection")
        }
        17 => is("transfer-encoding") || is("x-forwarded-proto") || (own_id && is("x-kong-request-id")),
        18 => is("x-forwarded-prefix"),
        _ => false,
    }
}

fn write_ip(out: &mut Vec<u8>, x: &Exchange) {
    let (ip, peer) = (x.client.addr.ip(), x.connection.peer.ip());
    if ip == peer && ip == peer.to_canonical() {
        own_line(out, "X-Real-IP", x.connection.peer_ip.as_bytes());
    } else {
        own_line(out, "X-Real-IP", ip.to_string().as_bytes());
    }
}

fn decimal(out: &mut Vec<u8>, n: u64) {
    out.extend_from_slice(itoa::Buffer::new().format(n).as_bytes());
}

/// What hyper's client is given: method and framing; the rest is in our own head.
///
/// Only what hyper judges a response by matters of the method: HEAD has no body; a CONNECT that Lua asks for opens no
/// tunnel.
pub fn skeleton(x: &Exchange, framing: Framing, body: OutBody) -> Request<OutBody> {
    let mut request = Request::new(body);
    *request.method_mut() = match x.request.method.as_str() {
        "GET" => Method::GET,
        "HEAD" => Method::HEAD,
        "POST" => Method::POST,
        "PUT" => Method::PUT,
        "CONNECT" => Method::GET,
        other => Method::from_bytes(other.as_bytes()).unwrap_or(Method::GET),
    };
    if framing == Framing::Chunked {
        let headers = request.headers_mut();
        headers.insert(header::TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
        if let Some(Ok(v)) = x.request.headers.get("trailer").map(HeaderValue::from_bytes) {
            headers.insert(header::TRAILER, v);
        }
    }
    request
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::exchange::header_list::Span;
    use crate::exchange::{HeaderList, testing};

    fn written(change: impl FnOnce(&mut Exchange)) -> String {
        let mut x = testing::exchange("GET / HTTP/1.1");
        x.outbound.uri = "/".into();
        change(&mut x);
        let mut out = Vec::new();
        let sources = crate::settings::Sources::default();
        let settings = Settings::load(&sources).unwrap().settings;
        write(&mut out, &x, &settings, "up", framing(&x, Framing::None));
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a03_what_lua_writes_stays_in_its_line() {
        let head = written(|x| {
            x.request.method = "GET / HTTP/1.1\r\nX: y\r\n\r\nPUT".into();
            x.outbound.uri = "/a b\r\nX-Evil: 1?q=\0".into();
            x.outbound.x_forwarded_for = "1.1.1.1\r\nX-Evil: 1".into();
            let raw = bytes::Bytes::from_static(b"X-Raw: a");
            x.request.headers = HeaderList::from_raw(raw, [(Span::new(0, 5), Span::new(7, 1))]);
            x.request.headers.add(b"X-Evil\r\nX-More", b"1");
            x.request.headers.add(b"X-Good", b"a\r\nX-Evil: 1\0");
            x.request.headers.set(b"x-raw", b"b\r\nX-Evil: 1\0");
        });
        assert!(
            head.starts_with("GET /a%20b%0D%0AX-Evil:%201?q=%00 HTTP/1.1\r\n"),
            "{head}"
        );
        assert!(!head.contains("\nX-Evil"), "{head}");
        assert!(head.contains("\r\nX-Good: a  X-Evil: 1 \r\n"), "{head}");
        assert!(head.contains("\r\nX-Raw: b  X-Evil: 1 \r\n"), "{head}");
    }

    #[test]
    fn a03_every_connection_header_is_read() {
        let head = written(|x| {
            x.request.headers.add(b"Connection", b"close");
            x.request.headers.add(b"connection", b"X-Hop, keep-alive");
            x.request.headers.add(b"X-Hop", b"1");
        });
        assert!(!head.contains("X-Hop"), "{head}");
    }

    #[test]
    fn a03_no_header_changes_the_framing_of_a_streaming_body() {
        let mut x = testing::exchange("GET / HTTP/1.1");
        x.request.content_length = Some(1);
        assert_eq!(framing(&x, Framing::Chunked), Framing::Chunked);
        assert_eq!(framing(&x, Framing::Length(9)), Framing::Length(9));
    }
}
