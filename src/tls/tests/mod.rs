//! Tests of the room's parts beside OpenSSL, and with bytes that nobody should send.
#![allow(clippy::unwrap_used)]

mod fuzz;
mod names;
