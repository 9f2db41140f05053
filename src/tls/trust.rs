//! Whom to trust: sets of CA certificates.
//!
//! Must not: judge a peer (that is `verify`).

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, OnceLock};

use ring::digest::{Context, SHA256};
use rustls::pki_types::{CertificateDer, TrustAnchor};

use super::chain::{self, Unreadable};
use super::pki::asn1::Asn1Error;
use super::pki::cert::{Cert, outline};
use super::pki::pem::{self, PemError};

/// The most certificates of a store.
const MAX_CERTIFICATES: usize = 10_000;

/// Where systems keep the certificates they trust.
///
/// # Source
/// Kong's `lua_ssl_trusted_certificate = system`.
const SYSTEM: [&str; 6] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/tls/cacert.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// A set of CA certificates; the order they came in does not matter.
pub struct TrustStore {
    /// Sorted, each once.
    certs: Vec<CertificateDer<'static>>,
    fingerprint: [u8; 32],
    prepared: OnceLock<Prepared>,
}

/// The certificates as verification wants them.
pub(super) struct Prepared {
    /// Those that end a path: the self-issued ones.
    pub anchors: Vec<TrustAnchor<'static>>,
    /// The others, which may stand in a path.
    pub intermediates: Vec<CertificateDer<'static>>,
    /// All that can be read.
    pub all: Vec<Cert>,
}

/// Why there is no store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TrustError {
    #[error("no certificate")]
    Empty,
    #[error("{0}")]
    Unreadable(#[from] Unreadable),
    #[error("too many certificates")]
    TooMany,
    #[error("no system certificates found")]
    NoSystem,
}

impl TrustStore {
    /// A store of certificates in DER.
    ///
    /// # Errors
    /// When one cannot be read, or there are too many.
    pub fn new(certs: impl IntoIterator<Item = CertificateDer<'static>>) -> Result<Arc<Self>, TrustError> {
        let mut certs: Vec<_> = certs.into_iter().take(MAX_CERTIFICATES + 1).collect();
        if certs.len() > MAX_CERTIFICATES {
            return Err(TrustError::TooMany);
        }
        for cert in &certs {
            outline(cert).map_err(Unreadable::Der)?;
        }
        certs.sort_unstable_by(|a, b| a.as_ref().cmp(b.as_ref()));
        certs.dedup();
        Ok(Arc::new(Self::of(certs)))
    }

    fn of(certs: Vec<CertificateDer<'static>>) -> Self {
        let mut digest = Context::new(&SHA256);
        for cert in &certs {
            digest.update(&(cert.len() as u64).to_be_bytes());
            digest.update(cert);
        }
        let mut fingerprint = [0; 32];
        fingerprint.copy_from_slice(digest.finish().as_ref());
        Self {
            certs,
            fingerprint,
            prepared: OnceLock::new(),
        }
    }

    /// A store that trusts nobody.
    pub fn empty() -> Arc<Self> {
        Arc::new(Self::of(Vec::new()))
    }

    /// A store of all certificates of a PEM text.
    ///
    /// # Errors
    /// When there is none, or one that cannot be read.
    pub fn from_pem(pem: &[u8]) -> Result<Arc<Self>, TrustError> {
        let mut blocks = pem::blocks(pem);
        let mut certs = Vec::new();
        loop {
            match chain::next_pem(&mut blocks) {
                Ok(cert) => certs.push(cert),
                Err(Unreadable::Pem(PemError::NoStart)) if certs.is_empty() => return Err(TrustError::Empty),
                Err(Unreadable::Pem(PemError::NoStart)) => return Self::new(certs),
                Err(e) => return Err(e.into()),
            }
            if certs.len() > MAX_CERTIFICATES {
                return Err(TrustError::TooMany);
            }
        }
    }

    /// A store of certificates that have been read already.
    ///
    /// # Errors
    /// When one cannot be written, or there are too many.
    pub fn from_certs(certs: &[Cert]) -> Result<Arc<Self>, TrustError> {
        let written = certs.iter().map(|c| c.write().map(CertificateDer::from));
        let written: Option<Vec<_>> = written.collect();
        Self::new(written.ok_or(Unreadable::Der(Asn1Error::Value))?)
    }

    /// What the system trusts, as it stands on disk now.
    ///
    /// # Errors
    /// When there is no file in any of the usual places.
    pub fn system() -> Result<Arc<Self>, TrustError> {
        let text = SYSTEM.iter().find_map(|path| std::fs::read(path).ok());
        Self::from_pem(&text.ok_or(TrustError::NoSystem)?)
    }

    /// The certificates, in an order of their own.
    pub fn certs(&self) -> &[CertificateDer<'static>] {
        &self.certs
    }

    /// The SHA-256 over the certificates.
    pub fn fingerprint(&self) -> &[u8; 32] {
        &self.fingerprint
    }

    pub(super) fn prepared(&self) -> &Prepared {
        self.prepared.get_or_init(|| {
            let mut prepared = Prepared {
                anchors: Vec::new(),
                intermediates: Vec::new(),
                all: Vec::new(),
            };
            for der in &self.certs {
                let Ok(cert) = Cert::read(der) else { continue };
                if cert.subject_der() != cert.issuer_der() {
                    prepared.intermediates.push(der.clone());
                } else if let Ok(anchor) = webpki::anchor_from_trusted_cert(der) {
                    prepared.anchors.push(anchor.to_owned());
                }
                prepared.all.push(cert);
            }
            prepared
        })
    }
}

// === impl comparisons and Debug ===

impl PartialEq for TrustStore {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self, other) || self.fingerprint == other.fingerprint && self.certs == other.certs
    }
}

impl Eq for TrustStore {}

impl Hash for TrustStore {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.fingerprint.hash(state);
    }
}

impl fmt::Debug for TrustStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TrustStore({} certificates)", self.certs.len())
    }
}
