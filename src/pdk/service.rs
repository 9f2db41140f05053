//! `kong.service`: where the request goes.
//!
//! Must not: resolve names or connect; `balancer::resolve` reads what is left in the exchange's target.

mod request;
mod response;

use std::time::Duration;

use crate::tls::identity::ClientIdentity;
use crate::vm::held;
use crate::vm::{Args, Registrar, Ret, op, scope};

/// # Errors
/// When Lua is out of memory.
pub(super) fn install(r: &Registrar) -> mlua::Result<()> {
    r.op("kong.service", "set_upstream", op::raw(set_upstream))?;
    r.op("kong.service", "set_target", op::raw(set_target))?;
    r.op("kong.service", "set_retries", op::raw(set_retries))?;
    r.op("kong.service", "set_timeouts", op::raw(set_timeouts))?;
    r.op("kong.service", "set_retry_callback", op::raw(set_retry_callback))?;
    r.op("kong.service", "set_tls_cert_key", op::raw(set_tls_cert_key))?;
    r.op("kong.service", "set_tls_verify", op::raw(set_tls_verify))?;
    r.op(
        "kong.service",
        "set_tls_verify_depth",
        op::raw(set_tls_verify_depth),
    )?;
    r.op(
        "kong.service",
        "set_tls_verify_store",
        op::raw(set_tls_verify_store),
    )?;
    r.module("kong.pdk.service", crate::embed!("service.lua"))?;
    request::install(r)?;
    response::install(r)
}

/// Whether the snapshot has that Upstream; if so it is the target. A Host that is set already stays.
fn set_upstream(a: &Args, r: &mut Ret) {
    let name = String::from_utf8_lossy(a.str(1).unwrap_or_default());
    let found = scope::write(|x| {
        let known = x.snapshot.upstream_by_name(&name).is_some();
        if known {
            x.target.host.clear();
            x.target.host.push_str(&name);
            x.target.chosen = true;
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

/// A function of the running plugin is asked before each retry; `balancer_data` holds it.
fn set_retry_callback(_: &Args, _: &mut Ret) {
    let plugin = scope::with(|s| s.plugin.get()).unwrap_or(scope::NO_PLUGIN);
    scope::write(|x| {
        x.target.retry_callback = true;
        x.target.retry_plugin = plugin;
    });
}

/// Puts chain and key together, given as numbers of what `ngx.ssl` or `resty.openssl` parsed: true, or nil and why
/// they are no identity.
fn set_tls_cert_key(a: &Args, r: &mut Ret) {
    match identity(a) {
        Ok(identity) => {
            scope::write(|x| x.target.identity = Some(identity));
            r.bool(true);
        }
        Err(e) => {
            r.fail(format!("error while setting upstream client cert and key: {e}"));
        }
    }
}

fn identity(a: &Args) -> Result<std::sync::Arc<ClientIdentity>, String> {
    let chain = held::certificate_chain(a, 1).ok_or("chain is no parsed certificate chain")?;
    let key = held::private_key(a, 2).ok_or("key is no parsed private key")?;
    let chain = chain.map_err(|e| e.to_string())?;
    ClientIdentity::new(chain, key.map_err(|e| e.to_string())?).map_err(|e| e.to_string())
}

fn set_tls_verify(a: &Args, _: &mut Ret) {
    let on = a.truthy(1);
    scope::write(|x| x.target.tls_verify = Some(on));
}

fn set_tls_verify_depth(a: &Args, _: &mut Ret) {
    // a number of Lua that is too large for the type is as good as no limit
    let depth = a.num(1).unwrap_or_default() as u32;
    scope::write(|x| x.target.tls_verify_depth = Some(depth));
}

fn set_tls_verify_store(a: &Args, r: &mut Ret) {
    match held::trust_store(a, 1) {
        Some(Ok(store)) => {
            scope::write(|x| x.target.tls_verify_store = Some(store));
            r.bool(true);
        }
        Some(Err(e)) => {
            r.fail(format!("error while setting upstream trusted store: {e}"));
        }
        None => {
            r.fail("error while setting upstream trusted store");
        }
    }
}
