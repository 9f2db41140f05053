//! What a TLS client connection is made with, and rustls's configuration for it.
//!
//! [`ClientProfile`] is everything that makes two configurations different; [`Clients`] keeps, per worker and bounded,
//! one configuration with a session store of its own for each profile at each place (an address and a name), so that
//! neither a session nor a verdict can cross from one identity, trust store, depth, name or address to another.
//!
//! Must not: open sockets, or decide who gets which identity.

use std::cell::{Cell, RefCell};
use std::hash::Hash;
use std::sync::Arc;

use rustls::client::danger::ServerCertVerifier;
use rustls::client::{Resumption, Tls12Resumption};
use rustls::sign::SingleCertAndKey;
use rustls::{ClientConfig, SupportedProtocolVersion};

use super::identity::ClientIdentity;
use super::provider;
use super::session::{PlaceSessions, Recent};
use super::verify::{Verification, server_verifier};

/// Configurations kept per worker, each with its sessions.
pub const MAX_CONFIGS: usize = 1024;
/// Verifiers kept per worker: the parsed trust stores behind the configurations.
const MAX_VERIFIERS: usize = 128;

const ONLY_12: &[&SupportedProtocolVersion] = &[&rustls::version::TLS12];
const ONLY_13: &[&SupportedProtocolVersion] = &[&rustls::version::TLS13];

/// The protocol versions offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Versions {
    /// TLS 1.2.
    pub tls12: bool,
    /// TLS 1.3.
    pub tls13: bool,
}

impl Default for Versions {
    fn default() -> Self {
        Self {
            tls12: true,
            tls13: true,
        }
    }
}

impl Versions {
    /// Reads nginx's list (`TLSv1.2 TLSv1.3`); versions that are not spoken here are passed over, and none is left
    /// where no other is named.
    pub fn parse(text: &str) -> Option<Self> {
        let named = |version: &str| text.split_whitespace().any(|word| word == version);
        let versions = Self {
            tls12: named("TLSv1.2"),
            tls13: named("TLSv1.3"),
        };
        (versions.tls12 || versions.tls13).then_some(versions)
    }

    fn list(self) -> &'static [&'static SupportedProtocolVersion] {
        match (self.tls12, self.tls13) {
            (true, false) => ONLY_12,
            (false, true) => ONLY_13,
            _ => rustls::ALL_VERSIONS,
        }
    }
}

/// The application protocols offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Alpn {
    /// No extension, as nginx for HTTP/1.
    #[default]
    None,
    /// `h2`.
    H2,
}

impl Alpn {
    fn list(self) -> Vec<Vec<u8>> {
        match self {
            Self::None => Vec::new(),
            Self::H2 => vec![b"h2".to_vec()],
        }
    }
}

/// What makes two TLS client configurations different.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ClientProfile {
    /// The certificate presented where the server asks for one.
    pub identity: Option<Arc<ClientIdentity>>,
    /// Whether and how the server's certificate is verified.
    pub verification: Verification,
    /// The versions offered.
    pub versions: Versions,
    /// The application protocols offered.
    pub alpn: Alpn,
    /// Whether sessions are resumed.
    pub resume: bool,
}

/// What the kept configurations did.
#[derive(Debug, Default)]
pub struct ClientCounters {
    /// Configurations built.
    pub built: Cell<u64>,
    /// Configurations that had to go for others.
    pub evicted: Cell<u64>,
}

/// One worker's configurations by `P`: the profile with the place it is used at.
#[derive(Debug)]
pub struct Clients<P> {
    configs: RefCell<Recent<P, Arc<ClientConfig>>>,
    verifiers: RefCell<Recent<Verification, Arc<dyn ServerCertVerifier>>>,
    /// Counters.
    pub counters: ClientCounters,
}

impl<P: Eq + Hash> Default for Clients<P> {
    fn default() -> Self {
        Self {
            configs: RefCell::new(Recent::new(MAX_CONFIGS)),
            verifiers: RefCell::new(Recent::new(MAX_VERIFIERS)),
            counters: ClientCounters::default(),
        }
    }
}

impl<P: Clone + Eq + Hash> Clients<P> {
    /// The configuration for `profile` at `place`, which must tell apart all that the profile tells apart.
    ///
    /// # Errors
    /// rustls's, where it takes no such configuration.
    pub fn config(&self, place: &P, profile: &ClientProfile) -> Result<Arc<ClientConfig>, rustls::Error> {
        if let Some(known) = self.configs.borrow_mut().get(place) {
            return Ok(known.clone());
        }
        let config = Arc::new(build(profile, self.verifier(&profile.verification))?);
        self.counters.built.set(self.counters.built.get() + 1);
        let gone = self.configs.borrow_mut().insert(place.clone(), config.clone());
        self.counters
            .evicted
            .set(self.counters.evicted.get() + gone as u64);
        Ok(config)
    }

    /// How many are kept.
    pub fn len(&self) -> usize {
        self.configs.borrow().len()
    }

    /// Whether none is kept.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn verifier(&self, verification: &Verification) -> Arc<dyn ServerCertVerifier> {
        let mut verifiers = self.verifiers.borrow_mut();
        if let Some(known) = verifiers.get(verification) {
            return known.clone();
        }
        let new = server_verifier(verification);
        verifiers.insert(verification.clone(), new.clone());
        new
    }
}

/// The configuration with a memory of its own for sessions.
pub fn with_sessions(config: &ClientConfig, sessions: Arc<PlaceSessions>) -> Arc<ClientConfig> {
    let mut config = config.clone();
    config.resumption = Resumption::store(sessions).tls12_resumption(Tls12Resumption::SessionIdOrTickets);
    Arc::new(config)
}

fn build(
    profile: &ClientProfile,
    verifier: Arc<dyn ServerCertVerifier>,
) -> Result<ClientConfig, rustls::Error> {
    let builder = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(profile.versions.list())?
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    let mut config = match &profile.identity {
        // presented whatever issuers the server names, as OpenSSL does
        Some(identity) => {
            builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(identity.certified_key())))
        }
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = profile.alpn.list();
    config.resumption = if profile.resume {
        Resumption::store(Arc::new(PlaceSessions::default()))
            .tls12_resumption(Tls12Resumption::SessionIdOrTickets)
    } else {
        Resumption::disabled()
    };
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::Versions;

    #[test]
    fn c03_versions_are_those_that_are_spoken() {
        let of = |text| Versions::parse(text).map(|v| (v.tls12, v.tls13));
        assert_eq!(of("TLSv1 TLSv1.1 TLSv1.2 TLSv1.3"), Some((true, true)));
        assert_eq!(of("TLSv1.3"), Some((false, true)));
        assert_eq!(of("SSLv3 TLSv1.2"), Some((true, false)));
        assert_eq!(of("TLSv1"), None);
        assert_eq!(of(""), None);
    }
}
