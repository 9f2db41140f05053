//! `ngx.timer`: Lua functions that run later, without a request.
//!
//! The callbacks and their arguments stay on the Lua side under a number; here are the clocks. The timers of a
//! state are counted and capped; [`shutdown`] fires the pending ones with `premature` set.

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};
use std::time::Duration;

use tokio::sync::Notify;

use super::log::{self, Level};
use crate::exchange::{Caller, Phase};
use crate::vm::state::Func;
use crate::vm::{Args, Flow, Registrar, Ret, Scope, Vm, op, scope};

thread_local! {
    /// `lua_max_pending_timers` and `lua_max_running_timers`: OpenResty's own, until the settings say others.
    static LIMITS: Cell<(usize, usize)> = const { Cell::new((1024, 256)) };
}

/// Sets how many timers of this worker may be pending, and how many may run.
pub fn set_limits(pending: usize, running: usize) {
    LIMITS.set((pending, running));
}

/// The timers of one state.
#[derive(Default)]
struct Timers {
    closing: Cell<bool>,
    notify: Notify,
    pending: Cell<usize>,
    running: Cell<usize>,
    runner: RefCell<Option<Func>>,
}

thread_local! {
    static ALL: RefCell<Vec<(Weak<Vm>, Rc<Timers>)>> = const { RefCell::new(Vec::new()) };
}

fn timers_of(vm: &Rc<Vm>) -> Rc<Timers> {
    ALL.with(|all| {
        let mut all = all.borrow_mut();
        if let Some((_, t)) = all.iter().find(|(w, _)| w.as_ptr() == Rc::as_ptr(vm)) {
            return t.clone();
        }
        all.retain(|(w, _)| w.strong_count() > 0);
        let t = Rc::<Timers>::default();
        all.push((Rc::downgrade(vm), t.clone()));
        t
    })
}

/// Fires the pending timers of a state with `premature` set and takes no more: the worker ends, or a reload
/// replaced the state. They end on the worker's `LocalSet`; see [`counts`].
pub fn shutdown(vm: &Rc<Vm>) {
    let timers = timers_of(vm);
    timers.closing.set(true);
    timers.notify.notify_waiters();
}

/// Pending and running timers of a state.
pub fn counts(vm: &Rc<Vm>) -> (usize, usize) {
    let t = timers_of(vm);
    (t.pending.get(), t.running.get())
}

/// Counts what runs in the state as one more timer: a spec runs in one, as whatever OpenResty's `resty` runs does.
pub fn count_program(vm: &Rc<Vm>) {
    let running = &timers_of(vm).running;
    running.set(running.get() + 1);
}

pub(super) fn install(r: &Registrar) -> mlua::Result<()> {
    r.op("ngx_timer", "start", op::raw(start))?;
    r.op("ngx_timer", "pending_count", op::raw(pending_count))?;
    r.op("ngx_timer", "running_count", op::raw(running_count))
}

/// Counts one while it lives.
struct Counted<'a>(&'a Cell<usize>);

impl<'a> Counted<'a> {
    fn new(cell: &'a Cell<usize>) -> Self {
        cell.set(cell.get() + 1);
        Self(cell)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

/// `start(number, delay, every)`: 1, or `nil, err`.
fn start(a: &Args, r: &mut Ret) {
    let number = a.num(1).unwrap_or(0.0);
    let delay = a.num(2).unwrap_or(0.0);
    let every = a.truthy(3);
    let Some(scope) = scope::current() else {
        return r.raise("no request");
    };
    let (vm, client) = (scope.vm.clone(), scope.client());
    let timers = timers_of(&vm);
    if timers.closing.get() && delay > 0.0 {
        r.fail("process exiting");
        return;
    }
    if timers.pending.get() >= LIMITS.get().0 {
        r.fail("too many pending timers");
        return;
    }
    let delay = Duration::try_from_secs_f64(delay).unwrap_or(Duration::MAX);
    // counted from now on, not from the task's first poll
    timers.pending.set(timers.pending.get() + 1);
    tokio::task::spawn_local(async move {
        let mut counted = true;
        loop {
            let pending = if std::mem::take(&mut counted) {
                Counted(&timers.pending)
            } else {
                Counted::new(&timers.pending)
            };
            wait(&timers, delay).await;
            drop(pending);
            let premature = timers.closing.get();
            if every && !premature {
                let (vm, timers) = (vm.clone(), timers.clone());
                let caller = Caller::new(client);
                tokio::task::spawn_local(async move { fire(&vm, &timers, number, false, caller).await });
            } else {
                fire(&vm, &timers, number, premature, Caller::new(client)).await;
                return;
            }
        }
    });
    r.num(1.0);
}

async fn wait(timers: &Timers, delay: Duration) {
    let notified = timers.notify.notified();
    if timers.closing.get() {
        return;
    }
    tokio::select! {
        () = notified => {}
        () = tokio::time::sleep(delay) => {}
    }
}

/// Runs a timer's callback in a scope of its own.
async fn fire(vm: &Rc<Vm>, timers: &Timers, number: f64, premature: bool, caller: Caller) {
    let Some(func) = runner(vm, timers) else {
        return;
    };
    let most = LIMITS.get().1;
    if timers.running.get() >= most {
        vm.run_now(&Scope::new(vm, Phase::Timer, None), func, &[number, 2.0]);
        return log::emit_outside(
            Level::ALERT,
            format!("{most} lua_max_running_timers are not enough").as_bytes(),
        );
    }
    let _running = Counted::new(&timers.running);
    let scope = Scope::of_timer(vm, caller);
    let flow = vm
        .run(&scope, func, &[number, f64::from(u8::from(premature))])
        .await;
    if let Flow::Failed(fault) = flow {
        log::emit_of(&scope, Level::ERR, fault.aborted("entry").as_bytes());
    }
}

/// The Lua function that finds a callback by its number; kept once per state.
fn runner(vm: &Rc<Vm>, timers: &Timers) -> Option<Func> {
    if let Some(f) = *timers.runner.borrow() {
        return Some(f);
    }
    let found = vm
        .lua()
        .globals()
        .get::<mlua::Table>("package")
        .and_then(|p| p.get::<mlua::Table>("loaded"))
        .and_then(|l| l.get::<mlua::Table>("moongate.ngx.timer"))
        .and_then(|t| t.get::<mlua::Function>("run"))
        .and_then(|f| vm.keep(f));
    match found {
        Ok(f) => {
            *timers.runner.borrow_mut() = Some(f);
            Some(f)
        }
        Err(e) => {
            log::emit_outside(Level::ERR, format!("timers cannot run: {e}").as_bytes());
            None
        }
    }
}

fn count(r: &mut Ret, f: impl Fn(&Timers) -> usize) {
    match scope::with(|s| f(&timers_of(&s.vm))) {
        Some(n) => {
            r.num(n as f64);
        }
        None => r.raise("no request"),
    }
}

fn pending_count(_: &Args, r: &mut Ret) {
    count(r, |t| t.pending.get());
}

fn running_count(_: &Args, r: &mut Ret) {
    count(r, |t| t.running.get());
}
