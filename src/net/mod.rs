//! Sockets and raw bytes: listeners, the framing guard, addresses, the head writer.
//!
//! `guard` stands between a client's stream and hyper's HTTP/1 server: it reads every byte first, refuses what
//! RFC 9112 says must be refused, keeps each head as it was sent (`head`) and shows hyper a skeleton only.
//! `head_writer` is its mirror on the upstream side. `real_ip` and `forwarded` are pure functions on addresses.
//!
//! Must not: know routes, plugins or Lua.

pub mod body_file;
pub mod chunked;
pub mod counted;
pub mod forwarded;
pub mod guard;
mod guard_handle;
pub mod head;
pub mod head_parser;
mod head_swap;
pub mod head_writer;
pub mod known;
pub mod listen;
pub mod plain;
pub mod raw;
pub mod real_ip;
mod skeleton;
pub mod spelling;
mod target;

#[cfg(test)]
mod tests;
