//! From a plan to bytes: the connect plan, connections, the pool and one try.
//!
//! Must not: know routes, phases or Lua; what may be tried again is judged here by the error itself, how often
//! is the proxy's to say.

pub mod body;
pub mod conn;
pub mod error;
pub mod plan;
pub mod pool;

pub use body::UpstreamBody;
pub use conn::{Conn, OutBody, Silence};
pub use error::AttemptError;
pub use plan::ConnectPlan;
pub use pool::Pool;
