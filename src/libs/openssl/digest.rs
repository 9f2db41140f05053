//! Digests under way, HMAC and key derivation by name.
//!
//! Must not: know Lua; know what is digested.

use hmac::{Hmac, KeyInit as _, Mac as _};
use md5::Md5;
use sha1::Sha1;
use sha2::{Digest as _, Sha224, Sha256, Sha384, Sha512};

pub use crate::tls::pki::digest::Alg;
use crate::tls::pki::digest::with_digest;

/// A digest or HMAC under way.
#[derive(Clone)]
pub enum Running {
    Md5(Md5),
    Sha1(Sha1),
    Sha224(Sha224),
    Sha256(Sha256),
    Sha384(Sha384),
    Sha512(Sha512),
    HmacMd5(Hmac<Md5>),
    HmacSha1(Hmac<Sha1>),
    HmacSha224(Hmac<Sha224>),
    HmacSha256(Hmac<Sha256>),
    HmacSha384(Hmac<Sha384>),
    HmacSha512(Hmac<Sha512>),
}

impl Running {
    /// A digest of nothing yet.
    pub fn digest(alg: Alg) -> Self {
        match alg {
            Alg::Md5 => Self::Md5(Md5::new()),
            Alg::Sha1 => Self::Sha1(Sha1::new()),
            Alg::Sha224 => Self::Sha224(Sha224::new()),
            Alg::Sha256 => Self::Sha256(Sha256::new()),
            Alg::Sha384 => Self::Sha384(Sha384::new()),
            Alg::Sha512 => Self::Sha512(Sha512::new()),
        }
    }

    /// An HMAC under `key` of nothing yet.
    pub fn hmac(alg: Alg, key: &[u8]) -> Option<Self> {
        Some(match alg {
            Alg::Md5 => Self::HmacMd5(Hmac::new_from_slice(key).ok()?),
            Alg::Sha1 => Self::HmacSha1(Hmac::new_from_slice(key).ok()?),
            Alg::Sha224 => Self::HmacSha224(Hmac::new_from_slice(key).ok()?),
            Alg::Sha256 => Self::HmacSha256(Hmac::new_from_slice(key).ok()?),
            Alg::Sha384 => Self::HmacSha384(Hmac::new_from_slice(key).ok()?),
            Alg::Sha512 => Self::HmacSha512(Hmac::new_from_slice(key).ok()?),
        })
    }

    /// Takes in further bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Md5(d) => d.update(bytes),
            Self::Sha1(d) => d.update(bytes),
            Self::Sha224(d) => d.update(bytes),
            Self::Sha256(d) => d.update(bytes),
            Self::Sha384(d) => d.update(bytes),
            Self::Sha512(d) => d.update(bytes),
            Self::HmacMd5(m) => m.update(bytes),
            Self::HmacSha1(m) => m.update(bytes),
            Self::HmacSha224(m) => m.update(bytes),
            Self::HmacSha256(m) => m.update(bytes),
            Self::HmacSha384(m) => m.update(bytes),
            Self::HmacSha512(m) => m.update(bytes),
        }
    }

    /// The result over what was taken in so far.
    pub fn result(&self) -> Vec<u8> {
        match self.clone() {
            Self::Md5(d) => d.finalize().to_vec(),
            Self::Sha1(d) => d.finalize().to_vec(),
            Self::Sha224(d) => d.finalize().to_vec(),
            Self::Sha256(d) => d.finalize().to_vec(),
            Self::Sha384(d) => d.finalize().to_vec(),
            Self::Sha512(d) => d.finalize().to_vec(),
            Self::HmacMd5(m) => m.finalize().into_bytes().to_vec(),
            Self::HmacSha1(m) => m.finalize().into_bytes().to_vec(),
            Self::HmacSha224(m) => m.finalize().into_bytes().to_vec(),
            Self::HmacSha256(m) => m.finalize().into_bytes().to_vec(),
            Self::HmacSha384(m) => m.finalize().into_bytes().to_vec(),
            Self::HmacSha512(m) => m.finalize().into_bytes().to_vec(),
        }
    }
}

/// PBKDF2 with HMAC.
pub fn pbkdf2(alg: Alg, pass: &[u8], salt: &[u8], rounds: u32, len: usize) -> Vec<u8> {
    let mut out = vec![0; len];
    with_digest!(alg, D => pbkdf2::pbkdf2_hmac::<D>(pass, salt, rounds, &mut out));
    out
}

/// The steps of HKDF.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HkdfMode {
    Both,
    Extract,
    Expand,
}

/// HKDF; None when the lengths cannot be.
pub fn hkdf(alg: Alg, mode: HkdfMode, key: &[u8], salt: &[u8], info: &[u8], len: usize) -> Option<Vec<u8>> {
    with_digest!(alg, D => {
        let mut out = vec![0; len];
        match mode {
            HkdfMode::Extract => {
                let (prk, _) = hkdf::Hkdf::<D>::extract(Some(salt), key);
                Some(prk.to_vec())
            }
            HkdfMode::Both => {
                hkdf::Hkdf::<D>::new(Some(salt), key).expand(info, &mut out).ok()?;
                Some(out)
            }
            HkdfMode::Expand => {
                hkdf::Hkdf::<D>::from_prk(key).ok()?.expand(info, &mut out).ok()?;
                Some(out)
            }
        }
    })
}
