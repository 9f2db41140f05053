//! `kong.nginx`: counters of the gateway.
//!
//! Must not: count; the worker's source does.

use std::cell::Cell;

use crate::vm::{Args, Registrar, Ret, op};

/// Counters of the gateway, as `nginx`'s stub status names them.
#[derive(Debug, Clone, Copy, Default)]
pub struct Statistics {
    pub connections_active: u64,
    pub connections_reading: u64,
    pub connections_writing: u64,
    pub connections_waiting: u64,
    pub connections_accepted: u64,
    pub connections_handled: u64,
    pub total_requests: u64,
}

thread_local! {
    static STATISTICS: Cell<Option<fn() -> Statistics>> = const { Cell::new(None) };
}

/// Sets where `kong.nginx.get_statistics()` takes its numbers from.
pub fn set_statistics(source: fn() -> Statistics) {
    STATISTICS.set(Some(source));
}

/// # Errors
/// When Lua is out of memory.
pub(super) fn install(r: &Registrar) -> mlua::Result<()> {
    r.op("kong.nginx", "get_statistics", op::raw(get_statistics))?;
    r.module("kong.pdk.nginx", crate::embed!("nginx.lua"))
}

fn get_statistics(_: &Args, r: &mut Ret) {
    let Some(source) = STATISTICS.get() else {
        r.nil();
        return;
    };
    let now = source();
    let numbers = [
        ("connections_active", now.connections_active),
        ("connections_reading", now.connections_reading),
        ("connections_writing", now.connections_writing),
        ("connections_waiting", now.connections_waiting),
        ("connections_accepted", now.connections_accepted),
        ("connections_handled", now.connections_handled),
        ("total_requests", now.total_requests),
    ];
    r.table(0, numbers.len(), |t| {
        for (name, number) in numbers {
            t.lit(name).num(number as f64).set();
        }
    });
}
