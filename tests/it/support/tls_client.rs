//! A TLS client of the tests' own, for listeners and for the test servers themselves.

use std::net::TcpStream;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{ResolvesClientCert, Resumption};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::sign::CertifiedKey;
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, Error, HandshakeKind, SignatureScheme,
    StreamOwned, SupportedProtocolVersion,
};

use super::certs::{Cert, fingerprint};
use super::http::dial;
use super::{Client, tls_keys};

/// What a client is like; several connections of one share their sessions.
#[derive(Clone)]
pub struct TlsClient {
    config: Arc<ClientConfig>,
}

/// A connection over TLS.
pub type TlsConnection = Client<StreamOwned<ClientConnection, TcpStream>>;

#[derive(Debug)]
struct AnyServer;

impl ServerCertVerifier for AnyServer {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        tls_keys::verify(message, cert, dss, true)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        tls_keys::verify(message, cert, dss, false)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        tls_keys::schemes()
    }
}

#[derive(Debug)]
struct Always(Arc<CertifiedKey>);

impl ResolvesClientCert for Always {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(self.0.clone())
    }

    fn has_certs(&self) -> bool {
        true
    }
}

impl TlsClient {
    /// Takes any server's certificate, keeps sessions, shows none of its own.
    pub fn new() -> Self {
        Self::versions(rustls::ALL_VERSIONS)
    }

    /// The same, speaking these versions only.
    pub fn versions(versions: &[&'static SupportedProtocolVersion]) -> Self {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .unwrap()
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(AnyServer))
            .with_no_client_auth();
        config.resumption = Resumption::in_memory_sessions(64);
        Self {
            config: Arc::new(config),
        }
    }

    /// With a client certificate.
    pub fn showing(self, cert: &Cert) -> Self {
        let resolver = Arc::new(Always(tls_keys::certified(cert)));
        self.with(|config| config.client_auth_cert_resolver = resolver)
    }

    pub fn alpn(self, protocols: &[&str]) -> Self {
        let protocols = protocols.iter().map(|p| p.as_bytes().to_vec()).collect();
        self.with(|config| config.alpn_protocols = protocols)
    }

    /// Without keeping sessions.
    pub fn forgetful(self) -> Self {
        self.with(|config| config.resumption = Resumption::disabled())
    }

    /// Anything else about it.
    pub fn with(mut self, edit: impl FnOnce(&mut ClientConfig)) -> Self {
        let mut config = ClientConfig::clone(&self.config);
        edit(&mut config);
        self.config = Arc::new(config);
        self
    }

    /// Connects and shakes hands. An address as the name sends no SNI.
    ///
    /// # Errors
    /// What rustls or the socket said.
    pub fn try_connect(&self, port: u16, name: &str) -> Result<TlsConnection, std::io::Error> {
        let name = ServerName::try_from(name.to_owned()).unwrap();
        let mut tls = ClientConnection::new(self.config.clone(), name).unwrap();
        let mut tcp = dial(port);
        while tls.is_handshaking() {
            tls.complete_io(&mut tcp)?;
        }
        Ok(Client::over(StreamOwned::new(tls, tcp)))
    }

    /// Over a connection that is there; the handshake comes with the first byte.
    pub fn over(&self, tcp: TcpStream, name: &str) -> StreamOwned<ClientConnection, TcpStream> {
        let name = ServerName::try_from(name.to_owned()).unwrap();
        StreamOwned::new(ClientConnection::new(self.config.clone(), name).unwrap(), tcp)
    }

    #[track_caller]
    pub fn connect(&self, port: u16, name: &str) -> TlsConnection {
        self.try_connect(port, name).expect("the handshake failed")
    }
}

impl TlsConnection {
    pub fn resumed(&self) -> bool {
        self.stream.conn.handshake_kind() == Some(HandshakeKind::Resumed)
    }

    /// The server's certificates, leaf first.
    pub fn chain(&self) -> Vec<Vec<u8>> {
        let certs = self.stream.conn.peer_certificates().unwrap_or_default();
        certs.iter().map(|c| c.to_vec()).collect()
    }

    /// SHA-256 of the server's leaf.
    pub fn fingerprint(&self) -> String {
        fingerprint(&self.chain()[0])
    }

    pub fn version(&self) -> String {
        super::tls_upstream::version(self.stream.conn.protocol_version())
    }

    pub fn alpn_chosen(&self) -> Option<String> {
        let name = self.stream.conn.alpn_protocol()?;
        Some(String::from_utf8_lossy(name).into_owned())
    }
}
