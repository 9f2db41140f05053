//! rustls's configurations: one for each set of certificates and each thing asked of clients, kept and shared.
//!
//! The key of a configuration is all that makes it different, compared by equality; its sessions go with it.
//! Must not: be locked longer than a look-up takes.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rustls::server::{ClientHello, NoServerSessionStorage, ResolvesServerCert, ServerConfig};
use rustls::sign::CertifiedKey;
use rustls::{DistinguishedName, SupportedProtocolVersion};

use super::client::AnyClient;
use super::options::{Options, Versions};
use super::sessions::{Own, Sessions, Tickets};
use super::wishes::{ServerIdentity, Wishes};

/// As many configurations are kept; the one that was not used for longest goes first.
const MAX_CONFIGS: usize = 1024;

/// Spoken within TLS. h2 is not.
const PROTOCOLS: [&[u8]; 2] = [b"http/1.1", b"http/1.0"];

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    identities: Vec<Arc<ServerIdentity>>,
    /// The names told to clients, if they are asked.
    names: Option<Vec<Vec<u8>>>,
    no_reuse: bool,
    versions: Versions,
    status: Option<Arc<[u8]>>,
}

struct Cached {
    config: Arc<ServerConfig>,
    used: u64,
}

/// What all listeners of one kind share, over all workers and configurations of entities.
pub struct Server {
    options: Options,
    sessions: Arc<Sessions>,
    configs: Mutex<HashMap<Key, Cached>>,
    uses: AtomicU64,
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// No certificate with a key.
    #[error("no suitable key")]
    NoIdentity,
    /// None of the protocols that were wished for is offered.
    #[error("no protocols available")]
    NoVersions,
    /// rustls refuses.
    #[error(transparent)]
    Rustls(#[from] rustls::Error),
    /// The system has no randomness.
    #[error("no random bytes for session tickets")]
    Random,
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server")
            .field("configs", &self.len())
            .field("sessions", &self.sessions.len())
            .finish_non_exhaustive()
    }
}

impl Server {
    /// Without any configuration yet.
    pub fn new(options: Options) -> Arc<Self> {
        Arc::new(Self {
            sessions: Sessions::new(options.cache, options.timeout),
            options,
            configs: Mutex::default(),
            uses: AtomicU64::new(0),
        })
    }

    /// How it speaks TLS.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// How many configurations are kept.
    pub fn len(&self) -> usize {
        self.configs.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Whether none is kept.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The protocols that are offered where a handshake has wishes.
    pub fn versions(&self, wishes: &Wishes) -> Versions {
        let mine = self.options.versions;
        wishes.versions.map_or(mine, |wished| Versions {
            tls12: mine.tls12 && wished.tls12,
            tls13: mine.tls13 && wished.tls13,
        })
    }

    /// The configuration for a handshake.
    ///
    /// # Errors
    /// There is nothing to show, or rustls refuses it.
    pub fn config(&self, wishes: &Wishes) -> Result<Arc<ServerConfig>, ServerError> {
        let names = |request: &super::wishes::ClientRequest| {
            let names = request.authorities.as_ref().map(super::facts::subjects);
            names.unwrap_or_default()
        };
        let key = Key {
            identities: wishes.identities(),
            names: wishes.client.as_ref().map(names),
            no_reuse: wishes.no_reuse,
            versions: self.versions(wishes),
            status: wishes.status.clone(),
        };
        if key.identities.is_empty() {
            return Err(ServerError::NoIdentity);
        }
        let now = self.uses.fetch_add(1, Ordering::Relaxed);
        if let Some(cached) = self.configs().get_mut(&key) {
            cached.used = now;
            return Ok(cached.config.clone());
        }
        let config = Arc::new(self.build(&key)?);
        let mut configs = self.configs();
        if configs.len() >= MAX_CONFIGS
            && let Some(oldest) = configs.iter().min_by_key(|(_, c)| c.used).map(|(k, _)| k.clone())
        {
            configs.remove(&oldest);
        }
        // another worker may have been faster: its tickets count
        let cached = configs.entry(key).or_insert(Cached { config, used: now });
        Ok(cached.config.clone())
    }

    fn configs(&self) -> std::sync::MutexGuard<'_, HashMap<Key, Cached>> {
        self.configs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn build(&self, key: &Key) -> Result<ServerConfig, ServerError> {
        /// Names of configurations among their kept sessions; unique in the process.
        static NAMES: AtomicU64 = AtomicU64::new(0);
        let mut versions: Vec<&'static SupportedProtocolVersion> = Vec::new();
        if key.versions.tls13 {
            versions.push(&rustls::version::TLS13);
        }
        if key.versions.tls12 {
            versions.push(&rustls::version::TLS12);
        }
        if versions.is_empty() {
            return Err(ServerError::NoVersions);
        }
        let builder =
            ServerConfig::builder_with_provider(self.options.provider()).with_protocol_versions(&versions)?;
        let builder = match &key.names {
            None => builder.with_no_client_auth(),
            Some(names) => builder.with_client_cert_verifier(Arc::new(AnyClient {
                names: names
                    .iter()
                    .map(|name| DistinguishedName::from(name.clone()))
                    .collect(),
            })),
        };
        let certified = |identity: &Arc<ServerIdentity>| match &key.status {
            None => identity.certified_key(),
            Some(status) => {
                let mut certified = CertifiedKey::clone(&identity.certified_key());
                certified.ocsp = Some(status.to_vec());
                Arc::new(certified)
            }
        };
        let keys = key.identities.iter().map(certified).collect();
        let mut config = builder.with_cert_resolver(Arc::new(Certificates(keys)));
        config.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).to_vec();
        config.ignore_client_order = self.options.prefer_server;
        config.send_tls13_tickets = 2;
        if key.no_reuse || self.options.timeout.is_zero() {
            config.session_storage = Arc::new(NoServerSessionStorage {});
            config.send_tls13_tickets = 0;
            return Ok(config);
        }
        config.session_storage = Arc::new(Own {
            sessions: self.sessions.clone(),
            name: NAMES.fetch_add(1, Ordering::Relaxed),
        });
        if self.options.tickets {
            config.ticketer = Arc::new(Tickets::new(self.options.timeout).ok_or(ServerError::Random)?);
        }
        Ok(config)
    }
}

/// Certificates of several kinds of keys, of which the client's signatures choose.
#[derive(Debug)]
struct Certificates(Vec<Arc<CertifiedKey>>);

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        if let [one] = &self.0[..] {
            return Some(one.clone());
        }
        let mut schemes = hello.signature_schemes().iter();
        schemes.find_map(|scheme| {
            let usable = |k: &&Arc<CertifiedKey>| k.key.choose_scheme(std::slice::from_ref(scheme)).is_some();
            self.0.iter().find(usable).cloned()
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::tls::chain::CertificateChain;
    use crate::tls::key::PrivateKey;
    use crate::tls::pki::cert::Cert;
    use crate::tls::pki::key::{Curve, EcKey, Key as AnyKey};
    use crate::tls::pki::key_code;
    use crate::tls::server::options::tests::of;
    use crate::tls::server::wishes::ClientRequest;

    fn identities(n: usize) -> Vec<Arc<ServerIdentity>> {
        let key = AnyKey::Ec(EcKey::generate(Curve::P256).unwrap());
        let private = PrivateKey::from_der(&key_code::write_pkcs8(&key).unwrap()).unwrap();
        (0..n)
            .map(|i| {
                let mut cert = Cert::empty();
                cert.version = 3;
                cert.serial = [&[1][..], &(i as u32).to_be_bytes()].concat();
                cert.not_after = 4_000_000_000;
                cert.spki = key_code::write_spki(&key);
                cert.sign(&key, None).unwrap();
                let chain = CertificateChain::from_der(&cert.write().unwrap()).unwrap();
                ServerIdentity::new(chain, private.clone()).unwrap()
            })
            .collect()
    }

    fn server() -> Arc<Server> {
        Server::new(Options::read(&of("intermediate"), &mut Vec::new()).unwrap())
    }

    #[test]
    fn c07_a_configuration_is_one_for_the_same_wishes_and_another_for_any_other() {
        let server = server();
        let all = identities(2);
        let wishes = |identity: &Arc<ServerIdentity>| Wishes::new(vec![identity.clone()]);
        let config = |wishes: &Wishes| server.config(wishes).unwrap();
        let first = config(&wishes(&all[0]));
        assert!(Arc::ptr_eq(&first, &config(&wishes(&all[0]))));
        let mut same = wishes(&all[1]);
        same.set_certificate(all[0].chain().clone()).unwrap();
        same.set_key(all[0].key().clone()).unwrap();
        assert!(Arc::ptr_eq(&first, &config(&same)));
        let mut asked = wishes(&all[0]);
        asked.client = Some(ClientRequest::default());
        let mut named = wishes(&all[0]);
        named.client = Some(ClientRequest {
            authorities: Some(all[1].chain().clone()),
            ..ClientRequest::default()
        });
        let mut once = wishes(&all[0]);
        once.no_reuse = true;
        let mut old = wishes(&all[0]);
        old.versions = Some(Versions {
            tls12: true,
            tls13: false,
        });
        let mut stapled = wishes(&all[0]);
        stapled.status = Some(Arc::from(&b"good"[..]));
        let others: Vec<_> = [wishes(&all[1]), asked, named, once, old, stapled]
            .iter()
            .map(config)
            .collect();
        for (i, one) in others.iter().enumerate() {
            assert!(!Arc::ptr_eq(&first, one), "{i}");
            assert!(others[..i].iter().all(|other| !Arc::ptr_eq(one, other)), "{i}");
        }
        let ticket = first.ticketer.encrypt(b"session").unwrap();
        assert!(first.ticketer.decrypt(&ticket).is_some());
        assert!(
            others
                .iter()
                .all(|other| other.ticketer.decrypt(&ticket).is_none())
        );
        let mut none = wishes(&all[0]);
        none.clear_certificates();
        assert!(matches!(server.config(&none), Err(ServerError::NoIdentity)));
        none.set_certificate(all[0].chain().clone()).unwrap();
        assert!(matches!(server.config(&none), Err(ServerError::NoIdentity)));
    }

    #[test]
    fn c07_not_more_configurations_are_kept_than_there_is_room_for() {
        let server = server();
        let all = identities(MAX_CONFIGS + 50);
        let kept = server.config(&Wishes::new(vec![all[0].clone()])).unwrap();
        for (i, identity) in all.iter().enumerate() {
            server.config(&Wishes::new(vec![identity.clone()])).unwrap();
            if i % 100 == 0 {
                let again = server.config(&Wishes::new(vec![all[0].clone()])).unwrap();
                assert!(Arc::ptr_eq(&kept, &again), "what is used stays");
            }
        }
        assert_eq!(server.len(), MAX_CONFIGS);
    }
}
