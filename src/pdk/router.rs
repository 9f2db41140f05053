//! `kong.router`: what the router found.
//!
//! Must not: route.

use super::entities::number;
use crate::vm::{Args, Registrar, Ret, op, scope};

/// # Errors
/// When Lua is out of memory.
pub(super) fn install(r: &Registrar) -> mlua::Result<()> {
    r.op("kong.router", "matched", op::raw(matched))?;
    r.module("kong.pdk.router", crate::embed!("router.lua"))
}

/// The snapshot's number and the places of the matched route and service.
fn matched(_: &Args, r: &mut Ret) {
    let now = scope::read(|x| {
        let matched = x.matched.as_ref()?;
        Some((number(&x.snapshot), matched.route, matched.service))
    });
    if let Some((number, route, service)) = now.flatten() {
        r.num(number).num(route.0);
        match service {
            Some(service) => r.num(service.0),
            None => r.nil(),
        };
    } else {
        r.nil();
    }
}
