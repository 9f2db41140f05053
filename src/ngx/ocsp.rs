//! `ngx.ocsp`: whom to ask about a certificate, the question, its answer, and what clients are shown of it.
//!
//! Must not: check what the Lua face checks, or ask anybody (plugins do, by sockets).

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use super::ssl_server::{Place, with_tls};
use crate::tls::pki::ocsp;
use crate::vm::{Args, Registrar, Ret, op};

const ROOM: &str = "ngx_ocsp";

/// The number of the ClientHello's extension that asks for a status.
const STATUS_REQUEST: u16 = 5;

/// No longer answer is shown: responders' have a few thousand bytes.
const MAX_STATUS: usize = 1 << 16;

pub(super) fn install(r: &Registrar) -> mlua::Result<()> {
    r.op(ROOM, "responder", op::raw(responder))?;
    r.op(ROOM, "request", op::raw(request))?;
    r.op(ROOM, "check", op::raw(check))?;
    r.op(ROOM, "set_status", op::raw(set_status))
}

/// `responder(chain)`: an address, nil when there is none, or nil and why.
fn responder(a: &Args, r: &mut Ret) {
    match ocsp::responder(a.str(1).unwrap_or_default()) {
        Ok(address) => r.opt(address),
        Err(e) => r.fail(e),
    };
}

/// `request(chain)`: the question, or nil and why.
fn request(a: &Args, r: &mut Ret) {
    match ocsp::request(a.str(1).unwrap_or_default()) {
        Ok(der) => r.str(der),
        Err(e) => r.fail(e),
    };
}

/// `check(answer, chain)`: true and the time of the next answer or nil, or nil and why.
fn check(a: &Args, r: &mut Ret) {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let now = i64::try_from(since.as_secs()).unwrap_or(i64::MAX);
    match ocsp::check(a.str(1).unwrap_or_default(), a.str(2).unwrap_or_default(), now) {
        Ok(Some(next)) => r.bool(true).int(next),
        Ok(None) => r.bool(true),
        Err(e) => r.fail(e),
    };
}

/// `set_status(answer)`: true, or true and that the client does not ask, or nil and why.
fn set_status(a: &Args, r: &mut Ret) {
    let status = a.str(1).unwrap_or_default();
    with_tls(r, |r, place| {
        match place {
            Place::Handshake(h) if h.hello.extension(STATUS_REQUEST).is_none() => {
                r.bool(true).lit("no status req")
            }
            Place::Handshake(_) if status.len() > MAX_STATUS => {
                r.fail("SSL_set_tlsext_status_ocsp_resp() failed")
            }
            Place::Handshake(h) => {
                h.wishes.borrow_mut().status = Some(Arc::from(status));
                r.bool(true)
            }
            Place::Request(..) => r.fail("API disabled in the current context"),
        };
    });
}
