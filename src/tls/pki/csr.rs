//! PKCS#10 requests for certificates: their fields.
//!
//! Must not: send them anywhere.
//!
//! # Source
//! RFC 2986.

use super::asn1::{self, Asn1Error, Reader};
use super::name::Name;
use super::signed::{self, Extension, Fields, Signed};

/// The attributes that hold extensions: PKCS#9's, which is written, and Microsoft's.
const EXTENSIONS: [&str; 2] = ["1.2.840.113549.1.9.14", "1.3.6.1.4.1.311.2.1.14"];

/// A request, or one that is being made.
pub type Csr = Signed<CsrFields>;

/// What a request says.
#[derive(Debug, Clone)]
pub struct CsrFields {
    /// 1 to 3.
    pub version: i64,
    pub subject: Name,
    /// The SubjectPublicKeyInfo element; empty while there is none.
    pub spki: Vec<u8>,
    pub extensions: Vec<Extension>,
    /// Attribute elements that hold no extensions.
    others: Vec<Vec<u8>>,
}

impl Fields for CsrFields {
    const LABELS: &'static [&'static str] = &["CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST"];

    fn empty() -> Self {
        Self {
            version: 1,
            subject: Name::default(),
            spki: Vec::new(),
            extensions: Vec::new(),
            others: Vec::new(),
        }
    }

    fn read(mut r: Reader) -> Result<Self, Asn1Error> {
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
            ..Self::empty()
        };
        if let Some(attributes) = r.optional(0xa0)? {
            request.read_attributes(attributes.reader())?;
        }
        match r.is_empty() {
            true => Ok(request),
            false => Err(Asn1Error::Value),
        }
    }

    fn write(&self, _: &[u8]) -> Option<Vec<u8>> {
        let mut attributes: Vec<u8> = self.others.concat();
        if !self.extensions.is_empty() {
            let value = asn1::element(asn1::SET, &signed::write_extensions(&self.extensions));
            let oid = asn1::oid(&asn1::undotted(EXTENSIONS[0])?);
            attributes.extend(asn1::list(asn1::SEQUENCE, &[&oid, &value]));
        }
        let parts: [&[u8]; 4] = [
            &asn1::unsigned(&u64::try_from(self.version - 1).ok()?.to_be_bytes()),
            &self.subject.write(),
            &self.spki,
            &asn1::element(0xa0, &attributes),
        ];
        Some(asn1::list(asn1::SEQUENCE, &parts))
    }

    fn extensions(&self) -> &[Extension] {
        &self.extensions
    }

    fn extensions_mut(&mut self) -> &mut Vec<Extension> {
        &mut self.extensions
    }

    fn spki(&self) -> &[u8] {
        &self.spki
    }
}

impl CsrFields {
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
                self.extensions = signed::read_extensions(list.reader())?;
            }
        }
        Ok(())
    }
}
