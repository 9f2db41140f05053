//! Access and error logs: formats, levels and the thread that writes them.
//!
//! Lines are built on the worker's thread into reused buffers (`access`, `error`) and handed to one writing
//! thread (`writer`) over a bounded channel; when that is full, lines are dropped and counted, never waited for.
//!
//! Must not: block a worker.

pub mod access;
pub mod error;
pub mod level;
pub mod stamp;
pub mod target;
pub mod writer;

#[cfg(test)]
mod tests;
