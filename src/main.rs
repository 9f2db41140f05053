//! The `moongate` binary; what it does is in [`moongate::cli`].

fn main() -> std::process::ExitCode {
    moongate::cli::main()
}
