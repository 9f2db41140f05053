//! The `moongate` binary.

use std::process::ExitCode;

/// Lua and Rust allocate and free small blocks all the time; glibc's malloc was 7 % of a proxied request's CPU.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    moongate::cli::main()
}
