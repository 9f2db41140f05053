//! The busted-style spec runner.
