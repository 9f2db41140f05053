//! Ops that certificates, requests and revocation lists have in common: `cert_…`, `csr_…`, `crl_…`.
//!
//! Must not: check what the Lua faces check.

use std::cell::RefCell;

use super::ops_misc::Digesting;
use super::pem::PemError;
use super::signed::{Extension, Fields, Signed};
use super::{asn1, cdata, errors, pem};
use crate::libs::ops::text;
use crate::vm::held::HeldKey;
use crate::vm::{Args, Registrar, Ret, op};

/// One of them as Lua holds it.
pub(super) type Held<F> = RefCell<Signed<F>>;

/// Brings in the ops of one kind, whose names begin with `kind`.
pub(super) fn install<F: Fields + 'static>(r: &Registrar, kind: &str) -> mlua::Result<()> {
    let name = |what: &str| format!("{kind}_{what}");
    r.op("openssl", &name("load"), op::raw(load::<F>))?;
    r.op("openssl", &name("empty"), op::raw(empty::<F>))?;
    r.op("openssl", &name("dup"), op::raw(dup::<F>))?;
    r.op("openssl", &name("write"), op::raw(write::<F>))?;
    r.op("openssl", &name("signature"), op::raw(signature::<F>))?;
    r.op("openssl", &name("extensions"), op::raw(extensions::<F>))?;
    r.op("openssl", &name("set_extension"), op::raw(set_extension::<F>))?;
    r.op("openssl", &name("matches"), op::raw(matches::<F>))?;
    r.op("openssl", &name("sign"), op::raw(sign::<F>))?;
    r.op("openssl", &name("verify"), op::raw(verify::<F>))
}

/// What argument 1 holds as argument 2 says: PEM (a block of one of these labels), DER or `*`, which is either. Why
/// not, if not; nothing when there is nothing to say.
fn from_text<T>(a: &Args, labels: &[&str], read: impl Fn(&[u8]) -> Option<T>) -> Result<T, &'static str> {
    let bytes = a.str(1).unwrap_or_default();
    let format = text(a, 2).unwrap_or("*");
    let mut found = Err("");
    if format == "PEM" || format == "*" {
        let mut blocks = pem::blocks(bytes);
        found = loop {
            match blocks.next_block() {
                Ok(block) if labels.contains(&block.label.as_str()) => {
                    break read(&block.data).ok_or(errors::pem_contents());
                }
                Ok(_) => {}
                Err(e) => break Err(errors::pem(e)),
            }
        };
    }
    if found.is_err() && (format == "DER" || format == "*") {
        found = read(bytes).ok_or_else(|| match errors::der(bytes) {
            Some(e) => e,
            None if format == "*" => errors::pem(PemError::NoStart),
            None => "",
        });
    }
    found
}

/// `load(text, format)`: a number, or nil and why; format PEM, DER or `*`.
fn load<F: Fields + 'static>(a: &Args, r: &mut Ret) {
    match from_text(a, F::LABELS, |der| Signed::<F>::read(der).ok()) {
        Ok(document) => r.int(cdata::keep(Held::new(document))),
        Err("") => r.nil(),
        Err(e) => r.fail(e),
    };
}

fn empty<F: Fields + 'static>(_: &Args, r: &mut Ret) {
    r.int(cdata::keep(Held::<F>::new(Signed::empty())));
}

fn dup<F: Fields + 'static>(a: &Args, r: &mut Ret) {
    match cdata::object::<Held<F>>(a, 1) {
        Some(document) => r.int(cdata::keep((*document).clone())),
        None => r.nil(),
    };
}

/// `write(document, format)`
fn write<F: Fields + 'static>(a: &Args, r: &mut Ret) {
    let der = cdata::object::<Held<F>>(a, 1).and_then(|d| d.borrow().write());
    match text(a, 2) {
        Some("DER") => r.opt(der),
        _ => r.opt(der.map(|der| pem::write(F::LABELS[0], &der))),
    };
}

/// `signature(document)`: the identifier of the algorithm, or nil.
fn signature<F: Fields + 'static>(a: &Args, r: &mut Ret) {
    let document = cdata::object::<Held<F>>(a, 1);
    let oid = document.and_then(|d| {
        d.borrow()
            .signature_algorithm()
            .and_then(|(oid, _)| asn1::dotted(oid))
    });
    r.opt(oid);
}

/// `extensions(document)`: for each its OID, whether critical, and its bytes, in one list.
fn extensions<F: Fields + 'static>(a: &Args, r: &mut Ret) {
    let Some(document) = cdata::object::<Held<F>>(a, 1) else {
        r.nil();
        return;
    };
    let document = document.borrow();
    let list = document.extensions();
    r.table(list.len() * 3, 0, |t| {
        for (i, e) in list.iter().enumerate() {
            t.str(asn1::dotted(&e.oid).unwrap_or_default()).seti(i * 3 + 1);
            t.bool(e.critical).seti(i * 3 + 2);
            t.str(&e.value).seti(i * 3 + 3);
        }
    });
}

/// `set_extension(document, oid, critical, value, place or nil)`: adds one, or puts it in the place.
fn set_extension<F: Fields + 'static>(a: &Args, r: &mut Ret) {
    let oid = text(a, 2).and_then(asn1::undotted);
    let (Some(document), Some(oid), Some(value)) = (cdata::object::<Held<F>>(a, 1), oid, a.str(4)) else {
        r.bool(false);
        return;
    };
    let extension = Extension {
        oid,
        critical: a.truthy(3),
        value: value.to_vec(),
    };
    let mut document = document.borrow_mut();
    let list = document.extensions_mut();
    let place = a.int(5).and_then(|n| usize::try_from(n - 1).ok());
    match place.and_then(|i| list.get_mut(i)) {
        Some(there) => *there = extension,
        None => list.push(extension),
    }
    r.bool(true);
}

/// `matches(document, key)`: whether the key is the document's; nil when the document's is not known.
fn matches<F: Fields + 'static>(a: &Args, r: &mut Ret) {
    let (Some(document), Some(key)) = (cdata::object::<Held<F>>(a, 1), cdata::object::<HeldKey>(a, 2)) else {
        r.nil();
        return;
    };
    match document.borrow().public_key() {
        Some(public) => r.bool(public.same_public(&key)),
        None => r.nil(),
    };
}

/// `sign(document, key, digest or nil)`: true, or nil and why.
fn sign<F: Fields + 'static>(a: &Args, r: &mut Ret) {
    let (Some(document), Some(key)) = (cdata::object::<Held<F>>(a, 1), cdata::object::<HeldKey>(a, 2)) else {
        r.nil();
        return;
    };
    let alg = cdata::object::<Digesting>(a, 3).map(|d| d.alg);
    match document.borrow_mut().sign(&key, alg) {
        Ok(()) => r.bool(true),
        Err(e) => r.fail(errors::op(e)),
    };
}

/// `verify(document, key)`: a boolean, or nil and why.
fn verify<F: Fields + 'static>(a: &Args, r: &mut Ret) {
    let (Some(document), Some(key)) = (cdata::object::<Held<F>>(a, 1), cdata::object::<HeldKey>(a, 2)) else {
        r.nil();
        return;
    };
    match document.borrow().verify(&key) {
        Ok(good) => r.bool(good),
        Err(e) => r.fail(errors::op(e)),
    };
}
