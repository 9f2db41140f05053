//! What keys and certificates are, and how they are written: DER, PEM, PKCS#1, PKCS#8, SEC1, X.509.
//!
//! Read from bytes that anybody may have sent. Must not: know Lua or TLS, read a clock, or decide whom to trust.

pub mod asn1;
pub mod cert;
pub mod crl;
pub mod csr;
pub mod dh;
pub mod digest;
pub mod extension;
pub mod fast;
pub mod general;
pub mod key;
pub mod key_code;
pub mod name;
pub mod objects;
pub mod ocsp;
pub mod p12;
pub(crate) mod p192;
pub mod path;
pub mod pem;
mod pkcs12;
pub mod places;
pub mod prime;
pub mod revocation;
pub mod sign;
pub mod signed;
pub mod time;
