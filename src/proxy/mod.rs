//! The story of one request, from its head to its log line.
