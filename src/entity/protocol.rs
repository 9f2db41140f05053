//! The protocols services and routes speak.

use serde::Deserialize;

/// A protocol of a service, a route or a plugin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Protocol {
    /// Plain gRPC.
    Grpc,
    /// gRPC over TLS.
    Grpcs,
    /// Plain HTTP.
    Http,
    /// HTTP over TLS.
    Https,
    /// A TCP stream.
    Tcp,
    /// A TLS stream.
    Tls,
    /// A TLS stream that is not terminated here.
    TlsPassthrough,
    /// UDP datagrams.
    Udp,
}

impl Protocol {
    /// All names, in the order Kong's messages list them.
    pub const NAMES: &'static [&'static str] = &[
        "grpc",
        "grpcs",
        "http",
        "https",
        "tcp",
        "tls",
        "tls_passthrough",
        "udp",
    ];

    /// The name in configuration.
    pub fn as_str(self) -> &'static str {
        Self::NAMES[self as usize]
    }

    /// Whether it belongs to the http subsystem (and not to the stream subsystem).
    pub fn is_http(self) -> bool {
        matches!(self, Self::Grpc | Self::Grpcs | Self::Http | Self::Https)
    }

    /// Whether connections of this protocol use TLS.
    pub fn is_tls(self) -> bool {
        matches!(self, Self::Grpcs | Self::Https | Self::Tls | Self::TlsPassthrough)
    }
}
