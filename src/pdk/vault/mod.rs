//! `kong.vault`: references, secrets and their caches, all of it Lua; the `env` vault.
//!
//! Must not: know which plugin asks.

use crate::vm::Registrar;
use crate::vm::loader::Source;

const MODULES: &[(&str, Source)] = &[
    ("moongate.vault.reference", crate::embed!("reference.lua")),
    ("moongate.vault.refs", crate::embed!("refs.lua")),
    ("moongate.vault.secrets", crate::embed!("secrets.lua")),
    ("moongate.vault.strategies", crate::embed!("strategies.lua")),
    ("kong.vaults.env", crate::embed!("env.lua")),
    ("kong.vaults.env.schema", crate::embed!("env_schema.lua")),
    ("kong.pdk.vault", crate::embed!("../vault.lua")),
];

/// # Errors
/// When Lua is out of memory.
pub(super) fn install(r: &Registrar) -> mlua::Result<()> {
    for (name, source) in MODULES {
        r.module(name, *source)?;
    }
    Ok(())
}
