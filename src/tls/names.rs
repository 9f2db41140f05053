//! Whether a certificate is for a host, as OpenSSL's `X509_check_host` and `X509_check_ip` judge it.
//!
//! Must not: resolve names, or take a malformed list of names for none.

use std::net::IpAddr;

use super::pki::asn1;
use super::pki::cert::Cert;
use super::pki::general::{self, GeneralName};

/// Whether the certificate names `host`: a dNSName, or the common name when there is no dNSName.
pub(super) fn for_host(cert: &Cert, host: &[u8]) -> bool {
    let Some(names) = alternative_names(cert) else {
        return false;
    };
    let mut listed = false;
    for name in &names {
        if let GeneralName::Dns(pattern) = name {
            listed = true;
            if !pattern.is_empty() && matches(pattern, host) {
                return true;
            }
        }
    }
    !listed && common_names(cert).any(|pattern| !pattern.is_empty() && matches(&pattern, host))
}

/// Whether the certificate names an address: an iPAddress, or, as nginx takes it, the text where a host would
/// stand.
pub(super) fn for_address(cert: &Cert, address: IpAddr) -> bool {
    let listed = |names: Vec<GeneralName>| names.contains(&GeneralName::Ip(address));
    alternative_names(cert).is_some_and(listed) || for_host(cert, address.to_string().as_bytes())
}

/// The subject's alternative names, none when it has no such extension; None when they cannot be read, or are
/// listed twice.
fn alternative_names(cert: &Cert) -> Option<Vec<GeneralName>> {
    let mut all = cert.extensions_called("subjectAltName");
    match (all.next(), all.next()) {
        (None, _) => Some(Vec::new()),
        (Some(extension), None) => general::read(&extension.value).ok(),
        _ => None,
    }
}

/// The common names as UTF-8.
fn common_names(cert: &Cert) -> impl Iterator<Item = Vec<u8>> {
    let entries = cert.subject.entries.iter();
    entries
        .filter(|e| e.oid == [0x55, 4, 3])
        .filter_map(|e| utf8(e.tag, &e.value))
}

/// A string of a name in UTF-8.
pub(super) fn utf8(tag: u8, value: &[u8]) -> Option<Vec<u8>> {
    const NUMERIC_STRING: u8 = 0x12;
    const TELETEX_STRING: u8 = 0x14;
    const VISIBLE_STRING: u8 = 0x1a;
    const BMP_STRING: u8 = 0x1e;
    const UNIVERSAL_STRING: u8 = 0x1c;
    match tag {
        asn1::UTF8_STRING => std::str::from_utf8(value).ok().map(|s| s.as_bytes().to_vec()),
        asn1::PRINTABLE_STRING | asn1::IA5_STRING | NUMERIC_STRING | VISIBLE_STRING => Some(value.to_vec()),
        TELETEX_STRING => Some(
            value
                .iter()
                .map(|b| char::from(*b))
                .collect::<String>()
                .into_bytes(),
        ),
        BMP_STRING | UNIVERSAL_STRING => {
            let width = if tag == BMP_STRING { 2 } else { 4 };
            let units = value.chunks(width).map(|unit| {
                let code = unit.iter().fold(0u32, |n, b| n << 8 | u32::from(*b));
                (unit.len() == width).then(|| char::from_u32(code)).flatten()
            });
            Some(units.collect::<Option<String>>()?.into_bytes())
        }
        _ => None,
    }
}

/// Whether a certificate's pattern stands for `host`.
pub(super) fn matches(pattern: &[u8], host: &[u8]) -> bool {
    let star = match host {
        [b'.', _, ..] => None,
        _ => star(pattern),
    };
    match star {
        Some(at) => wildcard(&pattern[..at], &pattern[at + 1..], host),
        None => same(pattern, host),
    }
}

/// Whether both are the same but for the case of ASCII letters; nothing with a NUL is the same as anything.
fn same(a: &[u8], b: &[u8]) -> bool {
    !a.contains(&0) && a.eq_ignore_ascii_case(b)
}

fn is_idna(label: &[u8]) -> bool {
    label.get(..4).is_some_and(|p| p.eq_ignore_ascii_case(b"xn--"))
}

/// Where the star of a wildcard pattern stands: one star, at an end of the first label, which is no IDNA label,
/// before two further labels at least, all of them well-formed.
fn star(pattern: &[u8]) -> Option<usize> {
    let mut labels = pattern.split(|b| *b == b'.');
    let first = labels.next()?;
    let at = first.iter().position(|b| *b == b'*')?;
    let at_an_end = at == 0 || at + 1 == first.len() && first[at - 1] != b'-';
    let rest: Vec<&[u8]> = labels.collect();
    // The star itself is neither a letter nor a hyphen.
    let around = [&first[..at], &first[at + 1..]].concat();
    let fine = |b: &u8| b.is_ascii_alphanumeric() || *b == b'-';
    let label = |l: &&[u8]| l.iter().all(fine) && !l.is_empty() && l[0] != b'-' && l[l.len() - 1] != b'-';
    let first_fine = around.iter().all(fine) && first[0] != b'-' && first[first.len() - 1] != b'-';
    (at_an_end && !is_idna(first) && first_fine && rest.len() >= 2 && rest.iter().all(label)).then_some(at)
}

/// Whether `host` begins and ends so, with nothing but characters of one label between.
fn wildcard(prefix: &[u8], suffix: &[u8], host: &[u8]) -> bool {
    if host.len() < prefix.len() + suffix.len() {
        return false;
    }
    let (start, rest) = host.split_at(prefix.len());
    let (between, end) = rest.split_at(rest.len() - suffix.len());
    if !same(prefix, start) || !same(suffix, end) {
        return false;
    }
    let whole_label = prefix.is_empty() && suffix.first() == Some(&b'.');
    if whole_label && between.is_empty() || !whole_label && is_idna(host) {
        return false;
    }
    between == b"*" || between.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'-')
}
