//! Ops of `resty.openssl.digest`, `.hmac`, `.mac`, `.kdf`, `.cipher` and `.bn`.
//!
//! Must not: check what the Lua faces check.

use std::cell::RefCell;

use num_bigint::{BigInt, Sign};

use super::bignum;
use super::cdata;
use super::cipher::{Cipher, CipherError, Running as Ciphering, Setup};
use super::digest::{self, Alg, HkdfMode, Running};
use crate::libs::ops::text;
use crate::vm::{Args, Kind, Registrar, Ret, op};

/// No derived key is longer than this.
const MAX_DERIVED: usize = 1 << 20;

/// OpenSSL's own limit for scrypt's memory.
const MAX_SCRYPT: u64 = 32 << 20;

/// A digest or HMAC as Lua holds it.
pub(super) struct Digesting {
    pub alg: Alg,
    pub running: RefCell<Running>,
    start: Running,
}

pub(super) fn install(r: &Registrar) -> mlua::Result<()> {
    r.op("openssl", "digest_new", op::raw(digest_new))?;
    r.op("openssl", "hmac_new", op::raw(hmac_new))?;
    r.op("openssl", "digest_update", op::raw(digest_update))?;
    r.op("openssl", "digest_result", op::raw(digest_result))?;
    r.op("openssl", "digest_reset", op::raw(digest_reset))?;
    r.op("openssl", "pbkdf2", op::raw(pbkdf2))?;
    r.op("openssl", "hkdf", op::raw(hkdf))?;
    r.op("openssl", "scrypt", op::raw(scrypt))?;
    r.op("openssl", "bytes_to_key", op::raw(bytes_to_key))?;
    r.op("openssl", "cipher_info", op::raw(cipher_info))?;
    r.op("openssl", "cipher_start", op::raw(cipher_start))?;
    r.op("openssl", "cipher_seal", op::raw(cipher_seal))?;
    r.op("openssl", "cipher_tag", op::raw(cipher_tag))?;
    r.op("openssl", "cipher_padding", op::raw(cipher_padding))?;
    r.op("openssl", "cipher_update", op::raw(cipher_update))?;
    r.op("openssl", "cipher_final", op::raw(cipher_final))?;
    r.op("openssl", "bn_new", op::raw(bn_new))?;
    r.op("openssl", "bn_dup", op::raw(bn_dup))?;
    r.op("openssl", "bn_write", op::raw(bn_write))?;
    r.op("openssl", "bn_compute", op::raw(bn_compute))?;
    r.op("openssl", "bn_compare", op::raw(bn_compare))
}

fn digesting(r: &mut Ret, alg: Alg, running: Running) {
    r.int(cdata::keep(Digesting {
        alg,
        running: RefCell::new(running.clone()),
        start: running,
    }));
}

/// `digest_new(name)`: a number and the size of results, or nil.
fn digest_new(a: &Args, r: &mut Ret) {
    match text(a, 1).and_then(Alg::by_name) {
        Some(alg) => digesting(r, alg, Running::digest(alg)),
        None => {
            r.nil();
        }
    }
}

/// `hmac_new(name, key)`: a number, or nil.
fn hmac_new(a: &Args, r: &mut Ret) {
    let alg = text(a, 1).and_then(Alg::by_name);
    match alg.and_then(|alg| Some((alg, Running::hmac(alg, a.str(2)?)?))) {
        Some((alg, running)) => digesting(r, alg, running),
        None => {
            r.nil();
        }
    }
}

/// `digest_update(digest, text)`
fn digest_update(a: &Args, r: &mut Ret) {
    let (Some(d), Some(bytes)) = (cdata::object::<Digesting>(a, 1), a.str(2)) else {
        r.bool(false);
        return;
    };
    d.running.borrow_mut().update(bytes);
    r.bool(true);
}

/// `digest_result(digest)`
fn digest_result(a: &Args, r: &mut Ret) {
    r.opt(cdata::object::<Digesting>(a, 1).map(|d| d.running.borrow().result()));
}

/// `digest_reset(digest)`
fn digest_reset(a: &Args, r: &mut Ret) {
    if let Some(d) = cdata::object::<Digesting>(a, 1) {
        *d.running.borrow_mut() = d.start.clone();
    }
    r.bool(true);
}

fn length(a: &Args, i: usize) -> Option<usize> {
    let len = usize::try_from(a.int(i)?).ok()?;
    (len <= MAX_DERIVED).then_some(len)
}

/// `pbkdf2(md, pass, salt, rounds, length)`: nil for a digest that is not known or a length that cannot be.
fn pbkdf2(a: &Args, r: &mut Ret) {
    let (Some(alg), Some(len)) = (text(a, 1).and_then(Alg::by_name), length(a, 5)) else {
        r.nil();
        return;
    };
    let rounds = a.int(4).unwrap_or(1).clamp(1, i64::from(i32::MAX)) as u32;
    let (pass, salt) = (a.str(2).unwrap_or_default(), a.str(3).unwrap_or_default());
    r.str(digest::pbkdf2(alg, pass, salt, rounds, len));
}

/// `hkdf(md, mode, key, salt, info, length)`: mode as OpenSSL numbers it; nil when it cannot be.
fn hkdf(a: &Args, r: &mut Ret) {
    let (Some(alg), Some(len)) = (text(a, 1).and_then(Alg::by_name), length(a, 6)) else {
        r.nil();
        return;
    };
    let mode = match a.int(2) {
        Some(1) => HkdfMode::Extract,
        Some(2) => HkdfMode::Expand,
        _ => HkdfMode::Both,
    };
    let bytes = |i| a.str(i).unwrap_or_default();
    r.opt(digest::hkdf(alg, mode, bytes(3), bytes(4), bytes(5), len));
}

/// `scrypt(pass, salt, n, r, p, length)`: nil when it cannot be.
fn scrypt(a: &Args, r: &mut Ret) {
    let number = |i| a.int(i).and_then(|n| u32::try_from(n).ok());
    let done = (|| {
        let (n, block, parallel, len) = (number(3)?, number(4)?, number(5)?, length(a, 6)?);
        let memory = u64::from(n) * 128 * u64::from(block) + u64::from(parallel) * 128 * u64::from(block);
        if !n.is_power_of_two() || n < 2 || memory > MAX_SCRYPT {
            return None;
        }
        let params = scrypt::Params::new(n.trailing_zeros() as u8, block, parallel).ok()?;
        let mut out = vec![0; len];
        let (pass, salt) = (a.str(1).unwrap_or_default(), a.str(2).unwrap_or_default());
        scrypt::scrypt(pass, salt, &params, &mut out).ok()?;
        Some(out)
    })();
    r.opt(done);
}

/// `bytes_to_key(md, salt, data, rounds, length)`: `EVP_BytesToKey`, key and vector in one.
fn bytes_to_key(a: &Args, r: &mut Ret) {
    let (Some(alg), Some(len)) = (text(a, 1).and_then(Alg::by_name), length(a, 5)) else {
        r.nil();
        return;
    };
    let (salt, data) = (a.str(2).unwrap_or_default(), a.str(3).unwrap_or_default());
    let rounds = a.int(4).unwrap_or(1).clamp(1, 1 << 24);
    let mut out = Vec::with_capacity(len);
    let mut last = Vec::new();
    while out.len() < len {
        last = alg.digest(&[&last, data, salt].concat());
        for _ in 1..rounds {
            last = alg.digest(&last);
        }
        out.extend_from_slice(&last);
    }
    out.truncate(len);
    r.str(out);
}

/// `cipher_info(name)`: sizes of key, vector and block, whether it has a tag; nil for one that is not known.
fn cipher_info(a: &Args, r: &mut Ret) {
    match text(a, 1).and_then(Cipher::by_name) {
        Some(c) => r
            .int(c.key_size as i64)
            .int(c.iv_size() as i64)
            .int(c.block_size() as i64)
            .bool(c.mode == super::cipher::Mode::Gcm),
        None => r.nil(),
    };
}

/// A cipher as Lua holds it.
type HeldCipher = RefCell<Ciphering>;

/// `cipher_start(name, encrypt, padded, key, iv)`: a number, or nil and why.
fn cipher_start(a: &Args, r: &mut Ret) {
    let Some(cipher) = text(a, 1).and_then(Cipher::by_name) else {
        r.fail("unknown cipher");
        return;
    };
    let setup = Setup {
        encrypt: a.truthy(2),
        padded: a.truthy(3),
        key: a.str(4).unwrap_or_default(),
        iv: a.str(5).unwrap_or_default(),
    };
    match cipher.start(&setup) {
        Ok(running) => r.int(cdata::keep(HeldCipher::new(running))),
        Err(e) => r.fail(e.to_string()),
    };
}

/// `cipher_seal(cipher, aad or nil, tag or nil)`: takes in either.
fn cipher_seal(a: &Args, r: &mut Ret) {
    if let Some(cipher) = cdata::object::<HeldCipher>(a, 1) {
        let mut cipher = cipher.borrow_mut();
        if let Some(aad) = a.str(2) {
            cipher.authenticate(aad);
        }
        if let Some(tag) = a.str(3) {
            cipher.set_tag(tag);
        }
    }
    r.bool(true);
}

/// `cipher_tag(cipher)`: the tag that was made, or nil.
fn cipher_tag(a: &Args, r: &mut Ret) {
    r.opt(cdata::object::<HeldCipher>(a, 1).and_then(|c| c.borrow().made.clone()));
}

/// `cipher_padding(cipher, padded)`
fn cipher_padding(a: &Args, r: &mut Ret) {
    if let Some(cipher) = cdata::object::<HeldCipher>(a, 1) {
        cipher.borrow_mut().padded = a.truthy(2);
    }
    r.bool(true);
}

/// `cipher_update(cipher, data)`: what comes out, or nil and why.
fn cipher_update(a: &Args, r: &mut Ret) {
    cipher_step(a, r, |cipher, data| cipher.update(data));
}

/// `cipher_final(cipher, data)`: what comes out of this and of what was kept, or nil and why.
fn cipher_final(a: &Args, r: &mut Ret) {
    cipher_step(a, r, |cipher, data| cipher.run(data));
}

fn cipher_step(a: &Args, r: &mut Ret, f: impl Fn(&mut Ciphering, &[u8]) -> Result<Vec<u8>, CipherError>) {
    match cdata::object::<HeldCipher>(a, 1).map(|c| f(&mut c.borrow_mut(), a.str(2).unwrap_or_default())) {
        Some(Ok(out)) => r.str(out),
        Some(Err(e)) => r.fail(e.to_string()),
        None => r.nil(),
    };
}

/// `bn_new(text or number, base)`: base 10, 16, 2 for octets, 256 for an INTEGER's contents.
fn bn_new(a: &Args, r: &mut Ret) {
    let n = match (a.kind(1), a.int(2)) {
        (Kind::Number, _) => a.int(1).filter(|n| *n >= 0).map(BigInt::from),
        (_, Some(2)) => a.str(1).map(|b| BigInt::from_bytes_be(Sign::Plus, b)),
        (_, Some(256)) => a.str(1).map(BigInt::from_signed_bytes_be),
        (_, base) => text(a, 1).and_then(|t| bignum::parse(t, if base == Some(16) { 16 } else { 10 })),
    };
    match n {
        Some(n) => r.int(cdata::keep(n)),
        None => r.nil(),
    };
}

fn bn_dup(a: &Args, r: &mut Ret) {
    match cdata::object::<BigInt>(a, 1) {
        Some(n) => r.int(cdata::keep((*n).clone())),
        None => r.nil(),
    };
}

/// `bn_write(bn, form, width)`: form `dec`, `hex`, `binary`, `integer` (an INTEGER's contents) or `number`.
fn bn_write(a: &Args, r: &mut Ret) {
    let (Some(n), Some(form)) = (cdata::object::<BigInt>(a, 1), text(a, 2)) else {
        r.nil();
        return;
    };
    match form {
        "dec" => r.str(n.to_string()),
        "hex" => r.str(bignum::to_hex(&n)),
        "binary" => r.opt(bignum::to_binary(
            &n,
            a.int(3).map(|w| usize::try_from(w).unwrap_or(0)),
        )),
        "integer" => r.str(n.to_signed_bytes_be()),
        "number" => r.num(u64::try_from(n.magnitude()).unwrap_or(u64::MAX) as f64),
        _ => r.nil(),
    };
}

/// `bn_compute(op, a, b, m)`: the number of the result, or nil when there is none.
fn bn_compute(a: &Args, r: &mut Ret) {
    let operand = |i| cdata::object::<BigInt>(a, i).map_or(BigInt::ZERO, |n| (*n).clone());
    let done = text(a, 1).and_then(|op| bignum::compute(op, &operand(2), &operand(3), &operand(4)));
    match done {
        Some(n) => r.int(cdata::keep(n)),
        None => r.nil(),
    };
}

/// `bn_compare(a, b)`: -1, 0 or 1, and whether `a` is odd.
fn bn_compare(a: &Args, r: &mut Ret) {
    let (Some(x), Some(y)) = (cdata::object::<BigInt>(a, 1), cdata::object::<BigInt>(a, 2)) else {
        r.nil();
        return;
    };
    r.int(x.cmp(&y) as i64).bool(x.bit(0));
}
