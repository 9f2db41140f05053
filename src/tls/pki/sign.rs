//! What keys do: signatures, encryption, agreement.
//!
//! Must not: know Lua, or how keys are written.

use rsa::hazmat::{rsa_decrypt_and_check, rsa_encrypt};
use rsa::traits::PublicKeyParts as _;
use rsa::{BoxedUint, Oaep, Pkcs1v15Encrypt, Pkcs1v15Sign, Pss};
use zeroize::Zeroizing;

use super::digest::{Alg, with_digest};
use super::fast;
use super::key::{Curve, EcKey, Key, Okp, RsaKey, Secret, with_curve};

/// RSA paddings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Padding {
    Pkcs1,
    None,
    Oaep {
        md: Alg,
        mgf1: Alg,
    },
    /// The salt's length; None is the digest's when signing, any when verifying.
    Pss {
        salt: Option<usize>,
    },
}

/// Why an operation did not take place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OpError {
    #[error("missing private key")]
    NoPrivate,
    #[error("operation not supported for this keytype")]
    KeyType,
    #[error("invalid digest")]
    Digest,
    #[error("illegal or unsupported padding mode")]
    Padding,
    #[error("invalid key")]
    Key,
    #[error("data too large for key size")]
    TooLarge,
    #[error("oaep decoding error")]
    BadPadding,
    #[error("{0}")]
    Failed(&'static str),
}

type Result<T> = std::result::Result<T, OpError>;

fn private(key: &RsaKey) -> Result<&rsa::PrivateKey> {
    if key.secret.is_none() {
        return Err(OpError::NoPrivate);
    }
    key.private().ok_or(OpError::Key)
}

/// Signs the digest `hash` that `alg` made.
///
/// # Errors
/// When the key cannot.
pub fn sign_hash(key: &Key, alg: Alg, hash: &[u8], padding: Padding) -> Result<Vec<u8>> {
    match key {
        Key::Rsa(k) => {
            let key = private(k)?;
            let signed = match padding {
                Padding::Pkcs1 => with_digest!(alg, D => key.sign(Pkcs1v15Sign::new::<D>(), hash)),
                Padding::Pss { salt } => {
                    let salt = salt.unwrap_or(alg.size());
                    with_digest!(alg, D => key.sign(Pss::<D>::new_with_salt(salt), hash))
                }
                _ => return Err(OpError::Padding),
            };
            signed.map_err(|_| OpError::Failed("RSA lib"))
        }
        Key::Ec(k) => sign_ec(k, hash),
        Key::Okp(_) | Key::Dh(_) => Err(OpError::KeyType),
    }
}

/// Signs a text, over the digest `alg` of it.
///
/// # Errors
/// When the key cannot.
pub fn sign_digested(key: &Key, alg: Alg, text: &[u8], padding: Padding) -> Result<Vec<u8>> {
    match fast::sign(key, alg, text, padding) {
        Some(signature) => Ok(signature),
        None => sign_hash(key, alg, &alg.digest(text), padding),
    }
}

/// Whether `signature` is the key's for the digest `alg` of `text`.
///
/// # Errors
/// When the key, or the padding, is of another kind.
pub fn verify_digested(key: &Key, alg: Alg, text: &[u8], signature: &[u8], padding: Padding) -> Result<bool> {
    if fast::verifies(key, Some(alg), text, signature, padding) {
        return Ok(true);
    }
    verify_hash(key, alg, &alg.digest(text), signature, padding)
}

/// Signs a text with a key that takes no digest (Ed25519, Ed448).
///
/// # Errors
/// When the key is another.
pub fn sign_text(key: &Key, text: &[u8]) -> Result<Vec<u8>> {
    use ed25519_dalek::Signer as _;
    match key {
        Key::Okp(k) if k.kind == Okp::Ed25519 => {
            let secret = k.secret.as_ref().ok_or(OpError::NoPrivate)?;
            let secret = secret.as_slice().try_into().map_err(|_| OpError::Key)?;
            let key = ed25519_dalek::SigningKey::from_bytes(secret);
            Ok(key.sign(text).to_bytes().to_vec())
        }
        Key::Okp(k) if k.kind == Okp::Ed448 => {
            let secret = k.secret.as_ref().ok_or(OpError::NoPrivate)?;
            let key = ed448_goldilocks::SigningKey::try_from(secret.as_slice()).map_err(|_| OpError::Key)?;
            Ok(key.sign_raw(text).to_bytes().to_vec())
        }
        _ => Err(OpError::KeyType),
    }
}

/// ECDSA takes the leftmost bits of a digest as a number: a short one gets zeros before it.
fn as_scalar(hash: &[u8], curve: Curve) -> Vec<u8> {
    let mut out = vec![0; curve.size().saturating_sub(hash.len())];
    out.extend_from_slice(hash);
    out
}

fn sign_ec(key: &EcKey, hash: &[u8]) -> Result<Vec<u8>> {
    let secret = key.secret.as_ref().ok_or(OpError::NoPrivate)?;
    let hash = as_scalar(hash, key.curve);
    with_curve!(key.curve, c => {
        use c::ecdsa::signature::hazmat::PrehashSigner as _;
        let key = c::ecdsa::SigningKey::from_slice(secret).map_err(|_| OpError::Key)?;
        let signature: c::ecdsa::Signature = key.sign_prehash(&hash).map_err(|_| OpError::Failed("EC lib"))?;
        Ok(signature.to_der().as_bytes().to_vec())
    })
}

/// Whether `signature` is the key's for the digest `hash` that `alg` made.
///
/// # Errors
/// When the key, or the padding, is of another kind.
pub fn verify_hash(key: &Key, alg: Alg, hash: &[u8], signature: &[u8], padding: Padding) -> Result<bool> {
    match key {
        Key::Rsa(k) => {
            let key = k.public().ok_or(OpError::Key)?;
            let verified = match padding {
                Padding::Pkcs1 => {
                    with_digest!(alg, D => key.verify(Pkcs1v15Sign::new::<D>(), hash, signature))
                }
                Padding::Pss { salt } => with_digest!(alg, D => {
                    let mut scheme = Pss::<D>::new();
                    scheme.salt_len = salt;
                    key.verify(scheme, hash, signature)
                }),
                _ => return Err(OpError::Padding),
            };
            Ok(verified.is_ok())
        }
        Key::Ec(k) => Ok(verify_ec(k, hash, signature)),
        Key::Okp(_) | Key::Dh(_) => Err(OpError::KeyType),
    }
}

fn verify_ec(key: &EcKey, hash: &[u8], signature: &[u8]) -> bool {
    let hash = as_scalar(hash, key.curve);
    with_curve!(key.curve, c => {
        use c::ecdsa::signature::hazmat::PrehashVerifier as _;
        let Ok(signature) = c::ecdsa::Signature::from_der(signature) else {
            return false;
        };
        // this crate takes but the lower of the two signatures that are one another's mirror
        let signature = match key.curve {
            Curve::K256 => signature.normalize_s(),
            _ => signature,
        };
        c::ecdsa::VerifyingKey::from_sec1_bytes(&key.point)
            .is_ok_and(|key| key.verify_prehash(&hash, &signature).is_ok())
    })
}

/// Whether `signature` is an Ed25519 or Ed448 key's for `text`.
///
/// # Errors
/// When the key is another.
pub fn verify_text(key: &Key, text: &[u8], signature: &[u8]) -> Result<bool> {
    use ed25519_dalek::Verifier as _;
    if fast::verifies(key, None, text, signature, Padding::None) {
        return Ok(true);
    }
    match key {
        Key::Okp(k) if k.kind == Okp::Ed25519 => {
            let public = k.public.as_slice().try_into().map_err(|_| OpError::Key)?;
            let Ok(key) = ed25519_dalek::VerifyingKey::from_bytes(public) else {
                return Ok(false);
            };
            let signature = ed25519_dalek::Signature::from_slice(signature);
            Ok(signature.is_ok_and(|s| key.verify(text, &s).is_ok()))
        }
        Key::Okp(k) if k.kind == Okp::Ed448 => {
            let public = k.public.as_slice().try_into().map_err(|_| OpError::Key)?;
            let Ok(key) = ed448_goldilocks::VerifyingKey::from_bytes(public) else {
                return Ok(false);
            };
            let signature = ed448_goldilocks::Signature::from_slice(signature);
            Ok(signature.is_ok_and(|s| key.verify_raw(&s, text).is_ok()))
        }
        _ => Err(OpError::KeyType),
    }
}

/// An ECDSA signature in DER as r and s side by side.
pub fn ecdsa_to_raw(curve: Curve, der: &[u8]) -> Option<Vec<u8>> {
    with_curve!(curve, c => Some(c::ecdsa::Signature::from_der(der).ok()?.to_bytes().to_vec()))
}

/// An ECDSA signature of r and s side by side in DER; None when it cannot be one (a zero, or too large).
pub fn ecdsa_to_der(curve: Curve, raw: &[u8]) -> Option<Vec<u8>> {
    with_curve!(curve, c => Some(c::ecdsa::Signature::from_slice(raw).ok()?.to_der().as_bytes().to_vec()))
}

/// What two keys agree on: `key`'s private part, `peer`'s public one.
///
/// # Errors
/// When they are not of one kind, or of one that does not agree.
pub fn derive(key: &Key, peer: &Key) -> Result<Secret> {
    let shared = match (key, peer) {
        (Key::Ec(a), Key::Ec(b)) if a.curve == b.curve => {
            let secret = a.secret.as_ref().ok_or(OpError::NoPrivate)?;
            with_curve!(a.curve, c => {
                let secret = c::SecretKey::from_slice(secret).map_err(|_| OpError::Key)?;
                let peer = c::PublicKey::from_sec1_bytes(&b.point).map_err(|_| OpError::Key)?;
                let agreed = c::elliptic_curve::ecdh::diffie_hellman(secret.to_nonzero_scalar(), peer.as_affine());
                agreed.raw_secret_bytes().to_vec()
            })
        }
        (Key::Okp(a), Key::Okp(b)) if a.kind == Okp::X25519 && b.kind == Okp::X25519 => {
            let secret = a.secret.as_ref().ok_or(OpError::NoPrivate)?;
            let octets = |b: &[u8]| <[u8; 32]>::try_from(b).map_err(|_| OpError::Key);
            let peer = curve25519_dalek::MontgomeryPoint(octets(&b.public)?);
            let agreed = peer.mul_clamped(octets(secret)?);
            if agreed.0 == [0; 32] {
                return Err(OpError::Failed("failed during derivation"));
            }
            agreed.0.to_vec()
        }
        (Key::Okp(a), Key::Okp(b)) if a.kind == Okp::X448 && b.kind == Okp::X448 => {
            let secret = a.secret.as_ref().ok_or(OpError::NoPrivate)?;
            let octets = |b: &[u8]| <[u8; 56]>::try_from(b).map_err(|_| OpError::Key);
            let agreed = x448::x448(octets(secret)?, octets(&b.public)?);
            agreed
                .ok_or(OpError::Failed("failed during derivation"))?
                .to_vec()
        }
        (Key::Dh(a), Key::Dh(b)) => {
            a.secret.as_ref().ok_or(OpError::NoPrivate)?;
            a.derive(b).ok_or(OpError::Failed("invalid public key"))?
        }
        (Key::Ec(_), Key::Ec(_)) => return Err(OpError::Failed("different parameters")),
        (Key::Okp(a), _) if matches!(a.kind, Okp::X25519 | Okp::X448) => {
            return Err(OpError::Failed("different key types"));
        }
        (Key::Ec(_) | Key::Dh(_), _) => return Err(OpError::Failed("different key types")),
        _ => return Err(OpError::KeyType),
    };
    Ok(Zeroizing::new(shared))
}

/// Signs octets as they are: for RSA with PKCS#1 padding or none, for ECDSA as a digest.
///
/// # Errors
/// When the key cannot.
pub fn sign_raw(key: &Key, octets: &[u8], padding: Padding) -> Result<Vec<u8>> {
    match key {
        Key::Rsa(k) => {
            let key = private(k)?;
            match padding {
                Padding::Pkcs1 => key
                    .sign(Pkcs1v15Sign::new_unprefixed(), octets)
                    .map_err(|_| OpError::TooLarge),
                Padding::None => raw_private(k, octets),
                _ => Err(OpError::Padding),
            }
        }
        Key::Ec(k) => sign_ec(k, octets),
        Key::Okp(_) | Key::Dh(_) => Err(OpError::KeyType),
    }
}

/// Whether `signature` is the key's for octets as they are.
///
/// # Errors
/// When the key, or the padding, is of another kind.
pub fn verify_raw(key: &Key, octets: &[u8], signature: &[u8], padding: Padding) -> Result<bool> {
    match key {
        Key::Rsa(_) => Ok(recover(key, signature, padding).is_ok_and(|found| found == octets)),
        Key::Ec(k) => Ok(verify_ec(k, octets, signature)),
        Key::Okp(_) | Key::Dh(_) => Err(OpError::KeyType),
    }
}

/// What an RSA signature with PKCS#1 padding or none was made over.
///
/// # Errors
/// When the key or the padding is another, or the signature is none of the key's.
pub fn recover(key: &Key, signature: &[u8], padding: Padding) -> Result<Vec<u8>> {
    let k = rsa_of(key)?;
    let public = k.public().ok_or(OpError::Key)?;
    let m = rsa_encrypt(public, &representative(k, signature)?).map_err(|_| OpError::Failed("RSA lib"))?;
    let padded = octets(&m, k.size());
    match padding {
        Padding::None => Ok(padded),
        Padding::Pkcs1 => {
            let fill = padded.get(2..).unwrap_or_default();
            let n = fill.iter().take_while(|b| **b == 0xff).count();
            match (padded.starts_with(&[0, 1]), n >= 8, fill.get(n)) {
                (true, true, Some(0)) => Ok(fill[n + 1..].to_vec()),
                _ => Err(OpError::Failed("invalid padding")),
            }
        }
        _ => Err(OpError::Padding),
    }
}

fn raw_private(k: &RsaKey, data: &[u8]) -> Result<Vec<u8>> {
    let c = representative(k, data)?;
    let m = rsa_decrypt_and_check(private(k)?, Some(&mut getrandom::SysRng), &c)
        .map_err(|_| OpError::Failed("RSA lib"))?;
    Ok(octets(&m, k.size()))
}

fn rsa_of(key: &Key) -> Result<&RsaKey> {
    match key {
        Key::Rsa(k) => Ok(k),
        _ => Err(OpError::KeyType),
    }
}

/// `bytes` as a number below the modulus, of its width.
fn representative(key: &RsaKey, bytes: &[u8]) -> Result<BoxedUint> {
    let public = key.public().ok_or(OpError::Key)?;
    if bytes.len() != key.size() {
        return Err(OpError::TooLarge);
    }
    let m = BoxedUint::from_be_slice(bytes, public.n().bits_precision()).map_err(|_| OpError::TooLarge)?;
    if m >= **public.n() {
        return Err(OpError::TooLarge);
    }
    Ok(m)
}

fn octets(n: &BoxedUint, size: usize) -> Vec<u8> {
    let bytes = n.to_be_bytes();
    let bytes = super::asn1::strip_zeros(&bytes);
    let mut out = vec![0; size.saturating_sub(bytes.len())];
    out.extend_from_slice(bytes);
    out
}

/// Encrypts for an RSA key.
///
/// # Errors
/// When the key is another, or the data too long for it.
pub fn encrypt(key: &Key, data: &[u8], padding: Padding) -> Result<Vec<u8>> {
    let k = rsa_of(key)?;
    let public = k.public().ok_or(OpError::Key)?;
    let rng = &mut getrandom::SysRng;
    let done = match padding {
        Padding::Pkcs1 => public.encrypt(rng, Pkcs1v15Encrypt, data),
        Padding::Oaep { md, mgf1 } => with_digest!(md, D => with_digest!(mgf1, M => {
            public.encrypt(rng, Oaep::<D, M>::new_with_mgf_hash(), data)
        })),
        Padding::None => {
            let m = representative(k, data)?;
            let c = rsa_encrypt(public, &m).map_err(|_| OpError::Failed("RSA lib"))?;
            return Ok(octets(&c, k.size()));
        }
        Padding::Pss { .. } => return Err(OpError::Padding),
    };
    done.map_err(|_| OpError::TooLarge)
}

/// Decrypts with an RSA key. With PKCS#1 padding that is wrong the result is a random-looking text, the same
/// for the same input, as OpenSSL since 3.2 gives: an error there would tell an attacker what he asks.
///
/// # Errors
/// When the key is another or public, or the padding is wrong.
pub fn decrypt(key: &Key, data: &[u8], padding: Padding) -> Result<Vec<u8>> {
    let k = rsa_of(key)?;
    let key = private(k)?;
    let done = match padding {
        Padding::Pkcs1 => key.decrypt(Pkcs1v15Encrypt, data),
        Padding::Oaep { md, mgf1 } => with_digest!(md, D => with_digest!(mgf1, M => {
            key.decrypt(Oaep::<D, M>::new_with_mgf_hash(), data)
        })),
        Padding::None => return raw_private(k, data),
        Padding::Pss { .. } => return Err(OpError::Padding),
    };
    done.map_err(|_| OpError::BadPadding)
}
