//! `kong.node`, `kong.cluster`, `kong.ip`, `kong.nginx`, `kong.plugin`: the gateway about itself.
//!
//! Must not: know the request, but for the running plugin's configuration.

use std::cell::Cell;
use std::net::IpAddr;
use std::sync::OnceLock;

use crate::entity::ConfigIdx;
use crate::vm::{Args, Registrar, Ret, op, scope};

/// Counters of the gateway, as `nginx`'s stub status names them.
#[derive(Debug, Clone, Copy, Default)]
pub struct Statistics {
    pub connections_active: u64,
    pub connections_reading: u64,
    pub connections_writing: u64,
    pub connections_waiting: u64,
    pub connections_accepted: u64,
    pub connections_handled: u64,
    pub total_requests: u64,
}

static NODE_ID: OnceLock<String> = OnceLock::new();
static CLUSTER_ID: OnceLock<String> = OnceLock::new();

thread_local! {
    static STATISTICS: Cell<Option<fn() -> Statistics>> = const { Cell::new(None) };
}

/// Sets `kong.node.get_id()` for the process, before the first state asks; later calls change nothing.
pub fn set_id(id: &str) {
    let _ = NODE_ID.set(id.to_owned());
}

/// Sets where `kong.nginx.get_statistics()` takes its numbers from.
pub fn set_statistics(source: fn() -> Statistics) {
    STATISTICS.set(Some(source));
}

/// # Errors
/// When Lua is out of memory.
pub(super) fn install(r: &Registrar) -> mlua::Result<()> {
    r.op("kong.node", "get_id", op::raw(get_id))?;
    r.op("kong.node", "get_hostname", op::raw(get_hostname))?;
    r.op("kong.node", "pid", op::raw(pid))?;
    r.op("kong.cluster", "get_id", op::raw(cluster_id))?;
    r.op("kong.ip", "is_trusted", op::raw(is_trusted))?;
    r.op("kong.nginx", "get_statistics", op::raw(get_statistics))?;
    r.op("kong.plugin", "get_id", op::raw(plugin_id))?;
    r.module("kong.pdk.node", include_str!("node.lua"))?;
    r.module("kong.pdk.cluster", include_str!("cluster.lua"))?;
    r.module("kong.pdk.ip", include_str!("ip.lua"))?;
    r.module("kong.pdk.nginx", include_str!("nginx.lua"))?;
    r.module("kong.pdk.plugin", include_str!("plugin.lua"))
}

fn uuid() -> String {
    uuid::Uuid::new_v4().to_string()
}

fn get_id(_: &Args, r: &mut Ret) {
    r.lit(NODE_ID.get_or_init(uuid));
}

fn cluster_id(_: &Args, r: &mut Ret) {
    r.lit(CLUSTER_ID.get_or_init(uuid));
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

fn is_trusted(a: &Args, r: &mut Ret) {
    let text = std::str::from_utf8(a.str(1).unwrap_or_default()).unwrap_or_default();
    let address = text.parse::<IpAddr>();
    r.bool(address.is_ok_and(super::configuration::is_trusted));
}

fn get_statistics(_: &Args, r: &mut Ret) {
    let Some(source) = STATISTICS.get() else {
        r.nil();
        return;
    };
    let now = source();
    let numbers = [
        ("connections_active", now.connections_active),
        ("connections_reading", now.connections_reading),
        ("connections_writing", now.connections_writing),
        ("connections_waiting", now.connections_waiting),
        ("connections_accepted", now.connections_accepted),
        ("connections_handled", now.connections_handled),
        ("total_requests", now.total_requests),
    ];
    r.table(0, numbers.len(), |t| {
        for (name, number) in numbers {
            t.lit(name).num(number as f64).set();
        }
    });
}

/// The id of the running plugin's configuration, as the request's chain has it.
fn plugin_id(_: &Args, r: &mut Ret) {
    let found = scope::with(|s| {
        let running = s.plugin.get();
        let chain = s.chain.borrow();
        let (_, config) = chain.iter().rev().find(|(plugin, _)| *plugin == running)?;
        let x = s.exchange.as_ref()?.borrow();
        x.snapshot.plugin(ConfigIdx(*config)).map(|p| p.id.clone())
    });
    r.opt(found.flatten());
}
