//! Lists of revoked certificates: their fields.
//!
//! Must not: decide what follows from a revocation.
//!
//! # Source
//! RFC 5280, 5.

use super::asn1::{self, Asn1Error, Reader};
use super::name::Name;
use super::signed::{self, Extension, Fields, Signed};
use super::time;

/// A list, or one that is being made.
pub type Crl = Signed<CrlFields>;

/// What a list says.
#[derive(Debug, Clone)]
pub struct CrlFields {
    /// 1 or 2.
    pub version: i64,
    pub issuer: Name,
    /// Seconds since 1970.
    pub last_update: i64,
    pub next_update: Option<i64>,
    pub revoked: Vec<Revoked>,
    pub extensions: Vec<Extension>,
    /// The issuer's name as it stood.
    issuer_der: Vec<u8>,
}

/// A certificate that is revoked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revoked {
    /// The INTEGER's contents.
    pub serial: Vec<u8>,
    /// Seconds since 1970.
    pub date: i64,
    pub extensions: Vec<Extension>,
}

/// The OID contents of CRLReason.
const REASON: &[u8] = &[0x55, 0x1d, 0x15];
/// The reason that takes a certificate off the list again.
const REMOVED: u8 = 8;

impl Revoked {
    /// One with a reason.
    pub fn new(serial: &[u8], date: i64, reason: u8) -> Self {
        Self {
            serial: serial.to_vec(),
            date,
            extensions: vec![Extension {
                oid: REASON.to_vec(),
                critical: false,
                value: vec![0x0a, 1, reason],
            }],
        }
    }

    /// Whether the certificate is no longer revoked (`removeFromCRL`).
    pub fn is_removed(&self) -> bool {
        let reason = self.extensions.iter().find(|e| e.oid == REASON);
        reason.is_some_and(|e| e.value == [0x0a, 1, REMOVED])
    }

    fn read(mut r: Reader) -> Result<Self, Asn1Error> {
        let serial = r.expect(asn1::INTEGER)?.body;
        if serial.is_empty() {
            return Err(Asn1Error::Value);
        }
        let date = time::read(&r.next_element()?)?;
        let extensions = match r.optional(asn1::SEQUENCE)? {
            Some(list) => signed::read_extensions(list.reader())?,
            None => Vec::new(),
        };
        if !r.is_empty() {
            return Err(Asn1Error::Value);
        }
        Ok(Self {
            serial: serial.to_vec(),
            date,
            extensions,
        })
    }

    fn write(&self) -> Option<Vec<u8>> {
        let extensions = match self.extensions.as_slice() {
            [] => Vec::new(),
            all => signed::write_extensions(all),
        };
        let serial = asn1::element(asn1::INTEGER, &self.serial);
        Some(asn1::list(
            asn1::SEQUENCE,
            &[&serial, &time::write(self.date)?, &extensions],
        ))
    }
}

impl Fields for CrlFields {
    const LABELS: &'static [&'static str] = &["X509 CRL"];

    fn empty() -> Self {
        Self {
            version: 1,
            issuer: Name::default(),
            last_update: 0,
            next_update: None,
            revoked: Vec::new(),
            extensions: Vec::new(),
            issuer_der: Vec::new(),
        }
    }

    fn read(mut r: Reader) -> Result<Self, Asn1Error> {
        let version = match r.peek() {
            Some(asn1::INTEGER) => r.small()?.checked_add(1).ok_or(Asn1Error::Value)?,
            _ => 1,
        };
        r.algorithm()?;
        let issuer = r.expect(asn1::SEQUENCE)?.whole;
        let last_update = time::read(&r.next_element()?)?;
        let next_update = match r.peek() {
            Some(asn1::UTC_TIME | asn1::GENERALIZED_TIME) => Some(time::read(&r.next_element()?)?),
            _ => None,
        };
        let mut revoked = Vec::new();
        if let Some(list) = r.optional(asn1::SEQUENCE)? {
            let mut list = list.reader();
            while !list.is_empty() {
                revoked.push(Revoked::read(list.expect(asn1::SEQUENCE)?.reader())?);
            }
        }
        let extensions = match r.optional(0xa0)? {
            Some(e) => signed::read_extensions(e.reader().expect(asn1::SEQUENCE)?.reader())?,
            None => Vec::new(),
        };
        if !r.is_empty() {
            return Err(Asn1Error::Value);
        }
        Ok(Self {
            version,
            issuer: Name::read(issuer)?,
            last_update,
            next_update,
            revoked,
            extensions,
            issuer_der: issuer.to_vec(),
        })
    }

    fn write(&self, algorithm: &[u8]) -> Option<Vec<u8>> {
        let version = match self.version {
            1 => Vec::new(),
            v => asn1::unsigned(&u64::try_from(v - 1).ok()?.to_be_bytes()),
        };
        let next_update = match self.next_update {
            Some(t) => time::write(t)?,
            None => Vec::new(),
        };
        let revoked = match self.revoked.as_slice() {
            [] => Vec::new(),
            all => {
                let all = all.iter().map(Revoked::write).collect::<Option<Vec<_>>>()?;
                asn1::element(asn1::SEQUENCE, &all.concat())
            }
        };
        let extensions = match self.extensions.as_slice() {
            [] => Vec::new(),
            all => asn1::element(0xa0, &signed::write_extensions(all)),
        };
        let parts: [&[u8]; 7] = [
            &version,
            algorithm,
            &self.issuer.write(),
            &time::write(self.last_update)?,
            &next_update,
            &revoked,
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

    fn changing(&mut self) {
        self.issuer_der.clear();
    }
}

impl CrlFields {
    /// The issuer's name as DER.
    pub fn issuer_der(&self) -> Vec<u8> {
        match self.issuer_der.as_slice() {
            [] => self.issuer.write(),
            der => der.to_vec(),
        }
    }

    /// The entry of a serial number, as an INTEGER's contents.
    pub fn entry(&self, serial: &[u8]) -> Option<&Revoked> {
        self.revoked.iter().find(|r| r.serial == serial)
    }
}
