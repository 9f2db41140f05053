//! Ops of `resty.openssl.pkey` for Diffie-Hellman and parameters, of `.pkcs12`, and of `.bn` for primes.
//!
//! Must not: check what the Lua faces check.

use num_bigint::{BigInt, Sign};

use super::cert::Cert;
use super::key::{Curve, DhGroup, DhKey, EcKey, Key};
use super::key_code::{self, Params};
use super::p12::{self, Cipher, P12Error};
use super::{cdata, errors, objects, prime};
use crate::libs::ops::text;
use crate::vm::held::{HeldCert, HeldKey};
use crate::vm::{Args, Registrar, Ret, op};

/// Primes of more bits are not looked for: that takes too long for a thread with other requests.
const MAX_PRIME: u32 = 4096;
/// Nor safe ones of more, of which there are far fewer.
const MAX_SAFE_PRIME: u32 = 2048;

pub(super) fn install(r: &Registrar) -> mlua::Result<()> {
    r.op("openssl", "bn_prime", op::raw(bn_prime))?;
    r.op("openssl", "bn_is_prime", op::raw(bn_is_prime))?;
    r.op("openssl", "params_new", op::raw(params_new))?;
    r.op("openssl", "params_key", op::raw(params_key))?;
    r.op("openssl", "key_generate_dh", op::raw(generate_dh))?;
    r.op("openssl", "key_from_dh", op::raw(from_dh))?;
    r.op("openssl", "p12_read", op::raw(p12_read))?;
    r.op("openssl", "p12_write", op::raw(p12_write))
}

/// `bn_prime(bits, safe)`: the number of a prime, or nil and why.
fn bn_prime(a: &Args, r: &mut Ret) {
    let safe = a.truthy(2);
    let bits = a.int(1).and_then(|n| u32::try_from(n).ok()).unwrap_or(0);
    let (least, most) = if safe { (6, MAX_SAFE_PRIME) } else { (2, MAX_PRIME) };
    if bits > most {
        r.fail(format!("not supported: primes of more than {most} bits"));
        return;
    }
    let found = (bits >= least).then(|| prime::generate(bits, safe)).flatten();
    match found {
        Some(n) => r.int(cdata::keep(BigInt::from(n))),
        None => {
            r.fail("error:1800007B:bignum routines:BN_generate_prime_ex2:bits too small:bn/bn_prime.c:145:")
        }
    };
}

/// Numbers that are asked whether they are primes, bits: a larger one would keep the worker for seconds.
const MAX_ASKED: u64 = 16_384;

/// `bn_is_prime(bn)`: whether it is, or nil and why not.
fn bn_is_prime(a: &Args, r: &mut Ret) {
    let n = cdata::object::<BigInt>(a, 1);
    if n.as_ref().is_some_and(|n| n.bits() > MAX_ASKED) {
        r.fail(format!("not supported: primes of more than {MAX_ASKED} bits"));
        return;
    }
    r.bool(n.is_some_and(|n| n.sign() == Sign::Plus && prime::is_prime(n.magnitude())));
}

/// The group that `name` names, or a new one of `bits` bits; nil's reason.
fn group(name: Option<&str>, bits: Option<i64>) -> Result<DhGroup, String> {
    match name {
        Some(name) => DhGroup::by_name(name).ok_or_else(|| format!("unknown pre-defined group {name}")),
        None => match bits.unwrap_or(2048) {
            ..512 => Err("EVP_PKEY_CTX_ctrl: DH: bits failed".to_owned()),
            2049.. => Err("not supported: groups of more than 2048 bits that have no name".to_owned()),
            bits => DhGroup::generate(bits as u32).ok_or_else(|| "EVP_PKEY_paramgen failed".to_owned()),
        },
    }
}

/// `params_new(curve or nil, group or nil, bits or nil)`: PEM, or nil and why.
fn params_new(a: &Args, r: &mut Ret) {
    let params = match text(a, 1) {
        Some(name) => Curve::by_name(name)
            .map(Params::Ec)
            .ok_or_else(|| format!("unknown curve {name}")),
        None => group(text(a, 2), a.int(3)).map(Params::Dh),
    };
    match params {
        Ok(params) => r.str(key_code::write_params(&params)),
        Err(e) => r.fail(e),
    };
}

/// `params_key(PEM)`: a new key in such parameters, or nil and why.
fn params_key(a: &Args, r: &mut Ret) {
    let key = key_code::read_params(a.str(1).unwrap_or_default()).map(|params| match params {
        Params::Ec(curve) => EcKey::generate(curve).map(Key::Ec),
        Params::Dh(group) => DhKey::generate(group).map(Key::Dh),
    });
    match key {
        Ok(Some(key)) => r.int(cdata::keep(HeldKey::new(key))),
        Ok(None) => r.fail("EVP_PKEY_gen failed"),
        Err(e) => r.fail(format!("load_pem_der: {}", errors::key(e))),
    };
}

/// `key_generate_dh(group or nil, bits or nil)`
fn generate_dh(a: &Args, r: &mut Ret) {
    match group(text(a, 1), a.int(2)).map(DhKey::generate) {
        Ok(Some(key)) => r.int(cdata::keep(HeldKey::new(Key::Dh(key)))),
        Ok(None) => r.fail("EVP_PKEY_gen failed"),
        Err(e) => r.fail(format!("generate_param: {e}")),
    };
}

/// `key_from_dh(p, q, g, public, private)`: big-endian; `q` and one of the last two may be nil.
fn from_dh(a: &Args, r: &mut Ret) {
    let bytes = |i| a.str(i).unwrap_or_default();
    let key = DhGroup::new(bytes(1), bytes(2), bytes(3), None)
        .and_then(|group| DhKey::new(group, a.str(4), a.str(5)));
    match key {
        Some(key) => r.int(cdata::keep(HeldKey::new(Key::Dh(key)))),
        None => r.fail("error:280008A:Diffie-Hellman routines::invalid parameter:dh/dh_backend.c:0:"),
    };
}

/// `p12_read(bytes, passphrase)`: the key's number or nil, the certificate's and its name, a table of the others'
/// numbers; or nil and why.
fn p12_read(a: &Args, r: &mut Ret) {
    let (der, passphrase) = (a.str(1).unwrap_or_default(), a.str(2).unwrap_or_default());
    let read = p12::read(der, passphrase).and_then(|bundle| {
        let certs = bundle.certs.into_iter();
        let certs: Result<Vec<_>, P12Error> =
            certs.map(|(der, name)| Ok((Cert::read(&der)?, name))).collect();
        Ok((bundle.key, certs?))
    });
    let (key, mut certs) = match read {
        Ok(found) => found,
        Err(P12Error::Asn1(_)) => {
            let why = errors::der(der).unwrap_or("d2i_PKCS12_bio failed");
            r.fail(format!("d2i_PKCS12_bio: {why}"));
            return;
        }
        Err(e) => {
            let why = match e {
                P12Error::Mac => {
                    "11800071:PKCS12 routines:PKCS12_parse:mac verify failure:pkcs12/p12_kiss.c:83:"
                }
                _ => "11800072:PKCS12 routines:PKCS12_parse:parse error:pkcs12/p12_kiss.c:97:",
            };
            r.fail(format!("PKCS12_parse: error:{why}"));
            return;
        }
    };
    let own = key.as_ref().and_then(|key| {
        let same = |cert: &Cert| cert.public_key().is_some_and(|public| public.same_public(key));
        certs.iter().position(|(cert, _)| same(cert))
    });
    let own = own.map(|i| certs.remove(i));
    match key {
        Some(key) => r.int(cdata::keep(HeldKey::new(key))),
        None => r.bool(false),
    };
    match own {
        Some((cert, name)) => r.int(cdata::keep(HeldCert::new(cert))).opt(name),
        None => r.nil().nil(),
    };
    r.table(certs.len(), 0, |t| {
        for (i, (cert, _)) in certs.into_iter().enumerate() {
            t.int(cdata::keep(HeldCert::new(cert))).seti(i + 1);
        }
    });
}

/// `p12_write(key, certs, name, passphrase, key cipher, certs' cipher, rounds, rounds of the code)`: the bytes, or
/// nil and why.
fn p12_write(a: &Args, r: &mut Ret) {
    let cipher = |i| match a.int(i) {
        None | Some(0) => Some(Cipher::Aes256),
        Some(nid) => objects::by_nid(nid).and_then(|o| Cipher::by_name(o.sn)),
    };
    let rounds = |i| a.int(i).and_then(|n| u32::try_from(n).ok()).unwrap_or(0);
    let (Some(key), Some(certs)) = (
        cdata::object::<HeldKey>(a, 1),
        cdata::object::<crate::vm::held::HeldCerts>(a, 2),
    ) else {
        r.nil();
        return;
    };
    let (Some(key_cipher), Some(certs_cipher)) = (cipher(5), cipher(6)) else {
        r.fail(
            "error:11800078:PKCS12 routines:PKCS12_item_i2d_encrypt_ex:encrypt error:pkcs12/p12_decr.c:187:",
        );
        return;
    };
    let options = p12::Options {
        key: key_cipher,
        certs: certs_cipher,
        rounds: rounds(7),
        mac_rounds: rounds(8),
    };
    let ders: Option<Vec<_>> = certs.borrow().iter().map(Cert::write).collect();
    let passphrase = a.str(4).unwrap_or_default();
    r.opt(ders.and_then(|ders| p12::write(&key, &ders, text(a, 3), passphrase, options)));
}
