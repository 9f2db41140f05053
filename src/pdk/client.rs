//! `kong.client`: who asks.
//!
//! Must not: judge who may; plugins authenticate.

use std::ffi::c_int;
use std::net::SocketAddr;

use crate::vm::native::{self, Given, Reply};
use crate::vm::{Args, Registrar, Ret, op, scope};

const ROOM: &str = "kong.client";

/// # Errors
/// When Lua is out of memory.
pub(super) fn install(r: &Registrar) -> mlua::Result<()> {
    r.op(ROOM, "get_ip", op::raw(get_ip))?;
    r.op(ROOM, "get_forwarded_ip", op::raw(get_forwarded_ip))?;
    r.op(ROOM, "get_port", op::raw(get_port))?;
    r.op(ROOM, "get_forwarded_port", op::raw(get_forwarded_port))?;
    r.op(ROOM, "is_https", op::raw(is_https))?;
    r.op(ROOM, "set_consumer", op::raw(set_consumer))?;
    r.op(ROOM, "find_consumer", op::raw(find_consumer))?;
    r.native(ROOM, "get_ip", native::raw(ip_native))?;
    r.module("kong.pdk.client.tls", crate::embed!("client_tls.lua"))?;
    r.module("kong.pdk.client", crate::embed!("client.lua"))
}

/// What `f` tells of the client's address: of the peer itself, or of whom a trusted one speaks for. In a TLS
/// handshake there is only the peer.
fn address<T>(forwarded: bool, f: impl Fn(SocketAddr) -> T) -> Option<T> {
    let of_request = scope::read(|x| {
        f(if forwarded {
            x.client.addr
        } else {
            x.connection.peer
        })
    });
    of_request.or_else(|| scope::handshake(|h| f(h.peer)))
}

fn ip(r: &mut Ret, forwarded: bool) {
    let told = scope::read(|x| {
        let of_peer = !forwarded || x.client.addr.ip() == x.connection.peer.ip();
        if of_peer {
            r.str(&*x.connection.peer_ip);
        }
        of_peer
    });
    if told == Some(true) {
        return;
    }
    r.opt(address(forwarded, |a| a.ip().to_canonical().to_string()));
}

fn port(r: &mut Ret, forwarded: bool) {
    match address(forwarded, |a| a.port()) {
        // an address that a header gave may have no port, which is 0 in a socket's address
        Some(port) if port != 0 => r.num(port),
        _ => r.nil(),
    };
}

fn get_ip(_: &Args, r: &mut Ret) {
    ip(r, false);
}

fn ip_native(_: &Given, reply: &mut Reply) -> c_int {
    scope::read(|x| reply.text(x.connection.peer_ip.as_bytes())).unwrap_or(native::OP)
}

fn get_forwarded_ip(_: &Args, r: &mut Ret) {
    ip(r, true);
}

fn get_port(_: &Args, r: &mut Ret) {
    port(r, false);
}

fn get_forwarded_port(_: &Args, r: &mut Ret) {
    port(r, true);
}

/// Whether the client speaks TLS to us or, if argument 1 is true, to a trusted peer that says so.
fn is_https(a: &Args, r: &mut Ret) {
    let allow_terminated = a.truthy(1);
    let answer = scope::read(|x| {
        if x.request.scheme == "https" {
            return Ok(true);
        }
        if !allow_terminated || !x.client.trusted {
            return Ok(false);
        }
        let mut lines = x.request.headers.get_all(b"x-forwarded-proto");
        let Some(scheme) = lines.next() else {
            return Ok(false);
        };
        if lines.next().is_some() || scheme.contains(&b',') {
            return Err("Only one X-Forwarded-Proto header allowed");
        }
        Ok(scheme.eq_ignore_ascii_case(b"https"))
    });
    match answer {
        Some(Err(reason)) => r.fail(reason),
        Some(Ok(https)) => r.bool(https),
        None => r.bool(false),
    };
}

/// Makes the consumer with this id the exchange's, so that configurations for it apply; none clears it.
fn set_consumer(a: &Args, _: &mut Ret) {
    let id = a.str(1).map(String::from_utf8_lossy);
    scope::write(|x| {
        x.client.consumer = id.and_then(|id| x.snapshot.consumer_by_id(&id));
    });
}

/// The place of a consumer by id (argument 1) or, if argument 2 is true, by username; nil if there is none.
fn find_consumer(a: &Args, r: &mut Ret) {
    let key = String::from_utf8_lossy(a.str(1).unwrap_or_default());
    let by_name = a.truthy(2);
    let found = scope::read(|x| {
        let by_id = x.snapshot.consumer_by_id(&key);
        by_id.or_else(|| by_name.then(|| x.snapshot.consumer_by_username(&key))?)
    });
    match found.flatten() {
        Some(at) => r.num(at.0),
        None => r.nil(),
    };
}
