//! Sockets and raw bytes: listeners, the framing guard, addresses, the head writer.
//!
//! Must not: know routes, plugins or Lua.
