//! What cosockets of both kinds share: defaults, the phases they work in, where they connect to, errors in words.
//!
//! Must not: hold a socket.

use std::cell::{Cell, RefCell};
use std::fmt::{self, Display};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::rc::{Rc, Weak};
use std::time::Duration;

use super::call::{self, CONTENT, HANDSHAKE};
use super::log::{self, Level};
use crate::exchange::Phase;
use crate::resolver::{self, Addresses, Names};
use crate::settings::LuaSockets;
use crate::upstream::defaults::CosocketTls;
use crate::vm::scope::Ends;
use crate::vm::{Args, Registrar, Ret, Scope, op, scope};

/// The most sockets that a worker's Lua holds at once, idle ones included (Kong's `worker_connections`).
pub(super) const MAX_SOCKETS: usize = 16_384;

/// What a worker's cosockets do where Lua does not say otherwise.
#[derive(Debug, Clone, Default)]
pub(super) struct Defaults {
    pub of_settings: LuaSockets,
    pub tls: CosocketTls,
}

thread_local! {
    static DEFAULTS: RefCell<Rc<Defaults>> = RefCell::default();
    static OPEN: Cell<usize> = const { Cell::new(0) };
}

/// Sets this worker's defaults.
pub fn configure(of_settings: &LuaSockets, tls: &CosocketTls) {
    let new = Defaults {
        of_settings: of_settings.clone(),
        tls: tls.clone(),
    };
    DEFAULTS.with(|d| *d.borrow_mut() = Rc::new(new));
}

/// This worker's defaults.
pub(super) fn defaults() -> Rc<Defaults> {
    DEFAULTS.with(|d| d.borrow().clone())
}

pub(super) fn install(r: &Registrar) -> mlua::Result<()> {
    r.op("ngx_sockets", "check", op::raw(check))?;
    r.op("ngx_sockets", "address", op::raw(address))?;
    r.op("ngx_sockets", "pool_size", op::raw(pool_size))?;
    r.op("ngx_sockets", "count", op::raw(count))
}

/// Where cosockets work.
pub(super) const HERE: u32 = CONTENT | Phase::Timer as u32 | HANDSHAKE;

/// `check()`: raises where cosockets do not work.
fn check(_: &Args, r: &mut Ret) {
    if scope::with(|_| ()).is_none() {
        return call::no_request(r);
    }
    call::allowed(r, HERE);
}

/// `address(text)`: true where it is an address that a socket may be bound to, without a port.
fn address(a: &Args, r: &mut Ret) {
    r.bool(bind_address(a.str(1)).is_some_and(|local| local.port() == 0));
}

/// `pool_size()`: how many idle connections a pool keeps.
fn pool_size(_: &Args, r: &mut Ret) {
    r.num(defaults().of_settings.pool_size as f64);
}

/// `count()`: how many sockets there are, and how many of them are idle in pools.
fn count(_: &Args, r: &mut Ret) {
    let (live, idle) = counts();
    r.int(live as i64).int(idle as i64);
}

/// Sockets that living handlers of this worker hold, and idle ones in its pools.
pub fn counts() -> (usize, usize) {
    let idle = super::tcp::idle();
    (OPEN.get().saturating_sub(idle), idle)
}

/// Counts a socket while it lives.
pub(super) struct Counted(());

impl Counted {
    /// One more; None when there are too many.
    pub fn new() -> Option<Self> {
        if OPEN.get() >= MAX_SOCKETS {
            return None;
        }
        OPEN.set(OPEN.get() + 1);
        Some(Self(()))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let _ = OPEN.try_with(|n| n.set(n.get() - 1));
    }
}

/// `text` as an address, with a port or without, IPv6 in brackets or not.
pub(super) fn bind_address(text: Option<&[u8]>) -> Option<SocketAddr> {
    let text = std::str::from_utf8(text?).ok()?;
    let inner = text.strip_prefix('[').and_then(|t| t.strip_suffix(']'));
    match inner.unwrap_or(text).parse::<IpAddr>() {
        Ok(ip) => Some(SocketAddr::new(ip, 0)),
        Err(_) => text.parse().ok(),
    }
}

/// An address that a socket is bound to, as Lua wrote it.
pub(super) fn bound(local: SocketAddr) -> String {
    match local.port() {
        0 => local.ip().to_string(),
        _ => local.to_string(),
    }
}

/// Argument `i` in milliseconds, where it is above zero.
pub(super) fn ms(a: &Args, i: usize, default: Duration) -> Duration {
    match a.num(i) {
        Some(n) if n >= 1.0 => Duration::from_millis(n as u64),
        _ => default,
    }
}

/// The system's word for a failure, in nginx's lower case.
pub(super) fn reason(e: &io::Error) -> String {
    match (e.kind(), e.raw_os_error()) {
        (_, Some(_)) => {
            let text = e.to_string();
            let text = text.split(" (os error").next().unwrap_or_default();
            text.to_ascii_lowercase()
        }
        (io::ErrorKind::TimedOut, None) => "timeout".into(),
        (io::ErrorKind::UnexpectedEof, None) => "closed".into(),
        (io::ErrorKind::ConnectionAborted, None) => "client aborted".into(),
        _ => "error".into(),
    }
}

/// Writes what went wrong with a socket where `lua_socket_log_errors` is on.
pub(super) fn log_error(text: impl FnOnce() -> String) {
    if defaults().of_settings.log_errors && log::enabled(Level::ERR) {
        log::emit(Level::ERR, text().as_bytes());
    }
}

/// A failed call of the system as nginx logs it, whatever the settings say: `recv() failed (104: Connection reset by
/// peer)`. `behind` is what the line ends with.
pub(super) fn log_call(level: Level, call: impl Display, e: &io::Error, behind: impl Display) {
    // an end that no call of the system told of is no error of one
    if e.raw_os_error().is_some() && log::enabled(level) {
        log::emit(
            level,
            format!("{call} failed ({}){behind}", numbered(e)).as_bytes(),
        );
    }
}

/// An error of the system with its number: `111: Connection refused`.
pub(super) fn numbered(e: &io::Error) -> String {
    let text = e.to_string();
    let words = text.split(" (os error").next().unwrap_or_default();
    format!("{}: {words}", e.raw_os_error().unwrap_or_default())
}

/// How grave nginx takes a connection that is refused at once.
///
/// # Source
/// `ngx_event_connect_peer`
pub(super) fn level_of_refusal(e: &io::Error) -> Level {
    match e.raw_os_error() {
        Some(
            libc::ECONNREFUSED
            | libc::EAGAIN
            | libc::ECONNRESET
            | libc::ENETDOWN
            | libc::ENETUNREACH
            | libc::EHOSTDOWN
            | libc::EHOSTUNREACH,
        ) => Level::ERR,
        _ => Level::CRIT,
    }
}

/// Where a socket was to lead: as Lua named it, and the address that it came to.
#[derive(Debug, Clone, Default)]
pub(super) struct Peer {
    pub host: String,
    /// None: a path, or a request's own socket.
    pub port: Option<u16>,
    pub addr: Option<IpAddr>,
}

impl Display for Peer {
    /// As a line ends with it: `, upstream: localhost:6379(127.0.0.1)`; nothing for a request's own.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.host.as_str(), self.port, self.addr) {
            ("", ..) => Ok(()),
            (host, None, _) => write!(f, ", upstream: {host}({host})"),
            (host, Some(port), None) => write!(f, ", upstream: {host}:{port}"),
            (host, Some(port), Some(addr)) => write!(f, ", upstream: {host}:{port}({addr})"),
        }
    }
}

/// Whose a socket is: the handler's that connected it first.
#[derive(Default)]
pub(super) struct Owner(RefCell<Option<Weak<Scope>>>);

impl Owner {
    /// Gives a socket without an owner to `scope`, with which it ends.
    pub fn claim(&self, scope: &Rc<Scope>, socket: Weak<dyn Ends>) {
        let mut owner = self.0.borrow_mut();
        if owner.is_none() {
            *owner = Some(Rc::downgrade(scope));
            scope.end_with(socket);
        }
    }

    /// Whether the current handler is the owner; None where none runs.
    pub fn is_mine(&self) -> Option<bool> {
        let owner = self.0.borrow();
        scope::with(|s| owner.as_ref().is_some_and(|o| std::ptr::eq(s, o.as_ptr())))
    }

    /// Whether the current handler is the owner; leaves OpenResty's error otherwise.
    pub fn is_current(&self, r: &mut Ret) -> bool {
        match self.is_mine() {
            Some(true) => return true,
            Some(false) => r.raise("bad request"),
            None => call::no_request(r),
        }
        false
    }
}

/// Where a connection goes.
#[derive(Debug, Clone)]
pub(super) enum Place {
    Path(String),
    Addresses(Addresses),
}

impl Place {
    /// The place, if it takes no waiting to find it; no port: a path.
    pub fn at_hand(host: &str, port: Option<u16>) -> Option<Self> {
        let Some(port) = port else {
            return Some(Self::Path(host.get(5..).unwrap_or_default().to_owned()));
        };
        match resolver::name::literal(host) {
            Some(ip) => Some(Self::Addresses(Addresses::one(ip, port))),
            None => Names::of_thread().cached(host, port).map(Self::Addresses),
        }
    }

    /// The place, looked up where it must be.
    ///
    /// # Errors
    /// Kong's words.
    pub async fn find(host: &str, port: Option<u16>) -> Result<Self, String> {
        let port = port.unwrap_or_default();
        let found = Names::of_thread().resolve(host, port).await;
        found.map(Self::Addresses).map_err(|e| format!("[cosocket] {e}"))
    }

    /// The address that is tried first; None for a path.
    pub fn addr(&self) -> Option<IpAddr> {
        match self {
            Self::Path(_) => None,
            Self::Addresses(addresses) => Some(addresses.first().ip()),
        }
    }

    /// The pool where the plugin names none. An address, not a name: a name that leads elsewhere now has another.
    pub fn pool(&self) -> String {
        match self {
            Self::Path(path) => format!("unix:{path}"),
            Self::Addresses(addresses) => addresses.first().to_string(),
        }
    }
}
