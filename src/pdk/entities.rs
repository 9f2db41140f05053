//! Entities as Lua tables: made once per state and snapshot, then kept.
//!
//! Must not: copy the configuration into Lua beyond what plugins ask for.

use std::cell::RefCell;
use std::sync::{Arc, Weak};

use crate::store::Snapshot;
use crate::vm::json;
use crate::vm::{Args, Registrar, Ret, op, scope};

const ROOM: &str = "moongate.entities";

/// # Errors
/// When Lua is out of memory.
pub(super) fn install(r: &Registrar) -> mlua::Result<()> {
    r.op(ROOM, "generation", op::raw(generation))?;
    r.op(ROOM, "is_alive", op::raw(is_alive))?;
    r.op(ROOM, "route", op::raw(route))?;
    r.op(ROOM, "service", op::raw(service))?;
    r.op(ROOM, "consumer", op::raw(consumer))?;
    r.module("moongate.entities", crate::embed!("entities.lua"))
}

/// Snapshots that requests of this thread have seen. A weak pointer keeps the address from being used again.
#[derive(Default)]
struct Seen {
    snapshots: Vec<(Weak<Snapshot>, u32)>,
    last: u32,
}

thread_local! {
    static SEEN: RefCell<Seen> = RefCell::default();
}

/// The number of a snapshot, by which Lua knows it.
pub(super) fn number(snapshot: &Arc<Snapshot>) -> u32 {
    SEEN.with(|seen| {
        let seen = &mut *seen.borrow_mut();
        let known = seen
            .snapshots
            .iter()
            .find(|(weak, _)| weak.as_ptr() == Arc::as_ptr(snapshot));
        if let Some((_, number)) = known {
            return *number;
        }
        seen.snapshots.retain(|(weak, _)| weak.strong_count() > 0);
        seen.last += 1;
        seen.snapshots.push((Arc::downgrade(snapshot), seen.last));
        seen.last
    })
}

/// The number of the request's snapshot.
fn generation(_: &Args, r: &mut Ret) {
    match scope::read(|x| number(&x.snapshot)) {
        Some(number) => r.num(number),
        None => r.nil(),
    };
}

/// Whether a snapshot is still in use.
fn is_alive(a: &Args, r: &mut Ret) {
    let wanted = a.int(1).unwrap_or_default();
    let alive = SEEN.with(|seen| {
        let seen = seen.borrow();
        let found = seen.snapshots.iter().find(|(_, n)| i64::from(*n) == wanted);
        found.is_some_and(|(weak, _)| weak.strong_count() > 0)
    });
    r.bool(alive);
}

fn push(a: &Args, r: &mut Ret, kind: &str) {
    let at = a.int(1).and_then(|n| u32::try_from(n).ok()).unwrap_or(u32::MAX);
    let row = scope::read(|x| x.snapshot.rows(kind)?.value(at));
    match row.flatten() {
        Some(row) => json::push(r, &row),
        None => {
            r.nil();
        }
    }
}

fn route(a: &Args, r: &mut Ret) {
    push(a, r, "routes");
}

fn service(a: &Args, r: &mut Ret) {
    push(a, r, "services");
}

fn consumer(a: &Args, r: &mut Ret) {
    push(a, r, "consumers");
}
