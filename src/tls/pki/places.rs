//! Places that a certificate names: where its issuer answers, and where revocation lists lie.
//!
//! Must not: go there.
//!
//! # Source
//! RFC 5280, 4.2.2.1 and 4.2.1.13.

use super::asn1::{self, Asn1Error};
use super::general::{self, GeneralName};

/// One AccessDescription: a method and a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Access {
    /// The method's OID contents.
    pub method: Vec<u8>,
    pub place: GeneralName,
}

/// Reads an AuthorityInfoAccess element.
///
/// # Errors
/// When it is none.
pub fn read_access(der: &[u8]) -> Result<Vec<Access>, Asn1Error> {
    let mut list = asn1::first(der, asn1::SEQUENCE)?.reader();
    let mut all = Vec::new();
    while !list.is_empty() {
        let mut inner = list.expect(asn1::SEQUENCE)?.reader();
        let method = inner.oid()?.to_vec();
        let place = GeneralName::read(&inner.next_element()?)?;
        if !inner.is_empty() {
            return Err(Asn1Error::Value);
        }
        all.push(Access { method, place });
    }
    Ok(all)
}

/// Writes an AuthorityInfoAccess element.
pub fn write_access(all: &[Access]) -> Vec<u8> {
    let one = |a: &Access| asn1::list(asn1::SEQUENCE, &[&asn1::oid(&a.method), &a.place.write()]);
    let body: Vec<u8> = all.iter().flat_map(one).collect();
    asn1::element(asn1::SEQUENCE, &body)
}

/// One DistributionPoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Point {
    /// Its full name; nothing when it has another, or none.
    pub names: Vec<GeneralName>,
    /// The whole element.
    whole: Vec<u8>,
}

impl Point {
    /// A point of this full name.
    pub fn new(names: Vec<GeneralName>) -> Self {
        let body: Vec<u8> = names.iter().flat_map(GeneralName::write).collect();
        let name = asn1::element(0xa0, &asn1::element(0xa0, &body));
        Self {
            names,
            whole: asn1::element(asn1::SEQUENCE, &name),
        }
    }
}

/// Reads a CRLDistributionPoints element.
///
/// # Errors
/// When it is none.
pub fn read_points(der: &[u8]) -> Result<Vec<Point>, Asn1Error> {
    let mut list = asn1::first(der, asn1::SEQUENCE)?.reader();
    let mut all = Vec::new();
    while !list.is_empty() {
        let point = list.expect(asn1::SEQUENCE)?;
        let mut names = Vec::new();
        if let Some(name) = point.reader().optional(0xa0)?
            && let Some(full) = name.reader().optional(0xa0)?
        {
            names = general::read_list(full.reader())?;
        }
        all.push(Point {
            names,
            whole: point.whole.to_vec(),
        });
    }
    Ok(all)
}

/// Writes a CRLDistributionPoints element.
pub fn write_points(all: &[Point]) -> Vec<u8> {
    let body: Vec<u8> = all.iter().flat_map(|p| p.whole.clone()).collect();
    asn1::element(asn1::SEQUENCE, &body)
}
