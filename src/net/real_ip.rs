//! Who the client is when trusted proxies stand between it and us: nginx's realip module.
//!
//! # Source
//! <https://nginx.org/en/docs/http/ngx_http_realip_module.html>; Kong's `trusted_ips`, `real_ip_header` and
//! `real_ip_recursive` map to its three directives.
//!
//! Must not: look anything up; addresses and headers come in, an address comes out.

use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;

use super::head::RequestHead;
use super::known::Known;

/// The networks whose word about the client is taken (`trusted_ips`).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Trusted {
    nets: Vec<IpNet>,
    unix: bool,
}

/// An entry of `trusted_ips` that is neither an address, a network nor `unix:`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("trusted_ips: '{0}' is not a valid IP address, CIDR block or 'unix:'")]
pub struct NotAnAddress(pub String);

/// Where the client's address is told (`real_ip_header`).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum RealIpHeader {
    /// The first X-Real-IP header: Kong's default.
    #[default]
    XRealIp,
    /// The X-Forwarded-For headers, read from the end.
    XForwardedFor,
    /// The PROXY protocol's header.
    ProxyProtocol,
    /// The first header of this (lower-case) name.
    Other(String),
}

/// Who connected to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peer {
    /// Over TCP.
    Ip(SocketAddr),
    /// Over a unix socket.
    Unix,
}

/// The client's address as `$remote_addr` and `$remote_port` tell it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientAddress {
    /// `None` for a client on a unix socket (`unix:`).
    pub ip: Option<IpAddr>,
    /// `None` where a header told the address without a port.
    pub port: Option<u16>,
}

/// The three settings together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RealIp {
    /// `trusted_ips`
    pub trusted: Trusted,
    /// `real_ip_header`
    pub header: RealIpHeader,
    /// `real_ip_recursive`: go on past trusted addresses.
    pub recursive: bool,
}

// === impl Trusted ===

impl Trusted {
    /// Reads the entries of `trusted_ips`.
    ///
    /// # Errors
    /// The first entry that is no address, network or `unix:`.
    pub fn parse<I: AsRef<str>>(entries: impl IntoIterator<Item = I>) -> Result<Self, NotAnAddress> {
        let mut trusted = Self::default();
        for entry in entries {
            let entry = entry.as_ref().trim();
            if entry == "unix:" {
                trusted.unix = true;
                continue;
            }
            let net = match entry.parse::<IpAddr>() {
                Ok(ip) => IpNet::from(ip),
                Err(_) => entry.parse().map_err(|_| NotAnAddress(entry.to_owned()))?,
            };
            trusted.nets.push(net);
        }
        Ok(trusted)
    }

    /// Whether an address is in one of the networks (`kong.ip.is_trusted`).
    pub fn contains(&self, ip: IpAddr) -> bool {
        // An IPv4 client of an IPv6 socket counts as the IPv4 address it is.
        let ip = ip.to_canonical();
        self.nets.iter().any(|net| net.contains(&ip))
    }

    fn contains_peer(&self, peer: Peer) -> bool {
        match peer {
            Peer::Ip(address) => self.contains(address.ip()),
            Peer::Unix => self.unix,
        }
    }

    /// Whether nobody is trusted.
    pub fn is_empty(&self) -> bool {
        self.nets.is_empty() && !self.unix
    }
}

// === impl RealIpHeader ===

impl RealIpHeader {
    /// Reads `real_ip_header`, in any case.
    pub fn parse(name: &str) -> Self {
        match name.to_ascii_lowercase().as_str() {
            "x-real-ip" => Self::XRealIp,
            "x-forwarded-for" => Self::XForwardedFor,
            "proxy_protocol" => Self::ProxyProtocol,
            other => Self::Other(other.to_owned()),
        }
    }
}

// === impl ClientAddress ===

impl From<Peer> for ClientAddress {
    fn from(peer: Peer) -> Self {
        match peer {
            Peer::Ip(address) => Self {
                ip: Some(address.ip().to_canonical()),
                port: Some(address.port()),
            },
            Peer::Unix => Self { ip: None, port: None },
        }
    }
}

// === impl RealIp ===

impl RealIp {
    /// The client's address of one request. `proxied` is what the PROXY protocol told, if it was spoken.
    pub fn client(&self, peer: Peer, proxied: Option<SocketAddr>, head: &RequestHead) -> ClientAddress {
        let unchanged = ClientAddress::from(peer);
        if self.trusted.is_empty() || !self.trusted.contains_peer(peer) {
            return unchanged;
        }
        let found = match &self.header {
            RealIpHeader::ProxyProtocol => {
                return proxied.map_or(unchanged, |address| Peer::Ip(address).into());
            }
            RealIpHeader::XForwardedFor => self.walk(head.get_all("x-forwarded-for")),
            RealIpHeader::XRealIp => self.walk(head.known(Known::XRealIp).into_iter()),
            RealIpHeader::Other(name) => self.walk(head.get(name).into_iter()),
        };
        found.unwrap_or(unchanged)
    }

    /// Goes through the values from the last address to the first, while what was found is trusted.
    fn walk<'a>(&self, values: impl Iterator<Item = &'a [u8]>) -> Option<ClientAddress> {
        let values: Vec<_> = values.collect();
        let mut found = None;
        for value in values.into_iter().rev() {
            let mut rest = value;
            loop {
                let (before, entry) = last_entry(rest);
                let Some(address) = parse_address(entry) else {
                    return found;
                };
                found = Some(address);
                if !self.recursive || !address.ip.is_some_and(|ip| self.trusted.contains(ip)) {
                    return found;
                }
                if before.is_empty() {
                    break;
                }
                rest = before;
            }
        }
        found
    }
}

/// Cuts the last entry off a list separated by commas and spaces.
fn last_entry(list: &[u8]) -> (&[u8], &[u8]) {
    let separator = |byte: &u8| matches!(byte, b' ' | b',');
    let end = list
        .iter()
        .rposition(|byte| !separator(byte))
        .map_or(0, |at| at + 1);
    let start = list[..end].iter().rposition(separator).map_or(0, |at| at + 1);
    (&list[..start], &list[start..end])
}

/// `ip`, `ip:port` or `[ip]:port`.
fn parse_address(entry: &[u8]) -> Option<ClientAddress> {
    let text = std::str::from_utf8(entry).ok()?;
    if let Ok(ip) = text.parse::<IpAddr>() {
        return Some(ClientAddress {
            ip: Some(ip.to_canonical()),
            port: None,
        });
    }
    if let Some(ip) = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return Some(ClientAddress {
            ip: Some(IpAddr::V6(ip.parse().ok()?)),
            port: None,
        });
    }
    let address: SocketAddr = text.parse().ok()?;
    Some(Peer::Ip(address).into())
}
