//! `kong.*`: pairs of a Lua face and Rust ops with the same stem.
//!
//! Must not: raise from Rust (faces raise Kong's messages), or keep request state outside the scope.

mod client;
mod cluster;
pub mod configuration;
mod entities;
mod ip;
pub mod meta;
mod multipart;
pub mod nginx;
pub mod node;
mod plugin;
mod private;
mod request;
mod request_body;
mod response;
mod router;
mod serialize;
mod service;
#[cfg(test)]
mod tests;
mod values;

use crate::vm::Registrar;

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
    serialize::install(r)?;
    r.module("moongate.inspect", include_str!("inspect.lua"))?;
    r.module("kong.pdk.log", include_str!("log.lua"))?;
    client::install(r)?;
    router::install(r)?;
    entities::install(r)?;
    node::install(r)?;
    cluster::install(r)?;
    ip::install(r)?;
    nginx::install(r)?;
    plugin::install(r)?;
    meta::install(r)?;
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
