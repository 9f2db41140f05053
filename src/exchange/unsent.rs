//! Exchanges that no client sent: what specs and tests run handlers in.
//!
//! Must not: be used where there is a connection.

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use super::{Client, Connection, Exchange, HeaderList, Outbound, Request, Response, ServiceTarget, Timing};
use crate::store::Snapshot;

/// The request of a line and its headers, over plain HTTP/1.1.
pub(crate) fn request(method: &str, target: &str, headers: HeaderList) -> Request {
    let host = headers.get("host").map_or_else(String::new, |h| {
        let host = String::from_utf8_lossy(h).to_lowercase();
        host.split(':').next().unwrap_or_default().to_owned()
    });
    let (path, args) = match target.split_once('?') {
        Some((path, args)) => (path, Some(args.to_owned())),
        None => (target, None),
    };
    Request {
        method: method.to_owned(),
        uri: path.into(),
        target: target.to_owned(),
        version: 11,
        keep_alive: true,
        scheme: "http",
        host,
        args,
        headers,
        ..Request::default()
    }
}

/// An exchange as if it had come from 127.0.0.1:51000 to 127.0.0.1:8000.
pub(crate) fn exchange(request: Request) -> Exchange {
    let peer = SocketAddr::from(([127, 0, 0, 1], 51_000));
    let local = SocketAddr::from(([127, 0, 0, 1], 8000));
    Exchange {
        id: *b"0123456789abcdef0123456789abcdef",
        connection: Rc::new(Connection::new(1, peer, local)),
        snapshot: Arc::new(Snapshot::empty()),
        request,
        matched: None,
        client: Client {
            addr: peer,
            trusted: false,
            consumer: None,
        },
        outbound: Outbound::default(),
        target: ServiceTarget::default(),
        attempts: Vec::new(),
        response: Response::default(),
        timing: Timing::start(),
    }
}
