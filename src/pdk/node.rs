//! `kong.node`: the gateway about itself.
//!
//! Must not: know the request.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Mutex, OnceLock, PoisonError};

use uuid::Uuid;

use crate::vm::{Args, Registrar, Ret, op};

static NODE_ID: OnceLock<String> = OnceLock::new();

/// Bytes of the workers' states when they were last told, by the workers' pids.
static MEMORY: Mutex<BTreeMap<u32, f64>> = Mutex::new(BTreeMap::new());

/// Gives the process its id, before the first state asks: the one that is set, else the one in `kong.id` below
/// `prefix`, which is written where there is none. Later calls change nothing.
///
/// # Errors
/// When the file can't be written; the process then has an id of its own for as long as it runs.
pub fn init_id(prefix: &Path, set: Option<&str>) -> std::io::Result<()> {
    let file = prefix.join("kong.id");
    let found = set.map(str::to_owned).or_else(|| {
        let text = std::fs::read_to_string(&file).ok()?;
        Some(Uuid::try_parse(text.trim()).ok()?.to_string())
    });
    if let Some(id) = found {
        let _ = NODE_ID.set(id);
        return Ok(());
    }
    let id = NODE_ID.get_or_init(|| Uuid::new_v4().to_string());
    std::fs::create_dir_all(prefix)?;
    std::fs::write(&file, id)
}

/// Notes the memory of the state of worker `pid` (`ngx.worker.pid()`), for `get_memory_stats()` of the others.
pub fn note_memory(pid: u32, bytes: f64) {
    let mut all = MEMORY.lock().unwrap_or_else(PoisonError::into_inner);
    all.insert(pid, bytes);
}

/// # Errors
/// When Lua is out of memory.
pub(super) fn install(r: &Registrar) -> mlua::Result<()> {
    r.op("kong.node", "get_id", op::raw(get_id))?;
    r.op("kong.node", "get_hostname", op::raw(get_hostname))?;
    r.op("kong.node", "note", op::raw(note))?;
    r.op("kong.node", "memory", op::raw(memory))?;
    r.module("kong.pdk.node", crate::embed!("node.lua"))
}

fn get_id(_: &Args, r: &mut Ret) {
    r.lit(NODE_ID.get_or_init(|| Uuid::new_v4().to_string()));
}

fn get_hostname(_: &Args, r: &mut Ret) {
    static HOSTNAME: OnceLock<String> = OnceLock::new();
    let name = HOSTNAME.get_or_init(|| {
        let text = std::fs::read_to_string("/proc/sys/kernel/hostname");
        text.map_or_else(|_| String::new(), |t| t.trim().to_owned())
    });
    r.lit(name);
}

fn note(a: &Args, _: &mut Ret) {
    let pid = a.int(1).and_then(|n| u32::try_from(n).ok());
    note_memory(pid.unwrap_or_default(), a.num(2).unwrap_or_default());
}

/// Bytes of each worker's state, by its pid.
fn memory(_: &Args, r: &mut Ret) {
    let all = MEMORY.lock().unwrap_or_else(PoisonError::into_inner).clone();
    r.table(0, all.len(), |t| {
        for (pid, bytes) in &all {
            t.num(*pid).num(*bytes).set();
        }
    });
}
