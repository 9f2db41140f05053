//! What a handshake is to be done with: certificates by kind of key, and what is asked of the client.
//!
//! Must not: know who wishes (the certificate entities, then plugins).

use std::sync::Arc;

use super::options::Versions;
use crate::tls::chain::CertificateChain;
use crate::tls::identity::ClientIdentity;
use crate::tls::key::PrivateKey;

/// A chain and the key to it: what a listener shows.
pub type ServerIdentity = ClientIdentity;

/// OpenSSL keeps one certificate and key of each kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Rsa,
    Ec,
    Ed25519,
    Other,
}

/// By the algorithm of a SubjectPublicKeyInfo.
fn kind(spki: &[u8]) -> Kind {
    const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
    const EC: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
    const ED25519: &[u8] = &[0x2b, 0x65, 0x70];
    let head = &spki[..spki.len().min(32)];
    let has = |oid: &[u8]| head.windows(oid.len()).any(|w| w == oid);
    if has(RSA) {
        Kind::Rsa
    } else if has(EC) {
        Kind::Ec
    } else if has(ED25519) {
        Kind::Ed25519
    } else {
        Kind::Other
    }
}

#[derive(Debug, Clone)]
struct Slot {
    kind: Kind,
    chain: Option<CertificateChain>,
    key: Option<PrivateKey>,
}

/// What is asked of the client, and what it is then judged by.
#[derive(Debug, Clone, Default)]
pub struct ClientRequest {
    /// CAs whose names are told to the client, and which are trusted.
    pub authorities: Option<CertificateChain>,
    /// More that are trusted.
    pub trusted: Option<CertificateChain>,
    /// The most certificates between the client's and the trusted one.
    pub depth: usize,
}

/// See the module.
#[derive(Debug, Clone, Default)]
pub struct Wishes {
    /// What was found by the server's name; before a plugin changed it.
    found: Vec<Arc<ServerIdentity>>,
    /// What a plugin changed it to.
    slots: Option<Vec<Slot>>,
    /// Whether the client is asked for a certificate.
    pub client: Option<ClientRequest>,
    /// Whether the session must not be taken up again.
    pub no_reuse: bool,
    /// The only protocols; None is what is configured.
    pub versions: Option<Versions>,
    /// What is shown beside the certificate to clients that ask for its status.
    pub status: Option<Arc<[u8]>>,
}

/// Why a certificate or key was not taken; OpenSSL's function.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct WishError(&'static str);

impl Wishes {
    /// Begins with what was found for the server's name.
    pub fn new(found: Vec<Arc<ServerIdentity>>) -> Self {
        Self {
            found,
            ..Self::default()
        }
    }

    /// Forgets all certificates.
    pub fn clear_certificates(&mut self) {
        self.slots = Some(Vec::new());
    }

    fn slots(&mut self) -> &mut Vec<Slot> {
        let found = &self.found;
        self.slots.get_or_insert_with(|| {
            let slot = |identity: &Arc<ServerIdentity>| Slot {
                kind: kind(identity.chain().leaf_spki()),
                chain: Some(identity.chain().clone()),
                key: Some(identity.key().clone()),
            };
            found.iter().map(slot).collect()
        })
    }

    fn slot(&mut self, kind: Kind) -> &mut Slot {
        let slots = self.slots();
        let at = slots.iter().position(|slot| slot.kind == kind);
        let at = at.unwrap_or_else(|| {
            slots.push(Slot {
                kind,
                chain: None,
                key: None,
            });
            slots.len() - 1
        });
        &mut slots[at]
    }

    /// Sets the certificate of its kind; a key that does not belong to it goes.
    ///
    /// # Errors
    /// Of a kind that there are no signatures of.
    pub fn set_certificate(&mut self, chain: CertificateChain) -> Result<(), WishError> {
        let kind = kind(chain.leaf_spki());
        if kind == Kind::Other {
            return Err(WishError("SSL_use_certificate() failed"));
        }
        let slot = self.slot(kind);
        slot.key
            .take_if(|key| ServerIdentity::new(chain.clone(), key.clone()).is_err());
        slot.chain = Some(chain);
        Ok(())
    }

    /// Sets the key of its kind.
    ///
    /// # Errors
    /// It does not belong to the certificate of its kind that is set.
    pub fn set_key(&mut self, key: PrivateKey) -> Result<(), WishError> {
        let kind = kind(key.spki());
        let slot = self.slot(kind);
        let fits = |chain: &CertificateChain| ServerIdentity::new(chain.clone(), key.clone()).is_ok();
        if !slot.chain.as_ref().is_none_or(fits) {
            return Err(WishError("SSL_use_PrivateKey() failed"));
        }
        slot.key = Some(key);
        Ok(())
    }

    /// The certificates that have keys.
    pub fn identities(&self) -> Vec<Arc<ServerIdentity>> {
        let Some(slots) = &self.slots else {
            return self.found.clone();
        };
        let whole = |slot: &Slot| slot.chain.clone().zip(slot.key.clone());
        slots
            .iter()
            .filter_map(whole)
            .filter_map(|(chain, key)| ServerIdentity::new(chain, key).ok())
            .collect()
    }
}
