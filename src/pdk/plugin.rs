//! `kong.plugin`: the running plugin's configuration.
//!
//! Must not: decide which configuration applies (the plugin room did).

use crate::entity::ConfigIdx;
use crate::vm::{Args, Registrar, Ret, op, scope};

/// # Errors
/// When Lua is out of memory.
pub(super) fn install(r: &Registrar) -> mlua::Result<()> {
    r.op("kong.plugin", "get_id", op::raw(get_id))?;
    r.module("kong.pdk.plugin", crate::embed!("plugin.lua"))
}

/// The id of the running plugin's configuration, as the request's chain has it.
fn get_id(_: &Args, r: &mut Ret) {
    let found = scope::with(|s| {
        let running = s.plugin.get();
        let chain = s.chain.borrow();
        let (_, config) = chain.iter().rev().find(|(plugin, _)| *plugin == running)?;
        let x = s.exchange.as_ref()?.borrow();
        x.snapshot.plugin(ConfigIdx(*config)).map(|p| p.id.clone())
    });
    r.opt(found.flatten());
}
