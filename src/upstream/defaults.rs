//! TLS to upstreams where neither a plugin nor an entity says otherwise, read from the settings' files.
//!
//! Must not: be read on the request path.

use std::path::Path;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::settings::Settings;
use crate::tls::chain::CertificateChain;
use crate::tls::client::Versions;
use crate::tls::identity::ClientIdentity;
use crate::tls::key::PrivateKey;
use crate::tls::trust::TrustStore;

/// See the module.
#[derive(Debug, Clone)]
pub struct TlsDefaults {
    /// `client_ssl`.
    pub identity: Option<Arc<ClientIdentity>>,
    /// `proxy_ssl_verify`.
    pub verify: bool,
    /// `proxy_ssl_verify_depth`, `lua_ssl_verify_depth`.
    pub depth: u8,
    /// `proxy_ssl_trusted_certificate`, `lua_ssl_trusted_certificate`.
    pub trust: Arc<TrustStore>,
    /// `proxy_ssl_protocols`.
    pub versions: Versions,
    /// `proxy_ssl_session_reuse`.
    pub resume: bool,
    /// Of cosockets.
    pub cosockets: CosocketTls,
}

/// Whom cosockets trust, and what they offer.
#[derive(Debug, Clone)]
pub struct CosocketTls {
    /// `lua_ssl_trusted_certificate`.
    pub trust: Arc<TrustStore>,
    /// `lua_ssl_verify_depth`.
    pub depth: u8,
    /// `lua_ssl_protocols`.
    pub versions: Versions,
}

impl Default for CosocketTls {
    /// Nobody trusted.
    fn default() -> Self {
        Self {
            trust: TrustStore::empty(),
            depth: 1,
            versions: Versions::default(),
        }
    }
}

impl Default for TlsDefaults {
    /// Nothing presented, nobody trusted.
    fn default() -> Self {
        Self {
            identity: None,
            verify: false,
            depth: 1,
            trust: TrustStore::empty(),
            versions: Versions::default(),
            resume: true,
            cosockets: CosocketTls::default(),
        }
    }
}

impl TlsDefaults {
    /// Reads what the settings name.
    ///
    /// # Errors
    /// What cannot be read, by the setting's name, in Kong's words.
    pub fn read(settings: &Settings) -> Result<Self, String> {
        let s = &settings.upstream_tls;
        let identity = match &s.identity {
            None => None,
            Some((cert, key)) => Some(identity(cert, key)?),
        };
        let trusted = trust(&s.trusted_certificates)?;
        let of_cosockets = match s.trusted_certificates == settings.lua_ssl_trusted_certificate {
            true => trusted.clone(),
            false => trust(&settings.lua_ssl_trusted_certificate)?,
        };
        Ok(Self {
            cosockets: CosocketTls {
                trust: of_cosockets,
                depth: settings.lua_ssl_verify_depth.min(100) as u8,
                versions: Versions::parse(&settings.lua_sockets.protocols).unwrap_or_default(),
            },
            identity,
            verify: s.verify,
            depth: s.verify_depth,
            trust: trusted,
            versions: Versions::parse(&s.protocols).unwrap_or_default(),
            resume: s.session_reuse,
        })
    }
}

fn identity(cert: &str, key: &str) -> Result<Arc<ClientIdentity>, String> {
    let failed = |what: &str, from: &str, why: String| {
        // a key's text is nobody's business
        let from = if Path::new(from).is_file() {
            from
        } else {
            "its text"
        };
        format!("{what}: failed loading from {from}: {why}")
    };
    let chain = content(cert)
        .and_then(|pem| CertificateChain::from_pem(&pem).map_err(|e| e.to_string()))
        .map_err(|e| failed("client_ssl_cert", cert, e))?;
    let private = content(key)
        .and_then(|pem| PrivateKey::from_pem(&pem, None).map_err(|e| e.to_string()))
        .map_err(|e| failed("client_ssl_cert_key", key, e))?;
    ClientIdentity::new(chain, private).map_err(|e| format!("client_ssl_cert_key: {e}"))
}

/// Certificates of all entries; `system` may be missing, as with Kong.
fn trust(entries: &[String]) -> Result<Arc<TrustStore>, String> {
    let mut all = Vec::new();
    for entry in entries {
        if entry == "system" {
            if let Ok(system) = TrustStore::system() {
                all.extend(system.certs().iter().cloned());
            }
            continue;
        }
        let read = content(entry).and_then(|pem| TrustStore::from_pem(&pem).map_err(|e| e.to_string()));
        let store = read.map_err(|e| {
            format!("lua_ssl_trusted_certificate: failed loading certificate from {entry}: {e}")
        })?;
        all.extend(store.certs().iter().cloned());
    }
    if all.is_empty() {
        return Ok(TrustStore::empty());
    }
    TrustStore::new(all).map_err(|e| format!("lua_ssl_trusted_certificate: {e}"))
}

/// A file's content, or the text itself: PEM, or PEM in base64.
fn content(given: &str) -> Result<Vec<u8>, String> {
    let path = Path::new(given);
    if !given.contains("-----BEGIN") && path.exists() {
        return std::fs::read(path).map_err(|e| e.to_string());
    }
    let packed: String = given.split_whitespace().collect();
    match STANDARD.decode(&packed) {
        Ok(bytes) if !given.contains("-----BEGIN") => Ok(bytes),
        _ => Ok(given.as_bytes().to_vec()),
    }
}
