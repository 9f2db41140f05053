//! X.509 certificates: their fields.
//!
//! Must not: judge chains (that is `verify`) or decide whom to trust.

use super::asn1::{self, Asn1Error, Reader};
use super::name::Name;
use super::signed::{self, Fields, Signed};
use super::time;

pub use super::signed::Extension;

/// A certificate, or one that is being made.
pub type Cert = Signed<CertFields>;

/// What a certificate says.
#[derive(Debug, Clone)]
pub struct CertFields {
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
    /// Names as they stood.
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
        signed::read_extensions(extensions.reader().expect(asn1::SEQUENCE)?.reader())?;
    }
    if !r.is_empty() {
        return Err(Asn1Error::Value);
    }
    Ok(Outline {
        whole: certificate.whole,
        spki: spki.whole,
    })
}

impl Fields for CertFields {
    const LABELS: &'static [&'static str] = &["CERTIFICATE", "X509 CERTIFICATE", "TRUSTED CERTIFICATE"];

    fn empty() -> Self {
        Self {
            version: 1,
            serial: vec![0],
            issuer: Name::default(),
            subject: Name::default(),
            not_before: 0,
            not_after: 0,
            spki: Vec::new(),
            extensions: Vec::new(),
            issuer_der: Vec::new(),
            subject_der: Vec::new(),
        }
    }

    fn read(mut r: Reader) -> Result<Self, Asn1Error> {
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
            Some(e) => signed::read_extensions(e.reader().expect(asn1::SEQUENCE)?.reader())?,
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
            issuer_der: issuer.to_vec(),
            subject_der: subject.to_vec(),
        })
    }

    fn write(&self, algorithm: &[u8]) -> Option<Vec<u8>> {
        let version = match self.version {
            1 => Vec::new(),
            v => asn1::element(0xa0, &asn1::unsigned(&u64::try_from(v - 1).ok()?.to_be_bytes())),
        };
        let validity = asn1::list(
            asn1::SEQUENCE,
            &[&time::write(self.not_before)?, &time::write(self.not_after)?],
        );
        let extensions = match self.extensions.as_slice() {
            [] => Vec::new(),
            all => asn1::element(0xa3, &signed::write_extensions(all)),
        };
        let parts: [&[u8]; 8] = [
            &version,
            &asn1::element(asn1::INTEGER, &self.serial),
            algorithm,
            &self.issuer.write(),
            &validity,
            &self.subject.write(),
            &self.spki,
            &extensions,
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

    fn changing(&mut self) {
        self.issuer_der.clear();
        self.subject_der.clear();
    }
}

impl CertFields {
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
}

impl Cert {
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
}
