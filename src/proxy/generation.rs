//! One generation: a Lua state with its plugins and the configuration they run with. A reload makes a new one;
//! exchanges under way keep theirs.
//!
//! Must not: outlive its last exchange.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use super::Worker;
use crate::balancer::RoundRobin;
use crate::entity::{TargetIdx, UpstreamIdx};
use crate::net::real_ip::RealIp;
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
    /// How the client's address is found.
    pub real_ip: RealIp,
    /// TLS to upstreams where nothing else is said.
    pub tls: Arc<TlsDefaults>,
    /// Round-robin states by Upstream.
    pub balancers: RefCell<HashMap<UpstreamIdx, RoundRobin>>,
}

impl Generation {
    /// The next target of an Upstream, other than those tried.
    pub fn next_target(&self, upstream: UpstreamIdx, tried: &[TargetIdx]) -> Option<TargetIdx> {
        let entity = self.snapshot.upstream(upstream)?;
        let mut balancers = self.balancers.borrow_mut();
        balancers
            .entry(upstream)
            .or_insert_with(|| RoundRobin::new(&entity.targets, self.worker.id as u64))
            .next(tried)
    }
}
