//! The current request is a poll scope: set around each resume of Lua, gone when it returns.
//!
//! Must not: be stored anywhere; ops ask for it anew at each call.
#![allow(unsafe_code)]

use std::any::Any;
use std::cell::{Cell, OnceCell, RefCell};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::pin::Pin;
use std::rc::{Rc, Weak};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;

use super::Vm;
use crate::exchange::{Caller, Exchange, Handshake, Phase};
use crate::net::guard::GuardHandle;
use crate::net::raw::RawStream;

/// What Lua sees while it runs: the phase, the slot of its `ngx.ctx`, and the request if there is one.
pub struct Scope {
    /// The state it runs in; kept alive by its scopes across a reload.
    pub vm: Rc<Vm>,
    /// What the state kept when the scope was made ([`Vm::set_guest`]): the configuration it runs with.
    guest: Option<Rc<dyn Any>>,
    /// The index of this scope's tables on the Lua side (`ngx.ctx`, `kong.ctx`); unique among the living.
    pub slot: u32,
    /// The phase.
    pub phase: Cell<Phase>,
    /// The request; None in init_worker and timers.
    pub exchange: Option<RefCell<Exchange>>,
    /// The TLS handshake that waits for this scope's handlers.
    pub handshake: Option<Rc<Handshake>>,
    /// Whom they run for where there is neither.
    pub caller: Option<Caller>,
    /// The plugin that runs now: its index in the registry, or NONE.
    pub plugin: Cell<u16>,
    /// Where the plugin loop stands in this phase (owned by `plugin::run`).
    pub cursor: Cell<u32>,
    /// (plugin, configuration) pairs that this request collected (owned by `plugin::chain`).
    pub chain: RefCell<Vec<(u16, u32)>>,
    /// Bits of the phases that the collected plugins handle (owned by `plugin::chain`).
    pub handled: Cell<u32>,
    /// The code of an `ngx.exit` that did not yield (header_filter), 0 if none.
    pub soft_exit: Cell<i64>,
    /// Lua has a table of where the request goes: what is written there is to be read back.
    pub target_out: Cell<bool>,
    /// That table is older than the exchange.
    pub target_stale: Cell<bool>,
    /// The bit of the phase in which `ngx.ctx` was brought up to date last.
    pub ctx_phase: Cell<u32>,
    /// Streams the client's body into memory on demand (`ngx.req.read_body`); set by the proxy.
    pub body_reader: RefCell<Option<Rc<dyn BodyReader>>>,
    /// The client's request, where this is one that Lua made for it (`ngx.location.capture`).
    main: OnceCell<Weak<Scope>>,
    /// What ends with the scope although Lua may still hold it: sockets.
    ends: RefCell<Vec<Weak<dyn Ends>>>,
    /// Serves requests of the gateway's own (`ngx.location.capture`); set by the proxy.
    pub gateway: RefCell<Option<Rc<dyn Gateway>>>,
    /// Calls of `ngx.location.capture(_multi)` that wait for their responses.
    pub captures: Cell<u32>,
    /// What `ngx.on_abort` was given.
    pub(super) on_abort: RefCell<Option<super::crew::Spawned>>,
    /// Whether the client is still there.
    pub standing: RefCell<Standing>,
    /// The error log has it that the client is gone.
    missed: Cell<bool>,
    /// The requests that Lua made for it, by their slots, whose upstreams end when the client goes.
    minders: RefCell<Vec<(u32, Waker)>>,
    /// The requests that it shares its variables with (`share_all_vars`), itself among them.
    family: RefCell<Option<Family>>,
}

/// Requests that share their variables.
type Family = Rc<RefCell<Vec<Weak<Scope>>>>;

/// How a client stands to the handlers that run for it.
#[derive(Default)]
pub enum Standing {
    /// It is there, as far as is known.
    #[default]
    Here,
    /// It has just gone, and its handlers go on: what holds the request is kept here for them.
    Leaving(Option<Box<dyn Any>>),
    /// It is gone.
    Gone,
}

/// The way requests are served, as Lua needs it: for requests of its own, and for what it writes itself.
pub trait Gateway {
    /// Serves the request in `scope`, a new one, from rewrite to the end of its response.
    fn serve(self: Rc<Self>, scope: Rc<Scope>) -> Pin<Box<dyn Future<Output = Captured>>>;

    /// Runs header_filter over the response that a handler of `scope` begins; false if another answer takes its
    /// place.
    fn begin(&self, scope: &Rc<Scope>) -> bool;

    /// Runs body_filter over what was written since the last time, the end with it if it is the `last`; false if a
    /// filter failed.
    fn pass(&self, scope: &Rc<Scope>, last: bool) -> bool;
}

/// The response to a request that Lua made.
#[derive(Debug, Default)]
pub struct Captured {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: http::HeaderMap,
    /// How their names are written.
    pub spelling: crate::net::spelling::Spelling,
    /// The body.
    pub body: bytes::Bytes,
    /// The body is not whole.
    pub truncated: bool,
    /// It closed the connection of its client (`ngx.exit(444)`), with this status.
    pub cut: Option<u16>,
}

/// What belongs to a scope and ends with it.
pub trait Ends {
    /// The scope is over. Must not run Lua.
    fn end(&self);
}

/// Reads the rest of the client's body for Lua.
pub trait BodyReader: std::fmt::Debug {
    /// Resolves when [`Exchange`]'s `request.body` holds it whole; `Err` is the nginx-style reason.
    fn read(&self, scope: Rc<Scope>) -> Pin<Box<dyn Future<Output = Result<(), String>>>>;

    /// The next piece as it comes; None behind the last.
    fn poll_piece(&self, _: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        Poll::Ready(None)
    }

    /// Bytes of it that came so far.
    fn received(&self) -> u64 {
        0
    }

    /// Whether somebody has begun to read it.
    fn is_begun(&self) -> bool {
        false
    }

    /// Whether nothing more of it is to come.
    fn is_whole(&self) -> bool {
        true
    }

    /// Its length as the client announced it; 0 where it did not.
    fn length(&self) -> u64 {
        0
    }

    /// Takes the client's connection over from the HTTP server; None where it has none to give.
    fn seize(&self) -> Option<(Rc<dyn RawStream>, GuardHandle)> {
        None
    }

    /// The client's connection, where there is one.
    fn guard(&self) -> Option<GuardHandle> {
        None
    }

    /// Whether that was done.
    fn is_seized(&self) -> bool {
        false
    }

    /// Says when the end of a connection that was taken over is looked for: where `idle` says that nobody reads.
    fn watch(&self, _idle: Box<dyn Fn() -> bool>) {}

    /// Ready when the client of such a connection is gone.
    fn poll_gone(&self, _: &mut Context<'_>) -> Poll<()> {
        Poll::Pending
    }

    /// Throws away what is still to come of it, without being waited for.
    fn discard(&self) {}

    /// What the proxy reads the body from.
    fn source(&self) -> Option<Rc<dyn Any>> {
        None
    }

    /// How much of a body is kept in memory, bytes, and the folder of what is not.
    fn room(&self) -> (u64, PathBuf) {
        (8 << 10, std::env::temp_dir())
    }
}

/// The value of [`Scope::plugin`] outside plugins.
pub const NO_PLUGIN: u16 = u16::MAX;

impl Scope {
    /// A scope around `exchange`, or around none (timers, init_worker).
    #[inline]
    pub fn new(vm: &Rc<Vm>, phase: Phase, exchange: Option<Exchange>) -> Rc<Self> {
        Self::of_guest(vm, phase, exchange, vm.guest())
    }

    /// A scope that runs with another guest than the state has now: one that is to follow.
    #[inline]
    pub fn of_guest(
        vm: &Rc<Vm>,
        phase: Phase,
        exchange: Option<Exchange>,
        guest: Option<Rc<dyn Any>>,
    ) -> Rc<Self> {
        let caller = exchange.is_none().then(|| Caller::new(None));
        Self::build(vm, phase, exchange, None, caller, guest)
    }

    /// A scope of a timer.
    pub fn of_timer(vm: &Rc<Vm>, caller: Caller) -> Rc<Self> {
        Self::build(vm, Phase::Timer, None, None, Some(caller), vm.guest())
    }

    /// A scope around a TLS handshake.
    pub fn of_handshake(vm: &Rc<Vm>, phase: Phase, handshake: Rc<Handshake>) -> Rc<Self> {
        Self::build(vm, phase, None, Some(handshake), None, vm.guest())
    }

    // an exchange is large: inlined it is moved less often
    #[inline(always)]
    fn build(
        vm: &Rc<Vm>,
        phase: Phase,
        exchange: Option<Exchange>,
        handshake: Option<Rc<Handshake>>,
        caller: Option<Caller>,
        guest: Option<Rc<dyn Any>>,
    ) -> Rc<Self> {
        Rc::new(Self {
            guest,
            slot: vm.take_slot(),
            vm: vm.clone(),
            phase: Cell::new(phase),
            exchange: exchange.map(RefCell::new),
            handshake,
            caller,
            plugin: Cell::new(NO_PLUGIN),
            cursor: Cell::new(0),
            chain: RefCell::default(),
            handled: Cell::new(0),
            soft_exit: Cell::new(0),
            target_out: Cell::new(false),
            target_stale: Cell::new(false),
            ctx_phase: Cell::new(0),
            body_reader: RefCell::default(),
            captures: Cell::new(0),
            on_abort: RefCell::default(),
            standing: RefCell::default(),
            missed: Cell::new(false),
            minders: RefCell::default(),
            family: RefCell::default(),
            main: OnceCell::new(),
            ends: RefCell::default(),
            gateway: RefCell::default(),
        })
    }

    /// Makes this the scope of a request that `parent` made: its sockets end with the client's request.
    pub fn set_parent(&self, parent: &Rc<Self>) {
        let main = parent.main.get().cloned();
        let _ = self.main.set(main.unwrap_or_else(|| Rc::downgrade(parent)));
    }

    /// Shares variables with `parent` from now on.
    pub fn share_with(self: &Rc<Self>, parent: &Rc<Self>) {
        let family = parent.family.borrow_mut().get_or_insert_default().clone();
        let mut members = family.borrow_mut();
        if members.is_empty() {
            members.push(Rc::downgrade(parent));
        }
        members.retain(|m| m.strong_count() > 0);
        members.push(Rc::downgrade(self));
        drop(members);
        self.family.replace(Some(family));
    }

    /// Shows the variables to whom they are shared with; after each time that Lua may have changed them.
    #[inline]
    pub fn show_variables(&self) {
        if self.family.borrow().is_some() {
            self.spread_variables();
        }
    }

    #[cold]
    fn spread_variables(&self) {
        let members = self.family.borrow().as_ref().map(|f| f.borrow().clone());
        let own = self.exchange.as_ref().and_then(|x| x.try_borrow().ok());
        let Some(own) = own else { return };
        for member in members.into_iter().flatten().filter_map(|m| m.upgrade()) {
            if let Some(Ok(mut other)) = member.exchange.as_ref().map(RefCell::try_borrow_mut) {
                other.outbound = own.outbound.clone();
            }
        }
    }

    /// Ends `what` with this scope, or with the client's request that it is a part of, if it still lives then.
    pub fn end_with(&self, what: Weak<dyn Ends>) {
        let mut ends = self.ends.borrow_mut();
        // a timer that runs for ever may make and drop any number
        if ends.len() >= 16 && ends.len().is_power_of_two() {
            ends.retain(|e| e.strong_count() > 0);
        }
        ends.push(what);
    }

    /// Begins anew on the Lua side: `ngx.ctx` and what else hangs on the slot is gone (`ngx.exec`).
    pub fn forget_tables(&self) {
        self.vm.clear_slot(self.slot);
        self.chain.borrow_mut().clear();
        self.handled.set(0);
        self.target_out.set(false);
        self.target_stale.set(false);
    }

    /// The client and the listener that its handlers run for, directly or as timers of timers.
    pub fn client(&self) -> Option<(IpAddr, SocketAddr)> {
        if let Some(x) = &self.exchange {
            let x = x.try_borrow().ok()?;
            return Some((x.client.addr.ip(), x.connection.listener));
        }
        match &self.handshake {
            Some(h) => Some((h.peer.ip(), h.listener)),
            None => self.caller.and_then(|c| c.client),
        }
    }

    /// What it runs with, for another scope that is to run with the same.
    pub fn shared_guest(&self) -> Option<Rc<dyn Any>> {
        self.guest.clone()
    }

    /// The client's request that this is a part of, where that is another.
    fn clients(&self) -> Option<Rc<Self>> {
        self.main.get()?.upgrade()
    }

    /// Whether it is a request that Lua made.
    pub fn is_subrequest(&self) -> bool {
        self.main.get().is_some()
    }

    /// Whether the client is gone and its handlers go on.
    pub fn is_left(&self) -> bool {
        match self.clients() {
            Some(main) => main.is_left(),
            None => !matches!(*self.standing.borrow(), Standing::Here),
        }
    }

    /// Whether it is still to be said that the client is gone: once for its request and all that Lua made for it.
    pub fn first_to_miss(&self) -> bool {
        match self.clients() {
            Some(main) => main.first_to_miss(),
            None => !self.missed.replace(true),
        }
    }

    /// Ready when the client of a request that Lua made is gone.
    pub fn poll_left(&self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(main) = self.clients() else {
            return Poll::Pending;
        };
        if main.is_left() {
            return Poll::Ready(());
        }
        let mut minders = main.minders.borrow_mut();
        match minders.iter_mut().find(|(slot, _)| *slot == self.slot) {
            Some((_, waker)) => waker.clone_from(cx.waker()),
            None => minders.push((self.slot, cx.waker().clone())),
        }
        Poll::Pending
    }

    /// The request that Lua made is over: its task, which the waker keeps, is to go.
    fn mind_no_more(&self) {
        let Some(main) = self.clients() else { return };
        let mut minders = main.minders.borrow_mut();
        let at = minders.iter().position(|(slot, _)| *slot == self.slot);
        let waker = at.map(|at| minders.swap_remove(at));
        drop(minders);
        drop(waker);
    }

    /// The client goes, and its handlers go on.
    pub fn leave(&self, standing: Standing) {
        self.standing.replace(standing);
        for (_, waker) in self.minders.take() {
            waker.wake();
        }
    }

    /// Whether `ngx.on_abort` was given something.
    pub fn minds_abort(&self) -> bool {
        self.on_abort.borrow().is_some()
    }

    /// The scope's guest, if it is a `T`.
    #[inline]
    pub fn guest<T: 'static>(&self) -> Option<&T> {
        self.guest.as_ref()?.downcast_ref()
    }
}

impl Drop for Scope {
    fn drop(&mut self) {
        self.mind_no_more();
        let ends = self.ends.take();
        if !ends.is_empty() {
            match self.main.get().and_then(Weak::upgrade) {
                Some(main) => ends
                    .into_iter()
                    .filter(|e| e.strong_count() > 0)
                    .for_each(|e| main.end_with(e)),
                None => ends.iter().filter_map(Weak::upgrade).for_each(|e| e.end()),
            }
        }
        // a reference into the state, which may go with this scope: `vm` is dropped before the other fields
        drop(self.on_abort.take());
        self.vm.free_slot(self.slot);
    }
}

thread_local! {
    static CURRENT: Cell<*const Scope> = const { Cell::new(std::ptr::null()) };
}

/// Restores the outer scope when dropped.
pub(super) struct Entered {
    outer: *const Scope,
    _scope: Rc<Scope>,
}

/// Makes `scope` current until the guard is dropped.
pub(super) fn enter(scope: Rc<Scope>) -> Entered {
    Entered {
        outer: CURRENT.replace(Rc::as_ptr(&scope)),
        _scope: scope,
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        CURRENT.set(self.outer);
    }
}

/// Runs `f` on the current scope, if Lua runs in one.
#[inline]
pub fn with<R>(f: impl FnOnce(&Scope) -> R) -> Option<R> {
    let p = CURRENT.get();
    // SAFETY: the pointer is set only by `enter`, whose guard keeps the Rc alive and resets it on drop; it
    // never leaves this thread.
    (!p.is_null()).then(|| f(unsafe { &*p }))
}

/// The current scope, kept alive (for futures).
pub fn current() -> Option<Rc<Scope>> {
    let p = CURRENT.get();
    if p.is_null() {
        return None;
    }
    // SAFETY: as in `with`; `p` came from `Rc::as_ptr` and one strong reference is held by the guard.
    unsafe {
        Rc::increment_strong_count(p);
        Some(Rc::from_raw(p))
    }
}

/// Runs `f` on the current request, to read it. None outside requests.
#[inline]
pub fn read<R>(f: impl FnOnce(&Exchange) -> R) -> Option<R> {
    with(|s| s.exchange.as_ref().map(|x| f(&x.borrow()))).flatten()
}

/// Runs `f` on the current request, to change it. None outside requests.
#[inline]
pub fn write<R>(f: impl FnOnce(&mut Exchange) -> R) -> Option<R> {
    with(|s| s.exchange.as_ref().map(|x| f(&mut x.borrow_mut()))).flatten()
}

/// Runs `f` on the current TLS handshake. None outside of one.
pub fn handshake<R>(f: impl FnOnce(&Handshake) -> R) -> Option<R> {
    with(|s| s.handshake.as_deref().map(f)).flatten()
}

/// The current phase; init_worker outside any scope.
pub fn phase() -> Phase {
    with(|s| s.phase.get()).unwrap_or(Phase::InitWorker)
}
