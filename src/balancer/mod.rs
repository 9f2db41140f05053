//! Which target serves an attempt: pure state machines over upstreams and their targets.
//!
//! Must not: resolve names, open connections, read a clock.

mod consistent_hashing;
mod latency;
mod least_connections;
mod round_robin;
mod xxh32;

use std::net::IpAddr;
use std::time::{Duration, Instant};

use consistent_hashing::ConsistentHashing;
use latency::Latency;
use least_connections::LeastConnections;
use round_robin::RoundRobin;

use crate::entity::{Algorithm, TargetIdx, Upstream, UpstreamIdx};
use crate::store::Snapshot;

/// Which targets may be picked: all but those that failed this request already.
#[derive(Debug, Clone, Copy, Default)]
pub struct Sieve<'t> {
    failed: &'t [TargetIdx],
    nameless: &'t [TargetIdx],
}

impl<'t> Sieve<'t> {
    /// All but these.
    pub fn without(failed: &'t [TargetIdx]) -> Self {
        Self {
            failed,
            nameless: &[],
        }
    }

    /// Nor those whose name has no address.
    pub fn nor(self, nameless: &'t [TargetIdx]) -> Self {
        Self { nameless, ..self }
    }

    fn open(self, target: TargetIdx) -> bool {
        !self.failed.contains(&target) && !self.nameless.contains(&target)
    }
}

/// The state of one upstream's balancing in one worker.
#[derive(Debug)]
pub enum Balancer {
    /// In turn, by weight.
    RoundRobin(RoundRobin),
    /// By a hash of the request.
    ConsistentHashing(ConsistentHashing),
    /// By requests under way.
    LeastConnections(LeastConnections),
    /// By the time answers took.
    Latency(Latency),
}

impl Balancer {
    /// The state to start with; `seed` keeps workers from going in step.
    pub fn new(upstream: &Upstream, seed: u64, now: Instant) -> Self {
        let targets = &upstream.targets;
        match upstream.algorithm {
            Algorithm::RoundRobin => Self::RoundRobin(RoundRobin::new(targets, seed)),
            Algorithm::ConsistentHashing => {
                Self::ConsistentHashing(ConsistentHashing::new(targets, upstream.slots))
            }
            Algorithm::LeastConnections => Self::LeastConnections(LeastConnections::new(targets, seed)),
            Algorithm::Latency => Self::Latency(Latency::new(targets, seed, now)),
        }
    }

    /// The target of the next try; `hash` is what the request is hashed by. Each that is given is to be
    /// [`Balancer::ended`].
    pub fn next(&mut self, hash: &[u8], sieve: Sieve<'_>, now: Instant) -> Option<TargetIdx> {
        match self {
            Self::RoundRobin(b) => b.next(sieve),
            Self::ConsistentHashing(b) => b.next(hash, sieve),
            Self::LeastConnections(b) => b.next(sieve),
            Self::Latency(b) => b.next(sieve, now),
        }
    }

    /// A try is over; `took` is how long connecting and the response took, if there was one.
    pub fn ended(&mut self, target: TargetIdx, took: Option<Duration>, now: Instant) {
        match (self, took) {
            (Self::LeastConnections(b), _) => b.ended(target),
            (Self::Latency(b), Some(took)) => b.seen(target, took, now),
            _ => {}
        }
    }
}

/// Where a host and port lead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Destination<'h> {
    /// The host names an upstream: its targets are balanced over and the port does not matter.
    Upstream(UpstreamIdx),
    /// The host is an address, or a name to be resolved.
    Direct {
        /// Name or IP literal, without brackets.
        host: &'h str,
        /// Port.
        port: u16,
    },
}

/// Decides, as late as the connection is made, whether a host is balanced.
///
/// # Source
/// `kong/runloop/balancer/init.lua`: a host *name* that names an upstream is balanced, an address never is.
pub fn resolve<'h>(host: &'h str, port: u16, snapshot: &Snapshot) -> Destination<'h> {
    let bare = host
        .strip_prefix('[')
        .and_then(|h| h.strip_suffix(']'))
        .unwrap_or(host);
    if bare.parse::<IpAddr>().is_ok() {
        return Destination::Direct { host: bare, port };
    }
    match snapshot.upstream_by_name(host) {
        Some(upstream) => Destination::Upstream(upstream),
        None => Destination::Direct { host, port },
    }
}

#[cfg(test)]
pub(super) mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::entity::Target;
    use crate::store::{Builder, EntityKind};

    pub(super) fn targets(weights: &[u16]) -> Vec<Target> {
        let target = |weight: &u16| {
            serde_json::from_value(serde_json::json!({ "id": "i", "target": "t:1", "weight": weight }))
                .unwrap()
        };
        weights.iter().map(target).collect()
    }

    #[test]
    fn a12_only_names_of_upstreams_are_balanced() {
        let mut builder = Builder::new(vec![EntityKind {
            name: "upstreams".to_owned(),
            primary_key: vec!["id".to_owned()],
            unique: vec!["name".to_owned()],
            ..EntityKind::default()
        }]);
        let row = r#"{ "id": "u", "name": "pool", "slots": 10 }"#;
        builder.add("upstreams", row).unwrap();
        let snapshot = builder.finish(String::new());
        assert_eq!(
            resolve("pool", 80, &snapshot),
            Destination::Upstream(UpstreamIdx(0))
        );
        for (host, bare) in [
            ("other", "other"),
            ("10.0.0.1", "10.0.0.1"),
            ("[::1]", "::1"),
            ("::1", "::1"),
            ("", ""),
        ] {
            assert_eq!(
                resolve(host, 81, &snapshot),
                Destination::Direct { host: bare, port: 81 }
            );
        }
        assert_eq!(
            resolve("pool", 1, &Snapshot::empty()),
            Destination::Direct {
                host: "pool",
                port: 1
            }
        );
    }
}
