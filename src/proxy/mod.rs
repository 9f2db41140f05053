//! The story of one request, from its head to its log line.
//!
//! begin → rewrite → route → access → forward → response → header_filter → body_filter → log. Whatever ends a
//! request early leaves by the same way out: `respond`. Must not: accept connections, read settings files, or
//! know what plugins do.

pub mod abort;
mod access;
pub mod begin;
pub mod body_in;
pub mod body_out;
pub mod choose;
mod conditional;
pub mod connect;
pub mod fault;
pub mod forward;
pub mod generation;
pub mod handshake;
pub mod hash_input;
pub mod head_back;
pub mod head_out;
pub mod internal;
pub mod live;
pub mod log;
mod pace;
pub mod redirect;
pub mod respond;
pub mod serve;
pub mod spool;
pub mod worker;

pub use generation::Generation;
pub use serve::serve;
pub use worker::Worker;
