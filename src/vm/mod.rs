//! The Lua state and its laws: ops, scope, driver, loader, coroutines, watchdog.
