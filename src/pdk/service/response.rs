//! `kong.service.response`: what the upstream answered.
//!
//! Must not: change the answer (that is `kong.response`).

use crate::vm::{Args, Registrar, Ret, op, scope};

/// # Errors
/// When Lua is out of memory.
pub(super) fn install(r: &Registrar) -> mlua::Result<()> {
    r.op("kong.service.response", "get_status", op::raw(get_status))?;
    r.op("kong.service.response", "get_raw_body", op::raw(get_raw_body))?;
    r.module("kong.pdk.service.response", crate::embed!("response.lua"))
}

fn get_status(_: &Args, r: &mut Ret) {
    match scope::read(|x| x.response.upstream_status).flatten() {
        Some(status) => r.num(status),
        None => r.nil(),
    };
}

/// Whether the body is buffered, and the body so far.
fn get_raw_body(_: &Args, r: &mut Ret) {
    let now = scope::read(|x| (x.response.buffering, x.response.buffered.clone()));
    let (buffering, body) = now.unwrap_or_default();
    r.bool(buffering).held(body.unwrap_or_default());
}
