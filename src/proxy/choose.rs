//! Where the next try goes: the host and port to connect to, and the Host header it is told.
//!
//! Must not: resolve names or connect (`connect` does).

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant, SystemTime};

use super::Generation;
use super::fault::Fault;
use super::hash_input;
use crate::balancer::{Balancer, Destination, Sieve, resolve};
use crate::entity::{Algorithm, TargetIdx, UpstreamIdx};
use crate::exchange::{Attempt, Exchange};
use crate::logs::Level;
use crate::resolver::Addresses;
use crate::upstream::AttemptError;
use crate::vm::Scope;
use crate::vm::scope::NO_PLUGIN;

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
    /// The same, to measure by.
    pub began: Instant,
    /// How long it took.
    pub choosing: Duration,
    /// The balancer's count of it.
    pub lease: Option<Lease>,
}

/// A target in use: the balancer hears of its end when this is dropped.
pub struct Lease {
    balancer: Rc<RefCell<Balancer>>,
    target: TargetIdx,
    began: Instant,
    answered: bool,
}

impl Lease {
    /// The target answered: how long it takes counts.
    pub fn answered(&mut self) {
        self.answered = true;
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let took = self.answered.then(|| self.began.elapsed());
        self.balancer
            .borrow_mut()
            .ended(self.target, took, Instant::now());
    }
}

/// What one request tried already.
#[derive(Debug, Default)]
pub struct Tried {
    /// Tries that count.
    pub tries: u32,
    upstream: Option<UpstreamIdx>,
    failed: Vec<TargetIdx>,
    nameless: Vec<TargetIdx>,
}

impl Tried {
    /// A target failed: others go first.
    pub fn failed(&mut self, choice: &Choice) {
        if let Some((_, target)) = choice.target {
            self.failed.push(target);
        }
    }

    /// A target's name has no address: it is none for this request. False where there was no target.
    pub fn nameless(&mut self, choice: &Choice) -> bool {
        choice
            .target
            .map(|(_, target)| self.nameless.push(target))
            .is_some()
    }

    /// Whether all that an upstream has is without an address.
    fn pick(&mut self, g: &Generation, up: UpstreamIdx, hash: &[u8]) -> Option<(TargetIdx, Lease)> {
        if self.upstream != Some(up) {
            *self = Self {
                tries: self.tries,
                upstream: Some(up),
                ..Self::default()
            };
        }
        let balancer = g.balancer(up)?;
        let now = Instant::now();
        let sieve = Sieve::without(&self.failed).nor(&self.nameless);
        let mut found = balancer.borrow_mut().next(hash, sieve, now);
        if found.is_none() {
            // all were tried: from the beginning
            self.failed.clear();
            let sieve = Sieve::default().nor(&self.nameless);
            found = balancer.borrow_mut().next(hash, sieve, now);
        }
        let target = found?;
        let lease = Lease {
            balancer,
            target,
            began: now,
            answered: false,
        };
        Some((target, lease))
    }
}

impl Choice {
    /// What its name led to: a service (SRV) has a port of its own, and where the Upstream says so a name.
    ///
    /// # Source
    /// `kong/runloop/balancer/balancers.lua`, `setHostHeader`; `init.lua`, `set_host_header`
    pub fn found(&mut self, g: &Generation, x: &mut Exchange, addresses: &Addresses) {
        let Some(service) = addresses.service() else {
            return;
        };
        let entity = self.target.and_then(|(up, _)| g.snapshot.upstream(up));
        if entity.is_some_and(|e| e.use_srv_name && e.host_header.is_none()) {
            x.target.hostname = service.to_string();
        }
        self.port = addresses.port();
        if !x.target.preserve_host {
            x.outbound.host = authority(&x.target.hostname, self.port, &x.outbound.scheme);
            self.host_header.clone_from(&x.outbound.host);
        }
    }

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
            began: self.began,
            took: error.map(|_| self.began.elapsed()),
            received: 0,
            sent: 0,
        }
    }
}

/// Before the first try: whether the Host is there already, and so stays.
pub fn begin(scope: &Scope) {
    if let Some(cell) = &scope.exchange {
        let mut x = cell.borrow_mut();
        x.target.preserve_host = !x.outbound.host.is_empty();
    }
}

/// Chooses for the next try; before a retry a plugin's function is asked, unless the host is an Upstream.
///
/// # Errors
/// [`Fault::NoPeer`] where an Upstream has no usable target, [`Fault::RetryRefused`] where the function says no.
pub fn choose(g: &Generation, scope: &Rc<Scope>, tried: &mut Tried) -> Result<Choice, Fault> {
    let (started_at, began) = (SystemTime::now(), Instant::now());
    let cell = scope.exchange.as_ref().ok_or(Fault::NoService)?;
    if tried.tries > 0 && wants_asking(g, &cell.borrow()) {
        ask(g, scope)?;
    }
    let destination = {
        let t = &cell.borrow().target;
        match resolve(&t.host, t.port, &g.snapshot) {
            Destination::Direct { host, port } => Err((host.to_owned(), port)),
            Destination::Upstream(up) => Ok(up),
        }
    };
    let (name, host, port, target, lease) = match destination {
        Err((host, port)) => (host.clone(), host, port, None, None),
        Ok(up) => {
            let entity = g.snapshot.upstream(up).ok_or(Fault::NoPeer)?;
            if entity.algorithm == Algorithm::ConsistentHashing {
                hash_input::find(g, scope, &entity.hashing);
            }
            let x = cell.borrow();
            let hash = x.target.hash_value.as_deref().unwrap_or_default();
            let (target, lease) = tried.pick(g, up, hash).ok_or(Fault::NoPeer)?;
            let t = entity.targets.get(target.index()).ok_or(Fault::NoPeer)?;
            let name = entity.host_header.as_ref().unwrap_or(&t.host);
            (
                name.clone(),
                t.host.clone(),
                t.port,
                Some((up, target)),
                Some(lease),
            )
        }
    };
    let mut x = cell.borrow_mut();
    if !x.target.preserve_host {
        x.outbound.host = authority(&name, port, &x.outbound.scheme);
    }
    x.target.hostname = name;
    Ok(Choice {
        host,
        port,
        host_header: x.outbound.host.clone(),
        target,
        started_at,
        began,
        choosing: began.elapsed(),
        lease,
    })
}

/// A name with its port, unless that is the scheme's own.
fn authority(name: &str, port: u16, scheme: &str) -> String {
    let bare_v6 = !name.starts_with('[') && name.bytes().filter(|b| *b == b':').count() > 1;
    let mut text = String::with_capacity(name.len() + 8);
    if bare_v6 {
        text.push('[');
    }
    text.push_str(name);
    if bare_v6 {
        text.push(']');
    }
    if !matches!((port, scheme), (80, "http" | "grpc") | (443, "https" | "grpcs")) {
        text.push(':');
        text.push_str(itoa::Buffer::new().format(port));
    }
    text
}

fn wants_asking(g: &Generation, x: &Exchange) -> bool {
    x.target.retry_callback
        && matches!(
            resolve(&x.target.host, x.target.port, &g.snapshot),
            Destination::Direct { .. }
        )
}

fn ask(g: &Generation, scope: &Rc<Scope>) -> Result<(), Fault> {
    if let Some(cell) = &scope.exchange {
        scope.plugin.set(cell.borrow().target.retry_plugin);
    }
    let answer = g.balancing.retry(&g.vm, scope);
    scope.plugin.set(NO_PLUGIN);
    answer.map_err(|e| {
        let x = scope.exchange.as_ref().map(RefCell::borrow);
        g.worker
            .error(Level::Error, &format!("retry handler failed: {e}"), x.as_deref());
        Fault::RetryRefused
    })
}

#[cfg(test)]
mod tests {
    use super::authority;

    #[test]
    fn c06_ports_that_are_not_the_schemes_own_are_said() {
        for (name, port, scheme, want) in [
            ("a", 80, "http", "a"),
            ("a", 443, "https", "a"),
            ("a", 443, "http", "a:443"),
            ("a", 80, "https", "a:80"),
            ("a", 8080, "http", "a:8080"),
            ("::1", 80, "http", "[::1]"),
            ("::1", 81, "http", "[::1]:81"),
            ("[::1]", 81, "http", "[::1]:81"),
        ] {
            assert_eq!(authority(name, port, scheme), want);
        }
    }
}
