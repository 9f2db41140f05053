//! Certificate chains: what a peer is shown.
//!
//! Must not: judge them; a chain may be expired, unordered, or of X.509 version 1.

use std::fmt;
use std::sync::Arc;

use ring::digest::{Context, SHA256};
use rustls::pki_types::CertificateDer;

use super::pki::asn1::Asn1Error;
use super::pki::cert::{Cert, outline};
use super::pki::pem::{self, PemError};

/// The most certificates of a chain, and the most bytes of them together.
const MAX_CERTIFICATES: usize = 100;
const MAX_BYTES: usize = 1 << 20;

/// One certificate or more, the leaf first. Clones share them.
#[derive(Clone)]
pub struct CertificateChain(Arc<Inner>);

struct Inner {
    certs: Vec<CertificateDer<'static>>,
    leaf_spki: Vec<u8>,
    digest: [u8; 32],
}

/// Why a certificate cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    #[error("{0}")]
    Pem(#[from] PemError),
    #[error("{0}")]
    Der(#[from] Asn1Error),
}

/// Why there is no chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ChainError {
    #[error("no certificate")]
    Empty,
    #[error("first certificate: {0}")]
    First(Unreadable),
    #[error("rest of the chain: {0}")]
    Rest(Unreadable),
    #[error("chain too long")]
    TooLong,
}

/// Reads the next certificate of a PEM text, passing over other blocks.
pub(super) fn next_pem(blocks: &mut pem::Blocks) -> Result<CertificateDer<'static>, Unreadable> {
    loop {
        let block = blocks.next_block()?;
        match block.label.as_str() {
            "CERTIFICATE" | "X509 CERTIFICATE" => {
                let read = outline(&block.data)?;
                if read.whole.len() != block.data.len() {
                    return Err(Asn1Error::Value.into());
                }
                return Ok(block.data.into());
            }
            // OpenSSL's own form: what the certificate is trusted for follows it.
            "TRUSTED CERTIFICATE" => return Ok(outline(&block.data)?.whole.to_vec().into()),
            _ => {}
        }
    }
}

impl CertificateChain {
    /// Reads all certificates of a PEM text.
    ///
    /// # Errors
    /// When there is none, or one that cannot be read.
    pub fn from_pem(pem: &[u8]) -> Result<Self, ChainError> {
        let mut blocks = pem::blocks(pem);
        let first = next_pem(&mut blocks).map_err(ChainError::First)?;
        let mut certs = vec![first];
        loop {
            match next_pem(&mut blocks) {
                Ok(cert) => certs.push(cert),
                Err(Unreadable::Pem(PemError::NoStart)) => return Self::new(certs),
                Err(e) => return Err(ChainError::Rest(e)),
            }
            if certs.len() > MAX_CERTIFICATES {
                return Err(ChainError::TooLong);
            }
        }
    }

    /// Reads certificates in DER, one after the other.
    ///
    /// # Errors
    /// When there is none, or one that cannot be read.
    pub fn from_der(mut der: &[u8]) -> Result<Self, ChainError> {
        let mut certs = Vec::new();
        while !der.is_empty() {
            let cert = outline(der).map_err(|e| match certs.is_empty() {
                true => ChainError::First(e.into()),
                false => ChainError::Rest(e.into()),
            })?;
            if certs.len() == MAX_CERTIFICATES {
                return Err(ChainError::TooLong);
            }
            certs.push(CertificateDer::from(cert.whole.to_vec()));
            der = &der[cert.whole.len()..];
        }
        Self::new(certs)
    }

    /// A chain of certificates that have been read already.
    ///
    /// # Errors
    /// When there is none, or one cannot be written.
    pub fn from_certs(certs: &[Cert]) -> Result<Self, ChainError> {
        let written = certs.iter().map(|c| c.write().map(CertificateDer::from));
        let written: Option<Vec<_>> = written.collect();
        Self::new(written.ok_or(ChainError::Rest(Asn1Error::Value.into()))?)
    }

    /// A chain of certificates in DER.
    ///
    /// # Errors
    /// When there is none, the first cannot be read, or there are too many.
    pub fn new(certs: Vec<CertificateDer<'static>>) -> Result<Self, ChainError> {
        let leaf = certs.first().ok_or(ChainError::Empty)?;
        let leaf_spki = outline(leaf)
            .map_err(|e| ChainError::First(e.into()))?
            .spki
            .to_vec();
        if certs.len() > MAX_CERTIFICATES || certs.iter().map(|c| c.len()).sum::<usize>() > MAX_BYTES {
            return Err(ChainError::TooLong);
        }
        let mut digest = Context::new(&SHA256);
        for cert in &certs {
            digest.update(&(cert.len() as u64).to_be_bytes());
            digest.update(cert);
        }
        let mut sum = [0; 32];
        sum.copy_from_slice(digest.finish().as_ref());
        Ok(Self(Arc::new(Inner {
            certs,
            leaf_spki,
            digest: sum,
        })))
    }

    /// The certificates, the leaf first.
    pub fn certs(&self) -> &[CertificateDer<'static>] {
        &self.0.certs
    }

    /// The leaf's SubjectPublicKeyInfo, DER.
    pub fn leaf_spki(&self) -> &[u8] {
        &self.0.leaf_spki
    }

    /// The SHA-256 of the certificates, each after its length.
    pub(super) fn digest(&self) -> &[u8; 32] {
        &self.0.digest
    }
}

// === impl comparisons and Debug ===

impl PartialEq for CertificateChain {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.0.certs == other.0.certs
    }
}

impl Eq for CertificateChain {}

impl fmt::Debug for CertificateChain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CertificateChain({} certificates)", self.0.certs.len())
    }
}
