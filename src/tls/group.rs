//! Key exchange on P-521, which ring does not have: OpenSSL's servers with a P-521 certificate ask for the group in
//! TLS 1.2.
//!
//! Must not: come before ring's groups.

use p521::PublicKey;
use p521::SecretKey;
use p521::elliptic_curve::sec1::ToSec1Point as _;
use rustls::crypto::{ActiveKeyExchange, GetRandomFailed, SharedSecret, SupportedKxGroup};
use rustls::{Error, NamedGroup, PeerMisbehaved};
use zeroize::Zeroizing;

/// The group.
#[derive(Debug)]
pub struct Secp521r1;

struct Exchange {
    secret: SecretKey,
    public: Box<[u8]>,
}

/// A secret of 521 random bits; all but a vanishing part of them are below the group's order.
fn secret() -> Result<SecretKey, Error> {
    let mut scalar = Zeroizing::new([0; 66]);
    for _ in 0..8 {
        getrandom::fill(&mut *scalar).map_err(|_| GetRandomFailed)?;
        scalar[0] &= 1;
        if let Ok(secret) = SecretKey::from_slice(&*scalar) {
            return Ok(secret);
        }
    }
    Err(GetRandomFailed.into())
}

impl SupportedKxGroup for Secp521r1 {
    fn start(&self) -> Result<Box<dyn ActiveKeyExchange>, Error> {
        let secret = secret()?;
        let public = secret.public_key().to_sec1_point(false).as_bytes().into();
        Ok(Box::new(Exchange { secret, public }))
    }

    fn name(&self) -> NamedGroup {
        NamedGroup::secp521r1
    }
}

impl ActiveKeyExchange for Exchange {
    fn complete(self: Box<Self>, peer: &[u8]) -> Result<SharedSecret, Error> {
        // only uncompressed points are spoken
        let peer = match peer.first() {
            Some(4) => PublicKey::from_sec1_bytes(peer).map_err(|_| PeerMisbehaved::InvalidKeyShare)?,
            _ => return Err(PeerMisbehaved::InvalidKeyShare.into()),
        };
        let shared = p521::ecdh::diffie_hellman(self.secret.to_nonzero_scalar(), peer.as_affine());
        Ok(SharedSecret::from(&shared.raw_secret_bytes()[..]))
    }

    fn pub_key(&self) -> &[u8] {
        &self.public
    }

    fn group(&self) -> NamedGroup {
        NamedGroup::secp521r1
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn c03_p521_exchanges_agree_and_refuse_what_is_no_point() {
        let (a, b) = (Secp521r1.start().unwrap(), Secp521r1.start().unwrap());
        let (of_a, of_b) = (a.pub_key().to_vec(), b.pub_key().to_vec());
        assert_eq!((of_a.len(), of_a[0]), (133, 4));
        let shared = (a.complete(&of_b).unwrap(), b.complete(&of_a).unwrap());
        assert_eq!(shared.0.secret_bytes(), shared.1.secret_bytes());
        assert_eq!(shared.0.secret_bytes().len(), 66);
        for bad in [&of_a[..132], &[], &[4; 133], &[0; 133]] {
            assert!(Secp521r1.start().unwrap().complete(bad).is_err());
        }
    }
}
