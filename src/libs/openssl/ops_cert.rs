//! Ops of `resty.openssl.x509` and `resty.openssl.x509.name`.
//!
//! Must not: check what the Lua face checks.

use std::cell::RefCell;

use super::cert::{Cert, Extension};
use super::digest::Alg;
use super::name::Name;
use super::ops_misc::Digesting;
use super::pem::PemError;
use super::{asn1, cdata, errors, key_code, objects, pem};
use crate::libs::ops::text;
use crate::vm::held::{HeldCert, HeldKey};
use crate::vm::{Args, Out, Registrar, Ret, op};

/// A name as Lua holds it.
pub(super) type HeldName = RefCell<Name>;

pub(super) fn install(r: &Registrar) -> mlua::Result<()> {
    r.op("openssl", "cert_load", op::raw(load))?;
    r.op("openssl", "cert_empty", op::raw(empty))?;
    r.op("openssl", "cert_dup", op::raw(dup))?;
    r.op("openssl", "cert_write", op::raw(write))?;
    r.op("openssl", "cert_digest", op::raw(digest))?;
    r.op("openssl", "cert_get", op::raw(get))?;
    r.op("openssl", "cert_set", op::raw(set))?;
    r.op("openssl", "cert_basic_constraints", op::raw(basic_constraints))?;
    r.op("openssl", "cert_extensions", op::raw(extensions))?;
    r.op("openssl", "cert_set_extension", op::raw(set_extension))?;
    r.op("openssl", "cert_matches", op::raw(matches))?;
    r.op("openssl", "cert_sign", op::raw(sign))?;
    r.op("openssl", "cert_verify", op::raw(verify))?;
    r.op("openssl", "name_empty", op::raw(name_empty))?;
    r.op("openssl", "name_dup", op::raw(name_dup))?;
    r.op("openssl", "name_add", op::raw(name_add))?;
    r.op("openssl", "name_entries", op::raw(name_entries))?;
    r.op("openssl", "object", op::raw(object))
}

/// What argument 1 holds as argument 2 says: PEM (a block of one of these labels), DER or `*`, which is either. Why
/// not, if not; nothing when there is nothing to say.
pub(super) fn from_text<T>(
    a: &Args,
    labels: &[&str],
    read: impl Fn(&[u8]) -> Option<T>,
) -> Result<T, &'static str> {
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

/// `cert_load(text, format)`: a number, or nil and why; format PEM, DER or `*`.
fn load(a: &Args, r: &mut Ret) {
    let labels = ["CERTIFICATE", "X509 CERTIFICATE", "TRUSTED CERTIFICATE"];
    match from_text(a, &labels, |der| Cert::read(der).ok()) {
        Ok(cert) => r.int(cdata::keep(HeldCert::new(cert))),
        Err("") => r.nil(),
        Err(e) => r.fail(e),
    };
}

fn empty(_: &Args, r: &mut Ret) {
    r.int(cdata::keep(HeldCert::new(Cert::empty())));
}

fn dup(a: &Args, r: &mut Ret) {
    match cdata::object::<HeldCert>(a, 1) {
        Some(cert) => r.int(cdata::keep((*cert).clone())),
        None => r.nil(),
    };
}

/// `cert_write(cert, format)`
fn write(a: &Args, r: &mut Ret) {
    let der = cdata::object::<HeldCert>(a, 1).and_then(|c| c.borrow().write());
    match text(a, 2) {
        Some("DER") => r.opt(der),
        _ => r.opt(der.map(|der| pem::write("CERTIFICATE", &der))),
    };
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
        "signature" => r.opt(cert.signature_algorithm().and_then(|(oid, _)| asn1::dotted(oid))),
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
            .filter(|v| (1..=256).contains(v))
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
    cert.changed();
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

/// `cert_extensions(cert)`: for each its OID, whether critical, and its bytes, in one list.
fn extensions(a: &Args, r: &mut Ret) {
    let Some(cert) = cdata::object::<HeldCert>(a, 1) else {
        r.nil();
        return;
    };
    extension_list(&cert.borrow().extensions, r);
}

/// The result that `cert_extensions` says.
pub(super) fn extension_list(list: &[Extension], r: &mut Ret) {
    r.table(list.len() * 3, 0, |t| {
        for (i, e) in list.iter().enumerate() {
            t.str(asn1::dotted(&e.oid).unwrap_or_default()).seti(i * 3 + 1);
            t.bool(e.critical).seti(i * 3 + 2);
            t.str(&e.value).seti(i * 3 + 3);
        }
    });
}

/// `cert_set_extension(cert, oid, critical, value, place or nil)`: adds one, or puts it in the place.
fn set_extension(a: &Args, r: &mut Ret) {
    let (Some(cert), Some(oid), Some(value)) = (
        cdata::object::<HeldCert>(a, 1),
        text(a, 2).and_then(asn1::undotted),
        a.str(4),
    ) else {
        r.bool(false);
        return;
    };
    let extension = Extension {
        oid,
        critical: a.truthy(3),
        value: value.to_vec(),
    };
    let mut cert = cert.borrow_mut();
    let place = a.int(5).and_then(|n| usize::try_from(n - 1).ok());
    match place.and_then(|i| cert.extensions.get_mut(i)) {
        Some(there) => *there = extension,
        None => cert.extensions.push(extension),
    }
    cert.changed();
    r.bool(true);
}

/// `cert_matches(cert, key)`: whether the key is the certificate's; nil when the certificate's is not known.
fn matches(a: &Args, r: &mut Ret) {
    let (Some(cert), Some(key)) = (cdata::object::<HeldCert>(a, 1), cdata::object::<HeldKey>(a, 2)) else {
        r.nil();
        return;
    };
    match cert.borrow().public_key() {
        Some(public) => r.bool(public.same_public(&key)),
        None => r.nil(),
    };
}

/// `cert_sign(cert, key, digest or nil)`: true, or nil and why.
fn sign(a: &Args, r: &mut Ret) {
    let (Some(cert), Some(key)) = (cdata::object::<HeldCert>(a, 1), cdata::object::<HeldKey>(a, 2)) else {
        r.nil();
        return;
    };
    let alg = cdata::object::<Digesting>(a, 3).map(|d| d.alg);
    match cert.borrow_mut().sign(&key, alg) {
        Ok(()) => r.bool(true),
        Err(e) => r.fail(errors::op(e)),
    };
}

/// `cert_verify(cert, key)`: a boolean, or nil and why.
fn verify(a: &Args, r: &mut Ret) {
    let (Some(cert), Some(key)) = (cdata::object::<HeldCert>(a, 1), cdata::object::<HeldKey>(a, 2)) else {
        r.nil();
        return;
    };
    match cert.borrow().verify(&key) {
        Ok(good) => r.bool(good),
        Err(e) => r.fail(errors::op(e)),
    };
}

fn name_empty(_: &Args, r: &mut Ret) {
    r.int(cdata::keep(HeldName::default()));
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
