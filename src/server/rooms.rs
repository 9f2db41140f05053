//! Which rooms a gateway's Lua state has, in the order they install themselves.

use std::rc::Rc;

use crate::ngx::worker_thread::{PATIENCE, Plan};
use crate::settings::Settings;
use crate::vm::state::Install;
use crate::vm::{Vm, VmOptions};

const ROOMS: [Install; 8] = [
    crate::libs::install,
    crate::schema::install,
    crate::db::install,
    crate::ngx::install,
    crate::pdk::install,
    crate::cache::install,
    crate::plugin::install,
    crate::busted::install,
];

/// A Lua state with everything in it.
///
/// # Errors
/// When a room's Lua does not load.
pub fn state(settings: &Settings) -> mlua::Result<Rc<Vm>> {
    make(settings, settings.moongate_lua_memory_limit)
}

/// Memory of a state that judges a configuration: the whole of it stands there as tables, in several copies where
/// it has errors. So a great one has room, and a schema's function that eats memory is stopped early.
const CONTROL_MEMORY: usize = 256 << 20;
/// What each byte of its text may take.
const CONTROL_MEMORY_PER_BYTE: usize = 64;
/// What any may take.
const MOST_CONTROL_MEMORY: usize = 2 << 30;

/// A state for control: it judges a configuration of so many bytes, and serves nobody.
///
/// # Errors
/// When a room's Lua does not load.
pub fn control(settings: &Settings, text: usize) -> mlua::Result<Rc<Vm>> {
    let wanted = CONTROL_MEMORY.saturating_add(text.saturating_mul(CONTROL_MEMORY_PER_BYTE));
    let limit = settings.moongate_lua_memory_limit;
    make(settings, wanted.min(MOST_CONTROL_MEMORY).max(limit))
}

fn make(settings: &Settings, memory_limit: usize) -> mlua::Result<Rc<Vm>> {
    Vm::new(&options(settings, memory_limit), &ROOMS)
}

fn options(settings: &Settings, memory_limit: usize) -> VmOptions {
    VmOptions {
        memory_limit,
        handler_timeout: settings.moongate_handler_timeout,
        package_path: settings.lua_package_path.clone(),
        package_cpath: settings.lua_package_cpath.clone(),
        lua_dir: settings.moongate_lua_dir.clone(),
    }
}

/// What `ngx.run_worker_thread` runs in.
pub fn worker_threads(settings: &Settings) -> Plan {
    let mut options = options(settings, settings.moongate_lua_memory_limit);
    options.handler_timeout *= PATIENCE;
    Plan {
        options,
        rooms: vec![crate::libs::install, crate::ngx::install],
        pools: settings.thread_pools.clone(),
        at_once: settings.lua_worker_thread_vm_pool_size,
        prefix: settings.prefix.to_string_lossy().into_owned(),
    }
}
