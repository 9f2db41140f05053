//! What is known of a connection after its handshake.
//!
//! Must not: keep secrets.

use std::cell::OnceCell;

use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::{HandshakeKind, ServerConnection};

use super::hello::Hello;
use super::names;
use super::options::Options;
use super::verdict::Chain;
use super::wishes::{ClientRequest, Wishes};
use crate::tls::chain::CertificateChain;
use crate::tls::pki::cert::Cert;
use crate::tls::trust::TrustStore;
use crate::tls::verify::{self, Usage};

/// Of a longer chain only so many are looked at.
const MAX_INTERMEDIATES: usize = 32;

/// See the module.
#[derive(Debug)]
pub struct Facts {
    /// The protocol, as on the wire.
    pub version: u16,
    /// The suite, as on the wire.
    pub suite: u16,
    /// The group, as on the wire.
    pub group: Option<u16>,
    /// The name the client asked for.
    pub server_name: Option<String>,
    /// Whether a session was taken up again.
    pub reused: bool,
    /// The protocol within.
    pub alpn: Option<String>,
    /// The suites the client offered.
    pub offered: Box<[u16]>,
    /// Those of them that the listener has, too, in its own order.
    pub shared: Box<[u16]>,
    /// The groups the client offered.
    pub groups: Box<[u16]>,
    /// The client's random bytes.
    pub random: [u8; 32],
    /// The client's certificates, its own first; empty without.
    pub chain: Box<[CertificateDer<'static>]>,
    asked: ClientRequest,
    client: OnceCell<Option<Box<Cert>>>,
    verified: OnceCell<Result<(), &'static str>>,
}

impl Facts {
    /// Of a finished handshake.
    pub fn new(connection: &ServerConnection, options: &Options, hello: &Hello, wishes: Wishes) -> Self {
        let owned = |certs: &[CertificateDer<'static>]| certs.to_vec().into_boxed_slice();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let mut random = [0; 32];
        random.copy_from_slice(hello.random());
        Self {
            version: connection.protocol_version().map_or(0, u16::from),
            suite: connection
                .negotiated_cipher_suite()
                .map_or(0, |s| u16::from(s.suite())),
            group: connection
                .negotiated_key_exchange_group()
                .map(|g| u16::from(g.name())),
            server_name: hello.server_name().map(text),
            reused: connection.handshake_kind() == Some(HandshakeKind::Resumed),
            alpn: connection.alpn_protocol().map(text),
            offered: hello.ciphers().collect(),
            shared: options.shared(hello).collect(),
            groups: hello.groups().collect(),
            random,
            chain: connection.peer_certificates().map(owned).unwrap_or_default(),
            asked: wishes.client.unwrap_or_default(),
            client: OnceCell::new(),
            verified: OnceCell::new(),
        }
    }

    /// The protocol's name.
    pub fn version_name(&self) -> &'static str {
        names::version(self.version)
    }

    /// The suite's name.
    pub fn suite_name(&self) -> &'static str {
        names::suite(self.suite).unwrap_or_default()
    }

    /// The client's own certificate, read.
    pub fn client(&self) -> Option<&Cert> {
        let read = || {
            self.chain
                .first()
                .and_then(|der| Cert::read(der).ok())
                .map(Box::new)
        };
        self.client.get_or_init(read).as_deref()
    }

    /// Whether the client's chain leads to a CA that was asked for; OpenSSL's words where not. None without a
    /// certificate.
    pub fn verified(&self) -> Option<Result<(), &'static str>> {
        self.chain.first()?;
        Some(*self.verified.get_or_init(|| self.verify()))
    }

    /// The result as `$ssl_client_verify` has it.
    pub fn client_verify(&self) -> String {
        match self.verified() {
            None => "NONE".to_owned(),
            Some(Ok(())) => "SUCCESS".to_owned(),
            Some(Err(why)) => format!("FAILED:{why}"),
        }
    }

    fn verify(&self) -> Result<(), &'static str> {
        let [leaf, rest @ ..] = &*self.chain else {
            return Ok(());
        };
        let trusted = [&self.asked.authorities, &self.asked.trusted];
        let certs = trusted.into_iter().flatten().flat_map(CertificateChain::certs);
        let Ok(trust) = TrustStore::new(certs.cloned()) else {
            return Err("unspecified certificate verification error");
        };
        let depth = u8::try_from(self.asked.depth).unwrap_or(u8::MAX);
        let rest = &rest[..rest.len().min(MAX_INTERMEDIATES)];
        let now = UnixTime::now();
        verify::judge(&trust, leaf, rest, depth, Usage::Client, now).map_err(|refusal| {
            let read = |certs: &[CertificateDer<'_>]| -> Vec<Cert> {
                certs.iter().filter_map(|der| Cert::read(der).ok()).collect()
            };
            let words = self.client().and_then(|leaf| {
                Chain {
                    leaf,
                    untrusted: &read(rest),
                    trusted: &read(trust.certs()),
                    depth: self.asked.depth,
                    now: i64::try_from(now.as_secs()).unwrap_or(i64::MAX),
                }
                .words()
            });
            words.unwrap_or(refusal.reason)
        })
    }
}

/// The subjects of certificates, as they stand in them; those that cannot be read are left out.
pub(super) fn subjects(chain: &CertificateChain) -> Vec<Vec<u8>> {
    let read = |der: &CertificateDer<'_>| Cert::read(der).ok();
    chain
        .certs()
        .iter()
        .filter_map(read)
        .map(|cert| cert.subject_der())
        .collect()
}
