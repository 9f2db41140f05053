//! Certificates, the server names they serve, and CA certificates: as data, not parsed here.

use super::shape::{Field, Kind, entity_error};
use super::{CertificateIdx, text};
use serde::Deserialize;
use serde_json::{Map, Value};

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
    /// Free labels.
    #[serde(default)]
    pub tags: Vec<String>,
    /// The entity's table as Lua sees it.
    #[serde(skip)]
    pub raw: Value,
}

/// A server name served with a certificate.
#[derive(Debug, Clone, Deserialize)]
pub struct Sni {
    /// UUID.
    pub id: String,
    /// Server name, with one wildcard at an end perhaps.
    pub name: String,
    /// Free labels.
    #[serde(default)]
    pub tags: Vec<String>,
    /// The certificate served.
    #[serde(skip)]
    pub certificate: Option<CertificateIdx>,
    /// The entity's table as Lua sees it.
    #[serde(skip)]
    pub raw: Value,
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
    /// Free labels.
    #[serde(default)]
    pub tags: Vec<String>,
    /// The entity's table as Lua sees it.
    #[serde(skip)]
    pub raw: Value,
}

pub(super) const FIELDS: &[Field] = &[
    Field::new("cert", Kind::Text).required(),
    Field::new("key", Kind::Text).required(),
    Field::new("cert_alt", Kind::Text),
    Field::new("key_alt", Kind::Text),
];

pub(super) const SNI_FIELDS: &[Field] = &[
    Field::new("name", Kind::Text)
        .required()
        .unique()
        .check(text::wildcard_host),
    Field::new("certificate", Kind::Foreign("certificates")).required(),
];

pub(super) const CA_FIELDS: &[Field] = &[
    Field::new("cert", Kind::Text).required(),
    Field::new("cert_digest", Kind::Text).unique(),
];

pub(super) fn check(certificate: &Map<String, Value>, errors: &mut Map<String, Value>) {
    if certificate.contains_key("cert_alt") != certificate.contains_key("key_alt") {
        entity_error(
            errors,
            "all or none of these fields must be set: 'cert_alt', 'key_alt'",
        );
    }
}
