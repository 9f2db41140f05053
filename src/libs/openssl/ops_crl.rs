//! Ops of `resty.openssl.x509.crl` and `.revoked`.
//!
//! Must not: check what the Lua faces check.

use super::crl::{CrlFields, Revoked};
use super::ops_cert::HeldName;
use super::ops_signed::{self, Held};
use super::{cdata, objects};
use crate::libs::ops::text;
use crate::vm::{Args, Registrar, Ret, op};

pub(super) type HeldCrl = Held<CrlFields>;

pub(super) fn install(r: &Registrar) -> mlua::Result<()> {
    ops_signed::install::<CrlFields>(r, "crl")?;
    r.op("openssl", "crl_get", op::raw(get))?;
    r.op("openssl", "crl_set", op::raw(set))?;
    r.op("openssl", "crl_revoked", op::raw(revoked))?;
    r.op("openssl", "crl_find", op::raw(find))?;
    r.op("openssl", "crl_add", op::raw(add))?;
    r.op("openssl", "crl_text", op::raw(shown))?;
    r.op("openssl", "revoked_new", op::raw(revoked_new))
}

/// `crl_get(crl, what)`
fn get(a: &Args, r: &mut Ret) {
    let (Some(crl), Some(what)) = (cdata::object::<HeldCrl>(a, 1), text(a, 2)) else {
        r.nil();
        return;
    };
    let crl = crl.borrow();
    match what {
        "version" => r.int(crl.version),
        "last_update" => r.int(crl.last_update),
        "next_update" => match crl.next_update {
            Some(t) => r.int(t),
            None => r.nil(),
        },
        "issuer_name" => r.int(cdata::keep(HeldName::new(crl.issuer.clone()))),
        _ => r.nil(),
    };
}

/// `crl_set(crl, what, value)`: false when the value cannot be.
fn set(a: &Args, r: &mut Ret) {
    let (Some(crl), Some(what)) = (cdata::object::<HeldCrl>(a, 1), text(a, 2)) else {
        r.bool(false);
        return;
    };
    let mut crl = crl.borrow_mut();
    let done = match what {
        "version" => a
            .int(3)
            .filter(|v| (1..=i64::from(i32::MAX)).contains(v))
            .map(|v| crl.version = v),
        "last_update" => a.int(3).map(|t| crl.last_update = t),
        "next_update" => a.int(3).map(|t| crl.next_update = Some(t)),
        "issuer_name" => cdata::object::<HeldName>(a, 3).map(|n| crl.issuer = n.borrow().clone()),
        _ => None,
    };
    r.bool(done.is_some());
}

/// `crl_revoked(crl, place)`: the serial number's contents and the time of an entry, or nil; without a place how
/// many there are.
fn revoked(a: &Args, r: &mut Ret) {
    let Some(crl) = cdata::object::<HeldCrl>(a, 1) else {
        r.nil();
        return;
    };
    let crl = crl.borrow();
    let Some(place) = a.int(2) else {
        r.int(crl.revoked.len() as i64);
        return;
    };
    match usize::try_from(place - 1).ok().and_then(|i| crl.revoked.get(i)) {
        Some(e) => r.str(&e.serial).int(e.date),
        None => r.nil(),
    };
}

/// `crl_find(crl, serial)`: the time of the entry and whether it was taken off the list again, or nil.
fn find(a: &Args, r: &mut Ret) {
    let (Some(crl), Some(serial)) = (cdata::object::<HeldCrl>(a, 1), a.str(2)) else {
        r.nil();
        return;
    };
    match crl.borrow().entry(serial) {
        Some(e) => r.int(e.date).bool(e.is_removed()),
        None => r.nil(),
    };
}

/// `crl_add(crl, revoked)`
fn add(a: &Args, r: &mut Ret) {
    let (Some(crl), Some(entry)) = (cdata::object::<HeldCrl>(a, 1), cdata::object::<Revoked>(a, 2)) else {
        r.bool(false);
        return;
    };
    crl.borrow_mut().revoked.push((*entry).clone());
    r.bool(true);
}

/// `crl_text(crl)`: the names of algorithm and issuer, for who prints it.
fn shown(a: &Args, r: &mut Ret) {
    let Some(crl) = cdata::object::<HeldCrl>(a, 1) else {
        r.nil();
        return;
    };
    let crl = crl.borrow();
    let algorithm = crl
        .signature_algorithm()
        .and_then(|(oid, _)| objects::by_contents(oid));
    r.lit(algorithm.map_or("NULL", |o| o.ln))
        .str(crl.issuer.one_line());
}

/// `revoked_new(serial, time, reason)`: a number, or nil.
fn revoked_new(a: &Args, r: &mut Ret) {
    let reason = a.int(3).and_then(|n| u8::try_from(n).ok()).filter(|n| *n < 128);
    match (a.str(1), a.int(2), reason) {
        (Some(serial), Some(time), Some(reason)) if !serial.is_empty() => {
            r.int(cdata::keep(Revoked::new(serial, time, reason)))
        }
        _ => r.nil(),
    };
}
