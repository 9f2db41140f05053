//! `version`.

use super::Outcome;
use super::args::VersionArgs;

/// The version of Kong whose plugins and configuration are understood; scripts compare it.
const KONG: &str = "3.10.0";
/// What `ngx.config` states, as in the OpenResty that Kong 3.10 ships.
const NGX_LUA: u32 = 10_028;
const NGINX: u32 = 1_027_001;

pub(super) fn version(args: &VersionArgs) -> Outcome {
    if args.all {
        println!("Kong: {KONG}\nngx_lua: {NGX_LUA}\nnginx: {NGINX}\nLua: {}", lua());
        println!("Moongate: {}", env!("CARGO_PKG_VERSION"));
    } else {
        println!("{KONG}");
    }
    Ok(0)
}

fn lua() -> String {
    let lua = mlua::Lua::new();
    let version = lua
        .globals()
        .get::<mlua::Table>("jit")
        .and_then(|jit| jit.get::<String>("version"));
    version.unwrap_or_else(|_| "unknown".to_owned())
}
