//! Keys as DER and PEM: SubjectPublicKeyInfo, PKCS#1, PKCS#8 (plain and encrypted), SEC1, and the encryption
//! that OpenSSL once wrote into PEM headers.
//!
//! Must not: do anything with a key but read and write it.

use aes::cipher::block_padding::Pkcs7;
use md5::{Digest as _, Md5};
use pkcs8::der::Decode as _;
use pkcs8::pkcs5::EncryptionScheme;
use zeroize::Zeroizing;

use super::asn1::{self, Asn1Error, Reader};
use super::key::{Curve, DhGroup, DhKey, EcKey, Key, Okp, OkpKey, RsaKey, RsaSecret, Secret};
use super::objects;
use super::pem::{self, Block, PemError};
use super::pkcs12;

/// Why bytes are no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    #[error("{0}")]
    Asn1(#[from] Asn1Error),
    #[error("unsupported")]
    Unsupported,
    #[error("no passphrase")]
    NoPassphrase,
    #[error("bad decrypt")]
    BadDecrypt,
}

type Result<T> = std::result::Result<T, KeyError>;

/// The most rounds that a file may ask for, all its parts together: a second or two of a worker's time, which nothing
/// else gets meanwhile. Three times 600,000, as much as anybody recommends, fit.
pub(super) const MAX_ROUNDS: u32 = 2_000_000;

/// The rounds that a file may still ask for.
pub(super) struct Rounds(u64);

impl Default for Rounds {
    fn default() -> Self {
        Self(MAX_ROUNDS.into())
    }
}

impl Rounds {
    /// Takes so many of what is left.
    pub(super) fn take(&mut self, rounds: u64) -> Result<()> {
        self.0 = self.0.checked_sub(rounds).ok_or(KeyError::Unsupported)?;
        Ok(())
    }
}

/// The most bytes that scrypt may take for a file.
const MAX_SCRYPT: u64 = 64 << 20;

fn curve_of(contents: &[u8]) -> Result<Curve> {
    objects::by_contents(contents)
        .and_then(|o| Curve::by_name(o.sn))
        .ok_or(KeyError::Unsupported)
}

/// Reads the public key of a SubjectPublicKeyInfo element.
///
/// # Errors
/// When it is none, or of a kind that is not known.
pub fn read_spki(der: &[u8]) -> Result<Key> {
    let mut inner = asn1::first(der, asn1::SEQUENCE)?.reader();
    let (oid, params) = inner.algorithm()?;
    let bits = inner.bits()?;
    let name = objects::by_contents(oid).ok_or(KeyError::Unsupported)?.sn;
    match name {
        "rsaEncryption" => read_pkcs1_public(bits),
        "id-ecPublicKey" => {
            let curve = curve_of(Reader::new(params).expect(asn1::OID)?.body)?;
            let key = EcKey::from_point(curve, bits).ok_or(KeyError::Unsupported)?;
            Ok(Key::Ec(key))
        }
        "dhKeyAgreement" => {
            let public = Reader::new(bits).unsigned()?;
            let key = DhKey::new(read_dh_params(params)?, Some(public), None);
            key.map(Key::Dh).ok_or(KeyError::Unsupported)
        }
        _ => {
            let kind = Okp::by_name(name).ok_or(KeyError::Unsupported)?;
            let key = OkpKey::from_public(kind, bits).ok_or(KeyError::Unsupported)?;
            Ok(Key::Okp(key))
        }
    }
}

/// PKCS#3's DHParameter.
fn read_dh_params(der: &[u8]) -> Result<DhGroup> {
    let mut inner = asn1::first(der, asn1::SEQUENCE)?.reader();
    let (p, g) = (inner.unsigned()?, inner.unsigned()?);
    let length = match inner.is_empty() {
        true => None,
        false => u32::try_from(inner.small()?).ok(),
    };
    DhGroup::new(p, &[], g, length).ok_or(KeyError::Unsupported)
}

/// What keys are made in: the parameters of a curve or of a group.
pub enum Params {
    Ec(Curve),
    Dh(DhGroup),
}

/// Reads the first block of parameters of a PEM text.
///
/// # Errors
/// When there is none, or none that is known.
pub fn read_params(text: &[u8]) -> Result<Params> {
    let mut blocks = pem::blocks(text);
    loop {
        let block = match blocks.next_block() {
            Ok(block) => block,
            Err(PemError::NoStart) => return Err(KeyError::Unsupported),
            Err(_) => continue,
        };
        match block.label.as_str() {
            "EC PARAMETERS" => {
                return curve_of(Reader::new(&block.data).expect(asn1::OID)?.body).map(Params::Ec);
            }
            "DH PARAMETERS" => return read_dh_params(&block.data).map(Params::Dh),
            _ => {}
        }
    }
}

/// Parameters as PEM.
pub fn write_params(params: &Params) -> String {
    match params {
        Params::Ec(curve) => pem::write("EC PARAMETERS", &curve_oid(*curve)),
        Params::Dh(group) => pem::write("DH PARAMETERS", &write_dh_params(group)),
    }
}

fn write_dh_params(group: &DhGroup) -> Vec<u8> {
    let length = group.length.map(|l| asn1::unsigned(&l.to_be_bytes()));
    asn1::list(
        asn1::SEQUENCE,
        &[
            &asn1::unsigned(&group.p),
            &asn1::unsigned(&group.g),
            &length.unwrap_or_default(),
        ],
    )
}

fn read_pkcs1_public(der: &[u8]) -> Result<Key> {
    let mut inner = asn1::first(der, asn1::SEQUENCE)?.reader();
    let (n, e) = (inner.unsigned()?, inner.unsigned()?);
    if !inner.is_empty() {
        return Err(Asn1Error::Value.into());
    }
    RsaKey::new(n, e, None).map(Key::Rsa).ok_or(KeyError::Unsupported)
}

fn read_pkcs1(der: &[u8]) -> Result<Key> {
    let mut inner = asn1::first(der, asn1::SEQUENCE)?.reader();
    if inner.small()? != 0 {
        return Err(KeyError::Unsupported);
    }
    let (n, e) = (inner.unsigned()?, inner.unsigned()?);
    let mut secret = || inner.unsigned().map(|b| Secret::new(b.to_vec()));
    let secret = RsaSecret {
        d: secret()?,
        p: secret()?,
        q: secret()?,
        dp: secret()?,
        dq: secret()?,
        qi: secret()?,
    };
    RsaKey::new(n, e, Some(secret))
        .map(Key::Rsa)
        .ok_or(KeyError::Unsupported)
}

/// A SEC1 ECPrivateKey; the curve may be said outside of it.
fn read_sec1(der: &[u8], curve: Option<Curve>) -> Result<Key> {
    let mut inner = asn1::first(der, asn1::SEQUENCE)?.reader();
    if inner.small()? != 1 {
        return Err(Asn1Error::Value.into());
    }
    let scalar = inner.expect(asn1::OCTET_STRING)?.body;
    let said = match inner.optional(0xa0)? {
        Some(params) => Some(curve_of(params.reader().expect(asn1::OID)?.body)?),
        None => None,
    };
    let curve = curve.or(said).ok_or(KeyError::Unsupported)?;
    let key = match inner.optional(0xa1)? {
        Some(point) => EcKey::from_pair(curve, scalar, point.reader().bits()?),
        None => EcKey::from_scalar(curve, scalar),
    };
    key.map(Key::Ec).ok_or(KeyError::Unsupported)
}

pub(super) fn read_pkcs8(der: &[u8]) -> Result<Key> {
    let mut inner = asn1::first(der, asn1::SEQUENCE)?.reader();
    if inner.small()? > 1 {
        return Err(KeyError::Unsupported);
    }
    let (oid, params) = inner.algorithm()?;
    let octets = inner.expect(asn1::OCTET_STRING)?.body;
    let name = objects::by_contents(oid).ok_or(KeyError::Unsupported)?.sn;
    match name {
        "rsaEncryption" => read_pkcs1(octets),
        "id-ecPublicKey" => {
            let curve = curve_of(Reader::new(params).expect(asn1::OID)?.body)?;
            read_sec1(octets, Some(curve))
        }
        "dhKeyAgreement" => {
            let secret = Reader::new(octets).unsigned()?;
            let key = DhKey::new(read_dh_params(params)?, None, Some(secret));
            key.map(Key::Dh).ok_or(KeyError::Unsupported)
        }
        _ => {
            let kind = Okp::by_name(name).ok_or(KeyError::Unsupported)?;
            let secret = asn1::first(octets, asn1::OCTET_STRING)?.body;
            let key = OkpKey::from_secret(kind, secret).ok_or(KeyError::Unsupported)?;
            Ok(Key::Okp(key))
        }
    }
}

/// The rounds of the key derivation that a file asks for; None for one that takes more memory than a gateway can give,
/// or is not known. scrypt's block of 128 bytes costs about what a round of PBKDF2 does.
fn rounds_of(scheme: &EncryptionScheme) -> Option<u64> {
    let kdf = scheme.pbes2().map(|p| &p.kdf)?;
    if let Some(p) = kdf.pbkdf2() {
        return Some(p.iteration_count.into());
    }
    let p = kdf.scrypt()?;
    let (blocks, lanes) = (u64::from(p.block_size), u64::from(p.parallelization));
    let bytes = p
        .cost_parameter
        .saturating_add(lanes)
        .saturating_mul(blocks * 128);
    (bytes <= MAX_SCRYPT).then(|| p.cost_parameter.saturating_mul(blocks * lanes))
}

fn read_encrypted_pkcs8(der: &[u8], passphrase: Option<&[u8]>) -> Result<Key> {
    let mut inner = asn1::first(der, asn1::SEQUENCE)?.reader();
    let algorithm = inner.expect(asn1::SEQUENCE)?.whole;
    let data = inner.expect(asn1::OCTET_STRING)?.body;
    let passphrase = passphrase.ok_or(KeyError::NoPassphrase)?;
    let wide = pkcs12::wide(passphrase);
    read_pkcs8(&decipher(
        algorithm,
        data,
        passphrase,
        &wide,
        &mut Rounds::default(),
    )?)
}

/// Deciphers by an AlgorithmIdentifier, with what is left of the file's rounds; `wide` is the passphrase as PKCS#12's
/// own algorithms take it.
///
/// # Errors
/// When it is not known or asks for too much, or the passphrase is wrong.
pub(super) fn decipher(
    algorithm: &[u8],
    data: &[u8],
    passphrase: &[u8],
    wide: &[u8],
    left: &mut Rounds,
) -> Result<Secret> {
    let (oid, params) = Reader::new(algorithm).algorithm()?;
    if pkcs12::known(oid) {
        return pkcs12::open(oid, params, data, wide, left);
    }
    let scheme = EncryptionScheme::from_der(algorithm).map_err(|_| Asn1Error::Value)?;
    left.take(rounds_of(&scheme).ok_or(KeyError::Unsupported)?)?;
    let plain = scheme.decrypt(passphrase, data);
    plain.map(Zeroizing::new).map_err(|_| KeyError::BadDecrypt)
}

/// Reads a private key in any of its DER forms.
///
/// # Errors
/// When it is none.
pub fn read_private_der(der: &[u8], passphrase: Option<&[u8]>) -> Result<Key> {
    let mut inner = asn1::first(der, asn1::SEQUENCE)?.reader();
    if inner.peek() == Some(asn1::SEQUENCE) {
        return read_encrypted_pkcs8(der, passphrase);
    }
    inner.unsigned()?;
    match inner.peek() {
        Some(asn1::INTEGER) => read_pkcs1(der),
        Some(asn1::SEQUENCE) => read_pkcs8(der),
        Some(asn1::OCTET_STRING) => read_sec1(der, None),
        _ => Err(Asn1Error::Tag.into()),
    }
}

/// Reads the first key of a PEM text that is private, public, or either.
///
/// # Errors
/// When there is none.
pub fn read_pem(text: &[u8], private: bool, public: bool, passphrase: Option<&[u8]>) -> Result<Key> {
    let mut blocks = pem::blocks(text);
    loop {
        let block = match blocks.next_block() {
            Ok(block) => block,
            Err(PemError::NoStart) => return Err(KeyError::Unsupported),
            // OpenSSL goes on after a block that is none.
            Err(_) => continue,
        };
        match block.label.as_str() {
            "PRIVATE KEY" if private => return read_pkcs8(&block.data),
            "ENCRYPTED PRIVATE KEY" if private => return read_encrypted_pkcs8(&block.data, passphrase),
            "RSA PRIVATE KEY" if private => return read_pkcs1(&opened(&block, passphrase)?),
            "EC PRIVATE KEY" if private => return read_sec1(&opened(&block, passphrase)?, None),
            "PUBLIC KEY" if public => return read_spki(&block.data),
            "RSA PUBLIC KEY" if public => return read_pkcs1_public(&block.data),
            _ => {}
        }
    }
}

/// A block's bytes, deciphered if its headers say so (`DEK-Info`, RFC 1421 as OpenSSL does it).
fn opened(block: &Block, passphrase: Option<&[u8]>) -> Result<Secret> {
    let Some(info) = block.header("DEK-Info") else {
        return Ok(Zeroizing::new(block.data.clone()));
    };
    let (cipher, iv) = info.split_once(',').ok_or(KeyError::Unsupported)?;
    let iv = unhex(iv.trim()).ok_or(KeyError::Unsupported)?;
    let passphrase = passphrase.ok_or(KeyError::NoPassphrase)?;
    let salt = iv.get(..8).ok_or(KeyError::Unsupported)?;
    let key = legacy_key(passphrase, salt);
    let opened = match cipher.trim() {
        "AES-128-CBC" => open_cbc::<cbc::Decryptor<aes::Aes128>>(&key[..16], &iv, &block.data),
        "AES-192-CBC" => open_cbc::<cbc::Decryptor<aes::Aes192>>(&key[..24], &iv, &block.data),
        "AES-256-CBC" => open_cbc::<cbc::Decryptor<aes::Aes256>>(&key[..32], &iv, &block.data),
        "DES-EDE3-CBC" => open_cbc::<cbc::Decryptor<des::TdesEde3>>(&key[..24], &iv, &block.data),
        _ => return Err(KeyError::Unsupported),
    };
    opened.ok_or(KeyError::BadDecrypt)
}

pub(super) fn open_cbc<C>(key: &[u8], iv: &[u8], data: &[u8]) -> Option<Secret>
where
    C: aes::cipher::KeyIvInit + aes::cipher::BlockModeDecrypt,
{
    let cipher = C::new_from_slices(key, iv).ok()?;
    cipher.decrypt_padded_vec::<Pkcs7>(data).ok().map(Zeroizing::new)
}

/// OpenSSL's `EVP_BytesToKey` with MD5 and one round, 32 bytes of it.
fn legacy_key(passphrase: &[u8], salt: &[u8]) -> Secret {
    let mut key = Zeroizing::new(Vec::with_capacity(32));
    let mut last: Vec<u8> = Vec::new();
    while key.len() < 32 {
        last = Md5::new()
            .chain_update(&last)
            .chain_update(passphrase)
            .chain_update(salt)
            .finalize()
            .to_vec();
        key.extend_from_slice(&last);
    }
    key
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits = text
        .chars()
        .map(|c| c.to_digit(16).map(|d| d as u8))
        .collect::<Option<Vec<_>>>()?;
    let pairs = digits.chunks_exact(2);
    pairs
        .remainder()
        .is_empty()
        .then(|| digits.chunks_exact(2).map(|p| p[0] << 4 | p[1]).collect())
}

fn algorithm(name: &str, params: &[u8]) -> Vec<u8> {
    let oid = asn1::oid(&objects::contents(name).unwrap_or_default());
    asn1::list(asn1::SEQUENCE, &[&oid, params])
}

fn curve_oid(curve: Curve) -> Vec<u8> {
    asn1::oid(&objects::contents(curve.name()).unwrap_or_default())
}

fn null() -> Vec<u8> {
    asn1::element(asn1::NULL, &[])
}

/// What a BIT STRING of a SubjectPublicKeyInfo holds.
pub fn public_bits(key: &Key) -> Vec<u8> {
    match key {
        Key::Rsa(k) => asn1::list(asn1::SEQUENCE, &[&asn1::unsigned(&k.n), &asn1::unsigned(&k.e)]),
        Key::Ec(k) => k.point.clone(),
        Key::Okp(k) => k.public.clone(),
        Key::Dh(k) => asn1::unsigned(&k.public),
    }
}

/// The public part as SubjectPublicKeyInfo.
pub fn write_spki(key: &Key) -> Vec<u8> {
    let algorithm = match key {
        Key::Rsa(_) => algorithm("rsaEncryption", &null()),
        Key::Ec(k) => algorithm("id-ecPublicKey", &curve_oid(k.curve)),
        Key::Okp(k) => algorithm(k.kind.name(), &[]),
        Key::Dh(k) => algorithm("dhKeyAgreement", &write_dh_params(&k.group)),
    };
    asn1::list(asn1::SEQUENCE, &[&algorithm, &asn1::bits(&public_bits(key))])
}

fn write_pkcs1(k: &RsaKey) -> Option<Secret> {
    let s = k.full_secret()?;
    let numbers: [&[u8]; 9] = [&[0], &k.n, &k.e, &s.d, &s.p, &s.q, &s.dp, &s.dq, &s.qi];
    let body = Zeroizing::new(numbers.map(asn1::unsigned).concat());
    Some(Zeroizing::new(asn1::element(asn1::SEQUENCE, &body)))
}

fn write_sec1(k: &EcKey, with_curve: bool) -> Option<Secret> {
    let scalar = k.secret.as_ref()?;
    let mut parts = vec![
        asn1::unsigned(&[1]),
        asn1::element(asn1::OCTET_STRING, scalar),
        asn1::element(0xa1, &asn1::bits(&k.point)),
    ];
    if with_curve {
        parts.insert(2, asn1::element(0xa0, &curve_oid(k.curve)));
    }
    Some(Zeroizing::new(asn1::element(asn1::SEQUENCE, &parts.concat())))
}

/// The key in PKCS#8; None for a public one.
pub fn write_pkcs8(key: &Key) -> Option<Secret> {
    let (algorithm, octets) = match key {
        Key::Rsa(k) => (algorithm("rsaEncryption", &null()), write_pkcs1(k)?),
        Key::Ec(k) => (
            algorithm("id-ecPublicKey", &curve_oid(k.curve)),
            write_sec1(k, false)?,
        ),
        Key::Okp(k) => {
            let secret = asn1::element(asn1::OCTET_STRING, k.secret.as_ref()?);
            (algorithm(k.kind.name(), &[]), Zeroizing::new(secret))
        }
        Key::Dh(k) => (
            algorithm("dhKeyAgreement", &write_dh_params(&k.group)),
            Zeroizing::new(asn1::unsigned(k.secret.as_ref()?)),
        ),
    };
    let octets = Zeroizing::new(asn1::element(asn1::OCTET_STRING, &octets));
    Some(Zeroizing::new(asn1::list(
        asn1::SEQUENCE,
        &[&asn1::unsigned(&[0]), &algorithm, &octets],
    )))
}

/// The key in the form its kind had first: PKCS#1, SEC1, else PKCS#8. None for a public one.
pub fn write_traditional(key: &Key) -> Option<Secret> {
    match key {
        Key::Rsa(k) => write_pkcs1(k),
        Key::Ec(k) => write_sec1(k, true),
        Key::Okp(_) | Key::Dh(_) => write_pkcs8(key),
    }
}
