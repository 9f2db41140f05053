//! What a request's log line holds (`kong.log.serialize`).
//!
//! Must not: write logs; `kong.log` does, through ngx's error log.

use std::net::IpAddr;
use std::time::{Duration, UNIX_EPOCH};

use super::timings::moment;
use crate::exchange::{Attempt, Exchange, Phase, Source};
use crate::vm::{Args, Out, Registrar, Ret, op, scope};

/// # Errors
/// When Lua is out of memory.
pub(super) fn install(r: &Registrar) -> mlua::Result<()> {
    r.op("kong.log", "serialize", op::raw(serialize))?;
    r.module("kong.pdk.private.serialize", crate::embed!("serialize.lua"))
}

fn millis(d: Option<Duration>, absent: f64) -> f64 {
    d.map_or(absent, |d| (d.as_secs_f64() * 1000.0).floor())
}

/// The parts of a log line that the exchange knows.
fn serialize(_: &Args, r: &mut Ret) {
    if scope::read(|x| push_exchange(r, x)).is_none() {
        r.nil();
    }
}

fn push_exchange(out: &mut Out, x: &Exchange) {
    out.table(0, 16, |t| {
        t.str("id").str(x.id).set();
        t.str("uri").str(&x.request.target).set();
        t.str("url").str(url(x)).set();
        t.str("size").num(x.request.length as f64).set();
        t.str("upstream_uri").str(upstream_uri(x)).set();
        t.str("upstream_status");
        match x.response.upstream_status {
            Some(status) => t.str(status.to_string()).set(),
            None => t.str("").set(),
        };
        t.str("status").num(x.response.status).set();
        t.str("bytes_sent").num(x.response.body_bytes_sent as f64).set();
        t.str("client_ip").str(ip(x.client.addr.ip())).set();
        t.str("started_at");
        let since = x.timing.started_at.duration_since(UNIX_EPOCH).ok();
        t.num(millis(since, 0.0)).set();
        t.str("source").lit(source(x.response.source)).set();
        t.str("latencies");
        push_latencies(t, x);
        t.set();
        if let Some(tls) = &x.connection.tls {
            t.str("tls_version").lit(tls.version_name()).set();
            t.str("tls_cipher").lit(tls.suite_name()).set();
            t.str("client_verify").str(tls.client_verify()).set();
        }
        if x.matched.is_some() {
            t.str("tries");
            push_tries(t, &x.attempts);
            t.set();
        }
        let stale = scope::with(|s| s.target_stale.get()).unwrap_or(false);
        t.str("stale").bool(stale).set();
    });
}

fn push_latencies(out: &mut Out, x: &Exchange) {
    let of = |name| moment(name, x, Phase::Log);
    let own = of("KONG_PROXY_LATENCY").or_else(|| of("KONG_RESPONSE_LATENCY"));
    out.table(0, 4, |t| {
        t.str("kong").num(own.unwrap_or(0.0)).set();
        t.str("proxy").num(of("KONG_WAITING_TIME").unwrap_or(-1.0)).set();
        t.str("request").num(millis(Some(x.timing.elapsed()), 0.0)).set();
        t.str("receive").num(of("KONG_RECEIVE_TIME").unwrap_or(0.0)).set();
    });
}

/// Kong's `balancer_data.tries`.
pub(super) fn push_tries(out: &mut Out, attempts: &[Attempt]) {
    out.table(attempts.len(), 0, |t| {
        for (i, attempt) in attempts.iter().enumerate() {
            let start = attempt.started_at.duration_since(UNIX_EPOCH).ok();
            let nanos = |d: Duration| d.as_nanos() as f64;
            t.table(0, 8, |one| {
                one.str("balancer_start").num(millis(start, 0.0)).set();
                one.str("balancer_start_ns")
                    .num(nanos(start.unwrap_or_default()))
                    .set();
                one.str("balancer_latency")
                    .num(millis(Some(attempt.choosing), 0.0))
                    .set();
                one.str("balancer_latency_ns").num(nanos(attempt.choosing)).set();
                one.str("ip").str(ip(attempt.addr.ip())).set();
                one.str("port").num(attempt.addr.port()).set();
                if let Some(code) = attempt.code {
                    one.str("state").lit("failed").set();
                    one.str("code").num(code).set();
                }
            });
            t.seti(i + 1);
        }
    });
}

fn ip(address: IpAddr) -> String {
    address.to_canonical().to_string()
}

fn url(x: &Exchange) -> String {
    let port = super::configuration::host_port(x.connection.local.port());
    format!(
        "{}://{}:{port}{}",
        x.request.scheme, x.request.host, x.request.target
    )
}

fn upstream_uri(x: &Exchange) -> String {
    let mut uri = x.outbound.uri.clone();
    if uri.is_empty() || uri.contains('?') {
        return uri;
    }
    if x.request.target.ends_with('?') {
        uri.push('?');
    } else if let Some(args) = &x.request.args {
        uri.push('?');
        uri.push_str(args);
    }
    uri
}

fn source(source: Source) -> &'static str {
    match source {
        Source::Service => "upstream",
        Source::Exit | Source::Error => "kong",
    }
}
