//! The `moongate` binary.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: moongate::server::memory::Allocator = moongate::server::memory::Allocator;

fn main() -> ExitCode {
    moongate::cli::main()
}
