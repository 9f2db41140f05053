//! Settings: `kong.conf`, `KONG_*`, the `_gateway` key of `config.json`, their defaults and their refusals.
//!
//! Must not: start anything, log, or know what a request is.
