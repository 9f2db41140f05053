//! Moongate: an embedded Lua scripting host that runs Kong-style plugins on a hyper proxy.
//!
//! Rooms stand on floors; a room may use only rooms below its own (kept by a test in `tests/`):
//! 7 cli server admin busted · 6 proxy · 5 plugin db cache · 4 pdk ngx libs schema · 3 vm ·
//! 2 router balancer upstream ·
//! 1 exchange · 0 entity store shared net tls settings logs.

pub mod admin;
pub mod balancer;
pub mod busted;
pub mod cache;
pub mod cli;
pub mod db;
pub mod entity;
pub mod exchange;
pub mod libs;
pub mod logs;
pub mod net;
pub mod ngx;
pub mod pdk;
pub mod plugin;
pub mod proxy;
pub mod resolver;
pub mod router;
pub mod schema;
pub mod server;
pub mod settings;
pub mod shared;
pub mod store;
pub mod tls;
pub mod upstream;
pub mod vm;
