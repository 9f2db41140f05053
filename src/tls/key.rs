//! Private keys as TLS uses them: read from PEM or DER, and able to sign.
//!
//! Must not: show a key in `Debug` or in an error.

use std::fmt;
use std::sync::{Arc, OnceLock};

use rustls::sign::SigningKey;
use zeroize::Zeroizing;

use super::pki::asn1::Asn1Error;
use super::pki::key::{Key, Okp};
use super::pki::key_code;
pub use super::pki::key_code::KeyError;
use super::signing;

/// A private key: RSA, ECDSA over P-256, P-384 or P-521, or Ed25519. Clones share it.
#[derive(Clone)]
pub struct PrivateKey(Arc<Inner>);

struct Inner {
    key: Arc<Key>,
    spki: Vec<u8>,
    /// Made at the first handshake: checking an RSA key's numbers takes longer than reading them.
    signing: OnceLock<Arc<dyn SigningKey>>,
}

impl PrivateKey {
    /// Reads the first private key of a PEM text: PKCS#8 (encrypted too), PKCS#1, SEC1, and the last two with the
    /// encryption that OpenSSL once wrote into PEM headers.
    ///
    /// # Errors
    /// When there is none, it is of an unknown kind, or the passphrase is missing or wrong.
    pub fn from_pem(pem: &[u8], passphrase: Option<&[u8]>) -> Result<Self, KeyError> {
        Self::new(Arc::new(key_code::read_pem(pem, true, false, passphrase)?))
    }

    /// Reads a key in any of its DER forms but the encrypted one.
    ///
    /// # Errors
    /// When it is none.
    pub fn from_der(der: &[u8]) -> Result<Self, KeyError> {
        Self::new(Arc::new(key_code::read_private_der(der, None)?))
    }

    /// A key that has been read already.
    ///
    /// # Errors
    /// When it has no private part, or its numbers cannot belong together.
    pub fn new(key: Arc<Key>) -> Result<Self, KeyError> {
        if key_code::write_pkcs8(&key).is_none() {
            return Err(Asn1Error::Value.into());
        }
        // kinds that are read for other uses, and that TLS here has none for
        let in_tls = match &*key {
            Key::Ec(k) => k.curve.in_tls(),
            Key::Okp(k) => !matches!(k.kind, Okp::Ed448 | Okp::X448),
            Key::Dh(_) => false,
            Key::Rsa(_) => true,
        };
        if !in_tls {
            return Err(KeyError::Unsupported);
        }
        Ok(Self(Arc::new(Inner {
            spki: key_code::write_spki(&key),
            key,
            signing: OnceLock::new(),
        })))
    }

    /// The key itself, for another to hold.
    pub fn shared(&self) -> Arc<Key> {
        self.0.key.clone()
    }

    /// The key in PKCS#8, DER.
    pub fn to_der(&self) -> Zeroizing<Vec<u8>> {
        // `new` has seen that it can be written.
        key_code::write_pkcs8(&self.0.key).unwrap_or_default()
    }

    /// The key as OpenSSL writes it in DER: PKCS#1 or SEC1, PKCS#8 for the kinds that never had another form.
    pub fn to_traditional_der(&self) -> Zeroizing<Vec<u8>> {
        key_code::write_traditional(&self.0.key).unwrap_or_default()
    }

    /// The public part as SubjectPublicKeyInfo, DER.
    pub fn spki(&self) -> &[u8] {
        &self.0.spki
    }

    /// The name of the kind of key.
    pub fn kind(&self) -> &'static str {
        self.0.key.type_name()
    }

    /// The key as rustls signs with it.
    pub fn signing_key(&self) -> Arc<dyn SigningKey> {
        let made = || signing::signing_key(&self.0.key, &self.to_der());
        self.0.signing.get_or_init(made).clone()
    }

    pub(super) fn key(&self) -> &Key {
        &self.0.key
    }
}

// === impl Debug ===

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PrivateKey").field(&self.kind()).finish()
    }
}
