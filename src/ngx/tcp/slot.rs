//! A socket as Lua holds it: whose it is, its connection, and what is under way on it.
//!
//! Must not: do I/O.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use super::super::call;
use super::super::sockets::{Owner, Peer, log_error};
use super::wire::Conn;
use crate::vm::scope::Ends;
use crate::vm::{Args, Ret, cdata, scope};

/// What kind of socket it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(in crate::ngx) enum Kind {
    /// To somewhere.
    #[default]
    Upstream,
    /// The client's body.
    Body,
    /// The client's connection.
    Raw,
}

/// See the module.
#[derive(Default)]
pub(in crate::ngx) struct Slot {
    pub owner: Owner,
    pub conn: RefCell<Option<Rc<Conn>>>,
    pub kind: Cell<Kind>,
    /// Where it leads.
    pub peer: RefCell<Peer>,
    /// The name of the pool that `setkeepalive` gives it to.
    pub pool: RefCell<String>,
    pub connecting: Cell<bool>,
    /// The connection is under way; a name was looked up before.
    pub opening: Cell<bool>,
    pub reading: Cell<bool>,
    pub writing: Cell<bool>,
    pub read_closed: Cell<bool>,
    pub write_closed: Cell<bool>,
}

impl Ends for Slot {
    fn end(&self) {
        self.read_closed.set(true);
        self.write_closed.set(true);
        drop(self.conn.take());
    }
}

/// Parts of a socket that operations claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::ngx) enum Part {
    Connect,
    Read,
    Write,
}

impl Slot {
    fn flag(&self, part: Part) -> &Cell<bool> {
        match part {
            Part::Connect => &self.connecting,
            Part::Read => &self.reading,
            Part::Write => &self.writing,
        }
    }

    /// Whether one of `parts` is busy; leaves OpenResty's error then.
    pub fn busy(&self, parts: &[Part], r: &mut Ret) -> bool {
        for part in parts {
            if self.flag(*part).get() {
                r.fail(match part {
                    Part::Connect => "socket busy connecting",
                    Part::Read => "socket busy reading",
                    Part::Write => "socket busy writing",
                });
                return true;
            }
        }
        false
    }

    /// Takes a new connection in.
    pub fn adopt(&self, conn: Rc<Conn>) {
        self.read_closed.set(false);
        self.write_closed.set(false);
        *self.conn.borrow_mut() = Some(conn);
    }

    /// Nothing more is read; the connection goes when nothing is written any more, either.
    pub fn close_reading(&self) {
        self.read_closed.set(true);
        self.close_if_both();
    }

    /// Nothing more is written.
    pub fn close_writing(&self) {
        self.write_closed.set(true);
        self.close_if_both();
    }

    fn close_if_both(&self) {
        if self.read_closed.get() && self.write_closed.get() {
            drop(self.conn.take());
        }
    }
}

/// As [`open`]; that it is closed is logged as an attempt to `what`.
pub(in crate::ngx) fn open_to(
    a: &Args,
    r: &mut Ret,
    what: &str,
    closed: impl FnOnce(&Slot) -> bool,
) -> Option<(Rc<Slot>, Rc<Conn>)> {
    let mut is_closed = false;
    let opened = open(a, r, |slot| {
        is_closed = closed(slot);
        is_closed
    });
    let has_conn =
        || cdata::object::<Slot>(a, 1).is_some_and(|s| s.conn.borrow().is_some() || s.opening.get());
    if opened.is_none() && (is_closed || !has_conn()) {
        log_error(|| {
            // nginx tells its structures' addresses and marks here
            let u = cdata::object::<Slot>(a, 1).map_or(0, |s| Rc::as_ptr(&s) as usize);
            let peer = cdata::object::<Slot>(a, 1).map_or_else(Peer::default, |s| s.peer.borrow().clone());
            format!(
                "attempt to {what} data on a closed socket: u:{u:016X}, c:{:016X}, ft:0 eof:0{peer}",
                0
            )
        });
    }
    opened
}

/// Argument 1 as a socket of the current handler's with its connection; `closed` says what counts as closed. Leaves
/// OpenResty's error.
pub(in crate::ngx) fn open(
    a: &Args,
    r: &mut Ret,
    closed: impl FnOnce(&Slot) -> bool,
) -> Option<(Rc<Slot>, Rc<Conn>)> {
    open_any(a, r, closed).filter(|(slot, _)| slot.owner.is_current(r))
}

/// As [`open`], whoever made it: what OpenResty does by LuaJIT's FFI either does not ask whose a socket is, or
/// returns its error (`mine_or_error`).
pub(super) fn open_any(
    a: &Args,
    r: &mut Ret,
    closed: impl FnOnce(&Slot) -> bool,
) -> Option<(Rc<Slot>, Rc<Conn>)> {
    let slot = cdata::object::<Slot>(a, 1);
    let conn = slot.as_ref().and_then(|s| s.conn.borrow().clone());
    match (slot, conn) {
        (Some(slot), Some(conn)) if !closed(&slot) => return Some((slot, conn)),
        _ if scope::with(|_| ()).is_none() => call::no_request(r),
        (Some(slot), None) if slot.opening.get() => {
            r.fail("socket busy connecting");
        }
        _ => {
            r.fail("closed");
        }
    }
    None
}

/// Whether a socket is the current handler's; leaves `nil, err` otherwise.
pub(super) fn mine_or_error(slot: &Slot, r: &mut Ret) -> bool {
    let mine = slot.owner.is_mine();
    match mine {
        Some(true) => {}
        Some(false) => {
            r.fail("bad request");
        }
        None => call::no_request(r),
    }
    mine == Some(true)
}

/// Says that a connection is under way.
pub(in crate::ngx) struct Opening(Rc<Slot>);

impl Opening {
    pub fn new(slot: &Rc<Slot>) -> Self {
        slot.opening.set(true);
        Self(slot.clone())
    }
}

impl Drop for Opening {
    fn drop(&mut self) {
        self.0.opening.set(false);
    }
}

/// Marks a part of a socket busy while an operation waits; one that is given up closes the socket.
pub(in crate::ngx) struct Busy {
    slot: Rc<Slot>,
    part: Part,
    done: bool,
}

impl Busy {
    pub fn new(slot: &Rc<Slot>, part: Part) -> Self {
        slot.flag(part).set(true);
        Self {
            slot: slot.clone(),
            part,
            done: false,
        }
    }

    pub fn done(mut self) {
        self.done = true;
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.slot.flag(self.part).set(false);
        if !self.done {
            self.slot.end();
        }
    }
}
