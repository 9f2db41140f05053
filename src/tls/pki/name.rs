//! Distinguished names.
//!
//! Must not: compare names by anything but their DER (nobody folds case or spaces as RFC 5280 allows).

use super::asn1::{self, Asn1Error};
use super::objects;

/// One attribute of a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The attribute's OID contents.
    pub oid: Vec<u8>,
    /// The tag of the value.
    pub tag: u8,
    /// The value's bytes, in the encoding that the tag says.
    pub value: Vec<u8>,
    /// Whether it stands in one set with the entry before.
    pub joined: bool,
}

/// A name: attributes in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Name {
    pub entries: Vec<Entry>,
}

impl Name {
    /// Reads a Name element.
    ///
    /// # Errors
    /// When it is none.
    pub fn read(der: &[u8]) -> Result<Self, Asn1Error> {
        let mut sets = asn1::first(der, asn1::SEQUENCE)?.reader();
        let mut entries = Vec::new();
        while !sets.is_empty() {
            let mut set = sets.expect(asn1::SET)?.reader();
            let mut joined = false;
            while !set.is_empty() {
                let mut pair = set.expect(asn1::SEQUENCE)?.reader();
                let oid = pair.expect(asn1::OID)?.body.to_vec();
                let value = pair.next_element()?;
                entries.push(Entry {
                    oid,
                    tag: value.tag,
                    value: value.body.to_vec(),
                    joined,
                });
                joined = true;
            }
        }
        Ok(Self { entries })
    }

    /// Writes the name.
    pub fn write(&self) -> Vec<u8> {
        let mut sets: Vec<Vec<Vec<u8>>> = Vec::new();
        for e in &self.entries {
            let value = asn1::element(e.tag, &e.value);
            let pair = asn1::list(asn1::SEQUENCE, &[&asn1::oid(&e.oid), &value]);
            match sets.last_mut() {
                Some(set) if e.joined => set.push(pair),
                _ => sets.push(vec![pair]),
            }
        }
        let body: Vec<u8> = sets
            .into_iter()
            .flat_map(|mut set| {
                set.sort();
                asn1::element(asn1::SET, &set.concat())
            })
            .collect();
        asn1::element(asn1::SEQUENCE, &body)
    }

    /// The attributes as OpenSSL's `oneline` has them.
    pub fn one_line(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for e in &self.entries {
            out.push(b'/');
            let known = objects::by_contents(&e.oid).map(|o| o.sn.to_string());
            let name = known.or_else(|| asn1::dotted(&e.oid)).unwrap_or_default();
            out.extend(name.as_bytes());
            out.push(b'=');
            out.extend(&e.value);
        }
        out
    }

    /// Adds an attribute by name; its text is Latin-1, as OpenSSL's `MBSTRING_ASC`.
    ///
    /// # Errors
    /// When there is no such attribute, or it cannot have this text.
    pub fn add(&mut self, attribute: &str, text: &[u8]) -> Result<(), &'static str> {
        let oid = objects::contents(attribute).ok_or("invalid NID text")?;
        let sn = objects::by_contents(&oid).map_or("", |o| o.sn);
        let printable = |b: &u8| b.is_ascii_alphanumeric() || b" '()+,-./:=?".contains(b);
        let tag = match sn {
            "C" | "jurisdictionC" if text.len() != 2 => return Err("X509_NAME_add_entry_by_OBJ() failed"),
            "C" | "jurisdictionC" | "serialNumber" | "dnQualifier" => asn1::PRINTABLE_STRING,
            "emailAddress" | "DC" => asn1::IA5_STRING,
            _ => asn1::UTF8_STRING,
        };
        let fits = match tag {
            asn1::PRINTABLE_STRING => text.iter().all(printable),
            asn1::IA5_STRING => text.is_ascii(),
            _ => true,
        };
        if !fits {
            return Err("X509_NAME_add_entry_by_OBJ() failed");
        }
        let value = text.iter().map(|b| char::from(*b)).collect::<String>();
        self.entries.push(Entry {
            oid,
            tag,
            value: value.into_bytes(),
            joined: false,
        });
        Ok(())
    }
}
