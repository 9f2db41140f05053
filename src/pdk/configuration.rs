//! `kong.configuration`: what the settings say, read-only, and the limits that other faces take from it.
//!
//! Must not: read files or the environment; the worker hands the settings over with [`set`].

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::net::IpAddr;
use std::rc::Rc;

use ipnet::IpNet;
use serde_json::Value;

use crate::vm::json;
use crate::vm::{Args, Registrar, Ret, op};

/// How many headers and arguments are read where a plugin names no limit.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// `lua_max_req_headers`
    pub req_headers: usize,
    /// `lua_max_resp_headers`
    pub resp_headers: usize,
    /// `lua_max_uri_args`
    pub uri_args: usize,
    /// `lua_max_post_args`
    pub post_args: usize,
}

const DEFAULT_LIMITS: Limits = Limits {
    req_headers: 100,
    resp_headers: 100,
    uri_args: 100,
    post_args: 100,
};

#[derive(Default)]
struct Known {
    all: Value,
    without_secrets: Value,
    host_ports: HashMap<u16, u16>,
    trusted: Vec<IpNet>,
}

thread_local! {
    static KNOWN: RefCell<Rc<Known>> = RefCell::default();
    static LIMITS: Cell<Limits> = const { Cell::new(DEFAULT_LIMITS) };
}

/// Sets what `kong.configuration` holds on this thread, before its state is built. `without_secrets` is what
/// `remove_sensitive()` returns.
pub fn set(all: &Value, without_secrets: &Value) {
    let limit = |key: &str| {
        let given = all.get(key).and_then(Value::as_u64);
        given.map_or(100, |n| n.clamp(1, 1000) as usize)
    };
    LIMITS.set(Limits {
        req_headers: limit("lua_max_req_headers"),
        resp_headers: limit("lua_max_resp_headers"),
        uri_args: limit("lua_max_uri_args"),
        post_args: limit("lua_max_post_args"),
    });
    let ports = all.get("host_ports").and_then(Value::as_object);
    let trusted = all.get("trusted_ips").and_then(Value::as_array);
    let known = Known {
        all: all.clone(),
        without_secrets: without_secrets.clone(),
        host_ports: ports.into_iter().flatten().filter_map(port_pair).collect(),
        trusted: trusted.into_iter().flatten().filter_map(network).collect(),
    };
    KNOWN.with(|k| *k.borrow_mut() = Rc::new(known));
}

fn port_pair((inside, outside): (&String, &Value)) -> Option<(u16, u16)> {
    Some((inside.parse().ok()?, u16::try_from(outside.as_u64()?).ok()?))
}

fn network(entry: &Value) -> Option<IpNet> {
    let text = entry.as_str()?;
    text.parse()
        .or_else(|_| text.parse::<IpAddr>().map(IpNet::from))
        .ok()
}

/// The limits in force.
pub(super) fn limits() -> Limits {
    LIMITS.get()
}

/// The port that clients use for the listener's `port`.
pub(super) fn host_port(port: u16) -> u16 {
    KNOWN.with(|k| k.borrow().host_ports.get(&port).copied().unwrap_or(port))
}

/// Whether `trusted_ips` has `address`.
pub(super) fn is_trusted(address: IpAddr) -> bool {
    let address = address.to_canonical();
    KNOWN.with(|k| k.borrow().trusted.iter().any(|net| net.contains(&address)))
}

/// # Errors
/// When Lua is out of memory.
pub(super) fn install(r: &Registrar) -> mlua::Result<()> {
    r.op("kong.configuration", "all", op::raw(all))?;
    r.op("kong.configuration", "without_secrets", op::raw(without_secrets))?;
    r.module("kong.pdk.configuration", crate::embed!("configuration.lua"))
}

fn all(_: &Args, r: &mut Ret) {
    let known = KNOWN.with(|k| k.borrow().clone());
    push_or_empty(r, &known.all);
}

fn without_secrets(_: &Args, r: &mut Ret) {
    let known = KNOWN.with(|k| k.borrow().clone());
    push_or_empty(r, &known.without_secrets);
}

fn push_or_empty(r: &mut Ret, value: &Value) {
    if value.is_object() {
        json::push(r, value);
    } else {
        r.table(0, 0, |_| {});
    }
}
