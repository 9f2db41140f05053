//! `kong.*`: pairs of a Lua face and Rust ops with the same stem.
