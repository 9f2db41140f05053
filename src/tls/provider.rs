//! The crypto that all TLS here uses: ring's, with P-521 (keys, key exchange, signatures of certificates and
//! handshakes) and with SHA-512 signatures of the smaller curves, as OpenSSL has them.
//!
//! Must not: be installed as the process default; who needs it takes it from here.

use std::sync::{Arc, LazyLock};

use rustls::SignatureScheme;
use rustls::crypto::{CryptoProvider, KeyProvider, WebPkiSupportedAlgorithms};
use rustls::pki_types::{
    AlgorithmIdentifier, InvalidSignature, PrivateKeyDer, SignatureVerificationAlgorithm, alg_id,
};
use rustls::sign::SigningKey;

use super::group::Secp521r1;
use super::key::PrivateKey;
use super::pki::digest::Alg;
use super::pki::key::{Curve, EcKey, Key};
use super::pki::sign::{self, Padding};

type Algorithm = &'static dyn SignatureVerificationAlgorithm;

/// The provider; all calls give the same.
pub fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: LazyLock<Arc<CryptoProvider>> = LazyLock::new(|| {
        let mut provider = rustls::crypto::ring::default_provider();
        provider.signature_verification_algorithms = algorithms(&provider);
        provider.key_provider = &Keys;
        provider.kx_groups.push(&Secp521r1);
        Arc::new(provider)
    });
    PROVIDER.clone()
}

const P521_SHA256: Algorithm = &Ecdsa(Curve::P521, Alg::Sha256);
const P521_SHA384: Algorithm = &Ecdsa(Curve::P521, Alg::Sha384);
const P521_SHA512: Algorithm = &Ecdsa(Curve::P521, Alg::Sha512);
const P384_SHA512: Algorithm = &Ecdsa(Curve::P384, Alg::Sha512);
const P256_SHA512: Algorithm = &Ecdsa(Curve::P256, Alg::Sha512);

fn algorithms(ring: &CryptoProvider) -> WebPkiSupportedAlgorithms {
    let own = [P521_SHA256, P521_SHA384, P521_SHA512, P384_SHA512, P256_SHA512];
    let theirs = ring.signature_verification_algorithms;
    let mut mapping = theirs.mapping.to_vec();
    // TLS 1.3 takes the first; in TLS 1.2 a scheme does not say the curve.
    mapping.push((
        SignatureScheme::ECDSA_NISTP521_SHA512,
        &[P521_SHA512, P384_SHA512, P256_SHA512],
    ));
    // The provider lives as long as the process.
    WebPkiSupportedAlgorithms {
        all: Vec::leak([theirs.all, &own].concat()),
        mapping: Vec::leak(mapping),
    }
}

/// ECDSA that ring does not have.
#[derive(Debug)]
struct Ecdsa(Curve, Alg);

impl SignatureVerificationAlgorithm for Ecdsa {
    fn verify_signature(
        &self,
        public_key: &[u8],
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), InvalidSignature> {
        let key = EcKey::from_point(self.0, public_key).ok_or(InvalidSignature)?;
        match sign::verify_digested(&Key::Ec(key), self.1, message, signature, Padding::Pkcs1) {
            Ok(true) => Ok(()),
            _ => Err(InvalidSignature),
        }
    }

    fn public_key_alg_id(&self) -> AlgorithmIdentifier {
        match self.0 {
            Curve::P256 => alg_id::ECDSA_P256,
            Curve::P384 => alg_id::ECDSA_P384,
            // no scheme names another
            _ => alg_id::ECDSA_P521,
        }
    }

    fn signature_alg_id(&self) -> AlgorithmIdentifier {
        match self.1 {
            Alg::Sha256 => alg_id::ECDSA_SHA256,
            Alg::Sha384 => alg_id::ECDSA_SHA384,
            _ => alg_id::ECDSA_SHA512,
        }
    }
}

/// Reads keys as [`PrivateKey`] does.
#[derive(Debug)]
struct Keys;

impl KeyProvider for Keys {
    fn load_private_key(&self, der: PrivateKeyDer<'static>) -> Result<Arc<dyn SigningKey>, rustls::Error> {
        PrivateKey::from_der(der.secret_der())
            .map(|key| key.signing_key())
            .map_err(|e| rustls::Error::General(format!("private key: {e}")))
    }
}
