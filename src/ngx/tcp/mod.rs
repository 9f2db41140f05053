//! `ngx.socket.tcp`: cosockets of the running handler.
//!
//! A socket is an object that Lua holds ([`slot`]); its connection ([`wire`]) closes with the handler's scope, when
//! Lua closes it or lets it go, or when an operation on it is given up. Must not: know HTTP.

mod options;
mod pool;
mod reading;
mod slot;
mod tls;
mod until;
mod wire;

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::rc::{Rc, Weak};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::time::timeout;

use self::pool::{Claim, Wanted};
use self::slot::{Busy, Kind, Opening, Part, Slot};
use self::wire::{Conn, Probe};
use super::call;
use super::log::Level;
use super::sockets::{self, Peer, Place, bind_address, ms, reason};
use crate::vm::scope::Ends;
use crate::vm::{Args, Out, Registrar, Ret, Scope, cdata, op, scope};

pub(super) use self::pool::idle;
pub(super) use self::wire::Io;

pub(super) fn install(r: &Registrar) -> mlua::Result<()> {
    r.op("ngx_tcp", "new", op::raw(new))?;
    r.op("ngx_tcp", "connect", op::raw(connect))?;
    r.op("ngx_tcp", "handshake", op::raw(tls::handshake))?;
    r.op("ngx_tcp", "session", op::raw(tls::session_of))?;
    r.op("ngx_tcp", "send", op::raw(send))?;
    r.op("ngx_tcp", "receive", op::raw(reading::receive))?;
    r.op("ngx_tcp", "pattern", op::raw(reading::pattern))?;
    r.op("ngx_tcp", "until", op::raw(reading::until))?;
    r.op("ngx_tcp", "close", op::raw(close))?;
    r.op("ngx_tcp", "reused", op::raw(reused))?;
    r.op("ngx_tcp", "keep", op::raw(keep))?;
    r.op("ngx_tcp", "trusts", op::raw(tls::trusts))?;
    r.op("ngx_tcp", "option", op::raw(options::option))?;
    r.op("ngx_tcp", "fd", op::raw(options::fd))
}

/// `new()`: a number for the Lua face to wrap.
fn new(_: &Args, r: &mut Ret) {
    r.int(cdata::keep(Slot::default()));
}

/// A socket around what a request's client sends, or around its connection: its number, and what says whether nobody
/// reads from it.
pub(super) fn of_request(scope: &Rc<Scope>, io: Box<dyn Io>, raw: bool) -> (i64, Box<dyn Fn() -> bool>) {
    let slot = Rc::new(Slot::default());
    slot.kind.set(if raw { Kind::Raw } else { Kind::Body });
    slot.adopt(Rc::new(Conn::of_request(io)));
    let weak: Weak<Slot> = Rc::downgrade(&slot);
    slot.owner.claim(scope, weak.clone());
    let idle = move || weak.upgrade().is_none_or(|slot| !slot.reading.get());
    (cdata::keep_shared(slot), Box::new(idle))
}

/// What a connect was asked.
struct Asked {
    pool: Option<String>,
    size: Option<usize>,
    backlog: Option<usize>,
    bind: Option<SocketAddr>,
    wanted: Wanted,
}

/// `connect(id, host, port or nil, connect_ms, pool or nil, size or nil, backlog or nil, bind or nil, certificates,
/// key)`: 1, or waits for it; or `nil, err`.
fn connect(a: &Args, r: &mut Ret) {
    let Some(scope) = scope::current() else {
        return call::no_request(r);
    };
    let Some(slot) = cdata::object::<Slot>(a, 1) else {
        r.fail("closed");
        return;
    };
    let weak: Weak<Slot> = Rc::downgrade(&slot);
    slot.owner.claim(&scope, weak);
    if !slot.owner.is_current(r) || slot.busy(&[Part::Connect, Part::Read, Part::Write], r) {
        return;
    }
    if slot.kind.get() != Kind::Upstream {
        return r.raise("attempt to re-connect a request socket");
    }
    slot.end();
    let text = |i| a.str(i).map(|s: &[u8]| String::from_utf8_lossy(s).into_owned());
    let (host, port) = (text(2).unwrap_or_default(), a.num(3).map(|p| p as u16));
    let asked = Asked {
        pool: text(5),
        size: a.num(6).map(|n| n as usize),
        backlog: a.num(7).map(|n| n as usize),
        bind: bind_address(a.str(8)),
        wanted: Wanted::Any {
            plugin: scope.plugin.get(),
            // what is wrong with it the handshake says
            identity: tls::identity(a, 9).unwrap_or_default(),
        },
    };
    let limit = ms(a, 4, sockets::defaults().of_settings.connect_timeout);
    let place = Place::at_hand(&host, port);
    let addr = place.as_ref().and_then(Place::addr);
    slot.peer.replace(Peer { host, port, addr });
    let claimed = place.as_ref().map(|place| asked.claim(&slot, place));
    match claimed {
        Some(Claim::Idle(conn)) => {
            slot.adopt(conn);
            r.num(1.0);
            return;
        }
        Some(Claim::Full) => {
            r.fail("too many waiting connect operations");
            return;
        }
        _ => {}
    }
    let busy = Busy::new(&slot, Part::Connect);
    let opening = matches!(claimed, Some(Claim::Open(_))).then(|| Opening::new(&slot));
    r.wait(async move {
        let mut out = Out::new();
        match asked.open(&slot, place, claimed, opening, limit).await {
            Err(e) => out.fail(e),
            Ok(conn) => {
                slot.adopt(conn);
                out.num(1.0)
            }
        };
        busy.done();
        out
    });
}

impl Asked {
    /// Asks the pool, whose name the socket takes.
    fn claim(&self, slot: &Slot, place: &Place) -> Claim {
        let name = self.pool.clone().unwrap_or_else(|| place.pool());
        let claim = pool::claim(&name, self.size, self.backlog, &self.wanted);
        *slot.pool.borrow_mut() = name;
        claim
    }

    /// A connection from the pool, or a new one; once the name's address is known, and it is this one's turn. The
    /// limit bounds the wait for the turn and the connecting, each, and not the look-up, which has its own.
    async fn open(
        &self,
        slot: &Rc<Slot>,
        place: Option<Place>,
        claimed: Option<Claim>,
        opening: Option<Opening>,
        limit: Duration,
    ) -> Result<Rc<Conn>, String> {
        let place = match place {
            Some(place) => place,
            None => {
                let (host, port) = {
                    let peer = slot.peer.borrow();
                    (peer.host.clone(), peer.port)
                };
                Place::find(&host, port).await?
            }
        };
        let mut claim = claimed.unwrap_or_else(|| self.claim(slot, &place));
        if let Claim::Wait(ticket, turn) = claim {
            // a pool that is gone lets nobody wait
            if timeout(limit, turn).await.is_err() {
                sockets::log_error(|| {
                    let peer = slot.peer.borrow();
                    let (host, port) = (&peer.host, peer.port.unwrap_or_default());
                    format!(
                        "lua tcp socket queued connect timed out, when trying to connect to {host}:{port}{peer}"
                    )
                });
                return Err("timeout".to_owned());
            }
            claim = pool::claim_again(ticket, &self.wanted);
        }
        match claim {
            Claim::Idle(conn) => Ok(conn),
            Claim::Full | Claim::Wait(..) => Err("too many waiting connect operations".to_owned()),
            Claim::Open(ticket) => {
                let _opening = opening.unwrap_or_else(|| Opening::new(slot));
                let Ok(opened) = timeout(limit, Conn::open(place, self.bind, &slot.peer)).await else {
                    sockets::log_error(|| format!("lua tcp socket connect timed out{}", slot.peer.borrow()));
                    return Err("timeout".to_owned());
                };
                let conn = opened?;
                *conn.ticket.borrow_mut() = ticket;
                Ok(Rc::new(conn))
            }
        }
    }
}

/// `send(id, data or nil, timeout_ms)`: the number of bytes, or waits for it; or `nil, err`. Without data: whether the
/// socket may be written.
fn send(a: &Args, r: &mut Ret) {
    let Some((slot, conn)) = slot::open_to(a, r, "send", |s| s.write_closed.get()) else {
        return;
    };
    if slot.busy(&[Part::Connect, Part::Write], r) {
        return;
    }
    if slot.kind.get() == Kind::Body {
        return r.raise("attempt to write to request sockets");
    }
    let Some(data) = a.str(2) else {
        r.bool(true);
        return;
    };
    if data.is_empty() {
        r.num(0.0);
        return;
    }
    conn.be_prompt();
    let mut cx = Context::from_waker(Waker::noop());
    let sent = match write(&conn, &mut cx, data) {
        Ok((sent, true)) => {
            r.num(sent as f64);
            return;
        }
        Ok((sent, false)) => sent,
        Err(e) => {
            slot.close_writing();
            sockets::log_call(Level::ERR, "send()", &e, &*slot.peer.borrow());
            r.fail(reason(&e));
            return;
        }
    };
    let limit = ms(a, 3, sockets::defaults().of_settings.send_timeout);
    let (len, rest) = (data.len(), data[sent..].to_vec());
    let busy = Busy::new(&slot, Part::Write);
    r.wait(async move {
        let mut out = Out::new();
        match write_all(&slot, &conn, &rest, limit).await {
            Ok(()) => out.num(len as f64),
            Err(e) => {
                // part of the data may be out: nothing sensible can follow
                slot.close_writing();
                out.fail(e)
            }
        };
        busy.done();
        out
    });
}

/// Writes what goes now: how much went, and whether that is all and none of it is kept back.
fn write(conn: &Conn, cx: &mut Context<'_>, data: &[u8]) -> io::Result<(usize, bool)> {
    let mut sent = 0;
    while sent < data.len() {
        match conn.poll_write(cx, &data[sent..]) {
            Poll::Pending => return Ok((sent, false)),
            Poll::Ready(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
            Poll::Ready(Ok(n)) => sent += n,
            Poll::Ready(Err(e)) => return Err(e),
        }
    }
    match conn.poll_flush(cx) {
        Poll::Pending => Ok((sent, false)),
        Poll::Ready(done) => done.map(|()| (sent, true)),
    }
}

/// Writes all; the limit bounds each wait.
async fn write_all(slot: &Slot, conn: &Conn, mut data: &[u8], limit: Duration) -> Result<(), String> {
    loop {
        let step = poll_fn(|cx| match write(conn, cx, data) {
            Ok((0, false)) => Poll::Pending,
            other => Poll::Ready(other),
        });
        match timeout(limit, step).await {
            Err(_) => {
                sockets::log_error(|| format!("lua tcp socket write timed out{}", slot.peer.borrow()));
                return Err("timeout".to_owned());
            }
            Ok(Err(e)) => {
                sockets::log_call(Level::ERR, "send()", &e, &*slot.peer.borrow());
                return Err(reason(&e));
            }
            Ok(Ok((_, true))) => return Ok(()),
            Ok(Ok((n, false))) => data = &data[n..],
        }
    }
}

/// Neither read nor written any more.
fn both_closed(slot: &Slot) -> bool {
    slot.read_closed.get() && slot.write_closed.get()
}

/// `close(id)`: 1; or `nil, err`.
fn close(a: &Args, r: &mut Ret) {
    let Some((slot, _)) = slot::open(a, r, both_closed) else {
        return;
    };
    if slot.busy(&[Part::Connect, Part::Read, Part::Write], r) {
        return;
    }
    if slot.kind.get() != Kind::Upstream {
        r.fail("attempt to close a request socket");
        return;
    }
    slot.end();
    r.num(1.0);
}

/// `reused(id)`: how often the connection came out of the pool; `nil, err` where it is closed.
fn reused(a: &Args, r: &mut Ret) {
    let slot = cdata::object::<Slot>(a, 1);
    if slot.as_ref().is_some_and(|s| s.opening.get()) {
        r.num(0.0);
        return;
    }
    let slot = slot.filter(|s| !both_closed(s));
    match slot.and_then(|s| s.conn.borrow().as_ref().map(|c| c.reused.get())) {
        Some(n) => r.num(n),
        None => r.fail("closed"),
    };
}

/// `keep(id, idle_ms or nil, pool_size or nil)`: gives the connection to its pool; 1, or `nil, err`.
fn keep(a: &Args, r: &mut Ret) {
    let closed = |s: &Slot| s.read_closed.get() || s.write_closed.get();
    let Some((slot, conn)) = slot::open(a, r, closed) else {
        return;
    };
    if conn.eof.get() {
        r.fail("closed");
        return;
    }
    if slot.busy(&[Part::Connect, Part::Read, Part::Write], r) {
        return;
    }
    if !conn.input.borrow().is_empty() {
        r.fail("unread data in buffer");
        return;
    }
    let name = slot.pool.borrow().clone();
    if name.is_empty() {
        r.fail("key not found");
        return;
    }
    let d = sockets::defaults();
    let time = match a.num(2) {
        Some(n) => Duration::from_millis(n.clamp(0.0, 1e12) as u64),
        None => d.of_settings.keepalive_timeout,
    };
    let size = a.num(3).map_or(d.of_settings.pool_size, |n| n as usize);
    match conn.probe() {
        Probe::Silent => {
            drop(conn);
            let Some(conn) = slot.conn.take() else { return };
            slot.end();
            pool::keep(&name, conn, size, time);
            r.num(1.0);
        }
        Probe::Ended => {
            conn.eof.set(true);
            r.fail("closed");
        }
        Probe::Talks => {
            slot.end();
            r.fail("connection in dubious state");
        }
    }
}
