//! What certificates, requests and revocation lists have in common: fields with a signature over them.
//!
//! Must not: know what the fields say, but that there may be extensions and a public key.

use std::ops::{Deref, DerefMut};

use super::asn1::{self, Asn1Error, Reader};
use super::digest::Alg;
use super::key::{Key, Okp};
use super::sign::{self, OpError, Padding};
use super::{key_code, objects};

/// One extension.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Extension {
    /// OID contents.
    pub oid: Vec<u8>,
    pub critical: bool,
    /// What the OCTET STRING holds.
    pub value: Vec<u8>,
}

/// The fields of one kind of document.
pub trait Fields: Clone {
    /// The labels of its PEM blocks, the first of which is written.
    const LABELS: &'static [&'static str];

    /// With nothing in it yet.
    fn empty() -> Self;

    /// Reads the elements of what was signed.
    ///
    /// # Errors
    /// When they are not this kind's.
    fn read(r: Reader) -> Result<Self, Asn1Error>;

    /// What is to be signed, under an AlgorithmIdentifier; None when a field cannot be written.
    fn write(&self, algorithm: &[u8]) -> Option<Vec<u8>>;

    fn extensions(&self) -> &[Extension];

    fn extensions_mut(&mut self) -> &mut Vec<Extension>;

    /// The SubjectPublicKeyInfo element, or nothing.
    fn spki(&self) -> &[u8] {
        &[]
    }

    /// Notes that a field is about to be changed.
    fn changing(&mut self) {}
}

/// Fields, the algorithm of a signature and the signature. Whoever takes the fields to change them takes the
/// signature away: it is no longer theirs.
#[derive(Debug, Clone)]
pub struct Signed<F> {
    fields: F,
    seal: Seal,
    /// What was signed, as it was read or signed; None after a change.
    tbs: Option<Vec<u8>>,
}

impl<F> Deref for Signed<F> {
    type Target = F;

    fn deref(&self) -> &F {
        &self.fields
    }
}

impl<F: Fields> DerefMut for Signed<F> {
    fn deref_mut(&mut self) -> &mut F {
        self.tbs = None;
        self.fields.changing();
        &mut self.fields
    }
}

impl<F: Fields> Signed<F> {
    /// One with nothing in it yet, that nobody has signed.
    pub fn empty() -> Self {
        Self {
            fields: F::empty(),
            seal: Seal {
                algorithm: asn1::element(asn1::SEQUENCE, &[]),
                signature: Vec::new(),
            },
            tbs: None,
        }
    }

    /// Reads the element that `der` begins with.
    ///
    /// # Errors
    /// When it begins with none of this kind.
    pub fn read(der: &[u8]) -> Result<Self, Asn1Error> {
        let mut outer = asn1::first(der, asn1::SEQUENCE)?.reader();
        let tbs = outer.expect(asn1::SEQUENCE)?;
        let seal = Seal::read(&mut outer)?;
        if !outer.is_empty() {
            return Err(Asn1Error::Value);
        }
        Ok(Self {
            fields: F::read(tbs.reader())?,
            seal,
            tbs: Some(tbs.whole.to_vec()),
        })
    }

    /// What is, or is to be, signed.
    fn tbs(&self) -> Option<Vec<u8>> {
        match &self.tbs {
            Some(tbs) => Some(tbs.clone()),
            None => self.fields.write(&self.seal.algorithm),
        }
    }

    /// As DER; None when a field cannot be written.
    pub fn write(&self) -> Option<Vec<u8>> {
        let (tbs, signature) = (self.tbs()?, asn1::bits(&self.seal.signature));
        Some(asn1::list(
            asn1::SEQUENCE,
            &[&tbs, &self.seal.algorithm, &signature],
        ))
    }

    /// The public key, if it is of a known kind.
    pub fn public_key(&self) -> Option<Key> {
        key_code::read_spki(self.spki()).ok()
    }

    /// What the public key's BIT STRING holds.
    pub fn public_bits(&self) -> Option<&[u8]> {
        let mut inner = asn1::first(self.spki(), asn1::SEQUENCE).ok()?.reader();
        inner.algorithm().ok()?;
        inner.bits().ok()
    }

    /// The signature algorithm's OID contents and parameters.
    pub fn signature_algorithm(&self) -> Option<(&[u8], &[u8])> {
        self.seal.algorithm()
    }

    /// The first extension called `name`.
    pub fn extension(&self, name: &str) -> Option<&Extension> {
        self.extensions_called(name).next()
    }

    /// All extensions called `name`.
    pub fn extensions_called(&self, name: &str) -> impl Iterator<Item = &Extension> {
        let oid = objects::contents(name);
        let same = move |e: &&Extension| Some(&e.oid) == oid.as_ref();
        self.fields.extensions().iter().filter(same)
    }

    /// Signs with `key`, over `alg` if the key takes a digest.
    ///
    /// # Errors
    /// When the key cannot, or a field cannot be written.
    pub fn sign(&mut self, key: &Key, alg: Option<Alg>) -> Result<(), OpError> {
        let alg = match key {
            Key::Okp(k) if matches!(k.kind, Okp::X25519 | Okp::X448) => return Err(OpError::KeyType),
            Key::Dh(_) => return Err(OpError::KeyType),
            Key::Okp(_) => None,
            _ => Some(alg.unwrap_or(Alg::Sha256)),
        };
        let algorithm = signature_identifier(key, alg).ok_or(OpError::Digest)?;
        let tbs = self
            .fields
            .write(&algorithm)
            .ok_or(OpError::Failed("invalid field"))?;
        let signature = match alg {
            Some(alg) => sign::sign_digested(key, alg, &tbs, Padding::Pkcs1)?,
            None => sign::sign_text(key, &tbs)?,
        };
        self.fields.changing();
        self.seal = Seal { algorithm, signature };
        self.tbs = Some(tbs);
        Ok(())
    }

    /// Whether `key` made the signature.
    ///
    /// # Errors
    /// When the signature is of a kind that is not known, or not one of such a key.
    pub fn verify(&self, key: &Key) -> Result<bool, OpError> {
        let tbs = self.tbs().ok_or(OpError::Failed("invalid field"))?;
        self.seal.verify(key, &tbs)
    }
}

/// What stands behind that which is signed: the algorithm and the signature.
#[derive(Debug, Clone)]
pub(super) struct Seal {
    /// The AlgorithmIdentifier element.
    algorithm: Vec<u8>,
    signature: Vec<u8>,
}

impl Seal {
    /// Reads both.
    pub(super) fn read(r: &mut Reader) -> Result<Self, Asn1Error> {
        let algorithm = r.expect(asn1::SEQUENCE)?;
        Reader::new(algorithm.whole).algorithm()?;
        Ok(Self {
            algorithm: algorithm.whole.to_vec(),
            signature: r.bits()?.to_vec(),
        })
    }

    fn algorithm(&self) -> Option<(&[u8], &[u8])> {
        Reader::new(&self.algorithm).algorithm().ok()
    }

    /// Whether `key` made the signature over `tbs`.
    pub(super) fn verify(&self, key: &Key, tbs: &[u8]) -> Result<bool, OpError> {
        let (oid, params) = self.algorithm().ok_or(OpError::Digest)?;
        let name = objects::by_contents(oid).ok_or(OpError::Digest)?.sn;
        if name == "ED25519" || name == "ED448" {
            return sign::verify_text(key, tbs, &self.signature);
        }
        let (alg, padding) = match name {
            "RSASSA-PSS" => pss_parameters(params).ok_or(OpError::Digest)?,
            _ => (signature_digest(name).ok_or(OpError::Digest)?, Padding::Pkcs1),
        };
        let fits = match key {
            Key::Rsa(_) => name.starts_with("RSA"),
            Key::Ec(_) => name.starts_with("ecdsa"),
            Key::Okp(_) | Key::Dh(_) => false,
        };
        if !fits {
            return Err(OpError::Failed("wrong public key type"));
        }
        sign::verify_digested(key, alg, tbs, &self.signature, padding)
    }
}

pub(super) fn read_extensions(mut list: Reader) -> Result<Vec<Extension>, Asn1Error> {
    let mut extensions = Vec::new();
    while !list.is_empty() {
        let mut inner = list.expect(asn1::SEQUENCE)?.reader();
        let oid = inner.oid()?.to_vec();
        let critical = inner
            .optional(asn1::BOOLEAN)?
            .is_some_and(|b| b.body.first().is_some_and(|b| *b != 0));
        let value = inner.expect(asn1::OCTET_STRING)?.body.to_vec();
        if !inner.is_empty() {
            return Err(Asn1Error::Value);
        }
        extensions.push(Extension { oid, critical, value });
    }
    Ok(extensions)
}

/// Writes an Extensions element.
pub(super) fn write_extensions(extensions: &[Extension]) -> Vec<u8> {
    let all: Vec<u8> = extensions.iter().flat_map(write_extension).collect();
    asn1::element(asn1::SEQUENCE, &all)
}

fn write_extension(e: &Extension) -> Vec<u8> {
    let critical = match e.critical {
        true => asn1::element(asn1::BOOLEAN, &[0xff]),
        false => Vec::new(),
    };
    let value = asn1::element(asn1::OCTET_STRING, &e.value);
    asn1::list(asn1::SEQUENCE, &[&asn1::oid(&e.oid), &critical, &value])
}

fn signature_identifier(key: &Key, alg: Option<Alg>) -> Option<Vec<u8>> {
    let rsa = matches!(key, Key::Rsa(_));
    let name = match (alg, rsa) {
        (None, _) => key.type_name(),
        (Some(Alg::Md5), true) => "RSA-MD5",
        (Some(Alg::Md5), false) => return None,
        (Some(Alg::Sha1), true) => "RSA-SHA1",
        (Some(Alg::Sha224), true) => "RSA-SHA224",
        (Some(Alg::Sha256), true) => "RSA-SHA256",
        (Some(Alg::Sha384), true) => "RSA-SHA384",
        (Some(Alg::Sha512), true) => "RSA-SHA512",
        (Some(Alg::Sha1), false) => "ecdsa-with-SHA1",
        (Some(Alg::Sha224), false) => "ecdsa-with-SHA224",
        (Some(Alg::Sha256), false) => "ecdsa-with-SHA256",
        (Some(Alg::Sha384), false) => "ecdsa-with-SHA384",
        (Some(Alg::Sha512), false) => "ecdsa-with-SHA512",
    };
    let oid = asn1::oid(&objects::contents(name)?);
    let params = match rsa {
        true => asn1::element(asn1::NULL, &[]),
        false => Vec::new(),
    };
    Some(asn1::list(asn1::SEQUENCE, &[&oid, &params]))
}

/// The digest of the signature algorithm called `name`.
pub fn signature_digest(name: &str) -> Option<Alg> {
    let digest = name
        .strip_prefix("RSA-")
        .or_else(|| name.strip_prefix("ecdsa-with-"))?;
    Alg::by_name(digest)
}

/// The digest and salt of RSASSA-PSS parameters (RFC 4055); the mask's digest must be the same.
fn pss_parameters(params: &[u8]) -> Option<(Alg, Padding)> {
    let mut inner = asn1::first(params, asn1::SEQUENCE).ok()?.reader();
    let digest = |oid: &[u8]| objects::by_contents(oid).and_then(|o| Alg::by_name(o.sn));
    let alg = match inner.optional(0xa0).ok()? {
        Some(e) => digest(e.reader().algorithm().ok()?.0)?,
        None => Alg::Sha1,
    };
    let mask = match inner.optional(0xa1).ok()? {
        Some(e) => digest(Reader::new(e.reader().algorithm().ok()?.1).algorithm().ok()?.0)?,
        None => Alg::Sha1,
    };
    let salt = match inner.optional(0xa2).ok()? {
        Some(e) => usize::try_from(e.reader().small().ok()?).ok()?,
        None => 20,
    };
    (alg == mask).then_some((alg, Padding::Pss { salt: Some(salt) }))
}
