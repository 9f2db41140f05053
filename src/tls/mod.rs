//! TLS material and configuration: keys, certificates, identities, whom to trust and how a peer is judged.
//!
//! Must not: know Lua, sockets, or which request wants it.

pub mod chain;
pub mod client;
mod group;
pub mod identity;
pub mod key;
mod names;
pub mod openssl;
pub mod pki;
mod provider;
pub mod server;
pub mod session;
mod signing;
pub mod trust;
pub mod verify;

#[cfg(test)]
mod tests;

pub use provider::provider;
