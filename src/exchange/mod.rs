//! One request and its response as data: each room of the exchange has one writer.
//!
//! Must not: do I/O, touch Lua, or know which plugins run.

pub mod error_body;
pub mod handshake;
pub mod header_list;
pub mod header_names;
pub mod kin;
pub mod output;
pub mod phase;
pub mod reason;
pub mod request;
pub mod response;
pub mod target;
#[cfg(test)]
pub(crate) mod testing;
pub(crate) mod unsent;

use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

pub use handshake::Handshake;
pub use header_list::HeaderList;
pub use kin::Kin;
pub use output::Output;
pub use phase::Phase;
pub use request::{Body, Request};
pub use response::{Response, Source};
pub use target::{Attempt, HashCookie, Outbound, ServiceTarget};

use crate::entity::{ConsumerIdx, RouteIdx, ServiceIdx};
use crate::store::Snapshot;
use crate::tls::server::Facts;

/// One accepted client connection, as the requests on it see it.
#[derive(Debug)]
pub struct Connection {
    /// `$connection`: a serial number, unique in the process.
    pub serial: u64,
    /// The address the client's packets come from (after the PROXY protocol, once it is spoken).
    pub peer: SocketAddr,
    /// The peer's address as text, an IPv4 address in IPv6 as IPv4.
    pub peer_ip: Box<str>,
    /// The address the client connected to.
    pub local: SocketAddr,
    /// The address of the listener, as configured.
    pub listener: SocketAddr,
    /// What is known of TLS, if the client speaks it.
    pub tls: Option<Box<Facts>>,
    /// Whether the client does not speak TLS where it should.
    pub plain_on_tls: bool,
    /// When it was accepted.
    pub opened: Instant,
    /// For how long the client is told that it stays, in seconds (`$sent_http_keep_alive`); 0 where it is not told.
    pub keepalive_header: u64,
    /// Requests so far on this connection (`$connection_requests`).
    pub requests: std::cell::Cell<u64>,
}

impl Connection {
    /// A connection without TLS that has brought no request yet.
    pub fn new(serial: u64, peer: SocketAddr, local: SocketAddr) -> Self {
        Self {
            serial,
            peer,
            peer_ip: peer.ip().to_canonical().to_string().into(),
            local,
            listener: local,
            tls: None,
            plain_on_tls: false,
            opened: Instant::now(),
            keepalive_header: 0,
            requests: std::cell::Cell::new(0),
        }
    }
}

/// The next number of what log lines are told apart by: connections, and what runs without one.
pub fn next_serial() -> u64 {
    static SERIAL: AtomicU64 = AtomicU64::new(1);
    SERIAL.fetch_add(1, Ordering::Relaxed)
}

/// Whom a handler without a request runs for.
#[derive(Debug, Clone, Copy)]
pub struct Caller {
    /// What the log's lines are told apart by.
    pub serial: u64,
    /// The client whose request made the timer, and the listener it came to; None for one made without a request.
    pub client: Option<(IpAddr, SocketAddr)>,
}

impl Caller {
    /// With a number of its own.
    pub fn new(client: Option<(IpAddr, SocketAddr)>) -> Self {
        Self {
            serial: next_serial(),
            client,
        }
    }
}

/// What the router found.
#[derive(Debug, Clone)]
pub struct Matched {
    /// The route.
    pub route: RouteIdx,
    /// Its service, if it has one.
    pub service: Option<ServiceIdx>,
    /// Captures of a regex path.
    pub captures: Option<Box<Captures>>,
    /// The matched prefix, for `X-Forwarded-Prefix` (None unless `strip_path`).
    pub prefix: Option<String>,
}

/// Captures of a regex path.
#[derive(Debug, Clone, Default)]
pub struct Captures {
    /// Positional captures; 0 is the whole match.
    pub positional: Vec<Option<String>>,
    /// Named captures.
    pub named: Vec<(String, String)>,
}

/// Who the client is.
#[derive(Debug, Clone)]
pub struct Client {
    /// The real address (`$remote_addr`, `$remote_port`).
    pub addr: SocketAddr,
    /// Whether the peer's own address is trusted (`trusted_ips`).
    pub trusted: bool,
    /// The consumer that an auth plugin set, if it stands in the snapshot.
    pub consumer: Option<ConsumerIdx>,
}

/// Moments of an exchange.
#[derive(Debug, Clone)]
pub struct Timing {
    /// When the head arrived, by the wall clock.
    pub started_at: SystemTime,
    /// The same by the monotonic clock.
    pub started: Instant,
    /// When rewrite ended and access began.
    pub access_start: Option<Instant>,
    /// When access ended and the upstream's turn began.
    pub access_end: Option<Instant>,
    /// When the upstream's response head arrived.
    pub head_at: Option<Instant>,
    /// When the upstream's body was read whole, where it is buffered.
    pub buffered_at: Option<Instant>,
    /// When header_filter began.
    pub filter_start: Option<Instant>,
    /// When header_filter ended, where it ran.
    pub filter_end: Option<Instant>,
    /// When the last byte was handed on.
    pub ended: Option<Instant>,
}

impl Timing {
    /// Starts the clock now.
    pub fn start() -> Self {
        Self {
            started_at: SystemTime::now(),
            started: Instant::now(),
            access_start: None,
            access_end: None,
            head_at: None,
            buffered_at: None,
            filter_start: None,
            filter_end: None,
            ended: None,
        }
    }

    /// `$request_time`.
    pub fn elapsed(&self) -> Duration {
        self.ended.unwrap_or_else(Instant::now) - self.started
    }

    /// Kong's proxy latency: from the head to the upstream's turn.
    pub fn proxy_latency(&self) -> Option<Duration> {
        self.access_end.map(|t| t - self.started)
    }

    /// Kong's upstream (waiting) latency: from the upstream's turn to its response head.
    pub fn upstream_latency(&self) -> Option<Duration> {
        Some(self.head_at? - self.access_end?)
    }
}

/// One request and its response.
#[derive(Debug)]
pub struct Exchange {
    /// `X-Kong-Request-Id`: 32 hex digits.
    pub id: [u8; 32],
    /// The connection it came on.
    pub connection: Rc<Connection>,
    /// The configuration it is served with, from its first byte to its log line.
    pub snapshot: Arc<Snapshot>,
    /// The request as plugins see and change it. Writers: the guard's head, then Lua.
    pub request: Request,
    /// The matched route. Writer: the router.
    pub matched: Option<Matched>,
    /// The client. Writers: real-ip, then `kong.client`.
    pub client: Client,
    /// What goes to the upstream beside the request. Writers: the proxy, then Lua.
    pub outbound: Outbound,
    /// Where it goes. Writers: the matched service, then `kong.service`.
    pub target: ServiceTarget,
    /// Tries so far. Writer: the forwarder.
    pub attempts: Vec<Attempt>,
    /// The response as plugins see and change it. Writers: the forwarder or the way out, then Lua.
    pub response: Response,
    /// Moments.
    pub timing: Timing,
}

impl Exchange {
    /// The id as text.
    pub fn id_str(&self) -> &str {
        std::str::from_utf8(&self.id).unwrap_or_default()
    }
}
