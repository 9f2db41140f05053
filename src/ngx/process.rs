//! `ngx.process`: what kind of process this is.
//!
//! Workers are threads of one process here: it is the one that signals go to, so its pid is the master's.
//! Must not: end anything.

use super::worker;
use crate::vm::{Args, Registrar, Ret, op};

pub(super) fn install(r: &Registrar) -> mlua::Result<()> {
    r.op("ngx_process", "type", op::raw(kind))?;
    r.op("ngx_process", "master_pid", op::raw(master_pid))
}

fn kind(_: &Args, r: &mut Ret) {
    r.lit(if worker::is_one() { "worker" } else { "single" });
}

fn master_pid(_: &Args, r: &mut Ret) {
    r.int(std::process::id().into());
}
