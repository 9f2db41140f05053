//! `ngx.socket.tcp`: cosockets of the running handler, and the worker's pool of idle ones.
//!
//! A socket belongs to the scope that made it and is closed with it. While an operation waits, its future owns
//! the connection, so abandoning the handler closes it. Must not: be called from `__gc` (no op may be).

use std::cell::RefCell;
use std::collections::HashMap;
use std::io;
use std::rc::{Rc, Weak};
use std::time::{Duration, Instant};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};

use super::call::{self, CONTENT};
use crate::exchange::Phase;
use crate::resolver::{self, Addresses, Names};
use crate::vm::{Args, Out, Registrar, Ret, Scope, op, scope};

/// How much one receive may gather.
const READ_CAP: usize = 64 << 20;
/// `lua_socket_pool_size`.
const POOL_SIZE: usize = 30;
/// How many pools a worker keeps.
const POOLS: usize = 256;

trait Io: AsyncRead + AsyncWrite + Unpin {}
impl<T: AsyncRead + AsyncWrite + Unpin> Io for T {}

struct Conn {
    io: Box<dyn Io>,
    buf: BytesMut,
    pool: String,
    reused: u32,
    /// The peer sends no more; it may still listen.
    eof: bool,
}

struct Slot {
    scope: Weak<Scope>,
    conn: Option<Conn>,
    busy: bool,
}

struct Idle {
    conn: Conn,
    until: Instant,
}

#[derive(Default)]
struct Sockets {
    last: u64,
    slots: HashMap<u64, Slot>,
    idle: HashMap<String, Vec<Idle>>,
    sweeping: bool,
}

thread_local! {
    static SOCKETS: RefCell<Sockets> = RefCell::default();
}

fn with<R>(f: impl FnOnce(&mut Sockets) -> R) -> R {
    SOCKETS.with(|s| f(&mut s.borrow_mut()))
}

/// Sockets that living handlers of this worker hold, and idle ones in its pools.
pub fn counts() -> (usize, usize) {
    with(|s| {
        s.sweep();
        (s.slots.len(), s.idle.values().map(Vec::len).sum())
    })
}

impl Sockets {
    fn sweep(&mut self) {
        let now = Instant::now();
        self.slots.retain(|_, s| s.scope.strong_count() > 0);
        self.idle.retain(|_, list| {
            list.retain(|i| i.until > now);
            !list.is_empty()
        });
    }

    fn slot(&mut self, id: f64) -> Option<&mut Slot> {
        self.slots.get_mut(&(id as u64))
    }
}

/// Clears the mark when the sweeper ends or its runtime does.
struct Sweeping;

impl Drop for Sweeping {
    fn drop(&mut self) {
        let _ = SOCKETS.try_with(|s| {
            if let Ok(mut s) = s.try_borrow_mut() {
                s.sweeping = false;
            }
        });
    }
}

/// Closes what dead handlers left, as long as there is anything.
fn start_sweeper() {
    if with(|s| std::mem::replace(&mut s.sweeping, true)) {
        return;
    }
    let mark = Sweeping;
    tokio::task::spawn_local(async move {
        let _mark = mark;
        loop {
            tokio::time::sleep(Duration::from_millis(200)).await;
            let empty = with(|s| {
                s.sweep();
                s.slots.is_empty() && s.idle.is_empty()
            });
            if empty {
                return;
            }
        }
    });
}

pub(super) fn install(r: &Registrar) -> mlua::Result<()> {
    r.op("ngx_tcp", "check", op::raw(check))?;
    r.op("ngx_tcp", "connect", op::raw(connect))?;
    r.op("ngx_tcp", "send", op::raw(send))?;
    r.op("ngx_tcp", "receive", op::raw(receive))?;
    r.op("ngx_tcp", "close", op::raw(close))?;
    r.op("ngx_tcp", "reused", op::raw(reused))?;
    r.op("ngx_tcp", "keep", op::raw(keep))
}

/// Where cosockets work.
const HERE: u32 = CONTENT | Phase::Timer as u32 | super::call::HANDSHAKE;

fn check(_: &Args, r: &mut Ret) {
    if scope::with(|_| ()).is_none() {
        return call::no_request(r);
    }
    call::allowed(r, HERE);
}

fn ms(a: &Args, i: usize) -> Duration {
    Duration::from_millis(a.num(i).filter(|n| *n > 0.0).unwrap_or(60_000.0) as u64)
}

/// The system's word for a failure, in nginx's lower case.
fn reason(e: &io::Error) -> String {
    match e.kind() {
        io::ErrorKind::UnexpectedEof => "closed".into(),
        io::ErrorKind::TimedOut => "timeout".into(),
        _ => {
            let text = e.to_string();
            let text = text.split(" (os error").next().unwrap_or_default();
            text.to_ascii_lowercase()
        }
    }
}

/// `connect(id or 0, host, port or nil, timeout_ms, pool or nil)`: waits for the socket's number; or `nil, err`.
fn connect(a: &Args, r: &mut Ret) {
    let Some(scope) = scope::current() else {
        return call::no_request(r);
    };
    if !call::allowed(r, HERE) {
        return;
    }
    let host = String::from_utf8_lossy(a.str(2).unwrap_or_default()).into_owned();
    let port = a.num(3).map(|p| p as u16);
    let limit = ms(a, 4);
    let named = a.str(5).map(|name| String::from_utf8_lossy(name).into_owned());
    let place = Place::at_hand(&host, port);
    let old = a.num(1).unwrap_or(0.0) as u64;
    with(|s| s.slots.remove(&old));
    start_sweeper();
    let owner = Rc::downgrade(&scope);
    let pool = named.or_else(|| place.as_ref().map(Place::pool));
    if let Some(conn) = pool.as_deref().and_then(from_pool) {
        let id = adopt(owner, conn);
        r.num(id as f64);
        return;
    }
    r.wait(async move {
        let mut out = Out::new();
        match tokio::time::timeout(limit, open(&host, port, place, pool)).await {
            Err(_) => out.fail("timeout"),
            Ok(Err(e)) => out.fail(e),
            Ok(Ok(conn)) => out.num(adopt(owner, conn) as f64),
        };
        out
    });
}

/// Where a connection goes.
enum Place {
    Path(String),
    Addresses(Addresses),
}

impl Place {
    /// The place, if it takes no waiting to find it.
    fn at_hand(host: &str, port: Option<u16>) -> Option<Self> {
        let Some(port) = port else {
            return Some(Self::Path(host.strip_prefix("unix:").unwrap_or(host).into()));
        };
        match resolver::name::literal(host) {
            Some(ip) => Some(Self::Addresses(Addresses::one(ip, port))),
            None => Names::of_thread().cached(host, port).map(Self::Addresses),
        }
    }

    /// The pool where the plugin names none. An address, not a name: a name that leads elsewhere now has another.
    fn pool(&self) -> String {
        match self {
            Self::Path(path) => format!("unix:{path}"),
            Self::Addresses(addresses) => addresses.first().to_string(),
        }
    }
}

fn adopt(scope: Weak<Scope>, conn: Conn) -> u64 {
    with(|s| {
        s.last += 1;
        let slot = Slot {
            scope,
            conn: Some(conn),
            busy: false,
        };
        s.slots.insert(s.last, slot);
        s.last
    })
}

/// A connection from the pool, if the name's address is known only now, or a new one.
async fn open(
    host: &str,
    port: Option<u16>,
    place: Option<Place>,
    pool: Option<String>,
) -> Result<Conn, String> {
    let place = match (place, port) {
        (Some(place), _) => place,
        (None, port) => {
            let found = Names::of_thread().resolve(host, port.unwrap_or_default()).await;
            Place::Addresses(found.map_err(|e| format!("[cosocket] {e}"))?)
        }
    };
    let pool = match pool {
        Some(pool) => pool,
        None => {
            let pool = place.pool();
            if let Some(conn) = from_pool(&pool) {
                return Ok(conn);
            }
            pool
        }
    };
    let io: Box<dyn Io> = match place {
        Place::Path(path) => Box::new(UnixStream::connect(path).await.map_err(|e| reason(&e))?),
        Place::Addresses(addresses) => Box::new(to_any(&addresses).await?),
    };
    Ok(Conn {
        io,
        buf: BytesMut::new(),
        pool,
        reused: 0,
        eof: false,
    })
}

async fn to_any(addresses: &Addresses) -> Result<TcpStream, String> {
    let mut last = "no address".to_owned();
    for addr in addresses.iter() {
        match TcpStream::connect(addr).await {
            Ok(stream) => {
                let _ = stream.set_nodelay(true);
                return Ok(stream);
            }
            Err(e) => last = reason(&e),
        }
    }
    Err(last)
}

/// An idle connection that is still open and silent.
fn from_pool(name: &str) -> Option<Conn> {
    use std::task::{Context, Poll, Waker};
    loop {
        let mut conn = with(|s| {
            let list = s.idle.get_mut(name)?;
            let idle = list.pop();
            if list.is_empty() {
                s.idle.remove(name);
            }
            idle
        })?
        .conn;
        let mut byte = [0u8; 1];
        let mut buf = tokio::io::ReadBuf::new(&mut byte);
        let mut cx = Context::from_waker(Waker::noop());
        let io = std::pin::Pin::new(&mut conn.io);
        if matches!(io.poll_read(&mut cx, &mut buf), Poll::Pending) {
            conn.reused += 1;
            return Some(conn);
        }
    }
}

/// Takes the connection out for an operation, or leaves the error.
fn take(a: &Args, r: &mut Ret) -> Option<(u64, Conn)> {
    let id = a.num(1).unwrap_or(0.0);
    let mine = scope::current().map(|s| Rc::downgrade(&s));
    let taken = with(|s| {
        let Some(slot) = s.slot(id) else {
            return Err(Some("closed"));
        };
        if !mine.is_some_and(|m| m.ptr_eq(&slot.scope)) {
            return Err(None);
        }
        if slot.busy {
            return Err(Some("socket busy"));
        }
        let conn = slot.conn.take().ok_or(Some("closed"))?;
        slot.busy = true;
        Ok(conn)
    });
    match taken {
        Ok(conn) => Some((id as u64, conn)),
        Err(Some(e)) => {
            r.fail(e);
            None
        }
        Err(None) => {
            r.raise("bad request");
            None
        }
    }
}

/// Puts the connection back after an operation.
fn give(id: u64, conn: Conn) {
    with(|s| {
        if let Some(slot) = s.slots.get_mut(&id) {
            slot.busy = false;
            slot.conn = Some(conn);
        }
    });
}

/// Notes that a socket's connection is gone; the socket is still to be closed.
fn lose(id: u64) {
    with(|s| {
        if let Some(slot) = s.slots.get_mut(&id) {
            slot.busy = false;
        }
    });
}

/// Forgets a socket.
fn forget(id: u64) {
    let gone = with(|s| s.slots.remove(&id));
    drop(gone);
}

/// `send(id, data, timeout_ms)`: waits for the number of bytes; or `nil, err`.
fn send(a: &Args, r: &mut Ret) {
    if !call::allowed(r, HERE) {
        return;
    }
    let limit = ms(a, 3);
    let data = a.str(2).unwrap_or_default().to_vec();
    let Some((id, mut conn)) = take(a, r) else {
        return;
    };
    r.wait(async move {
        let mut out = Out::new();
        let sent = async {
            conn.io.write_all(&data).await?;
            conn.io.flush().await
        };
        match tokio::time::timeout(limit, sent).await {
            Ok(Ok(())) => {
                give(id, conn);
                out.num(data.len() as f64);
            }
            Ok(Err(e)) => {
                lose(id);
                let closed = matches!(
                    e.kind(),
                    io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset
                );
                out.fail(if closed { "closed".into() } else { reason(&e) });
            }
            Err(_) => {
                // part of the data may be out: nothing sensible can follow
                lose(id);
                out.fail("timeout");
            }
        }
        out
    });
}

/// What a receive waits for.
enum Want {
    Line,
    All,
    Exactly(usize),
    Any(usize),
    Until { mark: Vec<u8>, inclusive: bool },
}

impl Want {
    /// How many bytes of `buf` are the answer and how many to drop behind it; None for not yet.
    fn ready(&self, buf: &[u8], from: usize) -> Option<(usize, usize)> {
        match self {
            Want::Line => memchr::memchr(b'\n', &buf[from..]).map(|i| (from + i, 1)),
            Want::All => None,
            Want::Exactly(n) => (buf.len() >= *n).then_some((*n, 0)),
            Want::Any(max) => (!buf.is_empty()).then(|| (buf.len().min(*max), 0)),
            Want::Until { mark, inclusive } => {
                let start = (from + 1).saturating_sub(mark.len());
                let at = start + memchr::memmem::find(&buf[start..], mark)?;
                Some(if *inclusive {
                    (at + mark.len(), 0)
                } else {
                    (at, mark.len())
                })
            }
        }
    }

    fn finish(&self, data: &[u8], out: &mut Out) {
        if matches!(self, Want::Line) && memchr::memchr(b'\r', data).is_some() {
            let clean: Vec<u8> = data.iter().copied().filter(|b| *b != b'\r').collect();
            out.str(clean);
        } else {
            out.str(data);
        }
    }
}

/// `receive(id, kind, argument, timeout_ms, inclusive)`: waits for the data; or `nil, err, partial`.
fn receive(a: &Args, r: &mut Ret) {
    if !call::allowed(r, HERE) {
        return;
    }
    let n = a.num(3).unwrap_or(0.0) as usize;
    let want = match a.str(2) {
        Some(b"all") => Want::All,
        Some(b"size") => Want::Exactly(n),
        Some(b"any") => Want::Any(n),
        Some(b"until") => Want::Until {
            mark: a.str(3).unwrap_or_default().to_vec(),
            inclusive: a.truthy(5),
        },
        _ => Want::Line,
    };
    let limit = ms(a, 4);
    let Some((id, mut conn)) = take(a, r) else {
        return;
    };
    if let Some((len, skip)) = want.ready(&conn.buf, 0) {
        want.finish(&conn.buf[..len], r);
        conn.buf.advance(len + skip);
        give(id, conn);
        return;
    }
    if conn.eof {
        give(id, conn);
        r.fail("closed");
        return;
    }
    if matches!(want, Want::Exactly(n) if n > READ_CAP) {
        give(id, conn);
        r.fail("size too large").lit("");
        return;
    }
    r.wait(async move { read(id, conn, want, limit).await });
}

async fn read(id: u64, mut conn: Conn, want: Want, limit: Duration) -> Out {
    let mut out = Out::new();
    loop {
        let seen = conn.buf.len();
        if seen > READ_CAP {
            lose(id);
            out.fail("too much data").lit("");
            return out;
        }
        conn.buf.reserve(4096);
        match tokio::time::timeout(limit, conn.io.read_buf(&mut conn.buf)).await {
            // like nginx, a time limit bounds each wait, not the whole
            Err(_) => {
                out.fail("timeout");
                want.finish(&conn.buf, &mut out);
                conn.buf.clear();
                give(id, conn);
                return out;
            }
            Ok(Ok(0)) => {
                conn.eof = true;
                if matches!(want, Want::All) {
                    out.str(&conn.buf);
                } else {
                    out.fail("closed");
                    want.finish(&conn.buf, &mut out);
                }
                conn.buf.clear();
                give(id, conn);
                return out;
            }
            Ok(Err(e)) => {
                lose(id);
                out.fail(reason(&e));
                want.finish(&conn.buf, &mut out);
                return out;
            }
            Ok(Ok(_)) => {
                if let Some((len, skip)) = want.ready(&conn.buf, seen) {
                    want.finish(&conn.buf[..len], &mut out);
                    conn.buf.advance(len + skip);
                    give(id, conn);
                    return out;
                }
            }
        }
    }
}

/// `close(id)`: true, or `nil, "closed"`.
fn close(a: &Args, r: &mut Ret) {
    let gone = with(|s| s.slots.remove(&(a.num(1).unwrap_or(0.0) as u64)));
    match gone {
        Some(_) => r.num(1.0),
        None => r.fail("closed"),
    };
}

/// `reused(id)`: how often the connection came out of the pool; nil where it is closed.
fn reused(a: &Args, r: &mut Ret) {
    let n = with(|s| Some(s.slot(a.num(1)?)?.conn.as_ref()?.reused));
    match n {
        Some(n) => r.num(n),
        None => r.fail("closed"),
    };
}

/// `keep(id, idle_ms, pool_size)`: gives the connection to the pool.
fn keep(a: &Args, r: &mut Ret) {
    if !call::allowed(r, HERE) {
        return;
    }
    let idle = ms(a, 2);
    let size = a.num(3).filter(|n| *n >= 1.0).map_or(POOL_SIZE, |n| n as usize);
    let Some((id, conn)) = take(a, r) else {
        return;
    };
    forget(id);
    if conn.eof {
        r.fail("closed");
        return;
    }
    if !conn.buf.is_empty() {
        r.fail("unread data in buffer");
        return;
    }
    with(|s| {
        if s.idle.len() >= POOLS && !s.idle.contains_key(&conn.pool) {
            return;
        }
        let list = s.idle.entry(conn.pool.clone()).or_default();
        if list.len() >= size {
            list.remove(0);
        }
        let until = Instant::now() + idle;
        list.push(Idle { conn, until });
    });
    r.num(1.0);
}
