//! Ops of `resty.openssl.x509` and `resty.openssl.x509.name`.
//!
//! Must not: check what the Lua face checks.

use std::cell::RefCell;

use super::cert::CertFields;
use super::digest::Alg;
use super::name::Name;
use super::{asn1, cdata, key_code, objects, ops_signed};
use crate::libs::ops::text;
use crate::vm::held::{HeldCert, HeldKey};
use crate::vm::{Args, Out, Registrar, Ret, op};

/// A name as Lua holds it.
pub(super) type HeldName = RefCell<Name>;

pub(super) fn install(r: &Registrar) -> mlua::Result<()> {
    ops_signed::install::<CertFields>(r, "cert")?;
    r.op("openssl", "cert_digest", op::raw(digest))?;
    r.op("openssl", "cert_get", op::raw(get))?;
    r.op("openssl", "cert_set", op::raw(set))?;
    r.op("openssl", "cert_basic_constraints", op::raw(basic_constraints))?;
    r.op("openssl", "name_empty", op::raw(name_empty))?;
    r.op("openssl", "name_read", op::raw(name_read))?;
    r.op("openssl", "name_dup", op::raw(name_dup))?;
    r.op("openssl", "name_add", op::raw(name_add))?;
    r.op("openssl", "name_entries", op::raw(name_entries))?;
    r.op("openssl", "object", op::raw(object))?;
    r.op("openssl", "object_add", op::raw(object_add))
}

/// `cert_digest(cert, md, of the public key)`: nil for a digest that is not known.
fn digest(a: &Args, r: &mut Ret) {
    let (Some(cert), Some(alg)) = (cdata::object::<HeldCert>(a, 1), text(a, 2).and_then(Alg::by_name)) else {
        r.nil();
        return;
    };
    let cert = cert.borrow();
    let hash = match a.truthy(3) {
        true => cert.public_bits().map(|bits| alg.digest(bits)),
        false => cert.write().map(|der| alg.digest(&der)),
    };
    r.opt(hash);
}

/// `cert_get(cert, what)`
fn get(a: &Args, r: &mut Ret) {
    let (Some(cert), Some(what)) = (cdata::object::<HeldCert>(a, 1), text(a, 2)) else {
        r.nil();
        return;
    };
    let cert = cert.borrow();
    match what {
        "version" => r.int(cert.version),
        "not_before" => r.int(cert.not_before),
        "not_after" => r.int(cert.not_after),
        "serial_number" => r.str(&cert.serial),
        "subject_name" => r.int(cdata::keep(HeldName::new(cert.subject.clone()))),
        "issuer_name" => r.int(cdata::keep(HeldName::new(cert.issuer.clone()))),
        "pubkey" => match cert.public_key() {
            Some(key) => r.int(cdata::keep(HeldKey::new(key))),
            None => r.nil(),
        },
        "self_issued" => r.bool(cert.subject_der() == cert.issuer_der()),
        _ => r.nil(),
    };
}

/// `cert_set(cert, what, value)`: false when the value cannot be.
fn set(a: &Args, r: &mut Ret) {
    let (Some(cert), Some(what)) = (cdata::object::<HeldCert>(a, 1), text(a, 2)) else {
        r.bool(false);
        return;
    };
    let mut cert = cert.borrow_mut();
    let name = || cdata::object::<HeldName>(a, 3).map(|n| n.borrow().clone());
    let done = match what {
        "version" => a
            .int(3)
            .filter(|v| (1..=i64::from(i32::MAX)).contains(v))
            .map(|v| cert.version = v),
        "not_before" => a.int(3).map(|t| cert.not_before = t),
        "not_after" => a.int(3).map(|t| cert.not_after = t),
        "serial_number" => a
            .str(3)
            .filter(|s| !s.is_empty())
            .map(|s| cert.serial = s.to_vec()),
        "subject_name" => name().map(|n| cert.subject = n),
        "issuer_name" => name().map(|n| cert.issuer = n),
        "pubkey" => cdata::object::<HeldKey>(a, 3).map(|key| cert.spki = key_code::write_spki(&key)),
        _ => None,
    };
    r.bool(done.is_some());
}

/// `cert_basic_constraints(cert)`: whether there are any, whether it is a CA, the path length or nil; nil and
/// why when they are not well-formed.
fn basic_constraints(a: &Args, r: &mut Ret) {
    let Some(cert) = cdata::object::<HeldCert>(a, 1) else {
        r.nil();
        return;
    };
    match cert.borrow().basic_constraints() {
        Ok(Some((ca, path))) => {
            r.bool(true).bool(ca);
            match path {
                Some(n) => r.int(n),
                None => r.nil(),
            };
        }
        Ok(None) => {
            r.bool(false);
        }
        Err(e) => {
            r.fail(e.to_string());
        }
    }
}

fn name_empty(_: &Args, r: &mut Ret) {
    r.int(cdata::keep(HeldName::default()));
}

/// `name_read(der)`: a number, or nil.
fn name_read(a: &Args, r: &mut Ret) {
    match a.str(1).and_then(|der| Name::read(der).ok()) {
        Some(name) => r.int(cdata::keep(HeldName::new(name))),
        None => r.nil(),
    };
}

fn name_dup(a: &Args, r: &mut Ret) {
    match cdata::object::<HeldName>(a, 1) {
        Some(name) => r.int(cdata::keep((*name).clone())),
        None => r.nil(),
    };
}

/// `name_add(name, attribute, text)`: true, or nil and why.
fn name_add(a: &Args, r: &mut Ret) {
    let (Some(name), Some(attribute), Some(value)) = (cdata::object::<HeldName>(a, 1), text(a, 2), a.str(3))
    else {
        r.fail("invalid NID text");
        return;
    };
    match name.borrow_mut().add(attribute, value) {
        Ok(()) => r.bool(true),
        Err(e) => r.fail(e),
    };
}

/// `id`, `nid`, `sn` and `ln` of an object, as fields of the table being made.
pub(super) fn object_fields(t: &mut Out, contents: &[u8]) {
    let known = objects::by_contents(contents);
    t.lit("id").str(asn1::dotted(contents).unwrap_or_default()).set();
    t.lit("nid").int(known.map_or(0, |o| i64::from(o.nid))).set();
    t.lit("sn").lit(known.map_or("UNDEF", |o| o.sn)).set();
    t.lit("ln").lit(known.map_or("undefined", |o| o.ln)).set();
}

/// `name_entries(name)`: for each a table of its object and `blob`.
fn name_entries(a: &Args, r: &mut Ret) {
    let Some(name) = cdata::object::<HeldName>(a, 1) else {
        r.nil();
        return;
    };
    let name = name.borrow();
    r.table(name.entries.len(), 0, |t| {
        for (i, e) in name.entries.iter().enumerate() {
            t.table(0, 5, |t| {
                object_fields(t, &e.oid);
                t.lit("blob").str(&e.value).set();
            })
            .seti(i + 1);
        }
    });
}

/// `object(name, identifier or number)`: its table, or nil.
fn object(a: &Args, r: &mut Ret) {
    let contents = match a.int(1) {
        Some(nid) => objects::by_nid(nid).and_then(|o| asn1::undotted(o.id)),
        None => text(a, 1).and_then(objects::contents),
    };
    match contents {
        Some(contents) => r.table(0, 4, |t| object_fields(t, &contents)),
        None => r.nil(),
    };
}

/// `object_add(identifier, short name, long name)`: its number, or nil.
fn object_add(a: &Args, r: &mut Ret) {
    let added = match (text(a, 1), text(a, 2), text(a, 3)) {
        (Some(id), Some(sn), Some(ln)) => objects::add(id, sn, ln),
        _ => None,
    };
    match added {
        Some(nid) => r.int(i64::from(nid)),
        None => r.nil(),
    };
}
