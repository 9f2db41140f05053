//! From a plan to bytes: the connect plan, connections, the pool and one try.
//!
//! Must not: know routes, phases or Lua; what may be tried again is judged here by the error itself, how often
//! is the proxy's to say.

pub mod body;
pub mod conn;
pub mod connector;
pub mod defaults;
pub mod error;
mod gate;
mod handshake;
pub mod plan;
pub mod pool;
pub mod stream;
#[cfg(test)]
mod tests;

pub use body::UpstreamBody;
pub use conn::{Conn, OutBody, Silence};
pub use connector::Connector;
pub use defaults::TlsDefaults;
pub use error::AttemptError;
pub use plan::{ConnectPlan, TlsName, TlsPlan};
pub use pool::Pool;
