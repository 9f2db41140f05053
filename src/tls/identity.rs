//! Who we are to a peer: a chain and the key that its leaf speaks of.
//!
//! Must not: exist with a key that is another's.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, OnceLock};

use ring::digest::{Context, SHA256};
use rustls::sign::CertifiedKey;

use super::chain::CertificateChain;
use super::key::PrivateKey;
use super::pki::key_code;

/// A chain with its private key. Two are equal when fingerprint and chain are.
pub struct ClientIdentity {
    chain: CertificateChain,
    key: PrivateKey,
    fingerprint: [u8; 32],
    certified: OnceLock<Arc<CertifiedKey>>,
}

/// The same thing on the side that listens.
pub type ServerIdentity = ClientIdentity;

/// Why a chain and a key make no identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    #[error("key type mismatch: the certificate's key is {certificate}, the private key {key}")]
    KindMismatch {
        certificate: &'static str,
        key: &'static str,
    },
    #[error("key values mismatch: the private key is not the certificate's")]
    Mismatch,
    #[error("unsupported key in the certificate")]
    Unsupported,
}

impl ClientIdentity {
    /// Puts a chain and a key together.
    ///
    /// # Errors
    /// When the key is not the leaf's.
    pub fn new(chain: CertificateChain, key: PrivateKey) -> Result<Arc<Self>, IdentityError> {
        if chain.leaf_spki() != key.spki() {
            // The same key may be written in another way (a compressed point, absent parameters).
            let public = key_code::read_spki(chain.leaf_spki()).map_err(|_| IdentityError::Unsupported)?;
            if public.type_name() != key.kind() {
                return Err(IdentityError::KindMismatch {
                    certificate: public.type_name(),
                    key: key.kind(),
                });
            }
            if !public.same_public(key.key()) {
                return Err(IdentityError::Mismatch);
            }
        }
        let mut digest = Context::new(&SHA256);
        digest.update(chain.digest());
        digest.update(key.spki());
        let mut fingerprint = [0; 32];
        fingerprint.copy_from_slice(digest.finish().as_ref());
        Ok(Arc::new(Self {
            chain,
            key,
            fingerprint,
            certified: OnceLock::new(),
        }))
    }

    /// The SHA-256 over the chain and the key's SubjectPublicKeyInfo.
    pub fn fingerprint(&self) -> &[u8; 32] {
        &self.fingerprint
    }

    /// The chain.
    pub fn chain(&self) -> &CertificateChain {
        &self.chain
    }

    /// The key.
    pub fn key(&self) -> &PrivateKey {
        &self.key
    }

    /// Both as rustls wants them.
    pub fn certified_key(&self) -> Arc<CertifiedKey> {
        let made = || {
            let chain = self.chain.certs().to_vec();
            Arc::new(CertifiedKey::new(chain, self.key.signing_key()))
        };
        self.certified.get_or_init(made).clone()
    }
}

// === impl comparisons and Debug ===

impl PartialEq for ClientIdentity {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self, other) || self.fingerprint == other.fingerprint && self.chain == other.chain
    }
}

impl Eq for ClientIdentity {}

impl Hash for ClientIdentity {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.fingerprint.hash(state);
    }
}

impl fmt::Debug for ClientIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mark: String = self.fingerprint[..6].iter().map(|b| format!("{b:02x}")).collect();
        write!(f, "ClientIdentity({mark})")
    }
}
