//! Digests by name.
//!
//! Must not: know what is digested.

use sha2::Digest as _;

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
            $crate::tls::pki::digest::Alg::Md5 => {
                type $D = md5::Md5;
                $body
            }
            $crate::tls::pki::digest::Alg::Sha1 => {
                type $D = sha1::Sha1;
                $body
            }
            $crate::tls::pki::digest::Alg::Sha224 => {
                type $D = sha2::Sha224;
                $body
            }
            $crate::tls::pki::digest::Alg::Sha256 => {
                type $D = sha2::Sha256;
                $body
            }
            $crate::tls::pki::digest::Alg::Sha384 => {
                type $D = sha2::Sha384;
                $body
            }
            $crate::tls::pki::digest::Alg::Sha512 => {
                type $D = sha2::Sha512;
                $body
            }
        }
    };
}
pub(crate) use with_digest;

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
