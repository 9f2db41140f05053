//! Ops of `resty.openssl.x509.csr`.
//!
//! Must not: check what the Lua face checks.

use std::cell::RefCell;

use super::cert::Extension;
use super::csr::Csr;
use super::ops_cert::{HeldName, extension_list, from_text};
use super::ops_misc::Digesting;
use super::{asn1, cdata, errors, key_code, pem};
use crate::libs::ops::text;
use crate::vm::held::HeldKey;
use crate::vm::{Args, Registrar, Ret, op};

/// A request as Lua holds it.
type HeldCsr = RefCell<Csr>;

pub(super) fn install(r: &Registrar) -> mlua::Result<()> {
    r.op("openssl", "csr_load", op::raw(load))?;
    r.op("openssl", "csr_empty", op::raw(empty))?;
    r.op("openssl", "csr_write", op::raw(write))?;
    r.op("openssl", "csr_get", op::raw(get))?;
    r.op("openssl", "csr_set", op::raw(set))?;
    r.op("openssl", "csr_extensions", op::raw(extensions))?;
    r.op("openssl", "csr_set_extension", op::raw(set_extension))?;
    r.op("openssl", "csr_matches", op::raw(matches))?;
    r.op("openssl", "csr_sign", op::raw(sign))?;
    r.op("openssl", "csr_verify", op::raw(verify))
}

/// `csr_load(text, format)`: a number, or nil and why; format PEM, DER or `*`.
fn load(a: &Args, r: &mut Ret) {
    let labels = ["CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST"];
    match from_text(a, &labels, |der| Csr::read(der).ok()) {
        Ok(request) => r.int(cdata::keep(HeldCsr::new(request))),
        Err("") => r.nil(),
        Err(e) => r.fail(e),
    };
}

fn empty(_: &Args, r: &mut Ret) {
    r.int(cdata::keep(HeldCsr::new(Csr::empty())));
}

/// `csr_write(csr, format)`
fn write(a: &Args, r: &mut Ret) {
    let der = cdata::object::<HeldCsr>(a, 1).and_then(|c| c.borrow().write());
    match text(a, 2) {
        Some("DER") => r.opt(der),
        _ => r.opt(der.map(|der| pem::write("CERTIFICATE REQUEST", &der))),
    };
}

/// `csr_get(csr, what)`
fn get(a: &Args, r: &mut Ret) {
    let (Some(request), Some(what)) = (cdata::object::<HeldCsr>(a, 1), text(a, 2)) else {
        r.nil();
        return;
    };
    let request = request.borrow();
    match what {
        "version" => r.int(request.version),
        "subject_name" => r.int(cdata::keep(HeldName::new(request.subject.clone()))),
        "pubkey" => match request.public_key() {
            Some(key) => r.int(cdata::keep(HeldKey::new(key))),
            None => r.nil(),
        },
        "signature" => r.opt(request.signature_algorithm().and_then(asn1::dotted)),
        _ => r.nil(),
    };
}

/// `csr_set(csr, what, value)`: false when the value cannot be.
fn set(a: &Args, r: &mut Ret) {
    let (Some(request), Some(what)) = (cdata::object::<HeldCsr>(a, 1), text(a, 2)) else {
        r.bool(false);
        return;
    };
    let mut request = request.borrow_mut();
    let done = match what {
        "version" => a
            .int(3)
            .filter(|v| (1..=256).contains(v))
            .map(|v| request.version = v),
        "subject_name" => cdata::object::<HeldName>(a, 3).map(|name| request.subject = name.borrow().clone()),
        "pubkey" => cdata::object::<HeldKey>(a, 3).map(|key| request.spki = key_code::write_spki(&key)),
        _ => None,
    };
    request.changed();
    r.bool(done.is_some());
}

/// `csr_extensions(csr)`: for each its OID, whether critical, and its bytes, in one list.
fn extensions(a: &Args, r: &mut Ret) {
    match cdata::object::<HeldCsr>(a, 1) {
        Some(request) => extension_list(&request.borrow().extensions, r),
        None => {
            r.nil();
        }
    }
}

/// `csr_set_extension(csr, oid, critical, value, place or nil)`: adds one, or puts it in the place.
fn set_extension(a: &Args, r: &mut Ret) {
    let oid = text(a, 2).and_then(asn1::undotted);
    let (Some(request), Some(oid), Some(value)) = (cdata::object::<HeldCsr>(a, 1), oid, a.str(4)) else {
        r.bool(false);
        return;
    };
    let extension = Extension {
        oid,
        critical: a.truthy(3),
        value: value.to_vec(),
    };
    let mut request = request.borrow_mut();
    let place = a.int(5).and_then(|n| usize::try_from(n - 1).ok());
    match place.and_then(|i| request.extensions.get_mut(i)) {
        Some(there) => *there = extension,
        None => request.extensions.push(extension),
    }
    request.changed();
    r.bool(true);
}

/// `csr_matches(csr, key)`: whether the key is the request's; nil when the request's is not known.
fn matches(a: &Args, r: &mut Ret) {
    let (Some(request), Some(key)) = (cdata::object::<HeldCsr>(a, 1), cdata::object::<HeldKey>(a, 2)) else {
        r.nil();
        return;
    };
    match request.borrow().public_key() {
        Some(public) => r.bool(public.same_public(&key)),
        None => r.nil(),
    };
}

/// `csr_sign(csr, key, digest or nil)`: true, or nil and why.
fn sign(a: &Args, r: &mut Ret) {
    let (Some(request), Some(key)) = (cdata::object::<HeldCsr>(a, 1), cdata::object::<HeldKey>(a, 2)) else {
        r.nil();
        return;
    };
    let alg = cdata::object::<Digesting>(a, 3).map(|d| d.alg);
    match request.borrow_mut().sign(&key, alg) {
        Ok(()) => r.bool(true),
        Err(e) => r.fail(errors::op(e)),
    };
}

/// `csr_verify(csr, key)`: a boolean, or nil and why.
fn verify(a: &Args, r: &mut Ret) {
    let (Some(request), Some(key)) = (cdata::object::<HeldCsr>(a, 1), cdata::object::<HeldKey>(a, 2)) else {
        r.nil();
        return;
    };
    match request.borrow().verify(&key) {
        Ok(good) => r.bool(good),
        Err(e) => r.fail(errors::op(e)),
    };
}
