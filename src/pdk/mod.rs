//! `kong.*`: pairs of a Lua face and Rust ops with the same stem.
//!
//! Must not: raise from Rust (faces raise Kong's messages), or keep request state outside the scope.

mod client;
pub mod configuration;
mod log;
mod multipart;
pub mod node;
mod private;
mod request;
mod request_body;
mod response;
mod router;
mod service;
#[cfg(test)]
mod tests;
mod values;

use crate::vm::{Args, Registrar, Ret, op};

/// What `kong.meta._SERVER_TOKENS`, `Server` and `Via` say.
pub const SERVER_TOKENS: &str = concat!("moongate/", env!("CARGO_PKG_VERSION"));

/// Brings `kong.*` into a state.
///
/// # Errors
/// When Lua is out of memory.
pub fn install(r: &Registrar) -> mlua::Result<()> {
    private::install(r)?;
    configuration::install(r)?;
    request::install(r)?;
    response::install(r)?;
    service::install(r)?;
    log::install(r)?;
    client::install(r)?;
    router::install(r)?;
    node::install(r)?;
    r.op("kong.meta", "server_tokens", op::raw(server_tokens))?;
    r.module("kong.meta", include_str!("meta.lua"))?;
    r.module("kong.pdk.ctx", include_str!("ctx.lua"))?;
    r.module("kong.pdk.table", include_str!("table.lua"))?;
    r.module("kong.pdk.telemetry", include_str!("telemetry.lua"))?;
    r.module("kong.pdk.tracing", include_str!("tracing.lua"))?;
    r.module("kong.pdk.vault", include_str!("vault.lua"))?;
    r.module("kong.pdk", include_str!("init.lua"))?;
    r.lua
        .load(
            "kong = require('kong.pdk').new()
             kong.version = require('kong.meta')._VERSION
             kong.version_num = 3010000",
        )
        .set_name("@moongate/pdk/mod.rs")
        .exec()
}

fn server_tokens(_: &Args, r: &mut Ret) {
    r.lit(SERVER_TOKENS);
}
