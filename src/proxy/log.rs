//! The last act: the log phase and the access line, once per exchange, client aborts included.
//!
//! Nothing runs in `Drop`: the drop moves the exchange to the worker's queue, a task empties it. Must not: be
//! waited for by a client.

use std::rc::Rc;
use std::time::Instant;

use super::choose::Lease;
use super::{Generation, Worker};
use crate::exchange::{Exchange, Phase};
use crate::logs::Level;
use crate::ngx;
use crate::vm::scope::Standing;
use crate::vm::{self, Flow, Scope};

/// An exchange whose log is due.
pub struct Finished {
    generation: Rc<Generation>,
    scope: Rc<Scope>,
}

/// Holds an exchange until its end, however that comes.
pub struct Tail {
    inner: Option<Finished>,
    complete: bool,
    /// A request of the gateway's own: neither logged nor run through the log phase, as a subrequest on nginx.
    quiet: bool,
    lease: Option<Lease>,
}

impl Tail {
    /// Begins to hold.
    pub fn new(generation: Rc<Generation>, scope: Rc<Scope>) -> Self {
        let n = &generation.worker.exchanges;
        n.set(n.get() + 1);
        Self {
            inner: Some(Finished { generation, scope }),
            complete: false,
            quiet: false,
            lease: None,
        }
    }

    /// Makes it a subrequest's.
    pub fn quiet(mut self) -> Self {
        self.quiet = true;
        self
    }

    /// The target in use until the end.
    pub fn hold(&mut self, lease: Option<Lease>) {
        self.lease = lease;
    }

    /// The generation it runs in.
    #[allow(clippy::expect_used, reason = "inner is there until drop")]
    pub fn generation(&self) -> &Rc<Generation> {
        &self.inner.as_ref().expect("held until dropped").generation
    }

    /// Its scope.
    #[allow(clippy::expect_used, reason = "inner is there until drop")]
    pub fn scope(&self) -> &Rc<Scope> {
        &self.inner.as_ref().expect("held until dropped").scope
    }

    /// Changes the exchange.
    pub fn with(&self, f: impl FnOnce(&mut Exchange)) {
        if let Some(x) = &self.scope().exchange {
            f(&mut x.borrow_mut());
        }
    }

    /// The response was handed over whole.
    pub fn complete(mut self) {
        self.complete = true;
    }

    /// The response broke off on our side: logged as an error.
    pub fn broken(&self, reason: &str) {
        let g = self.generation();
        if let Some(x) = &self.scope().exchange {
            g.worker.error(Level::Error, reason, Some(&x.borrow()));
        }
    }
}

impl Drop for Tail {
    fn drop(&mut self) {
        let Some(f) = self.inner.take() else { return };
        if matches!(*f.scope.standing.borrow(), Standing::Leaving(None)) {
            // handlers outlive their client, and what follows them does, too
            let scope = f.scope.clone();
            let kept = Self {
                inner: Some(f),
                complete: self.complete,
                quiet: self.quiet,
                lease: self.lease.take(),
            };
            scope.standing.replace(Standing::Leaving(Some(Box::new(kept))));
            return;
        }
        if let Some(cell) = &f.scope.exchange {
            let mut x = cell.borrow_mut();
            x.timing.ended = Some(Instant::now());
            if !self.complete && !x.response.head_sent {
                x.response.status = 499;
            }
        }
        let worker = f.generation.worker.clone();
        worker.exchanges.set(worker.exchanges.get() - 1);
        if self.quiet {
            return;
        }
        worker.finished.borrow_mut().push(f);
        worker.log_due.notify_one();
    }
}

/// Runs the log phase of what has finished, for ever.
pub async fn log_task(worker: Rc<Worker>) {
    loop {
        worker.log_due.notified().await;
        drain(&worker);
    }
}

/// Runs the log phase of what has finished.
pub fn drain(worker: &Rc<Worker>) {
    loop {
        let due = std::mem::take(&mut *worker.finished.borrow_mut());
        if due.is_empty() {
            return;
        }
        for f in due {
            run_log(&f);
            let cell = f.scope.exchange.as_ref();
            if let Some(x) = cell {
                worker.access(&x.borrow());
            }
        }
    }
}

fn run_log(f: &Finished) {
    let g = &f.generation;
    let mut flow = g.phases.run_now(&g.vm, &f.scope, Phase::Log);
    // each log handler is isolated: one that fails does not keep the others from running
    let mut before = u32::MAX;
    while let Some(Flow::Failed(fault)) = flow {
        handler_failed(g, &f.scope, Phase::Log, &fault);
        // where not even the loop could start (out of memory), it would fail for ever
        if std::mem::replace(&mut before, f.scope.cursor.get()) == f.scope.cursor.get() {
            break;
        }
        flow = Some(g.phases.go_on_now(&g.vm, &f.scope));
    }
}

/// Writes the error line of a failed handler: the plugin, then what nginx's Lua module or Kong says of it, traceback
/// included.
///
/// # Source
/// lua-nginx-module; Kong's `runloop/plugins_iterator.lua` for `init_worker`.
pub fn handler_failed(g: &Generation, scope: &Scope, phase: Phase, fault: &vm::Fault) {
    let plugin = g
        .plan
        .plugins
        .get(usize::from(scope.plugin.get()))
        .map_or("", |p| p.name.as_str());
    let text = match phase {
        Phase::InitWorker => fault.with_traceback(format!(
            "failed to execute the \"init_worker\" handler for plugin \"{plugin}\": {}",
            fault.message
        )),
        _ if phase.can_yield() => fault.aborted("entry"),
        _ => fault.with_traceback(format!(
            "failed to run {}: {}",
            phase.lua_context(),
            fault.message
        )),
    };
    let text = format!("[kong] [{plugin}] {text}");
    ngx::log::emit_of(scope, ngx::log::Level::ERR, text.as_bytes());
}
