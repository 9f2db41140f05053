//! Where the next try goes: the host and port to connect to, and the Host header it is told.
//!
//! Must not: resolve names or connect (`connect` does).

use std::net::SocketAddr;
use std::time::{Duration, Instant, SystemTime};

use super::Generation;
use super::fault::Fault;
use crate::balancer::{Destination, resolve};
use crate::entity::{TargetIdx, UpstreamIdx};
use crate::exchange::{Attempt, Exchange};
use crate::upstream::AttemptError;

/// Where one try goes.
pub struct Choice {
    /// Name or IP literal to connect to.
    pub host: String,
    /// Port to connect to.
    pub port: u16,
    /// The Host header.
    pub host_header: String,
    /// The target of an Upstream that was picked.
    pub target: Option<(UpstreamIdx, TargetIdx)>,
    /// When choosing began.
    pub started_at: SystemTime,
    /// How long it took.
    pub choosing: Duration,
}

impl Choice {
    /// A try of one of its addresses, as the log will tell it.
    pub fn attempt(
        &self,
        addr: SocketAddr,
        error: Option<&AttemptError>,
        connect_time: Option<Duration>,
    ) -> Attempt {
        Attempt {
            addr,
            error: error.map(ToString::to_string),
            code: error.map(AttemptError::status),
            started_at: self.started_at,
            choosing: self.choosing,
            connect_time,
        }
    }
}

/// Chooses for the next try.
///
/// # Errors
/// [`Fault::NoPeer`] where an Upstream has no usable target.
pub fn choose(generation: &Generation, x: &Exchange, tried: &[TargetIdx]) -> Result<Choice, Fault> {
    let (started_at, began) = (SystemTime::now(), Instant::now());
    let with_port = |host: &str, port: u16| {
        let default = if x.outbound.scheme == "https" { 443 } else { 80 };
        if port == default {
            host.to_owned()
        } else {
            format!("{host}:{port}")
        }
    };
    match resolve(&x.target.host, x.target.port, &generation.snapshot) {
        Destination::Upstream(up) => {
            let target = generation
                .next_target(up, tried)
                .or_else(|| generation.next_target(up, &[]))
                .ok_or(Fault::NoPeer)?;
            let entity = generation.snapshot.upstream(up).ok_or(Fault::NoPeer)?;
            let t = entity.targets.get(target.index()).ok_or(Fault::NoPeer)?;
            let host_header = match (&entity.host_header, x.outbound.host.as_str()) {
                (_, set) if !set.is_empty() => set.to_owned(),
                (Some(own), _) => own.clone(),
                (None, _) => with_port(&t.host, t.port),
            };
            Ok(Choice {
                host: t.host.clone(),
                port: t.port,
                host_header,
                target: Some((up, target)),
                started_at,
                choosing: began.elapsed(),
            })
        }
        Destination::Direct { host, port } => {
            let host_header = match x.outbound.host.as_str() {
                "" => with_port(host, port),
                set => set.to_owned(),
            };
            Ok(Choice {
                host: host.to_owned(),
                port,
                host_header,
                target: None,
                started_at,
                choosing: began.elapsed(),
            })
        }
    }
}
