//! Services: what is proxied to.

use super::shape::{Field, Kind, entity_error};
use super::{CertificateIdx, Protocol, Reference, duration_ms, text};
use serde::Deserialize;
use serde_json::{Map, Value};
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
    pub retries: u16,
    /// Limit on connecting.
    #[serde(deserialize_with = "duration_ms")]
    pub connect_timeout: Duration,
    /// Limit between two writes.
    #[serde(deserialize_with = "duration_ms")]
    pub write_timeout: Duration,
    /// Limit between two reads.
    #[serde(deserialize_with = "duration_ms")]
    pub read_timeout: Duration,
    /// A service that is not enabled has no routes in the router.
    pub enabled: bool,
    /// Free labels.
    #[serde(default)]
    pub tags: Vec<String>,
    /// Whether the upstream's certificate is verified; none: as the settings say.
    pub tls_verify: Option<bool>,
    /// Longest certificate chain accepted.
    pub tls_verify_depth: Option<u8>,
    /// Ids of the CA certificates that make the trust store.
    #[serde(default)]
    pub ca_certificates: Vec<String>,
    /// Id of the certificate presented to the upstream.
    #[serde(rename = "client_certificate")]
    pub client_certificate_ref: Option<Reference>,
    /// The same, resolved.
    #[serde(skip)]
    pub client_certificate: Option<CertificateIdx>,
    /// The entity's table as Lua sees it.
    #[serde(skip)]
    pub raw: Value,
}

const TIMEOUT: Kind = Kind::Integer(1, 2_147_483_646);

pub(super) const FIELDS: &[Field] = &[
    Field::new("name", Kind::Text).unique().check(text::utf8_name),
    Field::new("retries", Kind::Integer(0, 32767)).default("5"),
    Field::new("protocol", Kind::Text)
        .required()
        .default("\"http\"")
        .one_of(Protocol::NAMES),
    Field::new("host", Kind::Text).required().check(text::host),
    Field::new("port", Kind::Integer(0, 65535))
        .required()
        .default("80"),
    Field::new("path", Kind::Text).check(text::path),
    Field::new("connect_timeout", TIMEOUT).default("60000"),
    Field::new("write_timeout", TIMEOUT).default("60000"),
    Field::new("read_timeout", TIMEOUT).default("60000"),
    Field::new("client_certificate", Kind::Foreign("certificates")),
    Field::new("tls_verify", Kind::Boolean),
    Field::new("tls_verify_depth", Kind::Integer(0, 64)),
    Field::new(
        "ca_certificates",
        Kind::Array(&Field::element(Kind::Text).check(text::uuid)),
    ),
    Field::new("enabled", Kind::Boolean).required().default("true"),
];

pub(super) fn check(service: &Map<String, Value>, errors: &mut Map<String, Value>) {
    let protocol = service
        .get("protocol")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let mut must_be_null = |field: &str| {
        if service.contains_key(field) {
            errors.insert(field.to_owned(), Value::from("value must be null"));
            entity_error(
                errors,
                "failed conditional validation given value of field 'protocol'",
            );
        }
    };
    if matches!(protocol, "tcp" | "tls" | "udp" | "grpc" | "grpcs") {
        must_be_null("path");
    }
    if !matches!(protocol, "https" | "tls") {
        for field in [
            "client_certificate",
            "tls_verify",
            "tls_verify_depth",
            "ca_certificates",
        ] {
            must_be_null(field);
        }
    }
}

/// Spells the shorthand `url` out as protocol, host, port and path.
///
/// # Errors
/// Where it is not a text.
pub fn expand_url(service: &mut Map<String, Value>) -> Result<(), Value> {
    let Some(url) = service.remove("url").filter(|url| !url.is_null()) else {
        return Ok(());
    };
    let Some(url) = url.as_str() else {
        return Err(Value::from("expected a string"));
    };
    let (scheme, rest) = match url.split_once(':') {
        Some((scheme, rest)) if rest.starts_with("//") => (Some(scheme.to_owned()), rest),
        _ => (None, url),
    };
    let rest = rest.split(['#', '?']).next().unwrap_or_default();
    let (authority, path) = match rest.strip_prefix("//") {
        Some(rest) => rest.split_at(rest.find('/').unwrap_or(rest.len())),
        None => ("", rest),
    };
    let address = authority
        .rsplit_once('@')
        .map_or(authority, |(_, address)| address);
    let (host, port) = match address.rsplit_once(':') {
        Some((host, port)) if !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()) => {
            (host, port.parse::<i64>().ok())
        }
        _ => (address, None),
    };
    let host = host
        .strip_prefix('[')
        .and_then(|h| h.strip_suffix(']'))
        .unwrap_or(host);
    let protocol = scheme.unwrap_or_else(|| if port == Some(443) { "https" } else { "http" }.to_owned());
    let port = port.unwrap_or(if protocol == "https" { 443 } else { 80 });
    let some = |text: &str| {
        if text.is_empty() {
            Value::Null
        } else {
            Value::from(text)
        }
    };
    service.insert("host".to_owned(), some(host));
    service.insert("path".to_owned(), some(path));
    service.insert("protocol".to_owned(), Value::from(protocol));
    service.insert("port".to_owned(), Value::from(port));
    Ok(())
}
