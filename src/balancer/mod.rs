//! Which target serves an attempt: pure state machines over upstreams and their targets.
//!
//! Must not: resolve names, open connections, read a clock.

mod round_robin;

pub use round_robin::RoundRobin;

use crate::entity::UpstreamIdx;
use crate::store::Snapshot;
use std::net::IpAddr;

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
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::store::{Builder, EntityKind};

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
