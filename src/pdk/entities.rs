//! Entities as Lua tables: made once per state and snapshot, then kept.
//!
//! Must not: copy the configuration into Lua beyond what plugins ask for.

use std::cell::RefCell;
use std::sync::{Arc, Weak};

use crate::store::{Rows, Snapshot};
use crate::vm::json;
use crate::vm::{Args, Registrar, Ret, op, scope};

const ROOM: &str = "moongate.entities";

/// # Errors
/// When Lua is out of memory.
pub(super) fn install(r: &Registrar) -> mlua::Result<()> {
    r.op(ROOM, "generation", op::raw(generation))?;
    r.op(ROOM, "is_alive", op::raw(is_alive))?;
    r.op(ROOM, "text", op::raw(text))?;
    r.op(ROOM, "row", op::raw(row))?;
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

/// Reads a row of the request's snapshot, named by its kind and place.
fn read<T>(a: &Args, f: impl FnOnce(&Rows, u32) -> Option<T>) -> Option<T> {
    let kind = std::str::from_utf8(a.str(1)?).ok()?;
    let at = u32::try_from(a.int(2)?).ok()?;
    scope::read(|x| f(x.snapshot.rows(kind)?, at))?
}

/// A row as JSON text, for Lua's own decoder, which is the shortest way into tables; nil where that would not make
/// the same table: a null in it is absent to plugins.
fn text(a: &Args, r: &mut Ret) {
    let plain = |rows: &Rows, at| {
        r.str(rows.plain_text(at)?);
        Some(())
    };
    if read(a, plain).is_none() {
        r.nil();
    }
}

/// A row as a table, or nil.
fn row(a: &Args, r: &mut Ret) {
    match read(a, Rows::value) {
        Some(row) => json::push(r, &row),
        None => {
            r.nil();
        }
    }
}
