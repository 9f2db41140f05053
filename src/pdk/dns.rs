//! `kong.dns`: `toip`, `resolve`.
//!
//! Must not: look names up by other ways than the proxy's own.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant, SystemTime};

use crate::exchange::Phase;
use crate::resolver::name::{self, HostKind, eight_groups};
use crate::resolver::{Answer, Data, Names, Record, Tries};
use crate::vm::{Args, Out, Registrar, Ret, op, scope};

/// # Errors
/// When Lua is out of memory.
pub(super) fn install(r: &Registrar) -> mlua::Result<()> {
    r.op("kong.dns", "toip", op::raw(toip))?;
    r.op("kong.dns", "resolve", op::raw(resolve))?;
    r.module("kong.pdk.dns", crate::embed!("dns.lua"))
}

/// Phases in which a lookup may wait; in the others only what is cached is given.
const WAIT: u32 = Phase::InitWorker as u32
    | Phase::Certificate as u32
    | Phase::Rewrite as u32
    | Phase::Access as u32
    | Phase::Response as u32
    | Phase::Error as u32
    | Phase::AdminApi as u32
    | Phase::Timer as u32;

fn may_wait() -> bool {
    scope::with(|_| ()).is_some() && scope::phase() as u32 & WAIT != 0
}

fn text(a: &Args, i: usize) -> String {
    String::from_utf8_lossy(a.str(i).unwrap_or_default()).into_owned()
}

/// Gives what is ready at once, else waits for it.
fn now_or_later(r: &mut Ret, future: impl Future<Output = Out> + 'static) {
    let mut future: Pin<Box<dyn Future<Output = Out>>> = Box::pin(future);
    match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(out) => **r = out,
        Poll::Pending => r.wait(future),
    }
}

/// `toip(host, port or nil, cache_only)`: address, port or nil, the way; or nil, error, the way.
fn toip(a: &Args, r: &mut Ret) {
    let host = text(a, 1);
    let port = a.int(2).and_then(|p| u16::try_from(p).ok());
    let cache_only = a.truthy(3) || !may_wait();
    now_or_later(r, async move {
        let names = Names::of_thread();
        let mut tries = names.tries();
        let mut out = Out::new();
        match names.to_ip(&host, port, cache_only, &mut tries).await {
            Ok((record, port, of_hosts)) => {
                out.opt(address(&record, of_hosts));
                match port {
                    Some(port) => out.num(port),
                    None => out.nil(),
                };
            }
            Err(error) => {
                out.fail(error);
            }
        }
        out.str(tries.to_string());
        out
    });
}

/// `resolve(host, type or nil, cache_only)`: a list of records, nil, the way; or nil, error, the way.
fn resolve(a: &Args, r: &mut Ret) {
    let host = text(a, 1);
    let wanted = a.int(2).and_then(|kind| u16::try_from(kind).ok());
    let cache_only = a.truthy(3) || !may_wait();
    now_or_later(r, async move {
        let names = Names::of_thread();
        let mut tries: Tries = names.tries();
        let mut out = Out::new();
        match names.records(&host, wanted, cache_only, &mut tries).await {
            Ok(answer) => {
                records(&mut out, &answer);
                out.nil();
            }
            Err(error) => {
                out.fail(error);
            }
        }
        out.str(tries.to_string());
        out
    });
}

/// An address as Kong writes it: IPv6 in brackets, from a server with all eight groups.
fn address(record: &Record, of_hosts: bool) -> Option<String> {
    match &record.data {
        Data::A(ip) => Some(ip.to_string()),
        Data::Aaaa(ip) if of_hosts || name::kind_of(&record.name) == HostKind::Ipv6 => {
            Some(format!("[{ip}]"))
        }
        Data::Aaaa(ip) => Some(format!("[{}]", eight_groups(ip))),
        _ => None,
    }
}

fn records(out: &mut Out, answer: &Answer) {
    out.table(answer.records.len(), 4, |t| {
        for (i, record) in answer.records.iter().enumerate() {
            one(t, record, answer.of_hosts);
            t.seti(i + 1);
        }
        let now = Instant::now();
        let expire = answer.expire.saturating_duration_since(now);
        let passed = now.saturating_duration_since(answer.expire);
        let clock = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or(Duration::ZERO);
        t.lit("ttl").num(answer.ttl.as_secs_f64()).set();
        t.lit("expire")
            .num((clock + expire).saturating_sub(passed).as_secs_f64())
            .set();
        t.lit("touch").num(clock.as_secs_f64()).set();
        t.lit("expired").bool(passed > Duration::ZERO).set();
    });
}

fn one(out: &mut Out, record: &Record, of_hosts: bool) {
    out.table(0, 8, |t| {
        t.lit("name").str(record.name.as_bytes()).set();
        t.lit("type").num(record.kind()).set();
        t.lit("class").num(1u16).set();
        t.lit("section").num(1u16).set();
        t.lit("ttl").num(record.ttl).set();
        match &record.data {
            Data::A(_) | Data::Aaaa(_) => {
                t.lit("address").opt(address(record, of_hosts)).set();
            }
            Data::Cname(other) => {
                t.lit("cname").str(other.as_bytes()).set();
            }
            Data::Srv {
                priority,
                weight,
                port,
                target,
            } => {
                t.lit("priority").num(*priority).set();
                t.lit("weight").num(*weight).set();
                t.lit("port").num(*port).set();
                t.lit("target").str(target.as_bytes()).set();
            }
            Data::Mx { preference, exchange } => {
                t.lit("preference").num(*preference).set();
                t.lit("exchange").str(exchange.as_bytes()).set();
            }
            Data::Ns(name) => {
                t.lit("nsdname").str(name.as_bytes()).set();
            }
            Data::Ptr(name) => {
                t.lit("ptrdname").str(name.as_bytes()).set();
            }
            Data::Txt(texts) => match texts.as_slice() {
                [single] => {
                    t.lit("txt").str(single).set();
                }
                several => {
                    t.lit("txt")
                        .table(several.len(), 0, |t| {
                            for (i, text) in several.iter().enumerate() {
                                t.str(text).seti(i + 1);
                            }
                        })
                        .set();
                }
            },
            Data::Other(_) => {}
        }
    });
}
