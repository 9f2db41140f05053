//! Which route serves a request: a pure function of the snapshot and the request head.
