//! `kong.meta`: the level of compatibility, and the gateway's own name.
//!
//! Must not: know more than this.

use crate::vm::{Args, Registrar, Ret, op};

/// What `kong.meta._SERVER_TOKENS`, `Server` and `Via` say.
pub const SERVER_TOKENS: &str = concat!("moongate/", env!("CARGO_PKG_VERSION"));

/// # Errors
/// When Lua is out of memory.
pub(super) fn install(r: &Registrar) -> mlua::Result<()> {
    r.op("kong.meta", "server_tokens", op::raw(server_tokens))?;
    r.module("kong.meta", crate::embed!("meta.lua"))
}

fn server_tokens(_: &Args, r: &mut Ret) {
    r.lit(SERVER_TOKENS);
}
