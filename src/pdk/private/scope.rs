//! The running scope, as faces see it.
//!
//! Must not: hold anything; the scope does.

use crate::vm::scope::{self, NO_PLUGIN};
use crate::vm::{Args, Registrar, Ret, op};

/// # Errors
/// When Lua is out of memory.
pub(super) fn install(r: &Registrar) -> mlua::Result<()> {
    r.op("kong.scope", "here", op::raw(here))?;
    r.op("kong.scope", "checked", op::raw(checked))?;
    r.op("kong.scope", "plugin", op::raw(plugin))?;
    r.module("moongate.scope", crate::embed!("scope.lua"))
}

/// The slot and the phase of the running scope; 0 and init_worker outside any.
fn here(_: &Args, r: &mut Ret) {
    let (slot, phase) = scope::with(|s| (s.slot, s.phase.get())).unwrap_or((0, scope::phase()));
    r.num(slot).num(phase as u32);
}

/// As `here`, with slot 0 unless `ngx.ctx` was looked at in this phase: then its KONG_PHASE is of another.
fn checked(_: &Args, r: &mut Ret) {
    let (slot, phase) = scope::with(|s| {
        let phase = s.phase.get();
        let slot = if s.ctx_phase.get() == phase as u32 { s.slot } else { 0 };
        (slot, phase)
    })
    .unwrap_or((0, scope::phase()));
    r.num(slot).num(phase as u32);
}

/// The index of the running plugin, if one runs.
fn plugin(_: &Args, r: &mut Ret) {
    match scope::with(|s| s.plugin.get()) {
        Some(at) if at != NO_PLUGIN => r.num(at),
        _ => r.nil(),
    };
}
