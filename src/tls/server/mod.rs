//! TLS of listeners: what a ClientHello says, which certificate is shown, sessions, what is known afterwards.
//!
//! Must not: open sockets, run Lua, or know entities.

mod client;
mod config;
pub mod dn;
mod facts;
pub mod hello;
pub mod names;
mod options;
mod sessions;
mod verdict;
mod wishes;

pub use config::{Server, ServerError};
pub use facts::Facts;
pub use hello::Hello;
pub use options::{Options, Texts, Versions};
pub use wishes::{ClientRequest, ServerIdentity, WishError, Wishes};
