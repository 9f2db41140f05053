//! Services: what is proxied to.

use super::{CertificateIdx, Protocol, Reference, duration_ms, or_default};
use serde::{Deserialize, Deserializer};
use std::time::Duration;

/// Where requests of a route go.
///
/// # Source
/// `kong/db/schema/entities/services.lua`
#[derive(Debug, Clone, Deserialize)]
pub struct Service {
    /// UUID.
    pub id: String,
    /// Unique name.
    pub name: Option<String>,
    /// How the upstream is spoken to.
    pub protocol: Protocol,
    /// A host name, an IP literal or the name of an upstream.
    pub host: String,
    /// Port of the host; not used where the host names an upstream.
    pub port: u16,
    /// Prefix of the upstream path.
    pub path: Option<String>,
    /// Tries after the first one.
    #[serde(default = "default_retries", deserialize_with = "retries")]
    pub retries: u16,
    /// Limit on connecting.
    #[serde(default = "default_timeout", deserialize_with = "duration_ms")]
    pub connect_timeout: Duration,
    /// Limit between two writes.
    #[serde(default = "default_timeout", deserialize_with = "duration_ms")]
    pub write_timeout: Duration,
    /// Limit between two reads.
    #[serde(default = "default_timeout", deserialize_with = "duration_ms")]
    pub read_timeout: Duration,
    /// A service that is not enabled has no routes in the router.
    pub enabled: bool,
    /// Whether the upstream's certificate is verified; none: as the settings say.
    pub tls_verify: Option<bool>,
    /// Longest certificate chain accepted.
    pub tls_verify_depth: Option<u8>,
    /// Ids of the CA certificates that make the trust store.
    #[serde(default, deserialize_with = "or_default")]
    pub ca_certificates: Vec<String>,
    /// Id of the certificate presented to the upstream.
    #[serde(rename = "client_certificate")]
    pub client_certificate_ref: Option<Reference>,
    /// The same, resolved.
    #[serde(skip)]
    pub client_certificate: Option<CertificateIdx>,
}

/// What stands for a null, as in Kong's balancer.
fn default_retries() -> u16 {
    5
}

fn retries<'de, D: Deserializer<'de>>(from: D) -> Result<u16, D::Error> {
    Option::deserialize(from).map(|given| given.unwrap_or_else(default_retries))
}

fn default_timeout() -> Duration {
    Duration::from_secs(60)
}
