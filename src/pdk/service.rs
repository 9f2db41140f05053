//! `kong.service`: where the request goes.
//!
//! Must not: resolve names or connect; `balancer::resolve` reads what is left in the exchange's target.

mod request;
mod response;

use std::time::Duration;

use crate::vm::{Args, Registrar, Ret, op, scope};

/// # Errors
/// When Lua is out of memory.
pub(super) fn install(r: &Registrar) -> mlua::Result<()> {
    r.op("kong.service", "set_upstream", op::raw(set_upstream))?;
    r.op("kong.service", "set_target", op::raw(set_target))?;
    r.op("kong.service", "set_retries", op::raw(set_retries))?;
    r.op("kong.service", "set_timeouts", op::raw(set_timeouts))?;
    r.module("kong.pdk.service", crate::embed!("service.lua"))?;
    request::install(r)?;
    response::install(r)
}

/// Whether the snapshot has that Upstream; if so it is the target and gives the Host.
fn set_upstream(a: &Args, r: &mut Ret) {
    let name = String::from_utf8_lossy(a.str(1).unwrap_or_default());
    let found = scope::write(|x| {
        let known = x.snapshot.upstream_by_name(&name).is_some();
        if known {
            x.target.host.clear();
            x.target.host.push_str(&name);
            x.target.chosen = true;
            x.outbound.host.clear();
        }
        known
    });
    r.bool(found.unwrap_or(false));
}

/// Host and port; the Host header is the bare host, whatever the route says of preserving it.
fn set_target(a: &Args, _: &mut Ret) {
    let host = String::from_utf8_lossy(a.str(1).unwrap_or_default());
    let port = a.int(2).and_then(|p| u16::try_from(p).ok()).unwrap_or_default();
    scope::write(|x| {
        x.target.host.clear();
        x.target.host.push_str(&host);
        x.target.port = port;
        x.target.chosen = true;
        x.outbound.host.clear();
        x.outbound.host.push_str(&host);
    });
}

fn set_retries(a: &Args, _: &mut Ret) {
    let retries = a.int(1).and_then(|n| u32::try_from(n).ok()).unwrap_or_default();
    scope::write(|x| x.target.retries = retries);
}

fn set_timeouts(a: &Args, _: &mut Ret) {
    let ms = |i| Duration::from_millis(a.int(i).unwrap_or_default().max(0) as u64);
    scope::write(|x| {
        x.target.connect_timeout = ms(1);
        x.target.write_timeout = ms(2);
        x.target.read_timeout = ms(3);
    });
}
