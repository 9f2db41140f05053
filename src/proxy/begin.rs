//! From a raw head to an exchange: id, address, host, path.
//!
//! Must not: route, or refuse anything (the guard did).

use std::cell::Cell;
use std::rc::Rc;

use super::Generation;
use crate::exchange::header_list::Span;
use crate::exchange::{Client, Connection, Exchange, HeaderList, Outbound, Request, Response, Timing};
use crate::exchange::{ServiceTarget, request, request::target_text};
use crate::net::head::{Framing, RequestHead, Version};
use crate::net::real_ip::Peer;

/// Makes request ids: 32 hex digits, unique, not guessable enough to be secrets.
#[derive(Debug)]
pub struct Ids {
    state: Cell<u64>,
    salt: u64,
}

impl Ids {
    /// Seeds the ids of one worker.
    pub fn new(worker: u64) -> Self {
        let seed = uuid::Uuid::new_v4().as_u64_pair();
        Self {
            state: Cell::new(seed.0 ^ worker),
            salt: seed.1,
        }
    }

    /// The next id (two splitmix64 outputs in hex).
    pub fn next(&self) -> [u8; 32] {
        let mut id = [0; 32];
        for (i, half) in id.chunks_exact_mut(16).enumerate() {
            let s = self.state.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
            self.state.set(s);
            let mut z = s ^ if i == 0 { 0 } else { self.salt };
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            z ^= z >> 31;
            for b in half.iter_mut().rev() {
                *b = b"0123456789abcdef"[(z & 15) as usize];
                z >>= 4;
            }
        }
        id
    }
}

/// Builds the exchange of one head.
pub fn begin(generation: &Generation, connection: &Rc<Connection>, head: &RequestHead) -> Exchange {
    let found = generation.real_ip.client(Peer::Ip(connection.peer), None, head);
    let addr = match found.ip {
        Some(ip) => std::net::SocketAddr::new(ip, found.port.unwrap_or(0)),
        None => connection.peer,
    };
    let asked = connection.requests.get() + 1;
    connection.requests.set(asked);
    let s = &generation.settings;
    let mut request = request_of(head, connection.tls.is_some());
    request.keep_alive &= !s.keepalive_timeout.is_zero() && asked < s.keepalive_requests;
    Exchange {
        id: generation.worker.ids.next(),
        connection: connection.clone(),
        snapshot: generation.snapshot.clone(),
        request,
        matched: None,
        client: Client {
            addr,
            trusted: generation.real_ip.trusted.contains(connection.peer.ip()),
            consumer: None,
        },
        outbound: Outbound::default(),
        target: ServiceTarget::default(),
        attempts: Vec::new(),
        response: Response {
            limit_rate: s.limit_rate,
            limit_rate_after: s.limit_rate_after,
            ..Response::default()
        },
        timing: Timing::start(),
    }
}

fn text(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(s) => s.to_owned(),
        Err(_) => String::from_utf8_lossy(bytes).into_owned(),
    }
}

fn request_of(head: &RequestHead, tls: bool) -> Request {
    let target = target_text(head.target());
    let (path, args) = match target.split_once('?') {
        Some((p, a)) => (p, Some(a.to_owned())),
        None => (target.as_str(), None),
    };
    let uri = decode_uri(path);
    let spans = head
        .spans()
        .map(|((ns, nl), (vs, vl))| (Span::new(ns, nl), Span::new(vs, vl)));
    let (content_length, has_body) = match head.framing() {
        Framing::None => (head.get("content-length").map(|_| 0), false),
        Framing::Length(n) => (Some(n), true),
        Framing::Chunked => (None, true),
    };
    Request {
        method: text(head.method()),
        version: match head.version() {
            Some(Version::Http10) => 10,
            _ => 11,
        },
        keep_alive: head.keep_alive(),
        scheme: if tls { "https" } else { "http" },
        host: host_of(head),
        uri,
        args,
        headers: HeaderList::from_raw(head.raw_bytes(), spans),
        body: request::Body::Streaming,
        content_length,
        has_body,
        length: head.raw().len() as u64,
        target,
        ..Request::default()
    }
}

/// `$uri`: percent-decoded, dot segments resolved, slashes merged.
fn decode_uri(path: &str) -> Vec<u8> {
    let plain = !path.bytes().any(|b| b == b'%' || b == b'.') && !path.contains("//");
    if plain {
        return path.into();
    }
    let normalized = crate::router::normalize(path.as_bytes(), true);
    percent_encoding::percent_decode(&normalized).collect()
}

/// `$host`: lower-case, without port.
fn host_of(head: &RequestHead) -> String {
    let host = head.host().unwrap_or_default();
    let end = match host.first() {
        Some(b'[') => memchr::memchr(b']', host).map_or(host.len(), |i| i + 1),
        _ => memchr::memchr(b':', host).unwrap_or(host.len()),
    };
    let mut host = text(&host[..end]);
    host.make_ascii_lowercase();
    host
}
