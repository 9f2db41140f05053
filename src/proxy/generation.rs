//! One generation: a Lua state with its plugins and the configuration they run with. A reload makes a new one;
//! exchanges under way keep theirs.
//!
//! Must not: outlive its last exchange.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use super::Worker;
use super::handshake::Secured;
use crate::balancer::Balancer;
use crate::entity::UpstreamIdx;
use crate::net::real_ip::RealIp;
use crate::pdk::balancer::Calls;
use crate::plugin::Phases;
use crate::plugin::chain::Plan;
use crate::router::Router;
use crate::settings::Settings;
use crate::store::Snapshot;
use crate::upstream::TlsDefaults;
use crate::vm::Vm;

/// See the module.
pub struct Generation {
    /// The settings.
    pub settings: Arc<Settings>,
    /// The worker.
    pub worker: Rc<Worker>,
    /// The Lua state.
    pub vm: Rc<Vm>,
    /// The plugin loop's functions.
    pub phases: Phases,
    /// Which configuration applies, the loaded plugins.
    pub plan: Rc<Plan>,
    /// The configuration.
    pub snapshot: Arc<Snapshot>,
    /// Its routes.
    pub router: Arc<Router>,
    /// The plugins that may be configured.
    pub enabled: Arc<Vec<String>>,
    /// What listeners with TLS work with; None without any.
    pub secured: Option<Arc<Secured>>,
    /// How the client's address is found.
    pub real_ip: RealIp,
    /// TLS to upstreams where nothing else is said.
    pub tls: Arc<TlsDefaults>,
    /// The functions around tries.
    pub balancing: Calls,
    /// The balancers' states by Upstream.
    pub balancers: RefCell<HashMap<UpstreamIdx, Rc<RefCell<Balancer>>>>,
    /// Counts it while it lives.
    pub alive: Alive,
}

/// Counts a generation of a worker while it lives: one that nobody needs any more and that stays is a whole
/// configuration too much.
pub struct Alive(Rc<Cell<usize>>);

impl Alive {
    /// One more.
    pub fn new(count: &Rc<Cell<usize>>) -> Self {
        count.set(count.get() + 1);
        Self(count.clone())
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

impl Generation {
    /// The state of an Upstream's balancing in this worker.
    pub fn balancer(&self, upstream: UpstreamIdx) -> Option<Rc<RefCell<Balancer>>> {
        if let Some(known) = self.balancers.borrow().get(&upstream) {
            return Some(known.clone());
        }
        let entity = self.snapshot.upstream(upstream)?;
        let made = Balancer::new(entity, self.worker.id as u64, Instant::now());
        let made = Rc::new(RefCell::new(made));
        self.balancers.borrow_mut().insert(upstream, made.clone());
        Some(made)
    }
}
