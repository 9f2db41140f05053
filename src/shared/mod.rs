//! What all workers share: shared dictionaries, caches, events. Sharded or swapped, never held.
//!
//! Must not: know Lua or requests.

pub mod cache;
pub mod dict;
pub mod events;
pub mod traffic;
