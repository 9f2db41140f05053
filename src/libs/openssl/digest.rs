//! Digests, HMAC and key derivation by name.
//!
//! Must not: know Lua; know what is digested.

use hmac::{Hmac, KeyInit as _, Mac as _};
use md5::Md5;
use sha1::Sha1;
use sha2::{Digest as _, Sha224, Sha256, Sha384, Sha512};

/// A digest that OpenSSL's users name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Alg {
    Md5,
    Sha1,
    Sha224,
    Sha256,
    Sha384,
    Sha512,
}

/// Runs `$body` with `$D` standing for the digest type of `$alg`.
macro_rules! with_digest {
    ($alg:expr, $D:ident => $body:expr) => {
        match $alg {
            $crate::libs::openssl::digest::Alg::Md5 => {
                type $D = md5::Md5;
                $body
            }
            $crate::libs::openssl::digest::Alg::Sha1 => {
                type $D = sha1::Sha1;
                $body
            }
            $crate::libs::openssl::digest::Alg::Sha224 => {
                type $D = sha2::Sha224;
                $body
            }
            $crate::libs::openssl::digest::Alg::Sha256 => {
                type $D = sha2::Sha256;
                $body
            }
            $crate::libs::openssl::digest::Alg::Sha384 => {
                type $D = sha2::Sha384;
                $body
            }
            $crate::libs::openssl::digest::Alg::Sha512 => {
                type $D = sha2::Sha512;
                $body
            }
        }
    };
}
pub(super) use with_digest;

impl Alg {
    /// The digest called `name`, in any case and with the spellings OpenSSL takes.
    pub fn by_name(name: &str) -> Option<Self> {
        let name = name.to_ascii_lowercase();
        Some(match name.strip_prefix("rsa-").unwrap_or(&name) {
            "md5" | "ssl3-md5" => Self::Md5,
            "sha1" | "sha-1" | "ssl3-sha1" => Self::Sha1,
            "sha224" | "sha-224" | "sha2-224" => Self::Sha224,
            "sha256" | "sha-256" | "sha2-256" => Self::Sha256,
            "sha384" | "sha-384" | "sha2-384" => Self::Sha384,
            "sha512" | "sha-512" | "sha2-512" => Self::Sha512,
            _ => return None,
        })
    }

    /// The bytes of a result.
    pub fn size(self) -> usize {
        match self {
            Self::Md5 => 16,
            Self::Sha1 => 20,
            Self::Sha224 => 28,
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }

    /// The digest of `bytes`.
    pub fn digest(self, bytes: &[u8]) -> Vec<u8> {
        with_digest!(self, D => D::digest(bytes).to_vec())
    }
}

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
