//! TLS material of a configuration, read once when it is judged: identities of certificates, trust stores of services.
//!
//! Must not: decide who presents or trusts what; nothing is read again on the request path.

use std::collections::HashMap;
use std::sync::Arc;

use crate::entity::{CaCertificate, Certificate, Service};
use crate::tls::chain::CertificateChain;
use crate::tls::identity::ClientIdentity;
use crate::tls::key::PrivateKey;
use crate::tls::trust::TrustStore;

use super::rows::Rows;

/// An identity, or why a certificate and its key are none.
pub type Identity = Result<Arc<ClientIdentity>, String>;

/// What a certificate entity is good for.
#[derive(Debug, Clone)]
pub struct Identities {
    /// Of `cert` and `key`.
    pub main: Identity,
    /// Of `cert_alt` and `key_alt`, where they are set.
    pub alt: Option<Identity>,
}

fn identity(cert: &str, key: &str) -> Identity {
    let chain = CertificateChain::from_pem(cert.as_bytes()).map_err(|e| e.to_string())?;
    let key = PrivateKey::from_pem(key.as_bytes(), None).map_err(|e| e.to_string())?;
    ClientIdentity::new(chain, key).map_err(|e| e.to_string())
}

/// Of each certificate, in their order.
pub(super) fn identities(certificates: &[Certificate]) -> Vec<Identities> {
    let both = |c: &Certificate| Identities {
        main: identity(&c.cert, &c.key),
        alt: match (&c.cert_alt, &c.key_alt) {
            (Some(cert), Some(key)) => Some(identity(cert, key)),
            _ => None,
        },
    };
    certificates.iter().map(both).collect()
}

/// Of each service that names CA certificates; services that name the same share one. What cannot be read is not
/// trusted, and where nothing can, nobody is.
pub(super) fn trust_stores(
    services: &[Service],
    certificates: &[CaCertificate],
    rows: Option<&Rows>,
) -> Vec<Option<Arc<TrustStore>>> {
    let mut known: HashMap<Vec<u32>, Arc<TrustStore>> = HashMap::new();
    let mut of = |service: &Service| {
        if service.ca_certificates.is_empty() {
            return None;
        }
        let ids = service.ca_certificates.iter();
        let mut places: Vec<u32> = ids.filter_map(|id| rows?.by_id(id)).collect();
        places.sort_unstable();
        places.dedup();
        let store = known.entry(places).or_insert_with_key(|places| {
            let named = places.iter().filter_map(|at| certificates.get(*at as usize));
            let read = named.filter_map(|c| CertificateChain::from_pem(c.cert.as_bytes()).ok());
            let certs: Vec<_> = read.flat_map(|chain| chain.certs().to_vec()).collect();
            TrustStore::new(certs).unwrap_or_else(|_| TrustStore::empty())
        });
        Some(store.clone())
    };
    services.iter().map(&mut of).collect()
}
