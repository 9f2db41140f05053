//! The worker's pools of idle connections: named, bounded, the one used last given first.
//!
//! A pool may count its connections, those in use included, and make further ones wait (`backlog`). What a TLS
//! handshake asked is part of what an idle connection is: see [`Wanted`]. Must not: open or read connections, but for
//! asking whether an idle one is still silent.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::super::log::{self, Level};
use super::wire::{Conn, Probe};
use crate::tls::identity::ClientIdentity;
use crate::upstream::TlsPlan;

/// How many pools a worker keeps.
const POOLS: usize = 2048;
/// Idle connections of a worker in all.
const IDLE: usize = 8192;
/// How often idle connections are looked at.
const SWEEP: Duration = Duration::from_millis(200);

struct Idle {
    conn: Rc<Conn>,
    until: Option<Instant>,
}

/// A pool.
pub(in crate::ngx) struct Pool {
    name: String,
    size: usize,
    /// How many connects may wait once `size` connections are in use; None: they are not counted.
    backlog: Option<usize>,
    connections: Cell<usize>,
    idle: RefCell<VecDeque<Idle>>,
    waiting: RefCell<VecDeque<oneshot::Sender<()>>>,
}

#[derive(Default)]
struct Pools {
    by_name: HashMap<String, Rc<Pool>>,
    sweeping: bool,
}

thread_local! {
    static POOLS_HERE: RefCell<Pools> = RefCell::default();
    static IDLE_HERE: Cell<usize> = const { Cell::new(0) };
}

/// Idle connections of this worker.
pub(in crate::ngx) fn idle() -> usize {
    sweep();
    IDLE_HERE.get()
}

/// A connection's share in a pool; given back when it closes.
pub(in crate::ngx) struct Ticket(Option<Rc<Pool>>);

impl Ticket {
    fn new(pool: &Rc<Pool>) -> Self {
        pool.connections.set(pool.connections.get() + 1);
        Self(Some(pool.clone()))
    }

    /// Gives the share back without waking who waits for it: another took its place.
    fn silently(mut self) {
        if let Some(pool) = self.0.take() {
            pool.connections.set(pool.connections.get().saturating_sub(1));
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if let Some(pool) = self.0.take() {
            pool.connections.set(pool.connections.get().saturating_sub(1));
            pool.wake();
            if pool.connections.get() == 0 {
                let _ = POOLS_HERE.try_with(|p| {
                    if let Ok(mut p) = p.try_borrow_mut()
                        && p.by_name
                            .get(&pool.name)
                            .is_some_and(|known| Rc::ptr_eq(known, &pool))
                    {
                        p.by_name.remove(&pool.name);
                    }
                });
            }
        }
    }
}

impl Pool {
    fn wake(&self) {
        while let Some(waiter) = self.waiting.borrow_mut().pop_front() {
            if waiter.send(()).is_ok() {
                return;
            }
        }
    }

    /// The idle connection used last that fits and is still silent.
    fn take(&self, wanted: &Wanted) -> Option<Rc<Conn>> {
        loop {
            let at = {
                let idle = self.idle.borrow();
                idle.iter().position(|i| wanted.fits(&i.conn))?
            };
            let found = self.idle.borrow_mut().remove(at)?;
            IDLE_HERE.set(IDLE_HERE.get() - 1);
            let dead = found.until.is_some_and(|until| until <= Instant::now());
            if !dead && found.conn.probe() == Probe::Silent {
                return Some(found.conn);
            }
        }
    }
}

/// Which idle connection will do.
pub(in crate::ngx) enum Wanted {
    /// For `connect`: what the handshake will ask is not known yet, but an identity that was set is.
    Any {
        plugin: u16,
        identity: Option<Arc<ClientIdentity>>,
    },
    /// For a handshake: one that asked the very same.
    Shaken { plugin: u16, plan: Arc<TlsPlan> },
}

impl Wanted {
    fn fits(&self, conn: &Conn) -> bool {
        let shaken = conn.shaken.borrow();
        match (self, &*shaken) {
            (Self::Any { .. }, None) => true,
            (Self::Any { plugin, identity }, Some(shaken)) => {
                conn.plugin.get() == *plugin
                    && (identity.is_none() || *identity == shaken.plan.profile.identity)
            }
            (Self::Shaken { .. }, None) => false,
            (Self::Shaken { plugin, plan }, Some(shaken)) => {
                conn.plugin.get() == *plugin && shaken.plan == *plan
            }
        }
    }
}

/// What a pool says to a connect.
pub(in crate::ngx) enum Claim {
    /// Here is an idle one.
    Idle(Rc<Conn>),
    /// Open one, and let it have this.
    Open(Option<Ticket>),
    /// Wait for this first.
    Wait(Ticket, oneshot::Receiver<()>),
    /// Too many wait already.
    Full,
}

/// Asks pool `name`; with a size it is made if it is not there.
pub(in crate::ngx) fn claim(
    name: &str,
    size: Option<usize>,
    backlog: Option<usize>,
    wanted: &Wanted,
) -> Claim {
    let Some(pool) = find(name, size, backlog) else {
        return Claim::Open(None);
    };
    if let Some(conn) = pool.take(wanted) {
        conn.reused.set(conn.reused.get() + 1);
        return Claim::Idle(conn);
    }
    let ticket = Ticket::new(&pool);
    let Some(backlog) = pool.backlog else {
        return Claim::Open(Some(ticket));
    };
    let connections = pool.connections.get();
    if connections > pool.size + backlog {
        ticket.silently();
        return Claim::Full;
    }
    if connections > pool.size {
        if log::enabled(Level::DEBUG) {
            let text = format!(
                "lua tcp socket queue connect operation for connection pool \"{name}\", connections: {connections}"
            );
            log::emit(Level::DEBUG, text.as_bytes());
        }
        let (sender, receiver) = oneshot::channel();
        pool.waiting.borrow_mut().push_back(sender);
        return Claim::Wait(ticket, receiver);
    }
    Claim::Open(Some(ticket))
}

/// After a wait: an idle connection if there is one now, or the ticket to open one with.
pub(in crate::ngx) fn claim_again(ticket: Ticket, wanted: &Wanted) -> Claim {
    let idle = ticket.0.as_ref().and_then(|pool| pool.take(wanted));
    match idle {
        Some(conn) => {
            ticket.silently();
            conn.reused.set(conn.reused.get() + 1);
            Claim::Idle(conn)
        }
        None => Claim::Open(Some(ticket)),
    }
}

/// An idle connection of the pool that `conn` is from which asked for the very same TLS.
pub(in crate::ngx) fn same(name: &str, wanted: &Wanted) -> Option<Rc<Conn>> {
    let conn = find(name, None, None)?.take(wanted)?;
    conn.reused.set(conn.reused.get() + 1);
    Some(conn)
}

fn find(name: &str, size: Option<usize>, backlog: Option<usize>) -> Option<Rc<Pool>> {
    POOLS_HERE.with(|p| {
        let mut p = p.borrow_mut();
        if let Some(pool) = p.by_name.get(name) {
            return Some(pool.clone());
        }
        if p.by_name.len() >= POOLS {
            return None;
        }
        let pool = Rc::new(Pool {
            name: name.to_owned(),
            size: size?,
            backlog,
            connections: Cell::new(0),
            idle: RefCell::default(),
            waiting: RefCell::default(),
        });
        p.by_name.insert(name.to_owned(), pool.clone());
        Some(pool)
    })
}

/// Gives a connection to pool `name`, made with `size` if it is not there; the one idle longest goes from a full pool.
pub(in crate::ngx) fn keep(name: &str, conn: Rc<Conn>, size: usize, time: Duration) {
    if IDLE_HERE.get() >= IDLE {
        return;
    }
    let Some(pool) = find(name, Some(size), None) else {
        return;
    };
    let gone = {
        let mut idle = pool.idle.borrow_mut();
        if idle.len() >= pool.size {
            idle.pop_back()
        } else {
            None
        }
    };
    if gone.is_some() {
        IDLE_HERE.set(IDLE_HERE.get() - 1);
    }
    {
        let mut ticket = conn.ticket.borrow_mut();
        if ticket.is_none() {
            *ticket = Some(Ticket::new(&pool));
        }
    }
    let until = (!time.is_zero()).then(|| Instant::now() + time);
    pool.idle.borrow_mut().push_front(Idle { conn, until });
    IDLE_HERE.set(IDLE_HERE.get() + 1);
    drop(gone);
    pool.wake();
    start_sweeper();
}

/// Closes idle connections whose time is over or whose peer has ended or talks unasked.
fn sweep() {
    let pools: Vec<Rc<Pool>> = POOLS_HERE.with(|p| p.borrow().by_name.values().cloned().collect());
    let now = Instant::now();
    for pool in pools {
        let mut gone = Vec::new();
        pool.idle.borrow_mut().retain(|i| {
            let alive = i.until.is_none_or(|until| until > now) && i.conn.probe() == Probe::Silent;
            if !alive {
                gone.push(i.conn.clone());
            }
            alive
        });
        IDLE_HERE.set(IDLE_HERE.get() - gone.len());
    }
}

/// Clears the mark when the sweeper ends or its runtime does.
struct Sweeping;

impl Drop for Sweeping {
    fn drop(&mut self) {
        let _ = POOLS_HERE.try_with(|p| {
            if let Ok(mut p) = p.try_borrow_mut() {
                p.sweeping = false;
            }
        });
    }
}

fn start_sweeper() {
    if POOLS_HERE.with(|p| std::mem::replace(&mut p.borrow_mut().sweeping, true)) {
        return;
    }
    let mark = Sweeping;
    tokio::task::spawn_local(async move {
        let _mark = mark;
        while IDLE_HERE.get() > 0 {
            tokio::time::sleep(SWEEP).await;
            sweep();
        }
    });
}
