//! `ngx` itself: its fields that follow the request (`ctx`, `status`, `headers_sent`), constants, phase.

use std::ffi::c_int;

use super::call::{self, CONTENT};
use super::log::{self, Level};
use crate::exchange::{Exchange, Phase};
use crate::vm::native::{self, Given, Reply};
use crate::vm::{Args, Registrar, Ret, op, scope};

pub(super) fn install(r: &Registrar) -> mlua::Result<()> {
    r.op("ngx_core", "get_phase", op::raw(get_phase))?;
    r.op("ngx_core", "phase_names", op::raw(phase_names))?;
    r.op("ngx_core", "null", op::raw(null))?;
    r.op("ngx_core", "status", op::raw(status))?;
    r.op("ngx_core", "set_status", op::raw(set_status))?;
    r.op("ngx_core", "headers_sent", op::raw(headers_sent))?;
    r.op("ngx_core", "is_subrequest", op::raw(is_subrequest))?;
    r.op("ngx_core", "exit", op::raw(exit))?;
    r.native("ngx_core", "status", native::raw(status_native))
}

/// `ngx.null`: the light userdata NULL, which `cjson.null` is too.
fn null(_: &Args, r: &mut Ret) {
    r.light(std::ptr::null_mut());
}

fn get_phase(_: &Args, r: &mut Ret) {
    match scope::with(|s| s.phase.get()) {
        Some(phase) => r.lit(phase.ngx_name()),
        None => r.lit("init"),
    };
}

/// What `ngx.get_phase()` answers, by the phase's bit.
fn phase_names(_: &Args, r: &mut Ret) {
    r.table(0, Phase::ALL.len(), |out| {
        for phase in Phase::ALL {
            out.num(phase as u32).lit(phase.ngx_name()).set();
        }
    });
}

/// Whether the head is out of reach: handed to hyper, or fixed by a body that the handler already wrote.
pub(super) fn head_sent(x: &Exchange) -> bool {
    let phase = scope::phase() as u32;
    let buffering = x.request.version == 10 && x.response.output.is_none();
    x.response.head_sent
        || phase & call::SENT != 0
        || (phase & CONTENT != 0 && x.response.body.is_some() && !buffering)
}

fn status(_: &Args, r: &mut Ret) {
    match scope::read(|x| x.response.status) {
        Some(s) => {
            r.num(s);
        }
        None => call::no_request(r),
    }
}

fn status_native(_: &Given, _: &mut Reply) -> c_int {
    scope::read(|x| c_int::from(x.response.status)).unwrap_or(native::OP)
}

fn set_status(a: &Args, r: &mut Ret) {
    let Some(n) = a.num(1) else {
        return call::bad(a, r, 1, "status", "number");
    };
    let done = scope::write(|x| {
        if head_sent(x) {
            return false;
        }
        x.response.status = n.clamp(0.0, 999.0) as u16;
        true
    });
    match done {
        Some(true) => {}
        Some(false) => log::emit(
            Level::ERR,
            b"attempt to set ngx.status after sending out response headers",
        ),
        None => call::no_request(r),
    }
}

fn headers_sent(_: &Args, r: &mut Ret) {
    match scope::read(head_sent) {
        Some(b) => {
            r.bool(b);
        }
        None => call::no_request(r),
    }
}

fn is_subrequest(_: &Args, r: &mut Ret) {
    match scope::read(|x| x.request.kin.depth() > 0) {
        Some(b) => {
            r.bool(b);
        }
        None => call::no_request(r),
    }
}

const EXIT_HERE: u32 =
    CONTENT | Phase::Timer as u32 | Phase::HeaderFilter as u32 | Phase::Balancer as u32 | call::HANDSHAKE;

/// `ngx.exit(code)`: abandons the handler where it may wait; in header_filter and balancer it returns and the
/// code is left in the scope; elsewhere it is an error.
fn exit(a: &Args, r: &mut Ret) {
    let Some(code) = call::check_num(a, r, 1, "exit") else {
        return;
    };
    let mut code = code as i64;
    if code == -2 || code == -4 {
        return r.raise("bad argument to 'ngx.exit': does not accept NGX_AGAIN or NGX_DONE");
    }
    if scope::with(|_| ()).is_none() {
        return call::no_request(r);
    }
    if !call::allowed(r, EXIT_HERE) {
        return;
    }
    if ![-1, 408, 444, 499].contains(&code) && !call::leavable(r) {
        return;
    }
    let sent = scope::read(|x| head_sent(x).then_some(x.response.status)).flatten();
    if let Some(status) = sent
        && code >= 300
        && ![408, 444, 499].contains(&code)
    {
        if code != i64::from(status) {
            log::emit(
                Level::ERR,
                format!(
                    "attempt to set status {code} via ngx.exit after sending out the response status {status}"
                )
                .as_bytes(),
            );
        }
        code = 200;
    }
    let phase = scope::phase();
    if phase.can_yield() {
        r.exit(code);
    } else {
        scope::with(|s| s.soft_exit.set(code));
    }
}
