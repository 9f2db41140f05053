//! Exchanges made by hand, for the tests of the rooms above.
#![allow(clippy::unwrap_used)]

use super::*;

/// A request as if it had come from 127.0.0.1:51000 to 127.0.0.1:8000: head lines without the last empty one.
pub(crate) fn exchange(head: &str) -> Exchange {
    let mut lines = head.lines();
    let mut words = lines.next().unwrap().split(' ');
    let method = words.next().unwrap().to_owned();
    let target = words.next().unwrap().to_owned();
    let mut headers = HeaderList::default();
    for line in lines {
        let (name, value) = line.split_once(':').unwrap();
        headers.add(name.as_bytes(), value.trim().as_bytes());
    }
    let host = headers.get("host").map_or_else(String::new, |h| {
        let host = String::from_utf8_lossy(h).to_lowercase();
        host.split(':').next().unwrap().to_owned()
    });
    let (path, args) = match target.split_once('?') {
        Some((path, args)) => (path.to_owned(), Some(args.to_owned())),
        None => (target.clone(), None),
    };
    let peer: SocketAddr = "127.0.0.1:51000".parse().unwrap();
    Exchange {
        id: *b"0123456789abcdef0123456789abcdef",
        connection: Rc::new({
            let c = Connection::new(1, peer, "127.0.0.1:8000".parse().unwrap());
            c.requests.set(1);
            c
        }),
        snapshot: Arc::new(Snapshot::empty()),
        request: Request {
            method,
            uri: path,
            target,
            version: 11,
            scheme: "http",
            host,
            args,
            headers,
            ..Request::default()
        },
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
