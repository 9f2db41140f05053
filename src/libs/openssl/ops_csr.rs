//! Ops of `resty.openssl.x509.csr`.
//!
//! Must not: check what the Lua face checks.

use super::csr::CsrFields;
use super::ops_cert::HeldName;
use super::ops_signed::{self, Held};
use super::{cdata, key_code};
use crate::libs::ops::text;
use crate::vm::held::HeldKey;
use crate::vm::{Args, Registrar, Ret, op};

type HeldCsr = Held<CsrFields>;

pub(super) fn install(r: &Registrar) -> mlua::Result<()> {
    ops_signed::install::<CsrFields>(r, "csr")?;
    r.op("openssl", "csr_get", op::raw(get))?;
    r.op("openssl", "csr_set", op::raw(set))
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
            .filter(|v| (1..=i64::from(i32::MAX)).contains(v))
            .map(|v| request.version = v),
        "subject_name" => cdata::object::<HeldName>(a, 3).map(|name| request.subject = name.borrow().clone()),
        "pubkey" => cdata::object::<HeldKey>(a, 3).map(|key| request.spki = key_code::write_spki(&key)),
        _ => None,
    };
    r.bool(done.is_some());
}
