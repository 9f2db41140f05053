//! The keys and certificates that Lua holds, whoever made them: `ngx.ssl` or `resty.openssl`.
//!
//! Both faces keep the types named here, so that what takes a certificate or a key from Lua takes either's.
//! Must not: check what Lua faces check.

use std::cell::{OnceCell, Ref, RefCell};
use std::ops::Deref;
use std::rc::Rc;
use std::sync::Arc;

use super::{Args, cdata};
use crate::tls::chain::{CertificateChain, ChainError};
use crate::tls::key::{KeyError, PrivateKey};
use crate::tls::pki::cert::Cert;
use crate::tls::pki::key::Key;
use crate::tls::trust::{TrustError, TrustStore};

/// A certificate that may be changed.
pub type HeldCert = RefCell<Cert>;

/// Certificates in order: a chain, or what a store trusts.
#[derive(Debug, Default)]
pub struct HeldCerts {
    certs: RefCell<Vec<Cert>>,
    /// What they were made into last; gone after a change.
    chain: RefCell<Option<CertificateChain>>,
    trust: RefCell<Option<Arc<TrustStore>>>,
}

impl HeldCerts {
    /// Holds these.
    pub fn new(certs: Vec<Cert>) -> Self {
        Self {
            certs: RefCell::new(certs),
            ..Self::default()
        }
    }

    /// The certificates.
    pub fn borrow(&self) -> Ref<'_, Vec<Cert>> {
        self.certs.borrow()
    }

    /// Adds one at the end.
    pub fn push(&self, cert: Cert) {
        self.chain.take();
        self.trust.take();
        self.certs.borrow_mut().push(cert);
    }

    fn as_chain(&self) -> Result<CertificateChain, ChainError> {
        if let Some(chain) = &*self.chain.borrow() {
            return Ok(chain.clone());
        }
        let made = CertificateChain::from_certs(&self.borrow())?;
        Ok(self.chain.borrow_mut().insert(made).clone())
    }

    fn as_trust(&self) -> Result<Arc<TrustStore>, TrustError> {
        if let Some(trust) = &*self.trust.borrow() {
            return Ok(trust.clone());
        }
        let made = TrustStore::from_certs(&self.borrow())?;
        Ok(self.trust.borrow_mut().insert(made).clone())
    }
}

/// A key, public or private, and what TLS makes of it.
pub struct HeldKey {
    key: Arc<Key>,
    private: OnceCell<Result<PrivateKey, KeyError>>,
}

impl HeldKey {
    /// Holds this.
    pub fn new(key: Key) -> Self {
        Self {
            key: Arc::new(key),
            private: OnceCell::new(),
        }
    }
}

impl Deref for HeldKey {
    type Target = Key;

    fn deref(&self) -> &Key {
        &self.key
    }
}

/// Argument `i` as a chain: the number of what `ngx.ssl` parsed, or of a `resty.openssl` chain or certificate.
/// None when it is the number of none of these.
pub fn certificate_chain(a: &Args, i: usize) -> Option<Result<CertificateChain, ChainError>> {
    if let Some(chain) = cdata::get::<CertificateChain>(a, i) {
        return Some(Ok(chain));
    }
    if let Some(certs) = cdata::object::<HeldCerts>(a, i) {
        return Some(certs.as_chain());
    }
    let cert = cdata::object::<HeldCert>(a, i)?;
    Some(CertificateChain::from_certs(std::slice::from_ref(
        &*cert.borrow(),
    )))
}

/// A copy of argument `i` as certificates: the number of what `ngx.ssl` parsed, or of a `resty.openssl` chain. None
/// when it is the number of neither.
pub fn certificates(a: &Args, i: usize) -> Option<HeldCerts> {
    if let Some(chain) = cdata::get::<CertificateChain>(a, i) {
        let certs: Result<_, _> = chain.certs().iter().map(|der| Cert::read(der)).collect();
        return certs.ok().map(HeldCerts::new);
    }
    let certs = cdata::object::<HeldCerts>(a, i)?;
    Some(HeldCerts::new(certs.borrow().clone()))
}

/// Argument `i` as a key: the number of what `ngx.ssl` parsed, or of a `resty.openssl` key. None when it is the number
/// of neither.
pub fn key(a: &Args, i: usize) -> Option<HeldKey> {
    let key = match cdata::get::<PrivateKey>(a, i) {
        Some(private) => private.shared(),
        None => cdata::object::<HeldKey>(a, i)?.key.clone(),
    };
    let private = OnceCell::new();
    Some(HeldKey { key, private })
}

/// Argument `i` as a private key: the number of what `ngx.ssl` parsed, or of a `resty.openssl` key. None when it
/// is the number of neither.
pub fn private_key(a: &Args, i: usize) -> Option<Result<PrivateKey, KeyError>> {
    if let Some(key) = cdata::get::<PrivateKey>(a, i) {
        return Some(Ok(key));
    }
    let held: Rc<HeldKey> = cdata::object(a, i)?;
    let made = || PrivateKey::new(held.key.clone());
    Some(held.private.get_or_init(made).clone())
}

/// Argument `i` as a trust store: the number of a `resty.openssl` store. None when it is the number of none.
pub fn trust_store(a: &Args, i: usize) -> Option<Result<Arc<TrustStore>, TrustError>> {
    Some(cdata::object::<HeldCerts>(a, i)?.as_trust())
}
