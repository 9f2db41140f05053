//! TLS material and configuration.
//!
//! Must not: know which request wants it.
