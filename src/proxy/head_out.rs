//! The request head as the upstream gets it, and the skeleton that hyper gets.
//!
//! Order, case and duplicates of the client's headers are kept; hop-by-hop headers go, forwarding headers come.
//! Must not: choose addresses.

use http::{HeaderValue, Method, Request, header};

use crate::exchange::{Body, Exchange};
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

/// The framing of the exchange's body.
pub fn framing(x: &Exchange) -> Framing {
    match &x.request.body {
        Body::Memory(b) if b.is_empty() && x.request.content_length.is_none() && !x.request.has_body => {
            Framing::None
        }
        Body::Memory(b) => Framing::Length(b.len() as u64),
        Body::File(_, len) => Framing::Length(*len),
        Body::Streaming if x.request.has_body => {
            x.request.content_length.map_or(Framing::Chunked, Framing::Length)
        }
        Body::Streaming => x.request.content_length.map_or(Framing::None, Framing::Length),
    }
}

fn line(out: &mut Vec<u8>, name: &str, value: impl AsRef<[u8]>) {
    let value = value.as_ref();
    if value.is_empty() {
        return;
    }
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

/// Writes the head for `host_header` into `out`.
pub fn write(out: &mut Vec<u8>, x: &Exchange, settings: &Settings, host_header: &str, framing: Framing) {
    out.extend_from_slice(x.request.method.as_bytes());
    out.push(b' ');
    out.extend_from_slice(x.outbound.uri.as_bytes());
    out.extend_from_slice(b" HTTP/1.1\r\n");
    line(out, "Host", host_header);
    line(out, "Connection", "keep-alive");
    let o = &x.outbound;
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
    write_ip(out, x.client.addr.ip());
    if settings.headers_upstream.request_id {
        line(out, "X-Kong-Request-Id", x.id);
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
    let listed = headers.get("connection").unwrap_or_default();
    // "keep-alive" and "close" alone name no header
    let names = listed.split(|b| *b == b',').map(<[u8]>::trim_ascii);
    let dropped: Vec<&[u8]> = names
        .filter(|n| {
            !n.is_empty() && !n.eq_ignore_ascii_case(b"keep-alive") && !n.eq_ignore_ascii_case(b"close")
        })
        .collect();
    let mut via_seen = false;
    for (name, value) in headers.iter() {
        if is_own(name, own_id) || dropped.iter().any(|d| d.eq_ignore_ascii_case(name)) {
            continue;
        }
        if name.len() == 2 && name.eq_ignore_ascii_case(b"te") {
            if contains_token(value, b"trailers") {
                line(out, "TE", "trailers");
            }
            continue;
        }
        out.extend_from_slice(name);
        out.extend_from_slice(b": ");
        out.extend_from_slice(value);
        if !via_seen && name.len() == 3 && name.eq_ignore_ascii_case(b"via") {
            via_seen = true;
            out.extend_from_slice(b", ");
            out.extend_from_slice(via_token(x));
        }
        out.extend_from_slice(b"\r\n");
    }
    if !via_seen {
        line(out, "Via", via_token(x));
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

fn write_ip(out: &mut Vec<u8>, ip: std::net::IpAddr) {
    use std::io::Write;
    out.extend_from_slice(b"X-Real-IP: ");
    let _ = write!(out, "{ip}");
    out.extend_from_slice(b"\r\n");
}

fn decimal(out: &mut Vec<u8>, n: u64) {
    use std::io::Write;
    let _ = write!(out, "{n}");
}

/// What hyper's client is given: method and framing; the rest is in our own head.
pub fn skeleton(x: &Exchange, framing: Framing, body: OutBody) -> Request<OutBody> {
    let mut request = Request::new(body);
    *request.method_mut() = match x.request.method.as_str() {
        "GET" => Method::GET,
        "HEAD" => Method::HEAD,
        "POST" => Method::POST,
        "PUT" => Method::PUT,
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
