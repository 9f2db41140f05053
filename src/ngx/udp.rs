//! `ngx.socket.udp`: datagram cosockets of the running handler.
//!
//! A socket is an object that Lua holds; it closes with its scope or when Lua lets it go. Must not: block.

use std::cell::{Cell, RefCell};
use std::io;
use std::os::fd::AsFd;
use std::rc::{Rc, Weak};

use socket2::{SockAddr, SockRef, Type};
use tokio::net::{UdpSocket, UnixDatagram};

use super::call;
use super::sockets::{self, Counted, Owner, Place, bind_address, ms, reason};
use crate::vm::scope::Ends;
use crate::vm::{Args, Out, Registrar, Ret, cdata, op, scope};

/// `UDP_MAX_DATAGRAM_SIZE`
const LARGEST: usize = 65_536;

enum Wire {
    Udp(UdpSocket),
    Unix(UnixDatagram),
}

struct Open {
    wire: Wire,
    _counted: Counted,
}

/// A socket as Lua holds it.
#[derive(Default)]
struct Slot {
    owner: Owner,
    open: RefCell<Option<Rc<Open>>>,
    waiting: Cell<bool>,
}

impl Ends for Slot {
    fn end(&self) {
        drop(self.open.take());
    }
}

/// Marks the socket busy while an operation waits; one that is given up closes it.
struct Waiting {
    slot: Rc<Slot>,
    done: bool,
}

impl Waiting {
    fn new(slot: &Rc<Slot>) -> Self {
        slot.waiting.set(true);
        Self {
            slot: slot.clone(),
            done: false,
        }
    }

    fn done(mut self) {
        self.done = true;
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.slot.waiting.set(false);
        if !self.done {
            self.slot.end();
        }
    }
}

pub(super) fn install(r: &Registrar) -> mlua::Result<()> {
    r.op("ngx_udp", "new", op::raw(new))?;
    r.op("ngx_udp", "setpeername", op::raw(setpeername))?;
    r.op("ngx_udp", "send", op::raw(send))?;
    r.op("ngx_udp", "receive", op::raw(receive))?;
    r.op("ngx_udp", "close", op::raw(close))
}

/// `new()`: a number for the Lua face to wrap.
fn new(_: &Args, r: &mut Ret) {
    r.int(cdata::keep(Slot::default()));
}

/// `setpeername(id, host, port or nil, bind or nil)`: 1; or `nil, err`. No port: a path.
fn setpeername(a: &Args, r: &mut Ret) {
    let Some(scope) = scope::current() else {
        return call::no_request(r);
    };
    let Some(slot) = cdata::object::<Slot>(a, 1) else {
        r.fail("closed");
        return;
    };
    let weak: Weak<Slot> = Rc::downgrade(&slot);
    slot.owner.claim(&scope, weak);
    if !slot.owner.is_current(r) {
        return;
    }
    if slot.waiting.get() {
        r.fail("socket busy");
        return;
    }
    slot.end();
    let host = String::from_utf8_lossy(a.str(2).unwrap_or_default()).into_owned();
    let port = a.num(3).map(|p| p as u16);
    let bind = bind_address(a.str(4));
    if let Some(place) = Place::at_hand(&host, port) {
        match open(&place, bind) {
            Ok(open) => {
                *slot.open.borrow_mut() = Some(Rc::new(open));
                r.num(1.0);
            }
            Err(e) => {
                r.fail(reason(&e));
            }
        }
        return;
    }
    let waiting = Waiting::new(&slot);
    r.wait(async move {
        let mut out = Out::new();
        let opened = match Place::find(&host, port).await {
            Ok(place) => open(&place, bind).map_err(|e| reason(&e)),
            Err(e) => Err(e),
        };
        match opened {
            Ok(open) => {
                *slot.open.borrow_mut() = Some(Rc::new(open));
                out.num(1.0);
            }
            Err(e) => {
                out.fail(e);
            }
        }
        waiting.done();
        out
    });
}

fn open(place: &Place, bind: Option<std::net::SocketAddr>) -> io::Result<Open> {
    let counted = Counted::new().ok_or(io::ErrorKind::OutOfMemory)?;
    let wire = match place {
        Place::Path(path) => {
            let socket = socket2::Socket::new(socket2::Domain::UNIX, Type::DGRAM, None)?;
            socket.set_nonblocking(true)?;
            // a name of the kernel's own, so that the peer can answer
            socket.bind(&SockAddr::unix("")?)?;
            socket.connect(&SockAddr::unix(path)?)?;
            Wire::Unix(UnixDatagram::from_std(socket.into())?)
        }
        Place::Addresses(addresses) => {
            let peer = addresses.first();
            let domain = socket2::Domain::for_address(peer);
            let socket = socket2::Socket::new(domain, Type::DGRAM, Some(socket2::Protocol::UDP))?;
            socket.set_nonblocking(true)?;
            if let Some(local) = bind {
                socket.bind(&local.into())?;
            }
            socket.connect(&peer.into())?;
            Wire::Udp(UdpSocket::from_std(socket.into())?)
        }
    };
    Ok(Open {
        wire,
        _counted: counted,
    })
}

/// The open socket, if it is there, is the current handler's and nobody waits for it.
fn ready(a: &Args, r: &mut Ret, what: &str) -> Option<(Rc<Slot>, Rc<Open>)> {
    let slot = cdata::object::<Slot>(a, 1);
    let open = slot.as_ref().and_then(|s| s.open.borrow().clone());
    let (Some(slot), Some(open)) = (slot, open) else {
        if scope::with(|_| ()).is_none() {
            call::no_request(r);
        } else {
            if !what.is_empty() {
                sockets::log_error(|| format!("attempt to {what} data on a closed socket"));
            }
            r.fail("closed");
        }
        return None;
    };
    if !slot.owner.is_current(r) {
        return None;
    }
    if slot.waiting.get() {
        r.fail("socket busy");
        return None;
    }
    Some((slot, open))
}

/// `send(id, data or nil)`: 1; or `nil, err`. Without data: whether it could be sent.
fn send(a: &Args, r: &mut Ret) {
    let Some((_, open)) = ready(a, r, "send") else {
        return;
    };
    let Some(data) = a.str(2) else {
        r.bool(true);
        return;
    };
    let fd = match &open.wire {
        Wire::Udp(s) => s.as_fd(),
        Wire::Unix(s) => s.as_fd(),
    };
    match SockRef::from(&fd).send(data) {
        Ok(n) if n == data.len() => r.num(1.0),
        Ok(_) => r.fail("partial write"),
        Err(e) => {
            sockets::log_call("send()", &e);
            r.fail(reason(&e))
        }
    };
}

/// `receive(id, size or nil, timeout_ms)`: waits for a datagram; or `nil, err`.
fn receive(a: &Args, r: &mut Ret) {
    let Some((slot, open)) = ready(a, r, "receive") else {
        return;
    };
    let size = a.num(2).map_or(LARGEST, |n| (n.max(0.0) as usize).min(LARGEST));
    let limit = ms(a, 3, sockets::defaults().of_settings.read_timeout);
    let waiting = Waiting::new(&slot);
    r.wait(async move {
        let mut buffer = vec![0; size];
        let received = async {
            match &open.wire {
                Wire::Udp(s) => s.recv(&mut buffer).await,
                Wire::Unix(s) => s.recv(&mut buffer).await,
            }
        };
        let received = tokio::time::timeout(limit, received).await;
        let mut out = Out::new();
        match received {
            Err(_) => {
                sockets::log_error(|| "lua udp socket read timed out".into());
                out.fail("timeout")
            }
            Ok(Err(e)) => {
                sockets::log_call("recv()", &e);
                out.fail(reason(&e))
            }
            Ok(Ok(n)) => out.str(&buffer[..n]),
        };
        waiting.done();
        out
    });
}

/// `close(id)`: 1; or `nil, "closed"`.
fn close(a: &Args, r: &mut Ret) {
    let Some((slot, _)) = ready(a, r, "") else { return };
    slot.end();
    r.num(1.0);
}
