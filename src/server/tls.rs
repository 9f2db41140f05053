//! From settings to what listeners with TLS work with.
//!
//! Must not: log what stands in keys.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio_rustls::TlsAcceptor;

use super::default_certificate::{self, For};
use crate::proxy::handshake::Secured;
use crate::settings::{Settings, parse_size, parse_time};
use crate::tls::chain::CertificateChain;
use crate::tls::key::PrivateKey;
use crate::tls::server::{Options, Server, ServerIdentity, Texts, Wishes};
use crate::upstream::TlsDefaults;

/// For `proxy_listen`; None where no listener has TLS. What ran before goes on with its sessions if nothing changed.
///
/// # Errors
/// A certificate, key, protocol or cipher that cannot be served.
pub(super) fn proxy(
    settings: &Settings,
    before: Option<&Secured>,
    warnings: &mut Vec<String>,
) -> Result<Option<Secured>, String> {
    if !settings.proxy_listen.iter().any(|l| l.ssl) {
        return Ok(None);
    }
    let options = options(settings, warnings)?;
    let default = identities(settings, For::Proxy)?;
    let server = match before {
        Some(before) if *before.server.options() == options => before.server.clone(),
        _ => Server::new(options),
    };
    Ok(Some(Secured { server, default }))
}

/// For `admin_listen`.
///
/// # Errors
/// As [`proxy`].
pub(super) fn admin(settings: &Settings) -> Result<Option<TlsAcceptor>, String> {
    if !settings.admin_listen.iter().any(|l| l.ssl) {
        return Ok(None);
    }
    let options = options(settings, &mut Vec::new())?;
    let wishes = Wishes::new(identities(settings, For::Admin)?);
    let config = Server::new(options).config(&wishes).map_err(|e| e.to_string())?;
    Ok(Some(TlsAcceptor::from(config)))
}

fn options(settings: &Settings, warnings: &mut Vec<String>) -> Result<Options, String> {
    let get = |key: &str| settings.get(key).unwrap_or_default();
    let directive = |name: &str| {
        let blocks = ["nginx_proxy_", "nginx_http_"];
        blocks
            .iter()
            .find_map(|block| settings.get(&format!("{block}{name}")))
            .unwrap_or_default()
    };
    let suite = settings.get("ssl_cipher_suite").unwrap_or("intermediate");
    if !get("ssl_dhparam").is_empty() && suite == "custom" {
        warnings.push("ssl_dhparam is not honoured: there are no DHE suites".to_owned());
    }
    let timeout = settings.get("ssl_session_timeout").unwrap_or("1d");
    let cache = settings.get("ssl_session_cache_size").unwrap_or("10m");
    let texts = Texts {
        suite,
        protocols: settings.get("ssl_protocols").unwrap_or("TLSv1.2 TLSv1.3"),
        ciphers: get("ssl_ciphers"),
        prefer_server: get("ssl_prefer_server_ciphers") != "off",
        tickets: get("ssl_session_tickets") != "off",
        timeout: parse_time(timeout).unwrap_or(Duration::from_secs(86_400)),
        cache: parse_size(cache).map_or(10 << 20, |size| size as usize),
        command: directive("ssl_conf_command"),
        curves: directive("ssl_ecdh_curve"),
    };
    Options::read(&texts, warnings)
}

/// TLS to upstreams as the settings have it; Kong's default certificate is generated where it is to be presented.
///
/// # Errors
/// What cannot be read, by the setting's name.
pub(super) fn upstream(settings: &Settings) -> Result<TlsDefaults, String> {
    let generated = |file: &str| Path::new(file).starts_with(settings.prefix.join("ssl"));
    if let Some((cert, key)) = &settings.upstream_tls.identity
        && generated(cert)
        && generated(key)
    {
        default_certificate::ensure(&settings.prefix, For::Proxy)?;
    }
    TlsDefaults::read(settings)
}

/// The certificates of a kind of listener, generated where none is configured.
fn identities(settings: &Settings, target: For) -> Result<Vec<Arc<ServerIdentity>>, String> {
    let (cert, key) = match target {
        For::Proxy => ("ssl_cert", "ssl_cert_key"),
        For::Admin => ("admin_ssl_cert", "admin_ssl_cert_key"),
    };
    let (certs, keys) = (settings.array(cert), settings.array(key));
    if certs.is_empty() && keys.is_empty() {
        let made = default_certificate::ensure(&settings.prefix, target)?;
        return made
            .iter()
            .map(|(cert, key)| identity((cert, cert), (key, key)))
            .collect();
    }
    if certs.is_empty() {
        return Err(format!("{cert} must be specified"));
    }
    if keys.is_empty() {
        return Err(format!("{key} must be specified"));
    }
    if certs.len() != keys.len() {
        return Err(format!(
            "{cert} was specified {} times while {key} was specified {} times",
            certs.len(),
            keys.len()
        ));
    }
    let pairs = certs.iter().zip(&keys);
    pairs
        .map(|(c, k)| {
            let (c, k) = (Named(cert, c), Named(key, k));
            let (chain, key) = (c.read()?, k.read()?);
            identity((&chain, &c.shown()), (&key, &k.shown()))
        })
        .collect()
}

/// A setting's value: a file's name, PEM, or PEM in base64.
struct Named<'a>(&'static str, &'a str);

impl Named<'_> {
    fn is_text(&self) -> bool {
        self.1.contains("-----BEGIN")
    }

    fn read(&self) -> Result<String, String> {
        use base64::Engine as _;
        if self.is_text() {
            return Ok(self.1.to_owned());
        }
        if Path::new(self.1).exists() {
            return std::fs::read_to_string(self.1).map_err(|e| format!("{}: {}: {e}", self.0, self.1));
        }
        let decoded = base64::engine::general_purpose::STANDARD.decode(self.1);
        let text = decoded.ok().and_then(|bytes| String::from_utf8(bytes).ok());
        text.filter(|text| text.contains("-----BEGIN"))
            .ok_or_else(|| format!("{}: no such file: {}", self.0, self.shown()))
    }

    /// For messages: never a secret.
    fn shown(&self) -> String {
        match self.is_text() || self.1.len() > 256 {
            true => format!("({})", self.0),
            false => self.1.to_owned(),
        }
    }
}

fn identity(
    (chain, chain_name): (&str, &str),
    (key, key_name): (&str, &str),
) -> Result<Arc<ServerIdentity>, String> {
    let chain = CertificateChain::from_pem(chain.as_bytes())
        .map_err(|e| format!("ssl_cert: failed loading certificate from {chain_name}: {e}"))?;
    let key = PrivateKey::from_pem(key.as_bytes(), None)
        .map_err(|e| format!("ssl_cert_key: failed loading key from {key_name}: {e}"))?;
    ServerIdentity::new(chain, key).map_err(|e| format!("{chain_name}, {key_name}: {e}"))
}
