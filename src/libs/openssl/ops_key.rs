//! Ops of `resty.openssl.pkey`.
//!
//! Must not: check what the Lua face checks.

use super::digest::{Alg, Running};
use super::key::{Curve, EcKey, Key, Okp, OkpKey, RsaKey, RsaSecret, Secret};
use super::key_code::KeyError;
use super::ops_misc::Digesting;
use super::sign::{OpError, Padding};
use super::{cdata, errors, key_code, pem, sign};
use crate::libs::ops::text;
use crate::vm::held::{self, HeldKey};
use crate::vm::{Args, Kind, Registrar, Ret, op};

pub(super) fn install(r: &Registrar) -> mlua::Result<()> {
    r.op("openssl", "key_load", op::raw(load))?;
    r.op("openssl", "key_generate_rsa", op::raw(generate_rsa))?;
    r.op("openssl", "key_generate_ec", op::raw(generate_ec))?;
    r.op("openssl", "key_generate_okp", op::raw(generate_okp))?;
    r.op("openssl", "key_from_rsa", op::raw(from_rsa))?;
    r.op("openssl", "key_from_ec", op::raw(from_ec))?;
    r.op("openssl", "key_from_okp", op::raw(from_okp))?;
    r.op("openssl", "key_held", op::raw(held_key))?;
    r.op("openssl", "key_info", op::raw(info))?;
    r.op("openssl", "key_part", op::raw(part))?;
    r.op("openssl", "key_write", op::raw(write))?;
    r.op("openssl", "key_sign", op::raw(sign_op))?;
    r.op("openssl", "key_verify", op::raw(verify_op))?;
    r.op("openssl", "key_encrypt", op::raw(encrypt))?;
    r.op("openssl", "key_decrypt", op::raw(decrypt))?;
    r.op("openssl", "key_derive", op::raw(derive))?;
    r.op("openssl", "key_sign_raw", op::raw(sign_raw))?;
    r.op("openssl", "key_verify_raw", op::raw(verify_raw))?;
    r.op("openssl", "key_recover", op::raw(recover))?;
    r.op("openssl", "ecdsa_to_raw", op::raw(ecdsa_to_raw))?;
    r.op("openssl", "ecdsa_to_der", op::raw(ecdsa_to_der))
}

/// Leaves the number of a new key, or nil and the message.
fn kept(r: &mut Ret, key: Option<Key>, message: &str) {
    match key {
        Some(key) => r.int(cdata::keep(HeldKey::new(key))),
        None => r.fail(message),
    };
}

/// `key_held(key or a key of ngx.ssl's)`: the number of another that shares it, or nil.
fn held_key(a: &Args, r: &mut Ret) {
    match held::key(a, 1) {
        Some(key) => r.int(cdata::keep(key)),
        None => r.nil(),
    };
}

/// `key_load(text, format, type, passphrase)`: a number, or nil and why; format PEM, DER or `*`.
fn load(a: &Args, r: &mut Ret) {
    let bytes = a.str(1).unwrap_or_default();
    let format = text(a, 2).unwrap_or("*");
    let (private, public) = match text(a, 3) {
        Some("pr") => (true, false),
        Some("pu") => (false, true),
        _ => (true, true),
    };
    let mut failed = errors::key(KeyError::Unsupported);
    if format != "DER" {
        match key_code::read_pem(bytes, private, public, a.str(4)) {
            Ok(key) => {
                r.int(cdata::keep(HeldKey::new(key)));
                return;
            }
            Err(e) => failed = errors::key(e),
        }
    }
    if format != "PEM" {
        let key = match private {
            true => key_code::read_private_der(bytes, a.str(4)).ok(),
            false => None,
        };
        let key = key.or_else(|| public.then(|| key_code::read_spki(bytes).ok()).flatten());
        if let Some(key) = key {
            r.int(cdata::keep(HeldKey::new(key)));
            return;
        }
        if format == "DER" {
            match errors::der(bytes) {
                Some(e) => r.fail(e),
                None => r.nil(),
            };
            return;
        }
    }
    r.fail(failed);
}

/// `key_generate_rsa(bits, exponent)`
fn generate_rsa(a: &Args, r: &mut Ret) {
    let bits = a.int(1).and_then(|n| usize::try_from(n).ok()).unwrap_or(0);
    let exponent = a.int(2).and_then(|n| u64::try_from(n).ok());
    match bits {
        0..512 => r.fail(
            "EVP_PKEY_CTX_ctrl: RSA: bits: error:1C8000AB:Provider routines:rsa_gen_set_params:\
             key size too small:providers/implementations/keymgmt/rsa_kmgmt.c:509:",
        ),
        512..=8192 => match RsaKey::generate(bits, exponent) {
            Some(key) => r.int(cdata::keep(HeldKey::new(Key::Rsa(key)))),
            None => r.fail("EVP_PKEY_gen failed"),
        },
        _ => r.fail("not supported: RSA keys of more than 8192 bits"),
    };
}

fn generate_ec(a: &Args, r: &mut Ret) {
    let name = text(a, 1).unwrap_or_default();
    match Curve::by_name(name) {
        Some(curve) => kept(r, EcKey::generate(curve).map(Key::Ec), "EVP_PKEY_gen failed"),
        None => {
            r.fail(format!("generate_param: unknown curve {name}"));
        }
    }
}

fn generate_okp(a: &Args, r: &mut Ret) {
    match text(a, 1).and_then(Okp::by_name) {
        Some(kind) => kept(r, OkpKey::generate(kind).map(Key::Okp), "EVP_PKEY_gen failed"),
        None => {
            r.fail(
                "EVP_PKEY_CTX_new_from_name: error:308010C:digital envelope routines:\
                 inner_evp_generic_fetch:unsupported:evp/evp_fetch.c:355:",
            );
        }
    }
}

/// `key_from_rsa(n, e, d, p, q, dp, dq, qi)`: big-endian, `d` and what follows may be nil.
fn from_rsa(a: &Args, r: &mut Ret) {
    let bytes = |i| a.str(i).unwrap_or_default();
    let part = |i| Secret::new(bytes(i).to_vec());
    let secret = a.str(3).map(|_| RsaSecret {
        d: part(3),
        p: part(4),
        q: part(5),
        dp: part(6),
        dq: part(7),
        qi: part(8),
    });
    let key = RsaKey::new(bytes(1), bytes(2), secret).map(Key::Rsa);
    kept(
        r,
        key,
        "error:200008B:rsa routines::invalid keypair:rsa/rsa_backend.c:0:",
    );
}

/// `key_from_ec(curve, x or the point, y, d)`: what is missing follows from `d`.
fn from_ec(a: &Args, r: &mut Ret) {
    let Some(curve) = text(a, 1).and_then(Curve::by_name) else {
        r.fail("unsupported curve");
        return;
    };
    let public = match (a.str(2), a.str(3)) {
        (Some(x), Some(y)) => Some(EcKey::from_coordinates(curve, x, y)),
        (Some(point), None) => Some(EcKey::from_point(curve, point)),
        _ => None,
    };
    let private = a.str(4).map(|d| EcKey::from_scalar(curve, d));
    let key = match (public, private) {
        (Some(Some(p)), Some(Some(s))) if p.point == s.point => Some(s),
        (Some(p), None) => p,
        (None, Some(s)) => s,
        _ => None,
    };
    kept(
        r,
        key.map(Key::Ec),
        "error:800006B:elliptic curve routines:EC_POINT_set_affine_coordinates:\
         point is not on curve:ec/ec_lib.c:874:",
    );
}

/// `key_from_okp(name, public, private)`: the private part wins.
fn from_okp(a: &Args, r: &mut Ret) {
    let key = text(a, 1).and_then(Okp::by_name).and_then(|kind| match a.str(3) {
        Some(secret) => OkpKey::from_secret(kind, secret),
        None => OkpKey::from_public(kind, a.str(2)?),
    });
    kept(
        r,
        key.map(Key::Okp),
        "error:1C800069:Provider routines:ecx_key_fromdata:invalid key length:providers/ecx_backend.c:0:",
    );
}

/// `key_info(key)`: the object's name, whether private, the curve's name, the size of signatures.
fn info(a: &Args, r: &mut Ret) {
    let Some(key) = cdata::object::<HeldKey>(a, 1) else {
        r.nil();
        return;
    };
    r.lit(key.type_name()).bool(key.is_private());
    match &**key {
        Key::Ec(k) => r.lit(k.curve.name()),
        _ => r.nil(),
    };
    r.int(key.size() as i64);
}

/// `key_part(key, name)`: a number of the key as bytes; nil when it has none of that name.
fn part(a: &Args, r: &mut Ret) {
    let (Some(key), Some(name)) = (cdata::object::<HeldKey>(a, 1), text(a, 2)) else {
        r.nil();
        return;
    };
    match &**key {
        Key::Rsa(k) => match name {
            "n" => r.str(&k.n),
            "e" => r.str(&k.e),
            "d" => r.opt(k.secret.as_ref().map(|s| s.d.as_slice())),
            _ => {
                let s = k.full_secret();
                r.opt(s.as_ref().and_then(|s| match name {
                    "p" => Some(s.p.as_slice()),
                    "q" => Some(s.q.as_slice()),
                    "dmp1" => Some(s.dp.as_slice()),
                    "dmq1" => Some(s.dq.as_slice()),
                    "iqmp" => Some(s.qi.as_slice()),
                    _ => None,
                }))
            }
        },
        Key::Ec(k) => match name {
            "x" => r.str(k.x()),
            "y" => r.str(k.y()),
            "public" | "pub_key" => r.str(&k.point),
            "private" | "priv_key" => r.opt(k.secret.as_ref().map(|s| s.as_slice())),
            _ => r.nil(),
        },
        Key::Okp(k) => match name {
            "public" | "pub_key" => r.str(&k.public),
            "private" | "priv_key" => r.opt(k.secret.as_ref().map(|s| s.as_slice())),
            _ => r.nil(),
        },
        Key::Dh(k) => match name {
            "p" => r.str(&k.group.p),
            "q" => r.opt((!k.group.q.is_empty()).then_some(&k.group.q)),
            "g" => r.str(&k.group.g),
            "public" => r.str(&k.public),
            "private" => r.opt(k.secret.as_ref().map(|s| s.as_slice())),
            _ => r.nil(),
        },
    };
}

/// `key_write(key, private, format)`: the text, or nil for a private part that is not there.
fn write(a: &Args, r: &mut Ret) {
    let Some(key) = cdata::object::<HeldKey>(a, 1) else {
        r.nil();
        return;
    };
    match (a.truthy(2), text(a, 3) == Some("DER")) {
        (false, true) => r.str(key_code::write_spki(&key)),
        (false, false) => r.str(pem::write("PUBLIC KEY", &key_code::write_spki(&key))),
        (true, true) => r.opt(key_code::write_traditional(&key).map(|der| der.to_vec())),
        (true, false) => r.opt(key_code::write_pkcs8(&key).map(|der| pem::write("PRIVATE KEY", &der))),
    };
}

/// Arguments `i` and on: padding number, salt length, digest of OAEP, digest of the mask.
fn padding(a: &Args, i: usize, alg: Alg) -> Result<Padding, OpError> {
    let named = |i: usize, or: Alg| match a.kind(i) {
        Kind::String => text(a, i).and_then(Alg::by_name).ok_or(OpError::Digest),
        _ => Ok(or),
    };
    match a.int(i).unwrap_or(1) {
        1 => Ok(Padding::Pkcs1),
        3 => Ok(Padding::None),
        4 => {
            let md = named(i + 2, Alg::Sha1)?;
            Ok(Padding::Oaep {
                md,
                mgf1: named(i + 3, md)?,
            })
        }
        6 if named(i + 3, alg)? != alg => Err(OpError::Padding),
        6 => match a.int(i + 1) {
            None | Some(-4..=-2) => Ok(Padding::Pss { salt: None }),
            Some(-1) => Ok(Padding::Pss {
                salt: Some(alg.size()),
            }),
            Some(n) => Ok(Padding::Pss {
                salt: Some(usize::try_from(n).map_err(|_| OpError::Padding)?),
            }),
        },
        _ => Err(OpError::Padding),
    }
}

/// What is to be signed: argument `i` is a text, or the number of a digest under way.
enum Signed {
    Text,
    Digested(Alg),
    Hash(Alg, Vec<u8>),
}

fn signed(a: &Args, i: usize, key: &Key, md: usize) -> Result<Signed, OpError> {
    if let Some(digest) = cdata::object::<Digesting>(a, i) {
        let running: &Running = &digest.running.borrow();
        return Ok(Signed::Hash(digest.alg, running.result()));
    }
    let named = match a.kind(md) {
        Kind::String => Some(text(a, md).and_then(Alg::by_name).ok_or(OpError::Digest)?),
        _ => None,
    };
    match (key, named) {
        (Key::Okp(_), None) => Ok(Signed::Text),
        (Key::Okp(_), Some(_)) => Err(OpError::Digest),
        (_, named) => Ok(Signed::Digested(named.unwrap_or(Alg::Sha256))),
    }
}

/// `key_sign(key, text or digest, md, padding, salt, _, mgf1)`: the signature, or nil and why.
fn sign_op(a: &Args, r: &mut Ret) {
    let Some(key) = cdata::object::<HeldKey>(a, 1) else {
        r.nil();
        return;
    };
    let text = a.str(2).unwrap_or_default();
    let done = signed(a, 2, &key, 3).and_then(|what| match what {
        Signed::Text => sign::sign_text(&key, text),
        Signed::Digested(alg) => sign::sign_digested(&key, alg, text, padding(a, 4, alg)?),
        Signed::Hash(alg, hash) => sign::sign_hash(&key, alg, &hash, padding(a, 4, alg)?),
    });
    match done {
        Ok(signature) => r.str(signature),
        Err(e) => r.fail(errors::op(e)),
    };
}

/// `key_verify(key, signature, text or digest, md, padding, salt, _, mgf1)`: a boolean, or nil and why.
fn verify_op(a: &Args, r: &mut Ret) {
    let (Some(key), Some(signature)) = (cdata::object::<HeldKey>(a, 1), a.str(2)) else {
        r.nil();
        return;
    };
    let text = a.str(3).unwrap_or_default();
    let done = signed(a, 3, &key, 4).and_then(|what| match what {
        Signed::Text => sign::verify_text(&key, text, signature),
        Signed::Digested(alg) => sign::verify_digested(&key, alg, text, signature, padding(a, 5, alg)?),
        Signed::Hash(alg, hash) => sign::verify_hash(&key, alg, &hash, signature, padding(a, 5, alg)?),
    });
    match done {
        Ok(good) => r.bool(good),
        Err(e) => r.fail(errors::op(e)),
    };
}

type Crypt = fn(&Key, &[u8], Padding) -> Result<Vec<u8>, OpError>;

fn crypt(a: &Args, r: &mut Ret, f: Crypt) {
    let (Some(key), Some(data)) = (cdata::object::<HeldKey>(a, 1), a.str(2)) else {
        r.nil();
        return;
    };
    match padding(a, 3, Alg::Sha1).and_then(|padding| f(&key, data, padding)) {
        Ok(out) => r.str(out),
        Err(e) => r.fail(errors::op(e)),
    };
}

/// `key_encrypt(key, data, padding, _, oaep_md, mgf1_md)`
fn encrypt(a: &Args, r: &mut Ret) {
    crypt(a, r, sign::encrypt);
}

/// `key_decrypt(key, data, padding, _, oaep_md, mgf1_md)`
fn decrypt(a: &Args, r: &mut Ret) {
    crypt(a, r, sign::decrypt);
}

/// `key_derive(key, peer)`: what both agree on, or nil and why.
fn derive(a: &Args, r: &mut Ret) {
    let (Some(key), Some(peer)) = (cdata::object::<HeldKey>(a, 1), cdata::object::<HeldKey>(a, 2)) else {
        r.nil();
        return;
    };
    match sign::derive(&key, &peer) {
        Ok(shared) => r.str(shared),
        Err(e) => r.fail(errors::op(e)),
    };
}

/// `key_sign_raw(key, octets, padding)`: the signature, or nil and why.
fn sign_raw(a: &Args, r: &mut Ret) {
    crypt(a, r, sign::sign_raw);
}

/// `key_recover(key, signature, padding)`: what was signed, or nil and why.
fn recover(a: &Args, r: &mut Ret) {
    crypt(a, r, sign::recover);
}

/// `key_verify_raw(key, signature, digest, md or nil, padding)`: a boolean, or nil and why.
fn verify_raw(a: &Args, r: &mut Ret) {
    let (Some(key), Some(signature), Some(octets)) = (cdata::object::<HeldKey>(a, 1), a.str(2), a.str(3))
    else {
        r.nil();
        return;
    };
    let named = match a.kind(4) {
        Kind::String => text(a, 4).and_then(Alg::by_name).map(Some).ok_or(OpError::Digest),
        _ => Ok(None),
    };
    let done = named.and_then(|alg| {
        let padding = padding(a, 5, alg.unwrap_or(Alg::Sha1))?;
        match alg {
            Some(alg) => sign::verify_hash(&key, alg, octets, signature, padding),
            None => sign::verify_raw(&key, octets, signature, padding),
        }
    });
    match done {
        Ok(good) => r.bool(good),
        Err(e) => r.fail(errors::op(e)),
    };
}

fn convert(a: &Args, r: &mut Ret, f: fn(Curve, &[u8]) -> Option<Vec<u8>>) {
    match cdata::object::<HeldKey>(a, 1).as_deref().map(|k| &**k) {
        Some(Key::Ec(k)) => r.opt(f(k.curve, a.str(2).unwrap_or_default())),
        _ => r.nil(),
    };
}

/// `ecdsa_to_raw(key, der)`
fn ecdsa_to_raw(a: &Args, r: &mut Ret) {
    convert(a, r, sign::ecdsa_to_raw);
}

/// `ecdsa_to_der(key, raw)`
fn ecdsa_to_der(a: &Args, r: &mut Ret) {
    convert(a, r, sign::ecdsa_to_der);
}
