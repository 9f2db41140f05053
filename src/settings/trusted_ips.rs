//! `trusted_ips`.

use std::net::IpAddr;

use ipnet::IpNet;

/// Peers whose word about the client's address is taken.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrustedIps {
    /// Networks; a single address is a network of one.
    pub networks: Vec<IpNet>,
    /// `unix:`: peers on Unix sockets.
    pub unix: bool,
}

// === impl TrustedIps ===

impl TrustedIps {
    /// Whether `ip` is trusted. An IPv4 address in IPv6 clothes counts as the IPv4 address.
    pub fn contains(&self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        self.networks.iter().any(|net| net.contains(&ip))
    }

    pub(super) fn parse(entries: &[String], errors: &mut Vec<String>) -> Self {
        let mut trusted = Self::default();
        for entry in entries {
            let network = entry
                .parse::<IpNet>()
                .or_else(|_| entry.parse::<IpAddr>().map(IpNet::from));
            match network {
                Ok(network) => trusted.networks.push(network),
                Err(_) if entry == "unix:" => trusted.unix = true,
                Err(_) => errors.push(format!(
                    "trusted_ips must be a comma separated list in the form of IPv4 or IPv6 address or CIDR \
                     block or 'unix:', got '{entry}'"
                )),
            }
        }
        trusted
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::value::array;
    use super::*;

    #[test]
    fn a12_trusted_ips() {
        let mut errors = Vec::new();
        let trusted = TrustedIps::parse(&array("10.0.0.0/8, ::1, 192.168.1.7, unix:"), &mut errors);
        assert!(errors.is_empty() && trusted.unix);
        for (ip, expected) in [
            ("10.9.8.7", true),
            ("::ffff:10.9.8.7", true),
            ("192.168.1.7", true),
            ("192.168.1.8", false),
            ("::1", true),
            ("::2", false),
        ] {
            assert_eq!(trusted.contains(ip.parse().unwrap()), expected, "{ip}");
        }
        TrustedIps::parse(&array("10.0.0.0/33, name"), &mut errors);
        assert_eq!(errors.len(), 2);
        assert!(errors[1].ends_with("got 'name'"));
    }
}
