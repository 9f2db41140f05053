//! `ngx.worker` and `ngx.config`: which worker this is.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::vm::{Args, Registrar, Ret, op};

#[derive(Clone, Copy)]
struct Worker {
    id: i64,
    pid: i64,
    count: i64,
}

thread_local! {
    static WORKER: Cell<Option<Worker>> = const { Cell::new(None) };
    static EXITING: Cell<bool> = const { Cell::new(false) };
    static PREFIX: RefCell<String> = const { RefCell::new(String::new()) };
}

/// The pids of all workers of the process, by their number.
static PIDS: Mutex<BTreeMap<u32, u32>> = Mutex::new(BTreeMap::new());

fn pids_of_all() -> MutexGuard<'static, BTreeMap<u32, u32>> {
    PIDS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Says which worker this thread is: `ngx.worker.id()`, `.pid()` (unique per worker) and `.count()`.
pub fn set(id: u32, pid: u32, count: u32) {
    pids_of_all().insert(id, pid);
    WORKER.set(Some(Worker {
        id: id.into(),
        pid: pid.into(),
        count: count.into(),
    }));
}

/// Whether this thread is a worker.
pub(super) fn is_one() -> bool {
    WORKER.get().is_some()
}

/// Says whether this worker is ending (`ngx.worker.exiting()`).
pub fn set_exiting(exiting: bool) {
    EXITING.set(exiting);
}

/// Sets `ngx.config.prefix()` of this worker's states: with a slash at its end, as nginx has it.
pub fn set_prefix(prefix: &str) {
    PREFIX.set(format!("{}/", prefix.trim_end_matches('/')));
}

/// Runs `f` on it.
pub(super) fn with_prefix<R>(f: impl FnOnce(&str) -> R) -> R {
    PREFIX.with_borrow(|prefix| f(prefix))
}

pub(super) fn install(r: &Registrar) -> mlua::Result<()> {
    r.op("ngx_worker", "id", op::raw(id))?;
    r.op("ngx_worker", "pid", op::raw(pid))?;
    r.op("ngx_worker", "count", op::raw(count))?;
    r.op("ngx_worker", "pids", op::raw(pids))?;
    r.op("ngx_worker", "exiting", op::raw(exiting))?;
    r.op("ngx_worker", "prefix", op::raw(prefix))
}

fn id(_: &Args, r: &mut Ret) {
    match WORKER.get() {
        Some(w) => r.int(w.id),
        None => r.nil(),
    };
}

fn pid(_: &Args, r: &mut Ret) {
    r.int(WORKER.get().map_or_else(|| std::process::id().into(), |w| w.pid));
}

/// `pids()`: a list, this worker's own among them.
fn pids(_: &Args, r: &mut Ret) {
    let all: Vec<u32> = pids_of_all().values().copied().collect();
    r.table(all.len(), 0, |t| {
        for (i, pid) in all.iter().enumerate() {
            t.num(*pid).seti(i + 1);
        }
    });
}

fn count(_: &Args, r: &mut Ret) {
    r.int(WORKER.get().map_or(1, |w| w.count));
}

fn exiting(_: &Args, r: &mut Ret) {
    r.bool(EXITING.get());
}

fn prefix(_: &Args, r: &mut Ret) {
    PREFIX.with(|p| r.str(&*p.borrow()));
}
