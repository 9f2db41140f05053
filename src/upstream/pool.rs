//! Idle upstream connections of one worker, by their whole plan.
//!
//! Must not: compare anything less than the plan; keep a connection past its limits.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::time::{Duration, Instant};

use super::{AttemptError, Conn, ConnectPlan};

/// Limits of the pool (`upstream_keepalive_*`).
#[derive(Debug, Clone, Copy)]
pub struct PoolLimits {
    /// Idle connections kept per plan; 0 keeps none.
    pub per_plan: usize,
    /// Idle connections kept in all.
    pub total: usize,
    /// Requests per connection; 0 for no limit.
    pub max_requests: u64,
    /// How long an idle connection is kept.
    pub idle_timeout: Duration,
}

impl Default for PoolLimits {
    fn default() -> Self {
        Self {
            per_plan: 512,
            total: 16384,
            max_requests: 10_000,
            idle_timeout: Duration::from_secs(60),
        }
    }
}

/// What the pool did so far.
#[derive(Debug, Default)]
pub struct Counters {
    /// Connections made.
    pub made: Cell<u64>,
    /// Requests served by a kept connection.
    pub reused: Cell<u64>,
    /// Connections in use now.
    pub active: Rc<Cell<u64>>,
}

/// Counts a connection in use while it lives, so that an abandoned request's is not counted for ever.
#[derive(Debug)]
pub(super) struct InUse(Rc<Cell<u64>>);

impl InUse {
    fn new(active: &Rc<Cell<u64>>) -> Self {
        active.set(active.get() + 1);
        Self(active.clone())
    }
}

impl Drop for InUse {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

/// The pool.
#[derive(Debug)]
pub struct Pool {
    limits: PoolLimits,
    idle: RefCell<HashMap<ConnectPlan, Vec<Conn>>>,
    count: Cell<usize>,
    /// Counters.
    pub counters: Counters,
}

impl Pool {
    /// An empty pool.
    pub fn new(limits: PoolLimits) -> Rc<Self> {
        Rc::new(Self {
            limits,
            idle: RefCell::default(),
            count: Cell::new(0),
            counters: Counters::default(),
        })
    }

    /// A kept connection for `plan` that is alive, the one used last first.
    pub fn kept(&self, plan: &ConnectPlan) -> Option<Conn> {
        let mut idle = self.idle.borrow_mut();
        let list = idle.get_mut(plan)?;
        while let Some(mut conn) = list.pop() {
            self.count.set(self.count.get() - 1);
            if conn.idle_since.elapsed() < self.limits.idle_timeout && conn.is_alive() {
                self.counters.reused.set(self.counters.reused.get() + 1);
                conn.in_use = Some(InUse::new(&self.counters.active));
                return Some(conn);
            }
        }
        None
    }

    /// A new connection for `plan`.
    ///
    /// # Errors
    /// As [`Conn::connect`].
    pub async fn connect(&self, plan: ConnectPlan, limit: Duration) -> Result<Conn, AttemptError> {
        let mut conn = Conn::connect(plan, limit).await?;
        self.counters.made.set(self.counters.made.get() + 1);
        conn.in_use = Some(InUse::new(&self.counters.active));
        Ok(conn)
    }

    /// Ends a connection's use: keeps it if it can serve again.
    pub fn give_back(&self, mut conn: Conn) {
        conn.in_use = None;
        if !conn.is_ready()
            || self.limits.per_plan == 0
            || (self.limits.max_requests > 0 && conn.uses >= self.limits.max_requests)
            || self.count.get() >= self.limits.total
        {
            return;
        }
        conn.idle_since = Instant::now();
        let mut idle = self.idle.borrow_mut();
        let list = idle.entry(conn.plan).or_default();
        if list.len() >= self.limits.per_plan {
            list.remove(0);
            self.count.set(self.count.get() - 1);
        }
        list.push(conn);
        self.count.set(self.count.get() + 1);
    }

    /// Ends a connection's use and the connection.
    pub fn discard(&self, conn: Conn) {
        drop(conn);
    }

    /// How many connections are idle.
    pub fn idle_count(&self) -> usize {
        self.count.get()
    }

    /// Drops connections that are dead or past their time; called now and then by the worker.
    pub fn sweep(&self) {
        let mut idle = self.idle.borrow_mut();
        idle.retain(|_, list| {
            list.retain_mut(|c| c.idle_since.elapsed() < self.limits.idle_timeout && c.is_alive());
            !list.is_empty()
        });
        self.count.set(idle.values().map(Vec::len).sum());
    }
}
