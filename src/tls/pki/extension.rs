//! Extensions from OpenSSL's configuration words, and as its printer shows them: those that people write by
//! hand.
//!
//! Must not: read an extension for a decision (that is `cert` and `verify`).

use std::net::IpAddr;

use super::asn1::{self, Reader};
use super::cert::{Cert, Extension};
use super::digest::Alg;
use super::general::{self, GeneralName};
use super::key::Key;
use super::key_code;
use super::objects;
use super::places::{self, Access, Point};

/// Key usages in the order of their bits: the words of configurations, and as printed.
const USAGES: [(&str, &str); 9] = [
    ("digitalSignature", "Digital Signature"),
    ("nonRepudiation", "Non Repudiation"),
    ("keyEncipherment", "Key Encipherment"),
    ("dataEncipherment", "Data Encipherment"),
    ("keyAgreement", "Key Agreement"),
    ("keyCertSign", "Certificate Sign"),
    ("cRLSign", "CRL Sign"),
    ("encipherOnly", "Encipher Only"),
    ("decipherOnly", "Decipher Only"),
];

/// Whom an extension is about.
#[derive(Clone, Copy, Default)]
pub struct About<'a> {
    pub subject: Option<&'a Cert>,
    pub issuer: Option<&'a Cert>,
    /// Whether both are one certificate.
    pub same: bool,
    /// The key that is to sign.
    pub key: Option<&'a Key>,
}

/// Makes the extension called `name` from a text such as `CA:TRUE,pathlen:0`.
///
/// # Errors
/// When the text is none of it, or the extension is one that is not made here.
pub fn make(name: &str, text: &str, about: About) -> Result<Extension, String> {
    let mut words: Vec<&str> = text.split(',').map(str::trim).collect();
    let critical = words.first() == Some(&"critical");
    if critical {
        words.remove(0);
    }
    let bad = |word: &str| format!("invalid extension value: {word}");
    let value = match name {
        "basicConstraints" => basic_constraints(&words).ok_or_else(|| bad(text))?,
        "keyUsage" => key_usage(&words).ok_or_else(|| bad(text))?,
        "extendedKeyUsage" => {
            let mut all = Vec::new();
            for word in &words {
                all.extend(asn1::oid(&objects::contents(word).ok_or_else(|| bad(word))?));
            }
            asn1::element(asn1::SEQUENCE, &all)
        }
        "subjectAltName" | "issuerAltName" => {
            let mut names = Vec::new();
            for word in &words {
                names.push(named(word)?);
            }
            general::write(&names)
        }
        "subjectKeyIdentifier" => {
            let id = match words.as_slice() {
                ["hash"] => {
                    let bits = about.subject.and_then(Cert::public_bits);
                    Alg::Sha1.digest(bits.ok_or("no subject details")?)
                }
                _ => unhex(text).ok_or_else(|| bad(text))?,
            };
            asn1::element(asn1::OCTET_STRING, &id)
        }
        "authorityKeyIdentifier" => authority(&words, about)?,
        "crlDistributionPoints" => {
            let mut points = Vec::new();
            for word in &words {
                points.push(Point::new(vec![named(word)?]));
            }
            places::write_points(&points)
        }
        "authorityInfoAccess" => {
            let mut all = Vec::new();
            for word in &words {
                let (method, place) = word.split_once(';').ok_or_else(|| bad(word))?;
                all.push(Access {
                    method: objects::contents(method.trim()).ok_or_else(|| bad(word))?,
                    place: named(place)?,
                });
            }
            places::write_access(&all)
        }
        _ => return Err(format!("not supported: making the extension {name}")),
    };
    Ok(Extension {
        oid: objects::contents(name).unwrap_or_default(),
        critical,
        value,
    })
}

/// An authority key identifier, which a certificate of its own issuer gets only if it is asked for always.
fn authority(words: &[&str], about: About) -> Result<Vec<u8>, &'static str> {
    let issuer = about.issuer.ok_or("no issuer certificate")?;
    let always = words.contains(&"keyid:always");
    let own = match (about.key, about.subject.and_then(Cert::public_key)) {
        (Some(key), Some(subject)) => subject.same_public(key),
        (Some(_), None) => false,
        (None, _) => about.same,
    };
    if own && !always {
        return Ok(asn1::element(asn1::SEQUENCE, &[]));
    }
    let listed = || key_identifier(issuer).filter(|_| !about.same || own);
    let made = || about.key.map(|key| Alg::Sha1.digest(&key_code::public_bits(key)));
    let hashed = || issuer.public_bits().map(|bits| Alg::Sha1.digest(bits));
    let id = match about.same {
        true => listed().or_else(made),
        false => listed().or_else(hashed),
    };
    let id = id.ok_or("unable to get issuer keyid")?;
    Ok(asn1::element(asn1::SEQUENCE, &asn1::element(0x80, &id)))
}

/// A name from `kind:text`, or `kind.1:text`.
fn named(word: &str) -> Result<GeneralName, String> {
    let (kind, value) = word
        .split_once(':')
        .ok_or_else(|| format!("invalid extension value: {word}"))?;
    let kind = kind.trim().split('.').next().unwrap_or_default();
    let value = value.trim();
    let other = match kind {
        "RID" => objects::contents(value).map(|oid| asn1::element(0x88, &oid)),
        "otherName" => value.split_once(';').and_then(|(oid, text)| {
            let text = asn1::element(asn1::UTF8_STRING, text.strip_prefix("UTF8:")?.as_bytes());
            let oid = asn1::oid(&objects::contents(oid.trim())?);
            Some(asn1::list(0xa0, &[&oid, &asn1::element(0xa0, &text)]))
        }),
        _ => return GeneralName::new(kind, value.as_bytes()),
    };
    let other = other.ok_or_else(|| format!("invalid extension value: {word}"))?;
    Ok(GeneralName::Other(other))
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> = text
        .chars()
        .filter(|c| *c != ':')
        .map(|c| c.to_digit(16).map(|d| d as u8))
        .collect::<Option<_>>()?;
    digits
        .len()
        .is_multiple_of(2)
        .then(|| digits.chunks(2).map(|p| p[0] << 4 | p[1]).collect())
}

/// What basic constraints are written as.
pub fn write_basic_constraints(ca: bool, path: Option<u32>) -> Vec<u8> {
    let ca = match ca {
        true => asn1::element(asn1::BOOLEAN, &[0xff]),
        false => Vec::new(),
    };
    let path = path.map_or(Vec::new(), |n| asn1::unsigned(&n.to_be_bytes()));
    asn1::list(asn1::SEQUENCE, &[&ca, &path])
}

fn basic_constraints(words: &[&str]) -> Option<Vec<u8>> {
    let (mut ca, mut path) = (false, None);
    for word in words {
        let (key, value) = word.split_once(':')?;
        match key.trim().to_ascii_lowercase().as_str() {
            "ca" => {
                ca = match value.trim().to_ascii_lowercase().as_str() {
                    "true" | "yes" | "y" => true,
                    "false" | "no" | "n" => false,
                    _ => return None,
                }
            }
            "pathlen" => path = Some(value.trim().parse().ok()?),
            _ => return None,
        }
    }
    Some(write_basic_constraints(ca, path))
}

fn key_usage(words: &[&str]) -> Option<Vec<u8>> {
    let mut bits = 0u16;
    for word in words {
        let i = USAGES.iter().position(|(w, p)| w == word || p == word)?;
        bits |= 0x8000 >> i;
    }
    let octets = bits.to_be_bytes();
    let used: &[u8] = match octets {
        [0, 0] => &[],
        [first, 0] => &[first],
        _ => &octets,
    };
    let unused = used.last().map_or(0, |b| b.trailing_zeros() as u8);
    Some(asn1::element(asn1::BIT_STRING, &[&[unused], used].concat()))
}

/// The bits of a keyUsage extension, the first one highest; None when it is not well-formed.
pub fn usage_bits(value: &[u8]) -> Option<u16> {
    match asn1::first(value, asn1::BIT_STRING).ok()?.body {
        [_] => Some(0),
        [_, a] => Some(u16::from(*a) << 8),
        [_, a, b, ..] => Some(u16::from(*a) << 8 | u16::from(*b)),
        [] => None,
    }
}

/// cRLSign among [`usage_bits`].
pub const CRL_SIGN: u16 = 0x8000 >> 6;

/// keyCertSign among [`usage_bits`].
pub const KEY_CERT_SIGN: u16 = 0x8000 >> 5;

/// The OIDs of an extendedKeyUsage extension, dotted.
pub fn purposes(value: &[u8]) -> Option<Vec<String>> {
    let mut list = asn1::first(value, asn1::SEQUENCE).ok()?.reader();
    let mut all = Vec::new();
    while !list.is_empty() {
        all.push(asn1::dotted(list.expect(asn1::OID).ok()?.body)?);
    }
    Some(all)
}

/// The subject key identifier.
pub fn key_identifier(cert: &Cert) -> Option<Vec<u8>> {
    let value = &cert.extension("subjectKeyIdentifier")?.value;
    Some(asn1::first(value, asn1::OCTET_STRING).ok()?.body.to_vec())
}

/// The key identifier of an authority key identifier.
pub fn authority_identifier(cert: &Cert) -> Option<Vec<u8>> {
    let value = &cert.extension("authorityKeyIdentifier")?.value;
    let mut inner: Reader = asn1::first(value, asn1::SEQUENCE).ok()?.reader();
    Some(inner.optional(0x80).ok()??.body.to_vec())
}

fn hex(bytes: &[u8]) -> String {
    let pairs: Vec<String> = bytes.iter().map(|b| format!("{b:02X}")).collect();
    pairs.join(":")
}

/// The extension as OpenSSL prints it; what has no words is shown as its bytes, a dot for each that is no
/// character.
pub fn print(e: &Extension) -> Vec<u8> {
    let name = objects::by_contents(&e.oid).map_or("", |o| o.sn);
    let dotted = |b: &u8| match b {
        b'\n' | b'\r' | b' '..=b'~' => *b,
        _ => b'.',
    };
    printed(name, &e.value).unwrap_or_else(|| e.value.iter().map(dotted).collect())
}

fn printed(name: &str, value: &[u8]) -> Option<Vec<u8>> {
    let text = match name {
        "basicConstraints" => {
            let mut inner = asn1::first(value, asn1::SEQUENCE).ok()?.reader();
            let ca = inner.optional(asn1::BOOLEAN).ok()?.is_some_and(|b| b.body != [0]);
            let path = match inner.is_empty() {
                true => String::new(),
                false => format!(", pathlen:{}", inner.small().ok()?),
            };
            format!("CA:{}{path}", if ca { "TRUE" } else { "FALSE" })
        }
        "keyUsage" => {
            let bits = usage_bits(value)?;
            let used = USAGES
                .iter()
                .enumerate()
                .filter(|(i, _)| bits & (0x8000 >> i) != 0);
            used.map(|(_, (_, printed))| *printed)
                .collect::<Vec<_>>()
                .join(", ")
        }
        "extendedKeyUsage" => {
            let named = purposes(value)?
                .into_iter()
                .map(|id| objects::by_text(&id).map_or(id, |o| o.ln.to_string()));
            named.collect::<Vec<_>>().join(", ")
        }
        "subjectKeyIdentifier" => hex(asn1::first(value, asn1::OCTET_STRING).ok()?.body),
        "authorityKeyIdentifier" => {
            let mut inner = asn1::first(value, asn1::SEQUENCE).ok()?.reader();
            let id = inner.optional(0x80).ok()??.body;
            if !inner.is_empty() {
                return None;
            }
            hex(id)
        }
        "subjectAltName" | "issuerAltName" => {
            let shown = general::read(value)
                .ok()?
                .iter()
                .map(print_name)
                .collect::<Option<Vec<_>>>()?;
            return Some(shown.join(b", ".as_slice()));
        }
        "authorityInfoAccess" => {
            let mut all = Vec::new();
            for access in places::read_access(value).ok()? {
                let method = objects::by_contents(&access.method).map(|o| o.ln.to_string());
                all.extend(method.or_else(|| asn1::dotted(&access.method))?.into_bytes());
                all.extend(b" - ");
                all.extend(print_name(&access.place)?);
                all.push(b'\n');
            }
            return Some(all);
        }
        "crlDistributionPoints" => {
            let mut all = Vec::new();
            for point in places::read_points(value).ok()? {
                all.extend(b"Full Name:\n");
                for name in &point.names {
                    all.extend(b"  ");
                    all.extend(print_name(name)?);
                    all.push(b'\n');
                }
            }
            return Some(all);
        }
        _ => return None,
    };
    Some(text.into_bytes())
}

fn print_name(name: &GeneralName) -> Option<Vec<u8>> {
    let kind = match name {
        GeneralName::Ip(_) => "IP Address",
        _ => name.kind(),
    };
    let value = match name {
        GeneralName::Ip(IpAddr::V6(ip)) => {
            let groups = ip.segments().map(|g| format!("{g:X}"));
            groups.join(":").into_bytes()
        }
        GeneralName::Directory(name) => name.one_line(),
        _ => name.text()?,
    };
    Some([kind.as_bytes(), b":", &value].concat())
}
