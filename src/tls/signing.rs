//! Signatures of handshakes: ring's where ring has them, this crate's own for the keys that ring does not take
//! (P-521, RSA below 2048 and above 4096 bits).
//!
//! Must not: choose a scheme that the peer did not offer.

use std::fmt;
use std::sync::Arc;

use rustls::pki_types::{PrivateKeyDer, SubjectPublicKeyInfoDer};
use rustls::sign::{Signer, SigningKey};
use rustls::{SignatureAlgorithm, SignatureScheme};

use super::pki::digest::Alg;
use super::pki::key::{Curve, Key, Okp};
use super::pki::key_code;
use super::pki::sign::{self, Padding};

/// The key as rustls signs with it; `pkcs8` is the same key.
pub(super) fn signing_key(key: &Arc<Key>, pkcs8: &[u8]) -> Arc<dyn SigningKey> {
    let der = PrivateKeyDer::Pkcs8(pkcs8.into());
    rustls::crypto::ring::sign::any_supported_type(&der).unwrap_or_else(|_| Arc::new(OwnKey(key.clone())))
}

struct OwnKey(Arc<Key>);

impl OwnKey {
    fn schemes(&self) -> &'static [SignatureScheme] {
        match &*self.0 {
            // SHA-512 with a salt of its size does not fit a small modulus.
            Key::Rsa(_) => &[SignatureScheme::RSA_PSS_SHA256, SignatureScheme::RSA_PKCS1_SHA256],
            Key::Ec(k) => match k.curve {
                Curve::P256 => &[SignatureScheme::ECDSA_NISTP256_SHA256],
                Curve::P384 => &[SignatureScheme::ECDSA_NISTP384_SHA384],
                Curve::P521 => &[SignatureScheme::ECDSA_NISTP521_SHA512],
                Curve::P192 | Curve::K256 => &[],
            },
            Key::Okp(k) if k.kind == Okp::Ed25519 => &[SignatureScheme::ED25519],
            Key::Okp(_) | Key::Dh(_) => &[],
        }
    }
}

impl fmt::Debug for OwnKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("OwnKey").field(&self.0.type_name()).finish()
    }
}

impl SigningKey for OwnKey {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        let scheme = *self.schemes().iter().find(|s| offered.contains(s))?;
        Some(Box::new(OwnSigner {
            key: self.0.clone(),
            scheme,
        }))
    }

    fn public_key(&self) -> Option<SubjectPublicKeyInfoDer<'_>> {
        Some(key_code::write_spki(&self.0).into())
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        match &*self.0 {
            Key::Rsa(_) => SignatureAlgorithm::RSA,
            Key::Ec(_) => SignatureAlgorithm::ECDSA,
            Key::Okp(_) | Key::Dh(_) => SignatureAlgorithm::ED25519,
        }
    }
}

struct OwnSigner {
    key: Arc<Key>,
    scheme: SignatureScheme,
}

impl fmt::Debug for OwnSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("OwnSigner").field(&self.scheme).finish()
    }
}

impl Signer for OwnSigner {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rustls::Error> {
        let signed = match digest_and_padding(self.scheme) {
            Some((alg, padding)) => sign::sign_digested(&self.key, alg, message, padding),
            None => sign::sign_text(&self.key, message),
        };
        signed.map_err(|e| rustls::Error::General(format!("signing failed: {e}")))
    }

    fn scheme(&self) -> SignatureScheme {
        self.scheme
    }
}

/// The digest and padding of a scheme; None when it takes no digest, or is not known.
pub(super) fn digest_and_padding(scheme: SignatureScheme) -> Option<(Alg, Padding)> {
    let pss = |alg: Alg| {
        let salt = Some(alg.size());
        (alg, Padding::Pss { salt })
    };
    Some(match scheme {
        SignatureScheme::RSA_PKCS1_SHA256 | SignatureScheme::ECDSA_NISTP256_SHA256 => {
            (Alg::Sha256, Padding::Pkcs1)
        }
        SignatureScheme::RSA_PKCS1_SHA384 | SignatureScheme::ECDSA_NISTP384_SHA384 => {
            (Alg::Sha384, Padding::Pkcs1)
        }
        SignatureScheme::RSA_PKCS1_SHA512 | SignatureScheme::ECDSA_NISTP521_SHA512 => {
            (Alg::Sha512, Padding::Pkcs1)
        }
        SignatureScheme::RSA_PSS_SHA256 => pss(Alg::Sha256),
        SignatureScheme::RSA_PSS_SHA384 => pss(Alg::Sha384),
        SignatureScheme::RSA_PSS_SHA512 => pss(Alg::Sha512),
        _ => return None,
    })
}
