//! What `ngx.ssl` and `ngx.ssl.clienthello` do with the client's TLS: the certificate phase's functions, and what
//! is known of the handshake.
//!
//! Must not: do a handshake; it writes wishes, which the listener carries out.

use std::net::{IpAddr, SocketAddr};

use super::call;
use crate::exchange::{Handshake, Phase};
use crate::tls::chain::CertificateChain;
use crate::tls::key::PrivateKey;
use crate::tls::server::{ClientRequest, Facts, Versions, Wishes, hello};
use crate::vm::{Args, Kind, Registrar, Ret, held, op, scope};

const ROOM: &str = "ngx_ssl";

pub(super) fn install(r: &Registrar) -> mlua::Result<()> {
    r.op(ROOM, "clear_certs", op::raw(clear_certs))?;
    r.op(ROOM, "set_cert", op::raw(set_cert))?;
    r.op(ROOM, "set_priv_key", op::raw(set_priv_key))?;
    r.op(ROOM, "set_der_cert", op::raw(set_der_cert))?;
    r.op(ROOM, "set_der_priv_key", op::raw(set_der_priv_key))?;
    r.op(ROOM, "verify_client", op::raw(verify_client))?;
    r.op(ROOM, "no_reuse", op::raw(no_reuse))?;
    r.op(ROOM, "server_name", op::raw(server_name))?;
    r.op(ROOM, "server_port", op::raw(server_port))?;
    r.op(ROOM, "raw_server_addr", op::raw(raw_server_addr))?;
    r.op(ROOM, "raw_client_addr", op::raw(raw_client_addr))?;
    r.op(ROOM, "version", op::raw(version))?;
    r.op(ROOM, "client_random", op::raw(client_random))?;
    r.op(ROOM, "shared_ciphers", op::raw(shared_ciphers))?;
    r.op(ROOM, "client_chain", op::raw(client_chain))?;
    r.op(ROOM, "hello_extension", op::raw(hello_extension))?;
    r.op(ROOM, "hello_extensions", op::raw(hello_extensions))?;
    r.op(ROOM, "hello_ciphers", op::raw(hello_ciphers))?;
    r.op(ROOM, "set_protocols", op::raw(set_protocols))
}

/// Where a function is called.
pub(super) enum Place<'a> {
    Handshake(&'a Handshake),
    Request(&'a Facts, SocketAddr, SocketAddr),
}

/// Runs `f` on the client's TLS; without, leaves OpenResty's answer.
pub(super) fn with_tls(r: &mut Ret, f: impl FnOnce(&mut Ret, Place<'_>)) {
    find_tls(r, f, |r| {
        r.fail("bad request");
    });
}

/// The same, where `without` answers for a connection (a timer's, too) that has none.
fn find_tls(r: &mut Ret, f: impl FnOnce(&mut Ret, Place<'_>), without: impl FnOnce(&mut Ret)) {
    let mut f = Some(f);
    let in_handshake = scope::handshake(|h| {
        if let Some(f) = f.take() {
            f(r, Place::Handshake(h));
        }
    });
    if in_handshake.is_some() {
        return;
    }
    let in_request = scope::read(|x| {
        if let (Some(facts), Some(f)) = (&x.connection.tls, f.take()) {
            f(r, Place::Request(facts, x.connection.peer, x.connection.local));
            return true;
        }
        false
    });
    if in_request == Some(true) {
        return;
    }
    if scope::with(|_| ()).is_some() {
        without(r);
    } else {
        r.raise("no request found");
    }
}

/// Runs `f` on the handshake's wishes.
fn wish(r: &mut Ret, f: impl FnOnce(&mut Wishes) -> Result<(), String>) {
    let mut f = Some(f);
    with_tls(r, |r, place| match (place, f.take()) {
        (Place::Handshake(h), Some(f)) => match f(&mut h.wishes.borrow_mut()) {
            Ok(()) => drop(r.bool(true)),
            Err(why) => drop(r.fail(why)),
        },
        _ => drop(r.fail("API disabled in the current context")),
    });
}

fn clear_certs(_: &Args, r: &mut Ret) {
    wish(r, |wishes| {
        wishes.clear_certificates();
        Ok(())
    });
}

fn set_cert(a: &Args, r: &mut Ret) {
    let chain = held::certificate_chain(a, 1);
    wish(r, |wishes| {
        let chain = chain.ok_or("invalid certificate chain")?;
        let chain = chain.map_err(|_| "invalid certificate chain")?;
        wishes.set_certificate(chain).map_err(|e| e.to_string())
    });
}

fn set_priv_key(a: &Args, r: &mut Ret) {
    let key = held::private_key(a, 1);
    wish(r, |wishes| {
        let key = key.ok_or("invalid private key")?;
        let key = key.map_err(|_| "invalid private key")?;
        wishes.set_key(key).map_err(|e| e.to_string())
    });
}

fn set_der_cert(a: &Args, r: &mut Ret) {
    let Some(der) = call::check_text(a, r, 1, "set_der_cert") else {
        return;
    };
    wish(r, |wishes| {
        let chain = CertificateChain::from_der(&der).map_err(|_| "d2i_X509_bio() failed")?;
        wishes.set_certificate(chain).map_err(|e| e.to_string())
    });
}

fn set_der_priv_key(a: &Args, r: &mut Ret) {
    let Some(der) = call::check_text(a, r, 1, "set_der_priv_key") else {
        return;
    };
    wish(r, |wishes| {
        let key = PrivateKey::from_der(&der).map_err(|_| "d2i_PrivateKey_bio() failed")?;
        wishes.set_key(key).map_err(|e| e.to_string())
    });
}

/// `verify_client(authorities, depth, trusted)`: the client is asked for a certificate; any is taken.
fn verify_client(a: &Args, r: &mut Ret) {
    if scope::phase() != Phase::Certificate {
        r.fail("API disabled in the current context");
        return;
    }
    let read = |i| match a.kind(i) {
        Kind::Number => held::certificate_chain(a, i).and_then(Result::ok).map(Some),
        _ => Some(None),
    };
    let certs = read(1).zip(read(3));
    let depth = a.int(2).and_then(|depth| usize::try_from(depth).ok());
    wish(r, |wishes| {
        let (authorities, trusted) = certs.ok_or("sk_X509_value() failed")?;
        wishes.client = Some(ClientRequest {
            authorities,
            trusted,
            depth: depth.unwrap_or(1),
        });
        Ok(())
    });
}

fn no_reuse(_: &Args, r: &mut Ret) {
    wish(r, |wishes| {
        wishes.no_reuse = true;
        Ok(())
    });
}

fn server_name(_: &Args, r: &mut Ret) {
    with_tls(r, |r, place| {
        match place {
            Place::Handshake(h) => r.opt(h.hello.server_name()),
            Place::Request(facts, ..) => r.opt(facts.server_name.as_ref()),
        };
    });
}

fn addresses(place: &Place<'_>) -> (SocketAddr, SocketAddr) {
    match place {
        Place::Handshake(h) => (h.peer, h.local),
        Place::Request(_, peer, local) => (*peer, *local),
    }
}

fn server_port(_: &Args, r: &mut Ret) {
    with_tls(r, |r, place| {
        r.num(addresses(&place).1.port());
    });
}

fn raw(r: &mut Ret, address: SocketAddr) {
    match address.ip() {
        IpAddr::V4(ip) => r.str(ip.octets()).lit("inet"),
        IpAddr::V6(ip) => r.str(ip.octets()).lit("inet6"),
    };
}

/// Of an address the error is the third value.
fn no_address(r: &mut Ret) {
    r.nil().nil().lit("bad request");
}

fn raw_server_addr(_: &Args, r: &mut Ret) {
    find_tls(r, |r, place| raw(r, addresses(&place).1), no_address);
}

fn raw_client_addr(_: &Args, r: &mut Ret) {
    find_tls(r, |r, place| raw(r, addresses(&place).0), no_address);
}

/// The protocol as a number.
fn version(_: &Args, r: &mut Ret) {
    with_tls(r, |r, place| {
        let number = match place {
            Place::Handshake(h) => h.version().unwrap_or(hello::TLS12),
            Place::Request(facts, ..) => facts.version,
        };
        r.num(number);
    });
}

/// `client_random(length)`: at most so many of the 32 bytes; for 0, how many there are.
fn client_random(a: &Args, r: &mut Ret) {
    let length = a.int(1).unwrap_or(32).clamp(0, 32) as usize;
    with_tls(r, |r, place| {
        if length == 0 {
            r.num(32);
            return;
        }
        match place {
            Place::Handshake(h) => r.str(&h.hello.random()[..length]),
            Place::Request(facts, ..) => r.str(&facts.random[..length]),
        };
    });
}

fn number_list(r: &mut Ret, numbers: impl Iterator<Item = u16>) {
    r.table(16, 0, |t| {
        for (i, number) in numbers.enumerate() {
            t.num(number).seti(i + 1);
        }
    });
}

/// The suites that client and listener have in common, in the listener's order; grease is none of them.
fn shared_ciphers(_: &Args, r: &mut Ret) {
    with_tls(r, |r, place| match place {
        Place::Handshake(h) => number_list(r, h.server.options().shared(&h.hello)),
        Place::Request(facts, ..) => number_list(r, facts.shared.iter().copied()),
    });
}

/// The client's certificates as PEM, its own first; nil without, false where the connection is not TLS.
fn client_chain(_: &Args, r: &mut Ret) {
    let found = scope::read(|x| {
        let Some(facts) = &x.connection.tls else {
            r.bool(false);
            return;
        };
        if facts.chain.is_empty() {
            r.nil();
            return;
        }
        r.str(facts.chain.iter().map(|der| pem(der)).collect::<String>());
    });
    if found.is_none() {
        r.raise("no request found");
    }
}

/// A certificate as PEM, in lines of 64.
pub(super) fn pem(der: &[u8]) -> String {
    use base64::Engine as _;
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    let mut all = String::with_capacity(text.len() * 66 / 64 + 64);
    all.push_str("-----BEGIN CERTIFICATE-----\n");
    let mut rest = text.as_str();
    while !rest.is_empty() {
        let (line, after) = rest.split_at(rest.len().min(64));
        all.push_str(line);
        all.push('\n');
        rest = after;
    }
    all.push_str("-----END CERTIFICATE-----\n");
    all
}

/// Runs `f` on the ClientHello, in the phase that is for it.
fn with_hello(r: &mut Ret, f: impl FnOnce(&mut Ret, &Handshake)) {
    if scope::with(|_| ()).is_none() {
        return r.raise("no request found");
    }
    let mut f = Some(f);
    let here = scope::phase() == Phase::ClientHello;
    let done = here.then(|| {
        scope::handshake(|h| {
            if let Some(f) = f.take() {
                f(r, h);
            }
        })
    });
    if done.flatten().is_none() {
        r.raise("API disabled in the current context");
    }
}

/// `hello_extension(type)`: its contents; nil where it did not come.
fn hello_extension(a: &Args, r: &mut Ret) {
    let kind = a.int(1).and_then(|n| u16::try_from(n).ok());
    with_hello(r, |r, h| {
        r.opt(kind.and_then(|kind| h.hello.extension(kind)));
    });
}

/// The types of the extensions, in their order.
fn hello_extensions(_: &Args, r: &mut Ret) {
    let known = |n: &u16| !hello::is_grease(*n);
    with_hello(r, |r, h| number_list(r, h.hello.extensions().filter(known)));
}

/// The suites offered, in the client's order.
fn hello_ciphers(_: &Args, r: &mut Ret) {
    let known = |n: &u16| !hello::is_grease(*n);
    with_hello(r, |r, h| number_list(r, h.hello.ciphers().filter(known)));
}

/// `set_protocols(tls12, tls13)`.
fn set_protocols(a: &Args, r: &mut Ret) {
    let versions = Versions {
        tls12: a.truthy(1),
        tls13: a.truthy(2),
    };
    with_hello(r, |r, h| {
        h.wishes.borrow_mut().versions = Some(versions);
        r.bool(true);
    });
}
