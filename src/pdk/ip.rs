//! `kong.ip`: `trusted_ips`.
//!
//! Must not: know the request.

use std::net::IpAddr;

use super::configuration;
use crate::vm::{Args, Registrar, Ret, op};

/// # Errors
/// When Lua is out of memory.
pub(super) fn install(r: &Registrar) -> mlua::Result<()> {
    r.op("kong.ip", "is_trusted", op::raw(is_trusted))?;
    r.module("kong.pdk.ip", crate::embed!("ip.lua"))
}

fn is_trusted(a: &Args, r: &mut Ret) {
    let text = std::str::from_utf8(a.str(1).unwrap_or_default()).unwrap_or_default();
    let address = text.parse::<IpAddr>();
    r.bool(address.is_ok_and(configuration::is_trusted));
}
