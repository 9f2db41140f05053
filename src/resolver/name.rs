//! What a host's text is: an address or a name, with a port or without.
//!
//! Must not: resolve anything.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// Which of the three a text is taken for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HostKind {
    /// Digits and dots only; not necessarily a valid address.
    Ipv4,
    /// More than one colon; not necessarily a valid address.
    Ipv6,
    /// Anything else.
    Name,
}

/// Decides by exclusion, as Kong does.
///
/// # Source
/// `kong/resty/dns/utils.lua`, `hostnameType`
pub fn kind_of(text: &str) -> HostKind {
    let colons = text.bytes().filter(|b| *b == b':').count();
    let mut rest = text.bytes().filter(|b| *b != b':').peekable();
    if colons > 1 {
        HostKind::Ipv6
    } else if rest.peek().is_some() && rest.all(|b| b.is_ascii_digit() || b == b'.') {
        HostKind::Ipv4
    } else {
        HostKind::Name
    }
}

/// The address that a text is, in brackets or not.
pub fn literal(text: &str) -> Option<IpAddr> {
    let first = *text.as_bytes().first()?;
    // names, which are most of what is asked for, are told apart by their first byte
    if !first.is_ascii_hexdigit() && first != b'[' && first != b':' {
        return None;
    }
    bare(text).parse().ok()
}

/// A text without the brackets of an IPv6 address.
pub fn bare(text: &str) -> &str {
    text.strip_prefix('[')
        .and_then(|t| t.strip_suffix(']'))
        .unwrap_or(text)
}

/// `address`, `address:port` or `[address]:port`; the port is 53 where it is left out.
pub fn server(text: &str) -> Option<SocketAddr> {
    if let Ok(addr) = text.parse::<SocketAddr>() {
        return Some(addr);
    }
    literal(text).map(|ip| SocketAddr::new(ip, 53))
}

/// An IPv6 address as lua-resty-dns writes it: eight groups, nothing left out.
pub fn eight_groups(ip: &Ipv6Addr) -> String {
    let groups: Vec<String> = ip.segments().iter().map(|s| format!("{s:x}")).collect();
    groups.join(":")
}

/// Whether a name asks for a service: `_service._proto.name`.
pub fn is_service(name: &str) -> bool {
    let mut labels = name.splitn(3, '.');
    let marked = |label: Option<&str>| {
        label.is_some_and(|l| l.len() > 1 && l.starts_with('_') && !l[1..].contains('_'))
    };
    marked(labels.next())
        && marked(labels.next())
        && labels
            .next()
            .is_some_and(|l| !l.is_empty() && !l.starts_with('.'))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn c05_hosts_are_told_apart_as_kong_does() {
        for (text, kind) in [
            ("123.123.123.123", HostKind::Ipv4),
            ("127.0.0.1:8080", HostKind::Ipv4),
            ("1.2.3", HostKind::Ipv4),
            ("::1", HostKind::Ipv6),
            ("[::1]:8000", HostKind::Ipv6),
            ("some::thing", HostKind::Ipv6),
            ("example.com", HostKind::Name),
            ("example.com:80", HostKind::Name),
            ("4.example", HostKind::Name),
            ("", HostKind::Name),
            (":", HostKind::Name),
        ] {
            assert_eq!(kind_of(text), kind, "{text}");
        }
        assert_eq!(literal("[::1]"), Some(Ipv6Addr::LOCALHOST.into()));
        assert_eq!(literal("fe80::1").map(|a| a.is_ipv6()), Some(true));
        assert_eq!(literal("1.2.3"), None);
        assert_eq!(literal("face.example"), None);
        assert_eq!(
            eight_groups(&"fe80::1:20".parse().unwrap()),
            "fe80:0:0:0:0:0:1:20"
        );
    }

    #[test]
    fn c05_servers_have_port_53_unless_they_say_another() {
        for (text, addr) in [
            ("1.1.1.1", Some("1.1.1.1:53")),
            ("1.1.1.1:54", Some("1.1.1.1:54")),
            ("::1", Some("[::1]:53")),
            ("[::1]", Some("[::1]:53")),
            ("[::1]:54", Some("[::1]:54")),
            ("dns.example", None),
            ("1.1.1.1:x", None),
        ] {
            assert_eq!(server(text), addr.map(|a| a.parse().unwrap()), "{text}");
        }
    }

    #[test]
    fn c05_names_of_services_begin_with_two_marked_labels() {
        for (name, is) in [
            ("_ldap._tcp.example.com", true),
            ("_a._b.c", true),
            ("_ldap.tcp.example.com", false),
            ("ldap._tcp.example.com", false),
            ("_ldap._tcp", false),
            ("_._tcp.x", false),
            ("_l_dap._tcp.x", false),
            ("_ldap._tcp..x", false),
        ] {
            assert_eq!(is_service(name), is, "{name}");
        }
    }
}
