//! Text checks.
