//! Access and error logs: formats, levels and the thread that writes them.
//!
//! Lines are built on the worker's thread into reused buffers (`access`, `error`) and handed to one writing
//! thread (`writer`) over a bounded channel; when that is full, lines are dropped and counted, never waited for.
//!
//! Must not: block a worker.

mod access;
mod capture;
mod error;
mod level;
mod stamp;
mod target;
mod writer;

pub use access::{AccessBuffer, AccessFormat, AccessRecord, escape};
pub use capture::{Capture, Captured};
pub use error::{ErrorContext, ErrorLog, MAX_LINE, SharedLevel, write_line};
pub use level::{Level, NotALevel};
pub use stamp::Stamp;
pub use target::Target;
pub use writer::{LogError, LogSink, LogWriter};

#[cfg(test)]
mod tests;
