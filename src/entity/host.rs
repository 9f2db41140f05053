//! Host names, IP literals and `host:port` addresses, parsed as Kong parses them.
//!
//! # Source
//! `kong/tools/ip.lua`

use std::net::{Ipv4Addr, Ipv6Addr};

/// What a host text is, by exclusion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HostKind {
    /// Digits and dots.
    Ipv4,
    /// More than one colon.
    Ipv6,
    /// All else.
    Name,
}

/// A parsed `host`, `host:port` or `[ipv6]:port`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// What the host is.
    pub kind: HostKind,
    /// The host without brackets; IPv4 without leading zeros.
    pub host: String,
    /// The port, where one is given.
    pub port: Option<u16>,
}

/// Why a text is no address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// The port is beyond 65535.
    #[error("invalid port number")]
    Port,
    /// Not an IPv4 address.
    #[error("invalid ipv4 address: {0}")]
    Ipv4(String),
    /// Not an IPv6 address.
    #[error("invalid ipv6 address: {0}")]
    Ipv6(String),
    /// Not a host name.
    #[error("invalid hostname: {0}")]
    Name(String),
}

/// Tells IPv4, IPv6 and names apart without judging them.
pub fn host_kind(text: &str) -> HostKind {
    if text.bytes().filter(|b| *b == b':').count() > 1 {
        return HostKind::Ipv6;
    }
    let digits = |b: u8| b.is_ascii_digit() || b == b'.';
    if text.bytes().any(|b| b != b':') && text.bytes().filter(|b| *b != b':').all(digits) {
        return HostKind::Ipv4;
    }
    HostKind::Name
}

/// Parses `host`, `host:port`, `1.2.3.4:port`, `::1` and `[::1]:port`.
///
/// # Errors
/// Where the text is none of these.
pub fn parse_address(text: &str) -> Result<Address, AddressError> {
    let kind = host_kind(text);
    let (host, port) = match kind {
        HostKind::Ipv4 => ipv4(text)?,
        HostKind::Ipv6 => ipv6(text)?,
        HostKind::Name => name(text)?,
    };
    Ok(Address { kind, host, port })
}

fn port(digits: &str) -> Result<u16, AddressError> {
    digits.parse().map_err(|_| AddressError::Port)
}

fn ipv4(text: &str) -> Result<(String, Option<u16>), AddressError> {
    let bad = || AddressError::Ipv4(text.to_owned());
    let (address, port_text) = match text.split_once(':') {
        Some((address, digits)) if !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) => {
            (address, Some(digits))
        }
        Some(_) => return Err(bad()),
        None => (text, None),
    };
    let mut octets = [0u8; 4];
    let mut parts = address.split('.');
    for octet in &mut octets {
        let part = parts
            .next()
            .filter(|p| (1..=3).contains(&p.len()))
            .ok_or_else(bad)?;
        *octet = part.parse().map_err(|_| bad())?;
    }
    if parts.next().is_some() {
        return Err(bad());
    }
    Ok((
        Ipv4Addr::from(octets).to_string(),
        port_text.map(port).transpose()?,
    ))
}

fn ipv6(text: &str) -> Result<(String, Option<u16>), AddressError> {
    let bad = || AddressError::Ipv6(text.to_owned());
    let (address, port_text) = match text.strip_prefix('[') {
        Some(rest) => {
            let (address, after) = rest.split_once(']').ok_or_else(bad)?;
            match after {
                "" => (address, None),
                after => {
                    let digits = after.strip_prefix(':').ok_or_else(bad)?;
                    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
                        return Err(bad());
                    }
                    (address, Some(digits))
                }
            }
        }
        None => (text, None),
    };
    address.parse::<Ipv6Addr>().map_err(|_| bad())?;
    Ok((address.to_ascii_lowercase(), port_text.map(port).transpose()?))
}

fn name(text: &str) -> Result<(String, Option<u16>), AddressError> {
    let bad = || AddressError::Name(text.to_owned());
    let (host, port_text) = match text.rsplit_once(':') {
        Some((host, digits)) if !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) => {
            (host, Some(digits))
        }
        _ => (text, None),
    };
    let port = port_text.map(port).transpose()?;
    if host.is_empty()
        || !host
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b))
    {
        return Err(bad());
    }
    let mut labels = host.split('.').peekable();
    while let Some(label) = labels.next() {
        if label.ends_with('-') || (label.is_empty() && labels.peek().is_some()) {
            return Err(bad());
        }
    }
    Ok((host.to_owned(), port))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a12_addresses_of_targets() {
        for (text, kind, host, port) in [
            ("example.com", HostKind::Name, "example.com", None),
            ("example.com.:80", HostKind::Name, "example.com.", Some(80)),
            ("under_score", HostKind::Name, "under_score", None),
            ("010.1.2.3:65535", HostKind::Ipv4, "10.1.2.3", Some(65535)),
            ("::1", HostKind::Ipv6, "::1", None),
            ("[FE80::1]:8080", HostKind::Ipv6, "fe80::1", Some(8080)),
            ("[::1]", HostKind::Ipv6, "::1", None),
        ] {
            let address = parse_address(text).unwrap();
            assert_eq!(
                address,
                Address {
                    kind,
                    host: host.to_owned(),
                    port
                },
                "{text}"
            );
        }
        for text in [
            "",
            ":",
            "1.2.3",
            "1.2.3.4.5",
            "256.1.1.1",
            "1.2.3.4:x",
            "1.2.3.4:70000",
            "a:70000",
            "a b",
            "-a-.b",
            "a..b",
            "[::1",
            "[::1]x",
            "[::1]:",
            ":::",
            "http://a",
        ] {
            assert!(parse_address(text).is_err(), "{text}");
        }
    }
}
