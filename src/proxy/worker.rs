//! What a worker keeps across reloads: its pool, names, logs, log queue and gauges.
//!
//! Must not: hold anything of one configuration.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use super::begin::Ids;
use super::log::Finished;
use crate::exchange::{Exchange, Phase, Source};
use crate::logs::Level;
use crate::logs::{AccessBuffer, AccessRecord};
use crate::logs::{ErrorContext, ErrorLog};
use crate::ngx::log::Origin;
use crate::resolver::Names;
use crate::upstream::pool::{Pool, PoolLimits};

/// One worker thread's own things.
pub struct Worker {
    /// 0, 1, ...
    pub id: usize,
    /// Upstream connections.
    pub pool: Rc<Pool>,
    /// Resolved names.
    pub names: Names,
    /// Exchanges under way.
    pub exchanges: Cell<usize>,
    /// Exchanges whose handlers go on without their clients.
    pub outliving: Cell<usize>,
    /// The worker ends: nothing outlives anybody any more.
    pub cut: Cut,
    /// TLS handshakes under way.
    pub handshakes: Rc<Cell<usize>>,
    /// Generations that live: one at rest.
    pub generations: Rc<Cell<usize>>,
    /// Client connections open.
    pub connections: Cell<usize>,
    /// Exchanges whose log phase is due.
    pub finished: RefCell<Vec<Finished>>,
    /// Wakes the log task.
    pub log_due: tokio::sync::Notify,
    /// The error log.
    pub errors: Rc<ErrorLog>,
    /// Access lines on their way.
    pub access: RefCell<AccessBuffer>,
    /// Request ids' state.
    pub ids: Ids,
}

/// The end of what goes on without a client.
#[derive(Debug, Default)]
pub struct Cut {
    now: Cell<bool>,
    told: tokio::sync::Notify,
}

impl Cut {
    /// Ends it all.
    pub fn cut(&self) {
        self.now.set(true);
        self.told.notify_waiters();
    }

    /// Whether that was said.
    pub fn is_due(&self) -> bool {
        self.now.get()
    }

    /// When it is said, or at once where it was.
    pub async fn due(&self) {
        if self.now.get() {
            return;
        }
        self.told.notified().await;
    }
}

impl Worker {
    /// A worker's things.
    pub fn new(
        id: usize,
        limits: PoolLimits,
        names: Names,
        errors: Rc<ErrorLog>,
        access: AccessBuffer,
    ) -> Rc<Self> {
        Rc::new(Self {
            id,
            pool: Pool::new(limits),
            names,
            exchanges: Cell::new(0),
            outliving: Cell::new(0),
            cut: Cut::default(),
            generations: Rc::default(),
            handshakes: Rc::default(),
            connections: Cell::new(0),
            finished: RefCell::default(),
            log_due: tokio::sync::Notify::new(),
            errors,
            access: RefCell::new(access),
            ids: Ids::new(id as u64),
        })
    }

    /// What is under way now, as a line; all but the idle connections is 0 at rest.
    pub fn gauges(&self, vm: &crate::vm::Vm) -> String {
        format!(
            "exchanges={} connections={} handshakes={} generations={} coroutines={} slots={} registry_refs={} active_upstream={} idle_upstream={}",
            self.exchanges.get(),
            self.connections.get(),
            self.handshakes.get(),
            self.generations.get(),
            vm.live_coroutines(),
            vm.live_slots(),
            vm.references(),
            self.pool.counters.active.get(),
            self.pool.idle_count(),
        )
    }

    /// Writes an error line.
    pub fn error(&self, level: Level, message: &str, x: Option<&Exchange>) {
        if !self.errors.wants(level) {
            return;
        }
        match x {
            None => self
                .errors
                .log(level, message.as_bytes(), &ErrorContext::default()),
            Some(x) => with_context(x, None, |c| self.errors.log(level, message.as_bytes(), c)),
        }
    }

    /// Writes the access line.
    pub fn access(&self, x: &Exchange) {
        let mut access = self.access.borrow_mut();
        if access.is_off() {
            return;
        }
        let addr = x.client.addr.ip().to_string();
        let user = remote_user(x);
        access.log(&AccessRecord {
            remote_addr: addr.as_bytes(),
            remote_user: user.as_deref().map(str::as_bytes),
            request: x.request.line(),
            status: x.response.status,
            body_bytes_sent: x.response.body_bytes_sent,
            referer: x.request.headers.get("referer"),
            user_agent: x.request.headers.get("user-agent"),
            request_id: &x.id,
        });
    }
}

/// Runs `f` with what an error line tells of its origin.
pub fn with_origin<R>(origin: &Origin<'_>, f: impl FnOnce(&ErrorContext<'_>) -> R) -> R {
    let (phase, serial, client) = match origin {
        Origin::Worker => return f(&ErrorContext::default()),
        Origin::Request(x, phase) => return with_context(x, action(x, *phase), f),
        Origin::Handshake(h, phase) => (phase, h.serial, Some((h.peer.ip(), h.listener))),
        Origin::Caller(c, phase) => (phase, c.serial, c.client),
    };
    let client = client.map(|(client, server)| (client.to_string(), server.to_string()));
    f(&ErrorContext {
        connection: Some(serial),
        context: Some(phase.lua_context()),
        client: client.as_ref().map(|c| c.0.as_bytes()),
        server: client.as_ref().map(|c| c.1.as_bytes()),
        ..ErrorContext::default()
    })
}

/// What nginx was doing when Lua ran in a phase; nothing where it had just read the request.
fn action(x: &Exchange, phase: Phase) -> Option<&'static str> {
    let upstream = x.response.source == Source::Service;
    match phase {
        Phase::Balancer => Some("connecting to upstream"),
        Phase::HeaderFilter if upstream => Some("reading response header from upstream"),
        Phase::BodyFilter if upstream => Some("reading upstream"),
        Phase::Log => Some("logging request"),
        _ => None,
    }
}

/// Runs `f` with what an error line tells of a request.
pub fn with_context<R>(x: &Exchange, action: Option<&str>, f: impl FnOnce(&ErrorContext<'_>) -> R) -> R {
    let client = x.client.addr.ip().to_string();
    let upstream = x.attempts.last().map(|tried| {
        let o = &x.outbound;
        format!("{}://{}{}", o.scheme, tried.addr, o.uri)
    });
    f(&ErrorContext {
        connection: Some(x.connection.serial),
        action,
        client: Some(client.as_bytes()),
        server: Some(b"kong"),
        request: Some(x.request.line()),
        host: x.request.headers.get("host"),
        request_id: Some(&x.id),
        upstream: upstream.as_deref().map(str::as_bytes),
        referrer: x.request.headers.get("referer"),
        ..ErrorContext::default()
    })
}

/// `$remote_user`: the user of Basic authorization.
fn remote_user(x: &Exchange) -> Option<String> {
    use base64::Engine;
    let value = x.request.headers.get("authorization")?;
    let (scheme, rest) = value.split_at_checked(6)?;
    if !scheme.eq_ignore_ascii_case(b"basic ") {
        return None;
    }
    let plain = base64::engine::general_purpose::STANDARD
        .decode(rest.trim_ascii())
        .ok()?;
    let end = plain.iter().position(|b| *b == b':')?;
    String::from_utf8(plain[..end].to_vec()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn d03_who_asks_after_the_cut_hears_of_it() {
        let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
        let cut = Cut::default();
        let mut before = std::pin::pin!(cut.due());
        assert!(before.as_mut().poll(&mut cx).is_pending());
        cut.cut();
        assert!(before.poll(&mut cx).is_ready());
        assert!(std::pin::pin!(cut.due()).poll(&mut cx).is_ready());
    }
}
