//! Brings the workers' events to the Lua handlers of a state: one task that sleeps until something is posted.
//!
//! Must not: keep a state alive, or read events (Lua does).

use std::cell::RefCell;
use std::rc::{Rc, Weak};
use std::time::Duration;

use crate::exchange::Phase;
use crate::shared::events::{self, Log};
use crate::vm::state::Func;
use crate::vm::{Args, Flow, Ret, Scope, Vm, scope};

/// The log of `kong.worker_events`.
const LOG: &str = "kong_worker_events";

/// How long a delivery that was stopped rests.
const AGAIN: Duration = Duration::from_millis(50);

thread_local! {
    static STARTED: RefCell<Vec<Weak<Vm>>> = const { RefCell::new(Vec::new()) };
}

/// `pump()`: starts the task of this state if it does not run yet; answers whether it runs.
pub(super) fn ensure(_: &Args, r: &mut Ret) {
    let vm = scope::current().map(|s| s.vm.clone());
    r.bool(vm.inspect(start).is_some());
}

/// Starts the task of `vm` on the current `LocalSet`, once. It ends when the state does.
pub fn start(vm: &Rc<Vm>) {
    let weak = Rc::downgrade(vm);
    let first = STARTED.with_borrow_mut(|all| {
        all.retain(|w| w.strong_count() > 0);
        let first = !all.iter().any(|w| w.ptr_eq(&weak));
        if first {
            all.push(weak.clone());
        }
        first
    });
    if first {
        // from here on: the task runs later than what is posted in this turn
        let log = events::open(LOG);
        tokio::task::spawn_local(run(weak, log, log.last()));
    }
}

async fn run(vm: Weak<Vm>, log: &'static Log, mut seen: u32) {
    let mut deliver = None;
    loop {
        let changed = log.changed();
        let last = log.last();
        if last == seen {
            changed.await;
            continue;
        }
        seen = last;
        let Some(vm) = vm.upgrade() else { return };
        let Some(func) = deliver.or_else(|| find(&vm)) else {
            continue;
        };
        deliver = Some(func);
        let scope = Scope::new(&vm, Phase::Timer, None);
        let flow = vm.run(&scope, func, &[]).await;
        if let Flow::Failed(fault) = &flow {
            report(fault);
        }
        if !matches!(flow, Flow::Done) {
            // what came after the event that stopped it waits still
            seen = last.wrapping_sub(1);
            drop((scope, vm));
            tokio::time::sleep(AGAIN).await;
        }
    }
}

/// A handler's own error is caught in Lua; here is what stops the whole delivery (memory, a runaway).
fn report(fault: &crate::vm::Fault) {
    use crate::ngx::log::{Level, emit_outside};
    emit_outside(
        Level::ERR,
        format!("[worker events] {}\n{}", fault.message, fault.traceback).as_bytes(),
    );
}

/// The Lua function that takes the new events to the handlers; None while nobody has asked for the module.
fn find(vm: &Rc<Vm>) -> Option<Func> {
    let loaded: mlua::Table = vm
        .lua()
        .globals()
        .get::<mlua::Table>("package")
        .ok()?
        .get("loaded")
        .ok()?;
    let module: mlua::Table = loaded.get("moongate.worker_events").ok()?;
    vm.keep(module.get("deliver").ok()?).ok()
}
