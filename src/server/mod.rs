//! Worker threads, accepting, signals, reload; the embedded echo upstream.
