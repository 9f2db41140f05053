//! Kong's caches: `kong.cache` and `kong.core_cache`, the `mlcache` they are made of, and the events of workers.
//!
//! Each worker keeps Lua values in a list of its own (tables keep their identity while they are cached), over the
//! tier in [`crate::shared::cache`]. A callback that fills a key runs once across workers; the others wait for it.
//! Must not: know what is cached.

mod ops;
mod pump;

pub use pump::start;

use crate::vm::Registrar;
use crate::vm::loader::Source;

const MODULES: &[(&str, Source)] = &[
    ("kong.cache", crate::embed!("init.lua")),
    ("kong.cache.warmup", crate::embed!("warmup.lua")),
    ("kong.cluster_events", crate::embed!("cluster_events.lua")),
    ("kong.resty.mlcache", crate::embed!("mlcache.lua")),
    ("kong.resty.mlcache.ipc", crate::embed!("ipc.lua")),
    ("moongate.cache.bulk", crate::embed!("bulk.lua")),
    ("moongate.cache.callback", crate::embed!("callback.lua")),
    ("moongate.cache.instances", crate::embed!("instances.lua")),
    ("moongate.cache.options", crate::embed!("options.lua")),
    ("moongate.cache.tiers", crate::embed!("tiers.lua")),
    ("moongate.cache.turn", crate::embed!("turn.lua")),
    ("moongate.worker_events", crate::embed!("worker_events.lua")),
    ("resty.lock", crate::embed!("lock.lua")),
];

/// Brings the caches into a state that has `kong` already.
///
/// # Errors
/// When Lua is out of memory.
pub fn install(r: &Registrar) -> mlua::Result<()> {
    ops::install(r)?;
    for (name, source) in MODULES {
        r.module(name, *source)?;
    }
    r.lua
        .load(
            "package.preload['resty.mlcache'] = function() return require('kong.resty.mlcache') end
             package.preload['resty.events.compat'] = function() return require('moongate.worker_events') end
             require('moongate.cache.instances').attach(kong)",
        )
        .set_name("@moongate/cache/mod.rs")
        .exec()
}
