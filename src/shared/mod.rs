//! What all workers share: shared dictionaries and counters. Sharded or swapped, never held.
//!
//! Must not: know Lua or requests.

pub mod dict;
