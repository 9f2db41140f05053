//! Names and times of certificates as nginx shows them.
//!
//! Must not: compare names.

use time::OffsetDateTime;

use crate::tls::pki::asn1;
use crate::tls::pki::name::{Entry, Name};
use crate::tls::pki::objects;

/// A name as RFC 2253 has it: the last part first, what is not plain ASCII escaped.
///
/// # Source
/// OpenSSL's `X509_NAME_print_ex` with `XN_FLAG_RFC2253`
pub fn rfc2253(name: &Name) -> String {
    let mut out = String::new();
    let mut separator = "";
    for entry in name.entries.iter().rev() {
        out.push_str(separator);
        separator = if entry.joined { "+" } else { "," };
        match objects::by_contents(&entry.oid) {
            Some(known) => {
                out.push_str(known.sn);
                out.push('=');
                value(entry, &mut out);
            }
            None => {
                out.push_str(&asn1::dotted(&entry.oid).unwrap_or_default());
                out.push('=');
                dump(entry, &mut out);
            }
        }
    }
    out
}

/// A name in the old way, the first part first.
///
/// # Source
/// OpenSSL's `X509_NAME_oneline`
pub fn one_line(name: &Name) -> String {
    let mut out = String::new();
    for entry in &name.entries {
        let known = objects::by_contents(&entry.oid).map(|o| o.sn.to_owned());
        let attribute = known.or_else(|| asn1::dotted(&entry.oid)).unwrap_or_default();
        out.push_str(&format!("/{attribute}="));
        for byte in &entry.value {
            match byte {
                b'/' | b'+' => out.push_str(&format!("\\{}", char::from(*byte))),
                b' '..=b'~' => out.push(char::from(*byte)),
                _ => out.push_str(&format!("\\x{byte:02X}")),
            }
        }
    }
    out
}

fn dump(entry: &Entry, out: &mut String) {
    out.push('#');
    for byte in asn1::element(entry.tag, &entry.value) {
        out.push_str(&format!("{byte:02X}"));
    }
}

fn value(entry: &Entry, out: &mut String) {
    let bytes = &entry.value;
    let text: String = match entry.tag {
        asn1::UTF8_STRING => match std::str::from_utf8(bytes) {
            Ok(text) => text.to_owned(),
            Err(_) => return dump(entry, out),
        },
        // numeric, printable, T61, videotex, IA5, visible strings: a byte a character
        18..=22 | 26 => bytes.iter().map(|b| char::from(*b)).collect(),
        28 => wide::<4>(bytes),
        30 => wide::<2>(bytes),
        _ => return dump(entry, out),
    };
    let last = text.len().saturating_sub(1);
    for (at, byte) in text.bytes().enumerate() {
        let edge = byte == b' ' && (at == 0 || at == last) || byte == b'#' && at == 0;
        match byte {
            b',' | b'+' | b'"' | b'\\' | b'<' | b'>' | b';' => {
                out.push('\\');
                out.push(char::from(byte));
            }
            _ if edge => {
                out.push('\\');
                out.push(char::from(byte));
            }
            0x20..=0x7e => out.push(char::from(byte)),
            _ => out.push_str(&format!("\\{byte:02X}")),
        }
    }
}

fn wide<const N: usize>(bytes: &[u8]) -> String {
    let number = |unit: &[u8]| unit.iter().fold(0_u32, |n, b| n << 8 | u32::from(*b));
    let char = |n| char::from_u32(n).unwrap_or(char::REPLACEMENT_CHARACTER);
    bytes.chunks_exact(N).map(number).map(char).collect()
}

/// A time as `ASN1_TIME_print` has it: `Nov  5 09:00:00 2026 GMT`.
pub fn time(seconds: i64) -> Option<String> {
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let t = OffsetDateTime::from_unix_timestamp(seconds).ok()?;
    let month = MONTHS[usize::from(u8::from(t.month())) - 1];
    let (day, hour, minute, second) = (t.day(), t.hour(), t.minute(), t.second());
    Some(format!(
        "{month} {day:2} {hour:02}:{minute:02}:{second:02} {} GMT",
        t.year()
    ))
}

/// A serial number's contents as `i2a_ASN1_INTEGER` has them.
pub fn serial(contents: &[u8]) -> String {
    let negative = contents.first().is_some_and(|b| b & 0x80 != 0);
    let mut magnitude = contents.to_vec();
    if negative {
        let mut carry = true;
        for byte in magnitude.iter_mut().rev() {
            (*byte, carry) = (!*byte).overflowing_add(u8::from(carry));
        }
    }
    let skip = magnitude.iter().take_while(|b| **b == 0).count();
    let digits = &magnitude[skip.min(magnitude.len().saturating_sub(1))..];
    let mut out = String::from(if negative { "-" } else { "" });
    if digits.is_empty() {
        out.push_str("00");
    }
    for byte in digits {
        out.push_str(&format!("{byte:02X}"));
    }
    out
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn entry(sn: &str, tag: u8, value: &[u8], joined: bool) -> Entry {
        Entry {
            oid: objects::contents(sn).unwrap(),
            tag,
            value: value.to_vec(),
            joined,
        }
    }

    #[test]
    fn c07_names_as_nginx_shows_them() {
        let name = Name {
            entries: vec![
                entry("C", 19, b"DE", false),
                entry("O", 12, " a,b+\"c\\<d>;e ".as_bytes(), false),
                entry("OU", 12, "Müller".as_bytes(), true),
                entry("CN", 30, &[0, b'#', 0, b'x'], false),
                entry("1.2.3.4", 12, b"v", false),
                entry("L", 12, &[0xff, 1], false),
            ],
        };
        assert_eq!(
            rfc2253(&name),
            "L=#0C02FF01,1.2.3.4=#0C0176,CN=\\#x,OU=M\\C3\\BCller+O=\\ a\\,b\\+\\\"c\\\\\\<d\\>\\;e\\ ,C=DE"
        );
        assert_eq!(rfc2253(&Name::default()), "");
        let name = Name {
            entries: vec![
                entry("C", 19, b"DE", false),
                entry("O", 12, "a/b+ü".as_bytes(), false),
            ],
        };
        assert_eq!(one_line(&name), "/C=DE/O=a\\/b\\+\\xC3\\xBC");
    }

    #[test]
    fn c07_times_and_serials_as_nginx_shows_them() {
        assert_eq!(time(0).unwrap(), "Jan  1 00:00:00 1970 GMT");
        assert_eq!(time(1_795_000_000).unwrap(), "Nov 18 11:06:40 2026 GMT");
        assert_eq!(serial(&[0]), "00");
        assert_eq!(serial(&[0, 0xfe, 1]), "FE01");
        assert_eq!(serial(&[0x0a]), "0A");
        assert_eq!(serial(&[0xff]), "-01");
        assert_eq!(serial(&[]), "00");
    }
}
