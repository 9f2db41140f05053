//! The hosts file: names to addresses that no server is asked for.
//!
//! Must not: read files.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::name::literal;

/// How many names one file may define.
const MAX_NAMES: usize = 100_000;

/// The addresses of one name; the first of each family wins.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct HostAddresses {
    /// The first IPv4 address.
    pub v4: Option<Ipv4Addr>,
    /// The first IPv6 address.
    pub v6: Option<Ipv6Addr>,
}

/// Reads the text of a hosts file. Names are in lower case; `localhost` is there even if the file lacks it.
///
/// # Source
/// `kong/resty/dns/utils.lua`, `parseHosts`; RFC 6761, 6.3
pub fn parse(text: &[u8]) -> HashMap<Box<str>, HostAddresses> {
    let mut found: HashMap<Box<str>, HostAddresses> = HashMap::new();
    for line in text.split(|b| *b == b'\n') {
        let data = line
            .split(|b| *b == b'#' || *b == b';')
            .next()
            .unwrap_or_default();
        let Ok(data) = std::str::from_utf8(data) else {
            continue;
        };
        let mut words = data.split_ascii_whitespace();
        let Some(ip) = words.next().and_then(literal) else {
            continue;
        };
        for name in words {
            if found.len() >= MAX_NAMES {
                break;
            }
            let entry = found.entry(name.to_ascii_lowercase().into()).or_default();
            match ip {
                IpAddr::V4(ip) => entry.v4 = entry.v4.or(Some(ip)),
                IpAddr::V6(ip) => entry.v6 = entry.v6.or(Some(ip)),
            }
        }
    }
    found.entry("localhost".into()).or_insert(HostAddresses {
        v4: Some(Ipv4Addr::LOCALHOST),
        v6: Some(Ipv6Addr::LOCALHOST),
    });
    found
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn c05_the_first_address_of_each_family_wins() {
        let hosts = parse(
            b"# comment\n\
              127.0.0.1   localhost  Loop ; more\n\
              1.2.3.4 someserver\r\n\
              \t192.168.1.2 test.computer.com\n\
              192.168.1.3 ftp.COMPUTER.com alias1 alias2 # no\n\
              192.168.1.4 alias1\n\
              ::1 alias1\n\
              [fe80::2] alias2\n\
              1.2.3 bad\nname other\n1.2.3.4\n\xff\xfe 1.2.3.4\n",
        );
        let v4 = |name: &str| hosts.get(name).and_then(|h| h.v4).map(|ip| ip.to_string());
        assert_eq!(v4("localhost").as_deref(), Some("127.0.0.1"));
        assert_eq!(v4("loop").as_deref(), Some("127.0.0.1"));
        assert_eq!(v4("someserver").as_deref(), Some("1.2.3.4"));
        assert_eq!(v4("ftp.computer.com").as_deref(), Some("192.168.1.3"));
        assert_eq!(v4("alias1").as_deref(), Some("192.168.1.3"));
        assert_eq!(hosts["alias1"].v6, Some(Ipv6Addr::LOCALHOST));
        assert_eq!(hosts["alias2"].v6, Some("fe80::2".parse().unwrap()));
        assert_eq!(hosts["localhost"].v6, None, "what the file says of it is all");
        for none in ["bad", "other", "more", "no", "name"] {
            assert!(!hosts.contains_key(none), "{none}");
        }
    }

    #[test]
    fn c05_localhost_is_always_there() {
        let hosts = parse(b"");
        assert_eq!(hosts["localhost"].v4, Some(Ipv4Addr::LOCALHOST));
        assert_eq!(hosts["localhost"].v6, Some(Ipv6Addr::LOCALHOST));
    }
}
