//! Idle upstream connections of one worker, by their whole plan.
//!
//! Must not: compare anything less than the plan; keep a connection past its limits.

// what identities and trust stores work out late takes no part in their comparison
#![allow(clippy::mutable_key_type)]

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::rc::Rc;
use std::time::{Duration, Instant};

use tower::ServiceExt;

use super::connector::Shared;
use super::{AttemptError, Conn, ConnectPlan, Connector};

/// Limits of the pool (`upstream_keepalive_*`).
#[derive(Debug, Clone, Copy)]
pub struct PoolLimits {
    /// Idle connections kept per plan; 0 keeps none.
    pub per_plan: usize,
    /// Idle connections kept in all.
    pub total: usize,
    /// Plans with idle connections.
    pub plans: usize,
    /// Requests per connection; 0 for no limit.
    pub max_requests: u64,
    /// How long an idle connection is kept; zero for no limit.
    pub idle_timeout: Duration,
}

impl Default for PoolLimits {
    fn default() -> Self {
        Self {
            per_plan: 512,
            total: 8192,
            plans: 2048,
            max_requests: 10_000,
            idle_timeout: Duration::from_secs(60),
        }
    }
}

impl PoolLimits {
    /// Whether a connection is past its time.
    fn is_over(&self, conn: &Conn) -> bool {
        !self.idle_timeout.is_zero() && conn.idle_since.elapsed() >= self.idle_timeout
    }
}

/// What the pool did so far.
#[derive(Debug, Default)]
pub struct Counters {
    /// Connections made.
    pub made: Cell<u64>,
    /// Requests served by a kept connection.
    pub reused: Cell<u64>,
    /// Idle connections found dead before use.
    pub dead: Cell<u64>,
    /// Idle connections that had to go for others.
    pub evicted: Cell<u64>,
    /// Connections in use now.
    pub active: Rc<Cell<u64>>,
}

fn add(counter: &Cell<u64>, n: usize) {
    counter.set(counter.get() + n as u64);
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

/// By plan; of each, the connection given back last stands last.
type Idle = HashMap<ConnectPlan, VecDeque<Conn>, foldhash::fast::RandomState>;

/// The pool.
#[derive(Debug)]
pub struct Pool {
    limits: Cell<PoolLimits>,
    idle: RefCell<Idle>,
    count: Cell<usize>,
    connecting: Rc<Shared>,
    /// Counters.
    pub counters: Counters,
}

impl Pool {
    /// An empty pool.
    pub fn new(limits: PoolLimits) -> Rc<Self> {
        Rc::new(Self {
            limits: Cell::new(limits),
            idle: RefCell::default(),
            count: Cell::new(0),
            connecting: Rc::default(),
            counters: Counters::default(),
        })
    }

    /// Other limits from now on.
    pub fn set_limits(&self, limits: PoolLimits) {
        self.limits.set(limits);
    }

    /// A kept connection for `plan` that is alive, the one used last first.
    pub fn kept(&self, plan: &ConnectPlan) -> Option<Conn> {
        let limits = self.limits.get();
        let mut idle = self.idle.borrow_mut();
        let list = idle.get_mut(plan)?;
        while let Some(mut conn) = list.pop_back() {
            self.count.set(self.count.get() - 1);
            if !limits.is_over(&conn) && conn.is_alive() {
                add(&self.counters.reused, 1);
                conn.in_use = Some(InUse::new(&self.counters.active));
                return Some(conn);
            }
            add(&self.counters.dead, 1);
        }
        None
    }

    /// A new connection for `plan`.
    ///
    /// # Errors
    /// As [`Connector::connect`].
    pub async fn connect(&self, plan: ConnectPlan, limit: Duration) -> Result<Conn, AttemptError> {
        let connector = Connector::new(self.connecting.clone(), limit);
        let mut conn = connector.oneshot(plan).await?;
        add(&self.counters.made, 1);
        conn.in_use = Some(InUse::new(&self.counters.active));
        Ok(conn)
    }

    /// Ends a connection's use: keeps it if it can serve again.
    pub fn give_back(&self, mut conn: Conn) {
        conn.in_use = None;
        let limits = self.limits.get();
        let spent = limits.max_requests > 0 && conn.uses >= limits.max_requests;
        if !conn.is_ready() || spent || limits.per_plan == 0 || limits.total == 0 || limits.plans == 0 {
            return;
        }
        conn.idle_since = Instant::now();
        let mut idle = self.idle.borrow_mut();
        if self.count.get() >= limits.total {
            self.thin_out(&mut idle, limits);
        }
        if let Some(list) = idle.get_mut(&conn.plan) {
            if list.len() >= limits.per_plan {
                list.pop_front();
                self.count.set(self.count.get() - 1);
                add(&self.counters.evicted, 1);
            }
            list.push_back(conn);
        } else {
            if idle.len() >= limits.plans {
                self.drop_plans(&mut idle, limits);
            }
            idle.insert(conn.plan.clone(), VecDeque::from([conn]));
        }
        self.count.set(self.count.get() + 1);
    }

    /// Lets the connections go that have been idle for the longest, a sixteenth at once.
    fn thin_out(&self, idle: &mut Idle, limits: PoolLimits) {
        let mut since: Vec<Instant> = idle.values().flatten().map(|conn| conn.idle_since).collect();
        if since.is_empty() {
            return;
        }
        let last = (limits.total / 16).min(since.len() - 1);
        let limit = *since.select_nth_unstable(last).1;
        idle.retain(|_, list| {
            while list.front().is_some_and(|conn| conn.idle_since <= limit) {
                list.pop_front();
            }
            !list.is_empty()
        });
        self.recount(idle);
    }

    /// Lets the plans go that nobody used for the longest, those without a connection before all others.
    fn drop_plans(&self, idle: &mut Idle, limits: PoolLimits) {
        idle.retain(|_, list| !list.is_empty());
        let mut used: Vec<Instant> = idle
            .values()
            .filter_map(|list| list.back().map(|conn| conn.idle_since))
            .collect();
        if used.len() < limits.plans {
            return;
        }
        let last = (limits.plans / 16).min(used.len() - 1);
        let limit = *used.select_nth_unstable(last).1;
        idle.retain(|_, list| list.back().is_some_and(|conn| conn.idle_since > limit));
        self.recount(idle);
    }

    fn recount(&self, idle: &Idle) {
        let now = idle.values().map(VecDeque::len).sum();
        add(
            &self.counters.evicted,
            self.count.replace(now).saturating_sub(now),
        );
    }

    /// Ends a connection's use and the connection.
    pub fn discard(&self, conn: Conn) {
        drop(conn);
    }

    /// How many connections are idle.
    pub fn idle_count(&self) -> usize {
        self.count.get()
    }

    /// How many plans have, or lately had, idle connections.
    pub fn plan_count(&self) -> usize {
        self.idle.borrow().len()
    }

    /// Drops connections that are dead or past their time; called now and then by the worker.
    pub fn sweep(&self) {
        let limits = self.limits.get();
        let mut idle = self.idle.borrow_mut();
        idle.retain(|_, list| {
            list.retain_mut(|conn| !limits.is_over(conn) && conn.is_alive());
            !list.is_empty()
        });
        self.count.set(idle.values().map(VecDeque::len).sum());
    }

    /// What the pool did since the worker began, as a line.
    pub fn report(&self) -> String {
        let (c, s) = (&self.counters, &self.connecting);
        format!(
            "made={} reused={} dead={} evicted={} idle={} plans={} handshakes_full={} handshakes_resumed={} \
             handshakes_failed={} tls_configurations={} tls_configurations_evicted={}",
            c.made.get(),
            c.reused.get(),
            c.dead.get(),
            c.evicted.get(),
            self.idle_count(),
            self.plan_count(),
            s.handshakes.full.get(),
            s.handshakes.resumed.get(),
            s.handshakes.failed.get(),
            s.clients.len(),
            s.clients.counters.evicted.get(),
        )
    }

    /// TLS configurations and what handshakes came to.
    pub fn connecting(&self) -> &Shared {
        &self.connecting
    }
}
