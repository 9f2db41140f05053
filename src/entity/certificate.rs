//! Certificates, the server names they serve, and CA certificates: as data, not parsed here.

use super::CertificateIdx;
use serde::Deserialize;

/// A certificate chain and its key, in PEM.
#[derive(Debug, Clone, Deserialize)]
pub struct Certificate {
    /// UUID.
    pub id: String,
    /// PEM chain.
    pub cert: String,
    /// PEM key.
    pub key: String,
    /// PEM chain of another key type.
    pub cert_alt: Option<String>,
    /// PEM key of another key type.
    pub key_alt: Option<String>,
}

/// A server name served with a certificate.
#[derive(Debug, Clone, Deserialize)]
pub struct Sni {
    /// UUID.
    pub id: String,
    /// Server name, with one wildcard at an end perhaps.
    pub name: String,
    /// The certificate served.
    #[serde(skip)]
    pub certificate: Option<CertificateIdx>,
}

/// A trusted CA certificate, in PEM.
#[derive(Debug, Clone, Deserialize)]
pub struct CaCertificate {
    /// UUID.
    pub id: String,
    /// PEM certificate.
    pub cert: String,
    /// SHA-256 digest in hex.
    pub cert_digest: Option<String>,
}
