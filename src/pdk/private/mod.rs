//! What faces share: the phase check, header checks, the running scope's tables.
//!
//! Must not: be needed by plugins beyond `kong.pdk.private.phases`, `checks` and `node`.

use crate::vm::Registrar;

/// # Errors
/// When Lua is out of memory.
pub(super) fn install(r: &Registrar) -> mlua::Result<()> {
    r.module("moongate.scope", crate::embed!("scope.lua"))?;
    r.module("moongate.foreign", crate::embed!("foreign.lua"))?;
    r.module("kong.pdk.private.node", crate::embed!("node.lua"))?;
    r.module("kong.pdk.private.phases", crate::embed!("phases.lua"))?;
    r.module("kong.pdk.private.checks", crate::embed!("checks.lua"))
}
