//! Loads of declarative texts, whole.
#![allow(clippy::unwrap_used)]

mod fuzz;
