//! Runs Lua of commands on a thread whose stack is as deep as a worker's.
//!
//! Must not: outlive what it runs.

/// Runs `f` there and waits for it.
///
/// # Errors
/// When there is no thread to be had, or `f` panics.
pub(super) fn deep<T: Send>(name: &str, f: impl FnOnce() -> T + Send) -> Result<T, String> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new()
            .name(name.into())
            .stack_size(crate::vm::STACK);
        let running = thread.spawn_scoped(scope, f).map_err(|e| e.to_string())?;
        running.join().map_err(|_| "its thread ended".to_owned())
    })
}
