//! `kong.*`: pairs of a Lua face and Rust ops with the same stem.
//!
//! Must not: raise from Rust (faces raise Kong's messages), or keep request state outside the scope.

pub mod balancer;
mod client;
mod cluster;
mod conf_loader;
pub mod configuration;
mod dns;
mod entities;
mod ip;
pub mod meta;
pub mod multipart;
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
mod timings;
mod values;
mod vault;

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
    balancer::install(r)?;
    timings::install(r)?;
    service::install(r)?;
    serialize::install(r)?;
    r.module("moongate.inspect", crate::embed!("inspect.lua"))?;
    r.module("kong.pdk.log", crate::embed!("log.lua"))?;
    client::install(r)?;
    router::install(r)?;
    entities::install(r)?;
    node::install(r)?;
    cluster::install(r)?;
    ip::install(r)?;
    dns::install(r)?;
    nginx::install(r)?;
    plugin::install(r)?;
    meta::install(r)?;
    r.module("moongate.named", crate::embed!("private/named.lua"))?;
    r.module("kong.globalpatches", crate::embed!("globalpatches.lua"))?;
    r.module("kong.pdk.ctx", crate::embed!("ctx.lua"))?;
    r.module("kong.pdk.table", crate::embed!("table.lua"))?;
    r.module("kong.pdk.telemetry", crate::embed!("telemetry.lua"))?;
    r.module("kong.pdk.tracing", crate::embed!("tracing.lua"))?;
    vault::install(r)?;
    conf_loader::install(r)?;
    r.module("kong.pdk", crate::embed!("init.lua"))?;
    r.lua
        .load(
            "kong = require('kong.pdk').new(nil, {})
             local known = require('kong.global').new()
             kong.version, kong.version_num = known.version, known.version_num",
        )
        .set_name("@moongate/pdk/mod.rs")
        .exec()
}
