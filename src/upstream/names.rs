//! Names to addresses, briefly remembered per worker.
//!
//! Must not: block the worker (the system's resolver runs on the runtime's blocking pool).

use std::cell::RefCell;
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use super::AttemptError;

const KEPT: Duration = Duration::from_secs(5);
const MAX_NAMES: usize = 10_000;

/// The addresses a worker has looked up lately.
#[derive(Debug, Default)]
pub struct Names {
    known: RefCell<HashMap<String, (Instant, Vec<IpAddr>)>>,
}

impl Names {
    /// The addresses of `host`, which may be an IP literal.
    ///
    /// # Errors
    /// [`AttemptError::Name`] when there is none.
    pub async fn resolve(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>, AttemptError> {
        let bare = host
            .strip_prefix('[')
            .and_then(|h| h.strip_suffix(']'))
            .unwrap_or(host);
        if let Ok(ip) = bare.parse::<IpAddr>() {
            return Ok(vec![SocketAddr::new(ip, port)]);
        }
        if let Some((at, ips)) = self.known.borrow().get(host)
            && at.elapsed() < KEPT
        {
            return Ok(ips.iter().map(|ip| SocketAddr::new(*ip, port)).collect());
        }
        let failed = |reason: String| AttemptError::Name {
            host: host.to_string(),
            reason,
        };
        let addrs: Vec<SocketAddr> = tokio::net::lookup_host((bare, port))
            .await
            .map_err(|e| failed(e.to_string()))?
            .collect();
        if addrs.is_empty() {
            return Err(failed("no address".into()));
        }
        let mut known = self.known.borrow_mut();
        if known.len() >= MAX_NAMES {
            known.retain(|_, (at, _)| at.elapsed() < KEPT);
            if known.len() >= MAX_NAMES {
                known.clear();
            }
        }
        known.insert(
            host.to_string(),
            (Instant::now(), addrs.iter().map(SocketAddr::ip).collect()),
        );
        Ok(addrs)
    }
}
