//! The signatures that ring makes and checks, several times faster than the general crates: what tokens use.
//!
//! None means that ring does not do it; the general code then decides, so that nothing here narrows what is
//! accepted. Must not: be the only way to anything.

use ring::rand::SystemRandom;
use ring::rsa::{KeyPairComponents, PublicKeyComponents};
use ring::signature::{
    self as s, EcdsaKeyPair, EcdsaVerificationAlgorithm, RsaParameters, UnparsedPublicKey,
};

use super::digest::Alg;
use super::key::{Curve, EcKey, Key, Okp, RsaKey};
use super::sign::Padding;

/// ring's form of an RSA private key.
pub fn rsa_pair(key: &RsaKey) -> Option<ring::rsa::KeyPair> {
    let secret = key.secret.as_ref()?;
    let components = KeyPairComponents {
        public_key: PublicKeyComponents {
            n: key.n.as_slice(),
            e: key.e.as_slice(),
        },
        d: secret.d.as_slice(),
        p: secret.p.as_slice(),
        q: secret.q.as_slice(),
        dP: secret.dp.as_slice(),
        dQ: secret.dq.as_slice(),
        qInv: secret.qi.as_slice(),
    };
    ring::rsa::KeyPair::from_components(&components).ok()
}

/// Signs a text.
pub fn sign(key: &Key, alg: Alg, text: &[u8], padding: Padding) -> Option<Vec<u8>> {
    match key {
        Key::Rsa(k) => {
            let encoding: &dyn s::RsaEncoding = match (padding, alg) {
                (Padding::Pkcs1, Alg::Sha256) => &s::RSA_PKCS1_SHA256,
                (Padding::Pkcs1, Alg::Sha384) => &s::RSA_PKCS1_SHA384,
                (Padding::Pkcs1, Alg::Sha512) => &s::RSA_PKCS1_SHA512,
                (Padding::Pss { salt }, _) if salt.is_some_and(|n| n != alg.size()) => return None,
                (Padding::Pss { .. }, Alg::Sha256) => &s::RSA_PSS_SHA256,
                (Padding::Pss { .. }, Alg::Sha384) => &s::RSA_PSS_SHA384,
                (Padding::Pss { .. }, Alg::Sha512) => &s::RSA_PSS_SHA512,
                _ => return None,
            };
            let pair = k.pair()?;
            let mut signature = vec![0; pair.public().modulus_len()];
            pair.sign(encoding, &SystemRandom::new(), text, &mut signature)
                .ok()?;
            Some(signature)
        }
        Key::Ec(k) => sign_ec(k, alg, text),
        Key::Okp(_) | Key::Dh(_) => None,
    }
}

fn sign_ec(key: &EcKey, alg: Alg, text: &[u8]) -> Option<Vec<u8>> {
    let algorithm = match (key.curve, alg) {
        (Curve::P256, Alg::Sha256) => &s::ECDSA_P256_SHA256_ASN1_SIGNING,
        (Curve::P384, Alg::Sha384) => &s::ECDSA_P384_SHA384_ASN1_SIGNING,
        _ => return None,
    };
    let rng = SystemRandom::new();
    let secret = key.secret.as_ref()?;
    let pair = EcdsaKeyPair::from_private_key_and_public_key(algorithm, secret, &key.point, &rng).ok()?;
    Some(pair.sign(&rng, text).ok()?.as_ref().to_vec())
}

/// Whether a signature of a text is surely good.
pub fn verifies(key: &Key, alg: Option<Alg>, text: &[u8], signature: &[u8], padding: Padding) -> bool {
    match (key, alg) {
        (Key::Rsa(k), Some(alg)) => {
            let parameters: &RsaParameters = match (padding, alg) {
                (Padding::Pkcs1, Alg::Sha1) => &s::RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY,
                (Padding::Pkcs1, Alg::Sha256) => &s::RSA_PKCS1_2048_8192_SHA256,
                (Padding::Pkcs1, Alg::Sha384) => &s::RSA_PKCS1_2048_8192_SHA384,
                (Padding::Pkcs1, Alg::Sha512) => &s::RSA_PKCS1_2048_8192_SHA512,
                (Padding::Pss { salt }, _) if salt.is_some_and(|n| n != alg.size()) => return false,
                (Padding::Pss { .. }, Alg::Sha256) => &s::RSA_PSS_2048_8192_SHA256,
                (Padding::Pss { .. }, Alg::Sha384) => &s::RSA_PSS_2048_8192_SHA384,
                (Padding::Pss { .. }, Alg::Sha512) => &s::RSA_PSS_2048_8192_SHA512,
                _ => return false,
            };
            let key = PublicKeyComponents { n: &k.n, e: &k.e };
            key.verify(parameters, text, signature).is_ok()
        }
        (Key::Ec(k), Some(alg)) => {
            let algorithm: &EcdsaVerificationAlgorithm = match (k.curve, alg) {
                (Curve::P256, Alg::Sha256) => &s::ECDSA_P256_SHA256_ASN1,
                (Curve::P256, Alg::Sha384) => &s::ECDSA_P256_SHA384_ASN1,
                (Curve::P384, Alg::Sha256) => &s::ECDSA_P384_SHA256_ASN1,
                (Curve::P384, Alg::Sha384) => &s::ECDSA_P384_SHA384_ASN1,
                _ => return false,
            };
            let key = UnparsedPublicKey::new(algorithm, &k.point);
            key.verify(text, signature).is_ok()
        }
        (Key::Okp(k), None) if k.kind == Okp::Ed25519 => {
            let key = UnparsedPublicKey::new(&s::ED25519, &k.public);
            key.verify(text, signature).is_ok()
        }
        _ => false,
    }
}
