//! Everything that makes two upstream connections different, compared by equality.
//!
//! Must not: leave anything out that a connection is made with: the pool key is this whole value.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use rustls::pki_types::ServerName;

use crate::tls::client::ClientProfile;

/// How to connect.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ConnectPlan {
    /// The address.
    pub addr: SocketAddr,
    /// TLS, and how; none: plain.
    pub tls: Option<Arc<TlsPlan>>,
}

/// How to speak TLS to an upstream: client identity, verification with trust store and depth, versions and protocols
/// are the profile's.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TlsPlan {
    /// Whom the server is to be; as SNI where it is a name.
    pub name: TlsName,
    /// The rest.
    pub profile: ClientProfile,
}

/// The name asked for and verified.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum TlsName {
    /// A DNS name, or an address, which is verified and not sent (RFC 6066).
    Known(ServerName<'static>),
    /// What is neither: it is not sent, and no certificate matches it.
    Odd(String),
}

impl ConnectPlan {
    /// Without TLS.
    pub fn plain(addr: SocketAddr) -> Self {
        Self { addr, tls: None }
    }
}

impl TlsName {
    /// Of a Host header: without the port, brackets of an IPv6 address taken off.
    ///
    /// # Source
    /// ngx_http_upstream.c, `ngx_http_upstream_ssl_name`
    pub fn of_host(host: &str) -> Self {
        let bare = without_port(host);
        let inner = bare.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        if let Some(address) = inner.and_then(|inner| inner.parse::<Ipv6Addr>().ok()) {
            return Self::Known(ServerName::IpAddress(IpAddr::V6(address).into()));
        }
        if let Ok(address) = bare.parse::<Ipv4Addr>() {
            return Self::Known(ServerName::IpAddress(IpAddr::V4(address).into()));
        }
        match rustls::pki_types::DnsName::try_from(bare) {
            Ok(name) => Self::Known(ServerName::DnsName(name.to_owned())),
            Err(_) => Self::Odd(bare.to_owned()),
        }
    }

    /// A name or an address as it stands, without a port.
    pub fn exactly(name: &str) -> Self {
        let inner = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        if let Ok(address) = inner.unwrap_or(name).parse::<IpAddr>() {
            return Self::Known(ServerName::IpAddress(address.into()));
        }
        match rustls::pki_types::DnsName::try_from(name) {
            Ok(name) => Self::Known(ServerName::DnsName(name.to_owned())),
            Err(_) => Self::Odd(name.to_owned()),
        }
    }

    /// As rustls wants it; what is no name is an address that is nobody's, since addresses are not sent.
    pub fn server_name(&self) -> ServerName<'static> {
        match self {
            Self::Known(name) => name.clone(),
            Self::Odd(_) => ServerName::IpAddress(IpAddr::V4(Ipv4Addr::UNSPECIFIED).into()),
        }
    }

    /// As it is written in log lines.
    pub fn text(&self) -> String {
        match self {
            Self::Known(name) => name.to_str().into_owned(),
            Self::Odd(text) => text.clone(),
        }
    }
}

fn without_port(host: &str) -> &str {
    let from = match host.starts_with('[') {
        true => host.find(']').unwrap_or(0),
        false => 0,
    };
    match host[from..].find(':') {
        Some(colon) => &host[..from + colon],
        None => host,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn c03_the_name_is_the_host_without_port() {
        let sni = |host: &str| match TlsName::of_host(host) {
            TlsName::Known(ServerName::DnsName(name)) => Some(name.as_ref().to_owned()),
            _ => None,
        };
        assert_eq!(sni("example.com").as_deref(), Some("example.com"));
        assert_eq!(sni("example.com:8443").as_deref(), Some("example.com"));
        assert_eq!(sni("under_score.example").as_deref(), Some("under_score.example"));
        for address in ["10.1.2.3", "10.1.2.3:443", "[::1]", "[::1]:8443"] {
            assert_eq!(sni(address), None, "{address}");
            let TlsName::Known(ServerName::IpAddress(_)) = TlsName::of_host(address) else {
                panic!("{address} is an address");
            };
        }
        for odd in ["", "a b", "-x.example", "é.example", ":80", "[::1", "a..b"] {
            assert!(matches!(TlsName::of_host(odd), TlsName::Odd(_)), "{odd:?}");
        }
        assert_eq!(TlsName::of_host("[::1]:8443").text(), "::1");
    }
}
