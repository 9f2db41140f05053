//! Ops of `resty.openssl.x509.extension`, `.chain` and `.store`.
//!
//! Must not: check what the Lua faces check.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::{SystemTime, UNIX_EPOCH};

use super::cert::Extension;
use super::crl::Crl;
use super::extension::About;
use super::ops_cert::object_fields;
use super::ops_crl::HeldCrl;
use super::path::{self, Terms};
use super::{asn1, cdata, extension, objects, revocation};
use crate::libs::ops::text;
use crate::vm::held::{self, HeldCert, HeldCerts, HeldKey};
use crate::vm::{Args, Registrar, Ret, op};

type HeldExtension = RefCell<Extension>;
type HeldCrls = RefCell<Vec<Crl>>;

const PARTIAL_CHAIN: i64 = 0x80000;
const NO_CHECK_TIME: i64 = 0x20_0000;
const IGNORE_CRITICAL: i64 = 0x10;
const CRL_CHECK_ALL: i64 = 8;
/// No more files of a directory are looked at.
const MAX_FILES: usize = 10_000;

pub(super) fn install(r: &Registrar) -> mlua::Result<()> {
    r.op("openssl", "extension_make", op::raw(extension_make))?;
    r.op("openssl", "extension_new", op::raw(extension_new))?;
    r.op("openssl", "extension_dup", op::raw(extension_dup))?;
    r.op("openssl", "extension_get", op::raw(extension_get))?;
    r.op(
        "openssl",
        "extension_set_critical",
        op::raw(extension_set_critical),
    )?;
    r.op("openssl", "basic_constraints", op::raw(basic_constraints))?;
    r.op("openssl", "certs_new", op::raw(certs_new))?;
    r.op("openssl", "certs_dup", op::raw(certs_dup))?;
    r.op("openssl", "certs_add", op::raw(certs_add))?;
    r.op("openssl", "certs_get", op::raw(certs_get))?;
    r.op("openssl", "certs_verify", op::raw(certs_verify))?;
    r.op("openssl", "certs_judge", op::raw(certs_judge))?;
    r.op("openssl", "hashed_files", op::raw(hashed_files))?;
    r.op("openssl", "crls_new", op::raw(crls_new))?;
    r.op("openssl", "crls_add", op::raw(crls_add))
}

/// `extension_make(name, text, subject or nil, issuer or nil, issuer's key or nil)`: a number, or nil and why.
fn extension_make(a: &Args, r: &mut Ret) {
    let name = text(a, 1).and_then(objects::by_text).map_or("", |o| o.sn);
    let words = text(a, 2).unwrap_or_default();
    let (subject, issuer) = (cdata::object::<HeldCert>(a, 3), cdata::object::<HeldCert>(a, 4));
    let key = cdata::object::<HeldKey>(a, 5);
    let same = subject
        .as_ref()
        .zip(issuer.as_ref())
        .is_some_and(|(s, i)| Rc::ptr_eq(s, i));
    let subject = subject.as_ref().map(|c| c.borrow());
    let issuer = issuer.as_ref().map(|c| c.borrow());
    let about = About {
        subject: subject.as_deref(),
        issuer: issuer.as_deref(),
        same,
        key: key.as_ref().map(|k| &***k),
    };
    match extension::make(name, words, about) {
        Ok(e) => r.int(cdata::keep(HeldExtension::new(e))),
        Err(e) => r.fail(e),
    };
}

/// `extension_new(oid, critical, der)`
fn extension_new(a: &Args, r: &mut Ret) {
    match text(a, 1).and_then(asn1::undotted).zip(a.str(3)) {
        Some((oid, value)) => r.int(cdata::keep(HeldExtension::new(Extension {
            oid,
            critical: a.truthy(2),
            value: value.to_vec(),
        }))),
        None => r.nil(),
    };
}

fn extension_dup(a: &Args, r: &mut Ret) {
    match cdata::object::<HeldExtension>(a, 1) {
        Some(e) => r.int(cdata::keep((*e).clone())),
        None => r.nil(),
    };
}

/// `extension_get(extension)`: its object's table, whether critical, its bytes, its text.
fn extension_get(a: &Args, r: &mut Ret) {
    let Some(e) = cdata::object::<HeldExtension>(a, 1) else {
        r.nil();
        return;
    };
    let e = e.borrow();
    r.table(0, 4, |t| object_fields(t, &e.oid))
        .bool(e.critical)
        .str(&e.value)
        .str(extension::print(&e));
}

fn extension_set_critical(a: &Args, r: &mut Ret) {
    if let Some(e) = cdata::object::<HeldExtension>(a, 1) {
        e.borrow_mut().critical = a.truthy(2);
    }
    r.bool(true);
}

/// `basic_constraints(ca, path length or nil)`: the bytes of the extension.
fn basic_constraints(a: &Args, r: &mut Ret) {
    let path = a.int(2).and_then(|n| u32::try_from(n).ok());
    r.str(extension::write_basic_constraints(a.truthy(1), path));
}

fn certs_new(_: &Args, r: &mut Ret) {
    r.int(cdata::keep(HeldCerts::default()));
}

/// `certs_dup(certs or a chain of ngx.ssl's)`
fn certs_dup(a: &Args, r: &mut Ret) {
    match held::certificates(a, 1) {
        Some(certs) => r.int(cdata::keep(certs)),
        None => r.nil(),
    };
}

/// `certs_add(certs, cert)`
fn certs_add(a: &Args, r: &mut Ret) {
    let (Some(certs), Some(cert)) = (cdata::object::<HeldCerts>(a, 1), cdata::object::<HeldCert>(a, 2))
    else {
        r.bool(false);
        return;
    };
    certs.push(cert.borrow().clone());
    r.bool(true);
}

/// `certs_get(certs, place)`: a copy's number, or nil; without a place how many there are.
fn certs_get(a: &Args, r: &mut Ret) {
    let Some(certs) = cdata::object::<HeldCerts>(a, 1) else {
        r.nil();
        return;
    };
    let certs = certs.borrow();
    let Some(place) = a.int(2) else {
        r.int(certs.len() as i64);
        return;
    };
    match usize::try_from(place - 1).ok().and_then(|i| certs.get(i)) {
        Some(cert) => r.int(cdata::keep(HeldCert::new(cert.clone()))),
        None => r.nil(),
    };
}

/// `certs_verify(trusted, cert, untrusted or nil, depth or nil, flags, purpose or nil)`: the number of the
/// chain, or nil and why.
fn certs_verify(a: &Args, r: &mut Ret) {
    let (Some(trusted), Some(cert)) = (cdata::object::<HeldCerts>(a, 1), cdata::object::<HeldCert>(a, 2))
    else {
        r.nil();
        return;
    };
    let untrusted = cdata::object::<HeldCerts>(a, 3).map_or_else(Vec::new, |c| c.borrow().clone());
    let flags = a.int(5).unwrap_or(0);
    let terms = Terms {
        now: now(flags),
        depth: a.int(4).and_then(|n| usize::try_from(n).ok()).unwrap_or(100),
        partial: flags & PARTIAL_CHAIN != 0,
        ignore_critical: flags & IGNORE_CRITICAL != 0,
        purpose: text(a, 6),
        strong: false,
        constraints_judged: false,
    };
    match path::verify(&cert.borrow(), &untrusted, &trusted.borrow(), terms) {
        Ok(chain) => r.int(cdata::keep(HeldCerts::new(chain))),
        Err(e) => r.fail(e),
    };
}

/// Now, in seconds since 1970, unless the flags say that it does not matter.
fn now(flags: i64) -> Option<i64> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    (flags & NO_CHECK_TIME == 0).then(|| now.map_or(0, |d| d.as_secs() as i64))
}

/// `hashed_files(directory)`: the names in it that are a hash and a number, sorted.
fn hashed_files(a: &Args, r: &mut Ret) {
    let hashed = |name: &str| {
        let (hash, number) = name.split_once('.')?;
        let good = hash.len() == 8
            && hash.bytes().all(|b| b.is_ascii_hexdigit())
            && !number.is_empty()
            && number.bytes().all(|b| b.is_ascii_digit());
        good.then(|| name.to_owned())
    };
    let entries = text(a, 1).and_then(|path| std::fs::read_dir(path).ok());
    let names = entries.into_iter().flatten().flatten().take(MAX_FILES);
    let mut names: Vec<String> = names.filter_map(|e| hashed(e.file_name().to_str()?)).collect();
    names.sort();
    r.table(names.len(), 0, |t| {
        for (i, name) in names.iter().enumerate() {
            t.str(name).seti(i + 1);
        }
    });
}

fn crls_new(_: &Args, r: &mut Ret) {
    r.int(cdata::keep(HeldCrls::default()));
}

/// `crls_add(crls, crl)`
fn crls_add(a: &Args, r: &mut Ret) {
    if let (Some(crls), Some(crl)) = (cdata::object::<HeldCrls>(a, 1), cdata::object::<HeldCrl>(a, 2)) {
        crls.borrow_mut().push(crl.borrow().clone());
    }
    r.bool(true);
}

/// `certs_judge(chain, crls, flags)`: true when no list revokes a certificate of the chain, or nil and why.
fn certs_judge(a: &Args, r: &mut Ret) {
    let (Some(chain), Some(crls)) = (cdata::object::<HeldCerts>(a, 1), cdata::object::<HeldCrls>(a, 2))
    else {
        r.nil();
        return;
    };
    let flags = a.int(3).unwrap_or(0);
    let all = flags & CRL_CHECK_ALL != 0;
    match revocation::judge(&chain.borrow(), &crls.borrow(), all, now(flags)) {
        Ok(()) => r.bool(true),
        Err(e) => r.fail(e),
    };
}
