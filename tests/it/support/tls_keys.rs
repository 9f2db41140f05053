//! What rustls with ring does not do: P-521 on either side, signatures by X.509 v1 certificates.
//!
//! Written for the tests alone, so that the gateway's own ways of doing the same are tested by another's.

use std::sync::Arc;

use p521::ecdsa::signature::{Signer as _, Verifier as _};
use p521::ecdsa::{DerSignature, SigningKey, VerifyingKey};
use p521::pkcs8::DecodePublicKey as _;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls13_signature_with_raw_key};
use rustls::pki_types::{CertificateDer, SubjectPublicKeyInfoDer};
use rustls::sign::{CertifiedKey, Signer};
use rustls::{CertificateError, DigitallySignedStruct, Error, SignatureAlgorithm, SignatureScheme};

use super::certs::{Cert, der};

#[derive(Debug)]
struct P521(Arc<SigningKey>);

impl rustls::sign::SigningKey for P521 {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        let knows = offered.contains(&SignatureScheme::ECDSA_NISTP521_SHA512);
        knows.then(|| Box::new(P521(self.0.clone())) as Box<dyn Signer>)
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        SignatureAlgorithm::ECDSA
    }
}

impl Signer for P521 {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        let signature: DerSignature = self.0.sign(message);
        Ok(signature.as_bytes().to_vec())
    }

    fn scheme(&self) -> SignatureScheme {
        SignatureScheme::ECDSA_NISTP521_SHA512
    }
}

/// Chain and key as rustls wants them, P-521 included.
pub fn certified(cert: &Cert) -> Arc<CertifiedKey> {
    let key: Arc<dyn rustls::sign::SigningKey> = match cert.key.p521_scalar() {
        Some(scalar) => Arc::new(P521(Arc::new(SigningKey::from_slice(scalar).unwrap()))),
        None => rustls::crypto::ring::sign::any_supported_type(&cert.rustls_key()).unwrap(),
    };
    Arc::new(CertifiedKey::new(cert.rustls_chain(), key))
}

/// What ring verifies, and P-521.
pub fn schemes() -> Vec<SignatureScheme> {
    let mut all = algorithms().supported_schemes();
    all.push(SignatureScheme::ECDSA_NISTP521_SHA512);
    all
}

fn algorithms() -> WebPkiSupportedAlgorithms {
    rustls::crypto::ring::default_provider().signature_verification_algorithms
}

/// Whether the peer holds the key of its certificate, whatever that certificate is.
pub fn verify(
    message: &[u8],
    cert: &CertificateDer<'_>,
    dss: &DigitallySignedStruct,
    tls12: bool,
) -> Result<HandshakeSignatureValid, Error> {
    let bad = Error::InvalidCertificate(CertificateError::BadSignature);
    let spki = der::spki(cert);
    if dss.scheme == SignatureScheme::ECDSA_NISTP521_SHA512 {
        let key = VerifyingKey::from_public_key_der(&spki).map_err(|_| bad.clone())?;
        let signature = DerSignature::try_from(dss.signature()).map_err(|_| bad.clone())?;
        key.verify(message, &signature).map_err(|_| bad)?;
        return Ok(HandshakeSignatureValid::assertion());
    }
    // webpki reads no X.509 v1
    if tls12 && der::version(cert) == 3 {
        return rustls::crypto::verify_tls12_signature(message, cert, dss, &algorithms());
    }
    let spki = SubjectPublicKeyInfoDer::from(spki);
    verify_tls13_signature_with_raw_key(message, &spki, dss, &algorithms())
}
