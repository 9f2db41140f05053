//! X.509 certificates: read, changed, signed, checked against a key.
//!
//! Must not: judge chains (that is `verify`) or decide whom to trust.

use super::asn1::{self, Asn1Error, Reader};
use super::digest::Alg;
use super::key::{Key, Okp};
use super::name::Name;
use super::sign::{self, OpError, Padding};
use super::{key_code, objects, time};

/// One extension.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Extension {
    /// OID contents.
    pub oid: Vec<u8>,
    pub critical: bool,
    /// What the OCTET STRING holds.
    pub value: Vec<u8>,
}

/// A certificate, or one that is being made.
#[derive(Debug, Clone)]
pub struct Cert {
    /// 1 to 3.
    pub version: i64,
    /// The INTEGER's contents.
    pub serial: Vec<u8>,
    pub issuer: Name,
    pub subject: Name,
    /// Seconds since 1970.
    pub not_before: i64,
    pub not_after: i64,
    /// The SubjectPublicKeyInfo element; empty while there is none.
    pub spki: Vec<u8>,
    pub extensions: Vec<Extension>,
    sealed: Sealed,
    /// What was signed, as it was read or signed; None after a change.
    tbs: Option<Vec<u8>>,
    /// Names and unique identifiers as they stood.
    issuer_der: Vec<u8>,
    subject_der: Vec<u8>,
}

/// What stands where in a certificate whose fields nobody has looked at.
#[derive(Debug, Clone, Copy)]
pub struct Outline<'a> {
    /// The Certificate element.
    pub whole: &'a [u8],
    /// Its SubjectPublicKeyInfo element.
    pub spki: &'a [u8],
}

/// Finds the parts of the certificate that `der` begins with, of any version; what its dates, names and extensions
/// say is not looked at.
///
/// # Errors
/// When it begins with none.
pub fn outline(der: &[u8]) -> Result<Outline<'_>, Asn1Error> {
    let certificate = asn1::first(der, asn1::SEQUENCE)?;
    let mut outer = certificate.reader();
    let mut r = outer.expect(asn1::SEQUENCE)?.reader();
    outer.algorithm()?;
    outer.expect(asn1::BIT_STRING)?;
    if !outer.is_empty() {
        return Err(Asn1Error::Value);
    }
    if let Some(version) = r.optional(0xa0)? {
        version.reader().expect(asn1::INTEGER)?;
    }
    r.expect(asn1::INTEGER)?;
    r.algorithm()?;
    Name::read(r.expect(asn1::SEQUENCE)?.whole)?;
    let mut validity = r.expect(asn1::SEQUENCE)?.reader();
    for _ in 0..2 {
        if !matches!(
            validity.next_element()?.tag,
            asn1::UTC_TIME | asn1::GENERALIZED_TIME
        ) {
            return Err(Asn1Error::Tag);
        }
    }
    Name::read(r.expect(asn1::SEQUENCE)?.whole)?;
    let spki = r.expect(asn1::SEQUENCE)?;
    let mut parts = spki.reader();
    parts.algorithm()?;
    parts.expect(asn1::BIT_STRING)?;
    for unique in [0x81, 0x82] {
        r.optional(unique)?;
    }
    if let Some(extensions) = r.optional(0xa3)? {
        read_extensions(extensions.reader().expect(asn1::SEQUENCE)?.reader())?;
    }
    if !r.is_empty() {
        return Err(Asn1Error::Value);
    }
    Ok(Outline {
        whole: certificate.whole,
        spki: spki.whole,
    })
}

impl Cert {
    /// A certificate with nothing in it yet.
    pub fn empty() -> Self {
        Self {
            version: 1,
            serial: vec![0],
            issuer: Name::default(),
            subject: Name::default(),
            not_before: 0,
            not_after: 0,
            spki: Vec::new(),
            extensions: Vec::new(),
            sealed: Sealed::none(),
            tbs: None,
            issuer_der: Vec::new(),
            subject_der: Vec::new(),
        }
    }

    /// Reads a Certificate element.
    ///
    /// # Errors
    /// When `der` does not begin with one.
    pub fn read(der: &[u8]) -> Result<Self, Asn1Error> {
        let mut outer = asn1::first(der, asn1::SEQUENCE)?.reader();
        let tbs = outer.expect(asn1::SEQUENCE)?;
        let sealed = Sealed::read(&mut outer)?;
        let mut r = tbs.reader();
        let version = match r.optional(0xa0)? {
            Some(v) => v.reader().small()? + 1,
            None => 1,
        };
        let serial = r.expect(asn1::INTEGER)?.body;
        if serial.is_empty() {
            return Err(Asn1Error::Value);
        }
        r.algorithm()?;
        let issuer = r.expect(asn1::SEQUENCE)?.whole;
        let mut validity = r.expect(asn1::SEQUENCE)?.reader();
        let not_before = time::read(&validity.next_element()?)?;
        let not_after = time::read(&validity.next_element()?)?;
        let subject = r.expect(asn1::SEQUENCE)?.whole;
        let spki = r.expect(asn1::SEQUENCE)?;
        let mut spki_parts = spki.reader();
        spki_parts.algorithm()?;
        spki_parts.bits()?;
        for unique in [0x81, 0x82] {
            r.optional(unique)?;
        }
        let extensions = match r.optional(0xa3)? {
            Some(e) => read_extensions(e.reader().expect(asn1::SEQUENCE)?.reader())?,
            None => Vec::new(),
        };
        if !r.is_empty() {
            return Err(Asn1Error::Value);
        }
        Ok(Self {
            version,
            serial: serial.to_vec(),
            issuer: Name::read(issuer)?,
            subject: Name::read(subject)?,
            not_before,
            not_after,
            spki: spki.whole.to_vec(),
            extensions,
            sealed,
            tbs: Some(tbs.whole.to_vec()),
            issuer_der: issuer.to_vec(),
            subject_der: subject.to_vec(),
        })
    }

    /// Notes that a field was changed: the signature is no longer this certificate's.
    pub fn changed(&mut self) {
        self.tbs = None;
        self.issuer_der.clear();
        self.subject_der.clear();
    }

    /// The issuer's name as DER.
    pub fn issuer_der(&self) -> Vec<u8> {
        match self.issuer_der.as_slice() {
            [] => self.issuer.write(),
            der => der.to_vec(),
        }
    }

    /// The subject's name as DER.
    pub fn subject_der(&self) -> Vec<u8> {
        match self.subject_der.as_slice() {
            [] => self.subject.write(),
            der => der.to_vec(),
        }
    }

    /// What is, or is to be, signed.
    fn tbs(&self) -> Option<Vec<u8>> {
        if let Some(tbs) = &self.tbs {
            return Some(tbs.clone());
        }
        let version = match self.version {
            1 => Vec::new(),
            v => asn1::element(0xa0, &asn1::unsigned(&[u8::try_from(v - 1).ok()?])),
        };
        let validity = asn1::list(
            asn1::SEQUENCE,
            &[&time::write(self.not_before)?, &time::write(self.not_after)?],
        );
        let extensions = if self.extensions.is_empty() {
            Vec::new()
        } else {
            let all: Vec<u8> = self.extensions.iter().flat_map(write_extension).collect();
            asn1::element(0xa3, &asn1::element(asn1::SEQUENCE, &all))
        };
        let parts: [&[u8]; 8] = [
            &version,
            &asn1::element(asn1::INTEGER, &self.serial),
            &self.sealed.algorithm,
            &self.issuer.write(),
            &validity,
            &self.subject.write(),
            &self.spki,
            &extensions,
        ];
        Some(asn1::list(asn1::SEQUENCE, &parts))
    }

    /// The certificate as DER; None when a field cannot be written.
    pub fn write(&self) -> Option<Vec<u8>> {
        let tbs = self.tbs()?;
        Some(asn1::list(asn1::SEQUENCE, &[&tbs, &self.sealed.write()]))
    }

    /// The public key, if it is of a known kind.
    pub fn public_key(&self) -> Option<Key> {
        key_code::read_spki(&self.spki).ok()
    }

    /// What the public key's BIT STRING holds.
    pub fn public_bits(&self) -> Option<&[u8]> {
        let mut inner = asn1::first(&self.spki, asn1::SEQUENCE).ok()?.reader();
        inner.algorithm().ok()?;
        inner.bits().ok()
    }

    /// The signature algorithm's OID contents and parameters.
    pub fn signature_algorithm(&self) -> Option<(&[u8], &[u8])> {
        self.sealed.algorithm()
    }

    /// The first extension called `name`.
    pub fn extension(&self, name: &str) -> Option<&Extension> {
        let oid = objects::contents(name)?;
        self.extensions.iter().find(|e| e.oid == oid)
    }

    /// All extensions called `name`.
    pub fn extensions(&self, name: &str) -> impl Iterator<Item = &Extension> {
        let oid = objects::contents(name);
        let same = move |e: &&Extension| Some(&e.oid) == oid.as_ref();
        self.extensions.iter().filter(same)
    }

    /// Whether it may issue certificates and how many may stand between, as basic constraints say it; None
    /// without them, an error when they are not well-formed.
    ///
    /// # Errors
    /// When the extension is not well-formed.
    pub fn basic_constraints(&self) -> Result<Option<(bool, Option<i64>)>, Asn1Error> {
        let Some(extension) = self.extension("basicConstraints") else {
            return Ok(None);
        };
        let mut inner = asn1::first(&extension.value, asn1::SEQUENCE)?.reader();
        let ca = inner
            .optional(asn1::BOOLEAN)?
            .is_some_and(|b| b.body.first().is_some_and(|b| *b != 0));
        let path = match inner.is_empty() {
            true => None,
            false => Some(inner.small()?),
        };
        Ok(Some((ca, path)))
    }

    /// Signs with `key`, over `alg` if the key takes a digest.
    ///
    /// # Errors
    /// When the key cannot, or a field cannot be written.
    pub fn sign(&mut self, key: &Key, alg: Option<Alg>) -> Result<(), OpError> {
        let (sealed, alg) = Sealed::with(key, alg)?;
        self.changed();
        self.sealed = sealed;
        let tbs = self.tbs().ok_or(OpError::Failed("invalid time"))?;
        self.sealed.sign(key, alg, &tbs)?;
        self.tbs = Some(tbs);
        Ok(())
    }

    /// Whether `key` made the signature.
    ///
    /// # Errors
    /// When the signature is of a kind that is not known, or not one of such a key.
    pub fn verify(&self, key: &Key) -> Result<bool, OpError> {
        let tbs = self.tbs().ok_or(OpError::Failed("invalid time"))?;
        self.sealed.verify(key, &tbs)
    }
}

/// What stands behind that which is signed: the algorithm and the signature.
#[derive(Debug, Clone)]
pub(super) struct Sealed {
    /// The AlgorithmIdentifier element.
    algorithm: Vec<u8>,
    signature: Vec<u8>,
}

impl Sealed {
    /// Of what nobody has signed.
    pub(super) fn none() -> Self {
        Self {
            algorithm: asn1::element(asn1::SEQUENCE, &[]),
            signature: Vec::new(),
        }
    }

    /// Reads both, which end `outer`.
    pub(super) fn read(outer: &mut Reader) -> Result<Self, Asn1Error> {
        let algorithm = outer.expect(asn1::SEQUENCE)?;
        Reader::new(algorithm.whole).algorithm()?;
        let signature = outer.bits()?.to_vec();
        if !outer.is_empty() {
            return Err(Asn1Error::Value);
        }
        Ok(Self {
            algorithm: algorithm.whole.to_vec(),
            signature,
        })
    }

    /// Both as DER, one behind the other.
    pub(super) fn write(&self) -> Vec<u8> {
        [self.algorithm.as_slice(), &asn1::bits(&self.signature)].concat()
    }

    /// The algorithm's OID contents and parameters.
    pub(super) fn algorithm(&self) -> Option<(&[u8], &[u8])> {
        Reader::new(&self.algorithm).algorithm().ok()
    }

    /// Names the algorithm of a signature to come, over `alg` if the key takes a digest; with it the digest.
    pub(super) fn with(key: &Key, alg: Option<Alg>) -> Result<(Self, Option<Alg>), OpError> {
        let alg = match key {
            Key::Okp(k) if k.kind == Okp::X25519 => return Err(OpError::KeyType),
            Key::Okp(_) => None,
            _ => Some(alg.unwrap_or(Alg::Sha256)),
        };
        let sealed = Self {
            algorithm: signature_identifier(key, alg).ok_or(OpError::Digest)?,
            signature: Vec::new(),
        };
        Ok((sealed, alg))
    }

    /// Signs with what [`Self::with`] named.
    pub(super) fn sign(&mut self, key: &Key, alg: Option<Alg>, tbs: &[u8]) -> Result<(), OpError> {
        self.signature = match alg {
            Some(alg) => sign::sign_digested(key, alg, tbs, Padding::Pkcs1)?,
            None => sign::sign_text(key, tbs)?,
        };
        Ok(())
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
            Key::Okp(_) => false,
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

pub(super) fn write_extension(e: &Extension) -> Vec<u8> {
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
