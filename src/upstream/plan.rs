//! Everything that makes two upstream connections different, compared by equality.
//!
//! Must not: leave anything out that a connection is made with: the pool key is this whole value.

use std::net::SocketAddr;

/// How to connect. TLS (SNI, identity, trust, depth) joins it with upstream TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ConnectPlan {
    /// The address.
    pub addr: SocketAddr,
}
