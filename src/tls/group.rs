//! Key exchange over P-521. OpenSSL takes a P-521 certificate in TLS 1.2 only from those who also offer to
//! exchange keys over that curve.
//!
//! Must not: be preferred to the groups that ring has.

use std::fmt;

use p521::ecdh::diffie_hellman;
use rustls::crypto::{ActiveKeyExchange, SharedSecret, SupportedKxGroup};
use rustls::{Error, NamedGroup, PeerMisbehaved};

use super::pki::key::{Curve, EcKey};

/// `secp521r1`.
#[derive(Debug)]
pub(super) struct Secp521r1;

impl SupportedKxGroup for Secp521r1 {
    fn start(&self) -> Result<Box<dyn ActiveKeyExchange>, Error> {
        let failed = || Error::General("no P-521 key".into());
        let key = EcKey::generate(Curve::P521).ok_or_else(failed)?;
        let scalar = key.secret.as_ref().ok_or_else(failed)?;
        let secret = p521::SecretKey::from_slice(scalar).map_err(|_| failed())?;
        Ok(Box::new(Exchange {
            secret,
            public: key.point,
        }))
    }

    fn name(&self) -> NamedGroup {
        NamedGroup::secp521r1
    }
}

struct Exchange {
    secret: p521::SecretKey,
    public: Vec<u8>,
}

impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Exchange")
    }
}

impl ActiveKeyExchange for Exchange {
    fn complete(self: Box<Self>, peer: &[u8]) -> Result<SharedSecret, Error> {
        let bad = || Error::from(PeerMisbehaved::InvalidKeyShare);
        // RFC 8446, 4.2.8.2: uncompressed points only.
        if peer.first() != Some(&4) {
            return Err(bad());
        }
        let peer = p521::PublicKey::from_sec1_bytes(peer).map_err(|_| bad())?;
        let shared = diffie_hellman(self.secret.to_nonzero_scalar(), peer.as_affine());
        Ok(SharedSecret::from(shared.raw_secret_bytes().as_slice()))
    }

    fn pub_key(&self) -> &[u8] {
        &self.public
    }

    fn group(&self) -> NamedGroup {
        NamedGroup::secp521r1
    }
}
