//! Access and error logs: formats, levels and the thread that writes them.
//!
//! Must not: block a worker.
