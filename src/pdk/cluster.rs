//! `kong.cluster`: without a database the cluster is this process.
//!
//! Must not: store the id anywhere.

use std::sync::OnceLock;

use crate::vm::{Args, Registrar, Ret, op};

static CLUSTER_ID: OnceLock<String> = OnceLock::new();

/// # Errors
/// When Lua is out of memory.
pub(super) fn install(r: &Registrar) -> mlua::Result<()> {
    r.op("kong.cluster", "get_id", op::raw(get_id))?;
    r.module("kong.pdk.cluster", crate::embed!("cluster.lua"))
}

fn get_id(_: &Args, r: &mut Ret) {
    r.lit(CLUSTER_ID.get_or_init(|| uuid::Uuid::new_v4().to_string()));
}
