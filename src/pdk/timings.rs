//! The fields of `ngx.ctx` that Kong's phases leave there: moments, who answered, the request as it came.
//!
//! Must not: write the table; `timings.lua` asks for a field when it is read.

use std::time::{Duration, Instant, UNIX_EPOCH};

use super::configuration::host_port;
use crate::exchange::{Exchange, Phase, Source, Timing};
use crate::vm::{Args, Out, Registrar, Ret, op, scope};

const ROOM: &str = "moongate.timings";

/// The fields, by the number that `get` takes.
///
/// # Source
/// `kong/init.lua`, `kong/runloop/handler.lua`
const FIELDS: [&str; 42] = [
    "KONG_PROCESSING_START",
    "KONG_REWRITE_START",
    "KONG_REWRITE_ENDED_AT",
    "KONG_REWRITE_TIME",
    "KONG_ACCESS_START",
    "KONG_ACCESS_ENDED_AT",
    "KONG_ACCESS_TIME",
    "KONG_BALANCER_START",
    "KONG_BALANCER_ENDED_AT",
    "KONG_BALANCER_TIME",
    "KONG_RESPONSE_START",
    "KONG_RESPONSE_ENDED_AT",
    "KONG_RESPONSE_TIME",
    "KONG_HEADER_FILTER_START",
    "KONG_HEADER_FILTER_ENDED_AT",
    "KONG_HEADER_FILTER_TIME",
    "KONG_BODY_FILTER_START",
    "KONG_BODY_FILTER_ENDED_AT",
    "KONG_BODY_FILTER_ENDED_AT_NS",
    "KONG_BODY_FILTER_TIME",
    "KONG_LOG_START",
    "KONG_LOG_START_NS",
    "KONG_PROXY_LATENCY",
    "KONG_WAITING_TIME",
    "KONG_RECEIVE_TIME",
    "KONG_RESPONSE_LATENCY",
    "KONG_UPSTREAM_DNS_TIME",
    "KONG_PROXIED",
    "KONG_UNEXPECTED",
    "KONG_EXITED",
    "delay_response",
    "buffered_proxying",
    "buffered_status",
    "buffered_body",
    "host_port",
    "scheme",
    "host",
    "request_uri",
    "request_id",
    "workspace",
    "router_matches",
    "balancer_data",
];

/// # Errors
/// When Lua is out of memory.
pub(super) fn install(r: &Registrar) -> mlua::Result<()> {
    r.op(ROOM, "fields", op::raw(fields))?;
    r.op(ROOM, "get", op::raw(get))?;
    r.op(ROOM, "entered", op::raw(entered))?;
    r.module("moongate.timings", crate::embed!("timings.lua"))
}

/// The names of the fields; the last three are Lua's own to make.
fn fields(_: &Args, r: &mut Ret) {
    r.table(FIELDS.len(), 0, |t| {
        for (i, name) in FIELDS.iter().enumerate() {
            t.lit(name);
            t.seti(i + 1);
        }
    });
}

/// Notes that `ngx.ctx` is brought up to date: the bit of the phase, nil in a timer.
fn entered(_: &Args, r: &mut Ret) {
    let phase = scope::with(|s| {
        let phase = s.phase.get();
        s.ctx_phase.set(phase as u32);
        // balancer_data may be written there
        if phase == Phase::Access {
            s.target_out.set(true);
        }
        phase
    });
    match phase {
        Some(Phase::Timer) | None => r.nil(),
        Some(phase) => r.num(phase as u32),
    };
}

/// Field number 1 as it is now; nil where it is not yet there.
fn get(a: &Args, r: &mut Ret) {
    let at = a.int(1).and_then(|n| usize::try_from(n - 1).ok());
    let name = at.and_then(|at| FIELDS.get(at)).copied().unwrap_or_default();
    let done = scope::with(|s| {
        let cell = s.exchange.as_ref()?;
        push(r, name, &cell.borrow(), s.phase.get());
        Some(())
    });
    if done.flatten().is_none() {
        r.nil();
    }
}

/// Moments of an exchange as Kong counts them: milliseconds since 1970, whole ones.
struct Moments<'a> {
    timing: &'a Timing,
    start: f64,
}

impl<'a> Moments<'a> {
    fn new(timing: &'a Timing) -> Self {
        let since = timing.started_at.duration_since(UNIX_EPOCH).unwrap_or_default();
        Self {
            timing,
            start: whole(since),
        }
    }

    fn at(&self, t: Instant) -> f64 {
        self.start + whole(t.saturating_duration_since(self.timing.started))
    }
}

fn whole(d: Duration) -> f64 {
    (d.as_secs_f64() * 1000.0).floor()
}

fn push(out: &mut Out, name: &str, x: &Exchange, phase: Phase) {
    let number = |out: &mut Out, n: Option<f64>| {
        match n {
            Some(n) => out.num(n),
            None => out.nil(),
        };
    };
    let flag = |out: &mut Out, set: bool| {
        match set {
            true => out.bool(true),
            false => out.nil(),
        };
    };
    let matched = x.timing.access_start.is_some();
    let answered = x.timing.filter_start.is_some();
    match name {
        "KONG_PROXIED" => flag(out, x.timing.access_end.is_some()),
        "KONG_UNEXPECTED" => flag(out, answered && x.response.source == Source::Error),
        "KONG_EXITED" => flag(out, answered && x.response.source == Source::Exit),
        "delay_response" => flag(out, phase == Phase::Access),
        "buffered_proxying" => flag(out, x.response.buffering),
        "buffered_status" => {
            let status = x
                .response
                .upstream_status
                .filter(|_| x.response.buffered.is_some());
            number(out, status.map(f64::from));
        }
        "buffered_body" => match &x.response.buffered {
            Some(body) => {
                out.held(body.clone());
            }
            None => {
                out.nil();
            }
        },
        "host_port" => number(out, Some(f64::from(host_port(x.connection.local.port())))),
        "scheme" if matched => {
            out.lit(x.request.scheme);
        }
        "host" if matched => {
            out.str(&x.request.host);
        }
        "request_uri" if matched => {
            out.str(&x.request.target);
        }
        "request_id" => {
            out.str(x.id);
        }
        _ => number(out, moment(name, x, phase)),
    }
}

/// The begin and the end of a stretch, as far as they are known.
type Stretch = (Option<Instant>, Option<Instant>);

/// One of the fields that are numbers.
pub(super) fn moment(name: &str, x: &Exchange, phase: Phase) -> Option<f64> {
    let t = &x.timing;
    let m = Moments::new(t);
    let in_log = phase == Phase::Log;
    let ended = t.ended.filter(|_| in_log);
    let rewrite: Stretch = (Some(t.started), t.access_start.or(t.filter_start));
    let access: Stretch = (
        t.access_start,
        t.access_end
            .or(t.filter_start)
            .filter(|_| t.access_start.is_some()),
    );
    let response: Stretch = (t.buffered_at, t.filter_start.filter(|_| t.buffered_at.is_some()));
    let filters = matches!(phase, Phase::BodyFilter | Phase::Log);
    let header: Stretch = (
        t.filter_start,
        t.filter_end.or(t.filter_start).filter(|_| filters),
    );
    let body: Stretch = (header.1, ended.filter(|_| header.1.is_some()));
    let begin = |s: Stretch| s.0.map(|t| m.at(t));
    let end = |s: Stretch| s.1.map(|t| m.at(t));
    let time = |s: Stretch| Some(m.at(s.1?) - m.at(s.0?));
    let chosen = || {
        let last = x.attempts.last()?;
        let since = last.started_at.duration_since(UNIX_EPOCH).unwrap_or_default();
        Some(whole(since + last.choosing))
    };
    let nanos = || {
        let since = t.started_at.duration_since(UNIX_EPOCH).unwrap_or_default();
        Some((since + ended?.saturating_duration_since(t.started)).as_nanos() as f64)
    };
    match name {
        "KONG_PROCESSING_START" => Some(m.start),
        "KONG_REWRITE_START" => begin(rewrite),
        "KONG_REWRITE_ENDED_AT" => end(rewrite),
        "KONG_REWRITE_TIME" => time(rewrite),
        "KONG_ACCESS_START" => begin(access),
        "KONG_ACCESS_ENDED_AT" => end(access),
        "KONG_ACCESS_TIME" => time(access),
        "KONG_BALANCER_START" => t.access_end.map(|t| m.at(t)),
        "KONG_BALANCER_ENDED_AT" => chosen(),
        "KONG_BALANCER_TIME" => Some((chosen()? - m.at(t.access_end?)).max(0.0)),
        "KONG_RESPONSE_START" => begin(response),
        "KONG_RESPONSE_ENDED_AT" => end(response),
        "KONG_RESPONSE_TIME" => time(response),
        "KONG_HEADER_FILTER_START" => begin(header),
        "KONG_HEADER_FILTER_ENDED_AT" => end(header),
        "KONG_HEADER_FILTER_TIME" => time(header),
        "KONG_BODY_FILTER_START" => begin(body),
        "KONG_BODY_FILTER_ENDED_AT" => end(body),
        "KONG_BODY_FILTER_TIME" => time(body),
        "KONG_BODY_FILTER_ENDED_AT_NS" | "KONG_LOG_START_NS" => nanos(),
        "KONG_LOG_START" => ended.map(|t| m.at(t)),
        "KONG_PROXY_LATENCY" => {
            let answered = t.head_at.or(t.filter_start).or(ended).is_some();
            t.proxy_latency().filter(|_| answered).map(whole)
        }
        "KONG_WAITING_TIME" => {
            let till = t.head_at.or(t.filter_start).or(ended)?;
            Some(whole(till.saturating_duration_since(t.access_end?)))
        }
        "KONG_RECEIVE_TIME" if t.access_end.is_some() => {
            let from = t.buffered_at.or(t.filter_start)?;
            Some(whole(ended?.saturating_duration_since(from)))
        }
        "KONG_RESPONSE_LATENCY" if t.access_end.is_none() => Some(m.at(t.filter_start?) - m.start),
        "KONG_UPSTREAM_DNS_TIME" if t.buffered_at.is_some() => Some(0.0),
        _ => None,
    }
}
