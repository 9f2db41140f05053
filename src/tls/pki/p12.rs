//! PKCS#12 files: a key and certificates under one passphrase, as OpenSSL's `PKCS12_parse` and `PKCS12_create` read and
//! write them (DER; those of Java that are BER are none).
//!
//! Must not: say which certificate is the key's, or take a round more than a file may ask for, all parts together.

use hmac::{KeyInit as _, Mac as _};
use pkcs8::der::Encode as _;
use pkcs8::pkcs5::pbes2;

use super::asn1::{self, Asn1Error, Reader};
use super::digest::{Alg, with_digest};
use super::key::{Key, Secret};
use super::key_code::{self, KeyError, Rounds};
use super::objects;
use super::pkcs12::{self, Purpose};

/// `1.2.840.113549.1.` and what follows.
const DATA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x01];
const ENCRYPTED_DATA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x06];
const X509: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x16, 0x01];
const FRIENDLY_NAME: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x14];
const LOCAL_KEY_ID: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x15];
/// The bags' OIDs but for the last octet: 1 key, 2 encrypted key, 3 certificate, 6 further bags.
const BAG: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x0c, 0x0a, 0x01];

const EXPLICIT: u8 = 0xa0;
const BMP_STRING: u8 = 0x1e;
/// Parts that are enciphered.
const MOST_PARTS: usize = 16;
/// Bags within bags.
const DEEPEST: usize = 4;
/// OpenSSL's own number of rounds.
const ROUNDS: u32 = 2048;

/// Why bytes are no such file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum P12Error {
    #[error("{0}")]
    Asn1(#[from] Asn1Error),
    #[error("mac verify failure")]
    Mac,
    #[error("{0}")]
    Key(#[from] KeyError),
}

type Result<T> = std::result::Result<T, P12Error>;

/// A certificate's DER and the name that its owner gave it.
pub type Named = (Vec<u8>, Option<String>);

/// What a file holds.
#[derive(Default)]
pub struct Bundle {
    pub key: Option<Key>,
    pub certs: Vec<Named>,
}

/// A passphrase as the file's rules take it.
struct Passphrase<'a> {
    plain: &'a [u8],
    wide: Secret,
    parts: usize,
    left: Rounds,
}

/// Reads a file.
///
/// # Errors
/// When it is none, or the passphrase another.
pub fn read(der: &[u8], passphrase: &[u8]) -> Result<Bundle> {
    let mut outer = asn1::first(der, asn1::SEQUENCE)?.reader();
    if outer.small()? != 3 {
        return Err(Asn1Error::Value.into());
    }
    let mut info = outer.expect(asn1::SEQUENCE)?.reader();
    if info.oid()? != DATA {
        return Err(KeyError::Unsupported.into());
    }
    let content = info.expect(EXPLICIT)?.reader().expect(asn1::OCTET_STRING)?.body;
    // no passphrase is none, or an empty one: files differ
    let empty = passphrase.is_empty().then(Secret::default);
    let mut left = Rounds::default();
    let mut tries = empty.into_iter().chain([pkcs12::wide(passphrase)]);
    let wide = match outer.optional(asn1::SEQUENCE)? {
        Some(mac) => tries
            .find_map(|wide| match verifies(mac.reader(), content, &wide, &mut left) {
                Ok(false) => None,
                Ok(true) => Some(Ok(wide)),
                Err(e) => Some(Err(e)),
            })
            .ok_or(P12Error::Mac)??,
        None => tries.next().unwrap_or_default(),
    };
    let mut secret = Passphrase {
        plain: passphrase,
        wide,
        parts: 0,
        left,
    };
    let mut bundle = Bundle::default();
    let mut safes = asn1::first(content, asn1::SEQUENCE)?.reader();
    while !safes.is_empty() {
        let mut info = safes.expect(asn1::SEQUENCE)?.reader();
        let kind = info.oid()?;
        let value = info.expect(EXPLICIT)?.reader();
        if kind == DATA {
            let bags = { value }.expect(asn1::OCTET_STRING)?.body;
            read_bags(bags, &mut secret, &mut bundle, 0)?;
        } else if kind == ENCRYPTED_DATA {
            let mut data = { value }.expect(asn1::SEQUENCE)?.reader();
            data.small()?;
            let mut info = data.expect(asn1::SEQUENCE)?.reader();
            info.oid()?;
            let algorithm = info.expect(asn1::SEQUENCE)?.whole;
            let bags = secret.open(algorithm, info.expect(0x80)?.body)?;
            read_bags(&bags, &mut secret, &mut bundle, 0)?;
        }
    }
    Ok(bundle)
}

impl Passphrase<'_> {
    fn open(&mut self, algorithm: &[u8], data: &[u8]) -> Result<Secret> {
        self.parts += 1;
        if self.parts > MOST_PARTS {
            return Err(KeyError::Unsupported.into());
        }
        let (plain, wide) = (self.plain, &self.wide);
        Ok(key_code::decipher(algorithm, data, plain, wide, &mut self.left)?)
    }
}

/// Whether the code at the end of a file is that of its contents.
fn verifies(mut mac: Reader, content: &[u8], wide: &[u8], left: &mut Rounds) -> Result<bool> {
    let mut info = mac.expect(asn1::SEQUENCE)?.reader();
    let (oid, _) = info.algorithm()?;
    let told = info.expect(asn1::OCTET_STRING)?.body;
    let salt = mac.expect(asn1::OCTET_STRING)?.body;
    let rounds = if mac.is_empty() { 1 } else { mac.small()? };
    let alg = objects::by_contents(oid)
        .and_then(|o| Alg::by_name(o.sn))
        .ok_or(KeyError::Unsupported)?;
    let rounds = u32::try_from(rounds).unwrap_or(u32::MAX);
    if rounds == 0 || salt.len() > 1024 {
        return Err(KeyError::Unsupported.into());
    }
    left.take(rounds.into())?;
    let key = pkcs12::derive(alg, Purpose::Mac, wide, salt, rounds, alg.size());
    Ok(with_digest!(alg, D => {
        let mac = hmac::Hmac::<D>::new_from_slice(&key).map_err(|_| KeyError::Unsupported)?;
        mac.chain_update(content).verify_slice(told).is_ok()
    }))
}

fn read_bags(bags: &[u8], secret: &mut Passphrase, bundle: &mut Bundle, depth: usize) -> Result<()> {
    let mut bags = asn1::first(bags, asn1::SEQUENCE)?.reader();
    while !bags.is_empty() {
        let mut bag = bags.expect(asn1::SEQUENCE)?.reader();
        let kind = bag.oid()?.strip_prefix(BAG).unwrap_or_default();
        let mut value = bag.expect(EXPLICIT)?.reader();
        match kind {
            [1] if bundle.key.is_none() => {
                bundle.key = Some(key_code::read_pkcs8(value.expect(asn1::SEQUENCE)?.whole)?);
            }
            [2] if bundle.key.is_none() => {
                let mut info = value.expect(asn1::SEQUENCE)?.reader();
                let algorithm = info.expect(asn1::SEQUENCE)?.whole;
                let plain = secret.open(algorithm, info.expect(asn1::OCTET_STRING)?.body)?;
                bundle.key = Some(key_code::read_pkcs8(&plain)?);
            }
            [3] => {
                let mut cert = value.expect(asn1::SEQUENCE)?.reader();
                if cert.oid()? == X509 {
                    let der = cert.expect(EXPLICIT)?.reader().expect(asn1::OCTET_STRING)?.body;
                    bundle.certs.push((der.to_vec(), name_of(bag)?));
                }
            }
            [6] if depth < DEEPEST => {
                read_bags(value.expect(asn1::SEQUENCE)?.whole, secret, bundle, depth + 1)?;
            }
            _ => {}
        }
    }
    Ok(())
}

/// The friendly name among a bag's attributes.
fn name_of(mut bag: Reader) -> Result<Option<String>> {
    let Some(attributes) = bag.optional(asn1::SET)? else {
        return Ok(None);
    };
    let mut attributes = attributes.reader();
    while !attributes.is_empty() {
        let mut attribute = attributes.expect(asn1::SEQUENCE)?.reader();
        if attribute.oid()? == FRIENDLY_NAME {
            let text = attribute.expect(asn1::SET)?.reader().expect(BMP_STRING)?.body;
            let units: Vec<u16> = text
                .chunks_exact(2)
                .map(|u| u16::from_be_bytes([u[0], u[1]]))
                .collect();
            return Ok(Some(String::from_utf16_lossy(&units)));
        }
    }
    Ok(None)
}

/// What a part is enciphered with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cipher {
    Aes128,
    Aes192,
    Aes256,
    /// By the rule of PKCS#12, for those who read nothing else.
    TripleDes,
}

impl Cipher {
    /// The cipher of an object's short name.
    pub fn by_name(sn: &str) -> Option<Self> {
        Some(match sn {
            "AES-128-CBC" => Self::Aes128,
            "AES-192-CBC" => Self::Aes192,
            "AES-256-CBC" => Self::Aes256,
            "PBE-SHA1-3DES" => Self::TripleDes,
            _ => return None,
        })
    }

    /// Enciphers: the AlgorithmIdentifier, and the data.
    fn seal(self, data: &[u8], passphrase: &[u8], rounds: u32) -> Option<(Vec<u8>, Vec<u8>)> {
        let (mut salt, mut iv) = ([0; 16], [0; 16]);
        getrandom::fill(&mut salt).ok()?;
        getrandom::fill(&mut iv).ok()?;
        let encryption = match self {
            Self::Aes128 => pbes2::EncryptionScheme::Aes128Cbc { iv },
            Self::Aes192 => pbes2::EncryptionScheme::Aes192Cbc { iv },
            Self::Aes256 => pbes2::EncryptionScheme::Aes256Cbc { iv },
            Self::TripleDes => {
                let wide = pkcs12::wide(passphrase);
                let (params, data) = pkcs12::seal(data, &wide, &salt[..8], rounds)?;
                let oid = asn1::oid(pkcs12::SHA1_3DES);
                return Some((asn1::list(asn1::SEQUENCE, &[&oid, &params]), data));
            }
        };
        let kdf = pbes2::Pbkdf2Params::hmac_sha256(rounds, &salt).ok()?.into();
        let scheme = pkcs8::pkcs5::EncryptionScheme::from(pbes2::Parameters { kdf, encryption });
        Some((scheme.to_der().ok()?, scheme.encrypt(passphrase, data).ok()?))
    }
}

/// How a file is to be written; 0 rounds are OpenSSL's usual ones.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    pub key: Cipher,
    pub certs: Cipher,
    pub rounds: u32,
    pub mac_rounds: u32,
}

fn explicit(parts: &[&[u8]]) -> Vec<u8> {
    asn1::list(EXPLICIT, parts)
}

fn sequence(parts: &[&[u8]]) -> Vec<u8> {
    asn1::list(asn1::SEQUENCE, parts)
}

fn octets(bytes: &[u8]) -> Vec<u8> {
    asn1::element(asn1::OCTET_STRING, bytes)
}

fn bag(kind: u8, value: &[u8], attributes: &[u8]) -> Vec<u8> {
    let oid = asn1::oid(&[BAG, &[kind]].concat());
    let set = match attributes.is_empty() {
        true => Vec::new(),
        false => asn1::element(asn1::SET, attributes),
    };
    sequence(&[&oid, &explicit(&[value]), &set])
}

fn attribute(oid: &[u8], value: &[u8]) -> Vec<u8> {
    sequence(&[&asn1::oid(oid), &asn1::element(asn1::SET, value)])
}

/// The attributes of the key and of its certificate: who belongs to whom, and the name.
fn attributes(cert: &[u8], name: Option<&str>) -> Vec<u8> {
    let mut all = attribute(LOCAL_KEY_ID, &octets(&Alg::Sha1.digest(cert)));
    if let Some(name) = name {
        let text: Vec<u8> = name.encode_utf16().flat_map(u16::to_be_bytes).collect();
        all.splice(0..0, attribute(FRIENDLY_NAME, &asn1::element(BMP_STRING, &text)));
    }
    all
}

/// A file with `key`, the certificate `certs[0]` of it and others; None for a public key, and rounds beyond the limit.
pub fn write(
    key: &Key,
    certs: &[Vec<u8>],
    name: Option<&str>,
    passphrase: &[u8],
    options: Options,
) -> Option<Vec<u8>> {
    let usual = |n: u32| if n == 0 { ROUNDS } else { n };
    let (rounds, mac_rounds) = (usual(options.rounds), usual(options.mac_rounds));
    // what is written here can be read here, by who has to try two empty passphrases, too
    let mut left = Rounds::default();
    for rounds in [rounds, rounds, mac_rounds, mac_rounds] {
        left.take(rounds.into()).ok()?;
    }
    let own = attributes(certs.first()?, name);
    let cert_bags: Vec<u8> = certs
        .iter()
        .enumerate()
        .flat_map(|(i, der)| {
            let value = sequence(&[&asn1::oid(X509), &explicit(&[&octets(der)])]);
            bag(3, &value, if i == 0 { &own } else { &[] })
        })
        .collect();
    let (algorithm, data) = options.certs.seal(&sequence(&[&cert_bags]), passphrase, rounds)?;
    let info = sequence(&[&asn1::oid(DATA), &algorithm, &asn1::element(0x80, &data)]);
    let enciphered = sequence(&[&asn1::unsigned(&[0]), &info]);
    let certs = sequence(&[&asn1::oid(ENCRYPTED_DATA), &explicit(&[&enciphered])]);
    let (algorithm, data) = options
        .key
        .seal(&key_code::write_pkcs8(key)?, passphrase, rounds)?;
    let key_bag = bag(2, &sequence(&[&algorithm, &octets(&data)]), &own);
    let key = sequence(&[&asn1::oid(DATA), &explicit(&[&octets(&sequence(&[&key_bag]))])]);
    let content = sequence(&[&certs, &key]);
    let mut salt = [0; 16];
    getrandom::fill(&mut salt).ok()?;
    let wide = pkcs12::wide(passphrase);
    let mac_key = pkcs12::derive(Alg::Sha256, Purpose::Mac, &wide, &salt, mac_rounds, 32);
    let mac = hmac::Hmac::<sha2::Sha256>::new_from_slice(&mac_key).ok()?;
    let code = mac.chain_update(&content).finalize().into_bytes();
    let algorithm = sequence(&[
        &asn1::oid(&objects::contents("SHA256")?),
        &asn1::element(asn1::NULL, &[]),
    ]);
    let mac = sequence(&[
        &sequence(&[&algorithm, &octets(&code)]),
        &octets(&salt),
        &asn1::unsigned(&mac_rounds.to_be_bytes()),
    ]);
    let info = sequence(&[&asn1::oid(DATA), &explicit(&[&octets(&content)])]);
    Some(sequence(&[&asn1::unsigned(&[3]), &info, &mac]))
}
