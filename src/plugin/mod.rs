//! Plugins: the registry, which configuration applies, what a request collected, running them.
