//! The Lua state and its laws: ops, scope, driver, loader, coroutines, watchdog.
//!
//! Must not: know Kong's or nginx's API, routes or sockets. This is the floor where `unsafe` lives.

pub mod cdata;
mod crew;
pub mod driver;
pub mod held;
pub mod json;
pub mod loader;
pub mod native;
pub mod op;
pub mod pairs;
mod pattern;
pub mod scope;
mod spin;
pub mod state;
mod strings;
mod thread;
mod trace;
pub mod watchdog;
pub mod within;

#[cfg(test)]
mod tests;

pub use driver::{Fault, Flow, Run};
pub use op::{Args, Kind, Out, Ret};
pub use scope::Scope;
pub use state::{Registrar, Stopped, Vm, VmOptions};
pub use thread::{STACK, YIELDABLE, check_client_abort, checks_client_abort};
