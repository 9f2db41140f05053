//! PKCS#10 requests for certificates: read, changed, signed, checked against a key.
//!
//! Must not: send them anywhere.
//!
//! # Source
//! RFC 2986.

use super::asn1::{self, Asn1Error, Reader};
use super::cert::{self, Extension, Sealed};
use super::digest::Alg;
use super::key::Key;
use super::key_code;
use super::name::Name;
use super::sign::OpError;

/// The attributes that hold extensions: PKCS#9's, which is written, and Microsoft's.
const EXTENSIONS: [&str; 2] = ["1.2.840.113549.1.9.14", "1.3.6.1.4.1.311.2.1.14"];

/// A request, or one that is being made.
#[derive(Debug, Clone)]
pub struct Csr {
    /// 1 to 3.
    pub version: i64,
    pub subject: Name,
    /// The SubjectPublicKeyInfo element; empty while there is none.
    pub spki: Vec<u8>,
    pub extensions: Vec<Extension>,
    /// Attribute elements that hold no extensions.
    others: Vec<Vec<u8>>,
    sealed: Sealed,
    /// What was signed, as it was read or signed; None after a change.
    tbs: Option<Vec<u8>>,
}

impl Csr {
    /// A request with nothing in it yet.
    pub fn empty() -> Self {
        Self {
            version: 1,
            subject: Name::default(),
            spki: Vec::new(),
            extensions: Vec::new(),
            others: Vec::new(),
            sealed: Sealed::none(),
            tbs: None,
        }
    }

    /// Reads a CertificationRequest element.
    ///
    /// # Errors
    /// When `der` does not begin with one.
    pub fn read(der: &[u8]) -> Result<Self, Asn1Error> {
        let mut outer = asn1::first(der, asn1::SEQUENCE)?.reader();
        let tbs = outer.expect(asn1::SEQUENCE)?;
        let sealed = Sealed::read(&mut outer)?;
        let mut r = tbs.reader();
        let version = r.small()?.checked_add(1).ok_or(Asn1Error::Value)?;
        let subject = Name::read(r.expect(asn1::SEQUENCE)?.whole)?;
        let spki = r.expect(asn1::SEQUENCE)?;
        let mut parts = spki.reader();
        parts.algorithm()?;
        parts.bits()?;
        let mut request = Self {
            version,
            subject,
            spki: spki.whole.to_vec(),
            extensions: Vec::new(),
            others: Vec::new(),
            sealed,
            tbs: Some(tbs.whole.to_vec()),
        };
        if let Some(attributes) = r.optional(0xa0)? {
            request.read_attributes(attributes.reader())?;
        }
        match r.is_empty() {
            true => Ok(request),
            false => Err(Asn1Error::Value),
        }
    }

    fn read_attributes(&mut self, mut list: Reader) -> Result<(), Asn1Error> {
        let mut found = false;
        while !list.is_empty() {
            let attribute = list.expect(asn1::SEQUENCE)?;
            let mut inner = attribute.reader();
            let oid = asn1::dotted(inner.oid()?).unwrap_or_default();
            let values = inner.expect(asn1::SET)?;
            if !EXTENSIONS.contains(&oid.as_str()) {
                self.others.push(attribute.whole.to_vec());
            } else if !found {
                found = true;
                let list = values.reader().expect(asn1::SEQUENCE)?;
                self.extensions = cert::read_extensions(list.reader())?;
            }
        }
        Ok(())
    }

    /// Notes that a field was changed: the signature is no longer this request's.
    pub fn changed(&mut self) {
        self.tbs = None;
    }

    /// What is, or is to be, signed.
    fn tbs(&self) -> Option<Vec<u8>> {
        if let Some(tbs) = &self.tbs {
            return Some(tbs.clone());
        }
        let mut attributes: Vec<u8> = self.others.concat();
        if !self.extensions.is_empty() {
            let all: Vec<u8> = self.extensions.iter().flat_map(cert::write_extension).collect();
            let value = asn1::element(asn1::SET, &asn1::element(asn1::SEQUENCE, &all));
            let oid = asn1::oid(&asn1::undotted(EXTENSIONS[0])?);
            attributes.extend(asn1::list(asn1::SEQUENCE, &[&oid, &value]));
        }
        let parts: [&[u8]; 4] = [
            &asn1::unsigned(&[u8::try_from(self.version - 1).ok()?]),
            &self.subject.write(),
            &self.spki,
            &asn1::element(0xa0, &attributes),
        ];
        Some(asn1::list(asn1::SEQUENCE, &parts))
    }

    /// The request as DER; None when a field cannot be written.
    pub fn write(&self) -> Option<Vec<u8>> {
        let tbs = self.tbs()?;
        Some(asn1::list(asn1::SEQUENCE, &[&tbs, &self.sealed.write()]))
    }

    /// The public key, if it is of a known kind.
    pub fn public_key(&self) -> Option<Key> {
        key_code::read_spki(&self.spki).ok()
    }

    /// The signature algorithm's OID contents.
    pub fn signature_algorithm(&self) -> Option<&[u8]> {
        self.sealed.algorithm().map(|(oid, _)| oid)
    }

    /// Signs with `key`, over `alg` if the key takes a digest.
    ///
    /// # Errors
    /// When the key cannot, or a field cannot be written.
    pub fn sign(&mut self, key: &Key, alg: Option<Alg>) -> Result<(), OpError> {
        self.changed();
        let tbs = self.tbs().ok_or(OpError::Failed("invalid field"))?;
        let (mut sealed, alg) = Sealed::with(key, alg)?;
        sealed.sign(key, alg, &tbs)?;
        self.sealed = sealed;
        self.tbs = Some(tbs);
        Ok(())
    }

    /// Whether `key` made the signature.
    ///
    /// # Errors
    /// When the signature is of a kind that is not known, or not one of such a key.
    pub fn verify(&self, key: &Key) -> Result<bool, OpError> {
        let tbs = self.tbs().ok_or(OpError::Failed("invalid field"))?;
        self.sealed.verify(key, &tbs)
    }
}
