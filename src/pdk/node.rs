//! `kong.node`: the gateway about itself.
//!
//! Must not: know the request.

use std::sync::OnceLock;

use crate::vm::{Args, Registrar, Ret, op};

static NODE_ID: OnceLock<String> = OnceLock::new();

/// Sets `kong.node.get_id()` for the process, before the first state asks; later calls change nothing.
pub fn set_id(id: &str) {
    let _ = NODE_ID.set(id.to_owned());
}

/// # Errors
/// When Lua is out of memory.
pub(super) fn install(r: &Registrar) -> mlua::Result<()> {
    r.op("kong.node", "get_id", op::raw(get_id))?;
    r.op("kong.node", "get_hostname", op::raw(get_hostname))?;
    r.op("kong.node", "pid", op::raw(pid))?;
    r.module("kong.pdk.node", crate::embed!("node.lua"))
}

fn get_id(_: &Args, r: &mut Ret) {
    r.lit(NODE_ID.get_or_init(|| uuid::Uuid::new_v4().to_string()));
}

fn get_hostname(_: &Args, r: &mut Ret) {
    static HOSTNAME: OnceLock<String> = OnceLock::new();
    let name = HOSTNAME.get_or_init(|| {
        let text = std::fs::read_to_string("/proc/sys/kernel/hostname");
        text.map_or_else(|_| String::new(), |t| t.trim().to_owned())
    });
    r.lit(name);
}

fn pid(_: &Args, r: &mut Ret) {
    r.num(std::process::id());
}
