//! `ngx.socket.udp`: datagram cosockets of the running handler.
//!
//! A socket is an object that Lua holds; it closes with its scope or when Lua lets it go. Must not: block.

use std::cell::{Cell, RefCell};
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::rc::{Rc, Weak};

use socket2::{SockAddr, SockRef, Type};
use tokio::net::{UdpSocket, UnixDatagram};

use super::call;
use super::log::Level;
use super::sockets::{self, Counted, Owner, Peer, Place, bind_address, ms, reason};
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
    /// Where it leads.
    peer: RefCell<Peer>,
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
    let place = Place::at_hand(&host, port);
    let addr = place.as_ref().and_then(Place::addr);
    slot.peer.replace(Peer {
        host: host.clone(),
        // a port of 0 is not told
        port: port.filter(|p| *p > 0),
        addr,
    });
    if let Some(place) = place {
        match open(&place, bind, &slot.peer) {
            Ok(open) => {
                *slot.open.borrow_mut() = Some(Rc::new(open));
                r.num(1.0);
            }
            Err(e) => {
                r.fail(e);
            }
        }
        return;
    }
    let waiting = Waiting::new(&slot);
    r.wait(async move {
        let mut out = Out::new();
        let opened = match Place::find(&host, port).await {
            Ok(place) => {
                slot.peer.borrow_mut().addr = place.addr();
                open(&place, bind, &slot.peer)
            }
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

/// Opens and connects; why that failed is logged and in OpenResty's words.
fn open(place: &Place, bind: Option<SocketAddr>, peer: &RefCell<Peer>) -> Result<Open, String> {
    let counted = Counted::new().ok_or("no memory")?;
    let wire = connect(place, bind).map_err(|(call, e)| {
        sockets::log_call(Level::CRIT, call, &e, &*peer.borrow());
        reason(&e)
    })?;
    Ok(Open {
        wire,
        _counted: counted,
    })
}

/// A connected socket; or what failed and why.
fn connect(place: &Place, bind: Option<SocketAddr>) -> Result<Wire, (String, io::Error)> {
    let of = |call: &'static str| move |e| (call.to_owned(), e);
    match place {
        Place::Path(path) => {
            let socket =
                socket2::Socket::new(socket2::Domain::UNIX, Type::DGRAM, None).map_err(of("socket()"))?;
            socket.set_nonblocking(true).map_err(of("fcntl(O_NONBLOCK)"))?;
            // a name of the kernel's own, so that the peer can answer
            SockAddr::unix("")
                .and_then(|own| socket.bind(&own))
                .map_err(of("bind()"))?;
            SockAddr::unix(path)
                .and_then(|peer| socket.connect(&peer))
                .map_err(of("connect()"))?;
            UnixDatagram::from_std(socket.into())
                .map(Wire::Unix)
                .map_err(of("socket()"))
        }
        Place::Addresses(addresses) => {
            let peer = addresses.first();
            let domain = socket2::Domain::for_address(peer);
            let socket = socket2::Socket::new(domain, Type::DGRAM, Some(socket2::Protocol::UDP));
            let socket = socket.map_err(of("socket()"))?;
            socket.set_nonblocking(true).map_err(of("fcntl(O_NONBLOCK)"))?;
            if let Some(local) = bind {
                let bound = format!("bind({})", sockets::bound(local));
                socket.bind(&local.into()).map_err(|e| (bound, e))?;
            }
            socket.connect(&peer.into()).map_err(of("connect()"))?;
            UdpSocket::from_std(socket.into())
                .map(Wire::Udp)
                .map_err(of("socket()"))
        }
    }
}

/// The open socket, if it is there, is the current handler's and nobody waits for it.
fn ready(a: &Args, r: &mut Ret, what: &str) -> Option<(Rc<Slot>, Rc<Open>)> {
    let slot = cdata::object::<Slot>(a, 1);
    let open = slot.as_ref().and_then(|s| s.open.borrow().clone());
    let (Some(slot), Some(open)) = (&slot, open) else {
        if scope::with(|_| ()).is_none() {
            call::no_request(r);
        } else {
            if !what.is_empty() {
                sockets::log_error(|| {
                    // nginx tells its structures' addresses and marks here
                    let u = slot.as_ref().map_or(0, |s| Rc::as_ptr(s) as usize);
                    let peer = slot
                        .as_ref()
                        .map_or_else(Peer::default, |s| s.peer.borrow().clone());
                    format!(
                        "attempt to {what} data on a closed socket: u:{u:016X}, c:{:016X}{peer}",
                        0
                    )
                });
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
    Some((slot.clone(), open))
}

/// `send(id, data or nil)`: 1; or `nil, err`. Without data: whether it could be sent.
fn send(a: &Args, r: &mut Ret) {
    let Some((slot, open)) = ready(a, r, "send") else {
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
            sockets::log_call(Level::ERR, "send()", &e, &*slot.peer.borrow());
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
                sockets::log_error(|| format!("lua udp socket read timed out{}", slot.peer.borrow()));
                out.fail("timeout")
            }
            Ok(Err(e)) => {
                sockets::log_call(Level::ERR, "recv()", &e, &*slot.peer.borrow());
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
