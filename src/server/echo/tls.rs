//! The echo upstream over TLS: demands a client certificate of the demo's authority and says whose it was.
//!
//! Must not: take a client without one, or wait for a handshake for ever.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustls::server::WebPkiClientVerifier;
use rustls::{HandshakeKind, RootCertStore, ServerConfig, ServerConnection};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::About;
use super::material::Material;
use crate::tls::pki::cert::Cert;

const HANDSHAKE_LIMIT: Duration = Duration::from_secs(10);

/// Why there is no TLS.
#[derive(Debug, thiserror::Error)]
#[error("demo upstream: {0}")]
pub struct AcceptorError(String);

/// Shakes hands with clients.
#[derive(Clone)]
pub struct Acceptor(TlsAcceptor);

impl Acceptor {
    /// TLS with this material.
    ///
    /// # Errors
    /// When rustls takes none of it.
    pub fn new(material: &Material) -> Result<Self, AcceptorError> {
        let says = |e: &dyn std::fmt::Display| AcceptorError(e.to_string());
        let provider = crate::tls::provider();
        let mut roots = RootCertStore::empty();
        roots.add(material.authority.clone()).map_err(|e| says(&e))?;
        let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider.clone());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|e| says(&e))?
            .with_client_cert_verifier(verifier.build().map_err(|e| says(&e))?)
            .with_single_cert(vec![material.certificate.clone()], material.key.clone_key())
            .map_err(|e| says(&e))?;
        Ok(Self(TlsAcceptor::from(Arc::new(config))))
    }

    /// Shakes hands; the connection, and what is to be told of it.
    pub(super) async fn accept(&self, stream: TcpStream) -> io::Result<(TlsStream<TcpStream>, About)> {
        let stream = tokio::time::timeout(HANDSHAKE_LIMIT, self.0.accept(stream)).await??;
        let about = about(stream.get_ref().1);
        Ok((stream, about))
    }
}

fn about(tls: &ServerConnection) -> About {
    let leaf = tls.peer_certificates().and_then(<[_]>::first);
    let fingerprint = leaf.map(|der| {
        let digits = Sha256::digest(der);
        digits.iter().map(|b| format!("{b:02x}")).collect::<String>()
    });
    let version = tls.protocol_version().and_then(|v| v.as_str().map(str::to_owned));
    vec![
        ("client", json!(leaf.map(|der| subject(der)))),
        ("client_fingerprint", json!(fingerprint)),
        ("server_name", json!(tls.server_name())),
        ("tls", version.map_or(Value::Null, |v| json!(v.replace('_', ".")))),
        (
            "resumed",
            json!(tls.handshake_kind() == Some(HandshakeKind::Resumed)),
        ),
    ]
}

/// The subject as `/CN=alice`.
fn subject(der: &[u8]) -> String {
    let name = Cert::read(der).map(|cert| cert.subject.one_line());
    String::from_utf8_lossy(&name.unwrap_or_default()).into_owned()
}
