//! The Lua libraries that plugins require (`cjson`, `kong.tools.*`, ...), over Rust where a crate does the work.
//!
//! Each is written for this runtime and has the names and results of the one plugins know; what is not here is a
//! missing module, never an empty one. Must not: know the request (that is `ngx` and `pdk`); Lua faces may call
//! `ngx.*` when they run.

mod cjson;
mod gzip;
mod ops;
#[cfg(test)]
mod tests;

use mlua::Table;

use crate::vm::Registrar;

const MODULES: &[(&str, &str)] = &[
    ("inspect", include_str!("lua/inspect.lua")),
    ("socket.url", include_str!("lua/socket_url.lua")),
    ("kong.constants", include_str!("lua/constants.lua")),
    ("kong.plugins.base_plugin", include_str!("lua/base_plugin.lua")),
    ("kong.vendor.classic", include_str!("lua/classic.lua")),
    ("kong.tools.cjson", include_str!("tools/cjson.lua")),
    ("kong.tools.gzip", include_str!("tools/gzip.lua")),
    ("kong.tools.http", include_str!("tools/http.lua")),
    ("kong.tools.ip", include_str!("tools/ip.lua")),
    ("kong.tools.module", include_str!("tools/module.lua")),
    ("kong.tools.rand", include_str!("tools/rand.lua")),
    ("kong.tools.sha256", include_str!("tools/sha256.lua")),
    ("kong.tools.string", include_str!("tools/string.lua")),
    ("kong.tools.table", include_str!("tools/table.lua")),
    ("kong.tools.time", include_str!("tools/time.lua")),
    ("kong.tools.timestamp", include_str!("tools/timestamp.lua")),
    ("kong.tools.uri", include_str!("tools/uri.lua")),
    ("kong.tools.utils", include_str!("tools/utils.lua")),
    ("kong.tools.uuid", include_str!("tools/uuid.lua")),
    ("kong.tools.yield", include_str!("tools/yield.lua")),
    ("pl.List", include_str!("pl/List.lua")),
    ("pl.class", include_str!("pl/class.lua")),
    ("pl.file", include_str!("pl/file.lua")),
    ("pl.path", include_str!("pl/path.lua")),
    ("pl.pretty", include_str!("pl/pretty.lua")),
    ("pl.stringx", include_str!("pl/stringx.lua")),
    ("pl.tablex", include_str!("pl/tablex.lua")),
    ("pl.utils", include_str!("pl/utils.lua")),
    ("resty.lrucache", include_str!("resty/lrucache.lua")),
];

/// Files that answer several modules: a table from module name to module.
const BUNDLES: &[(&str, &str, &[&str])] = &[
    (
        "moongate.libs.tables",
        include_str!("lua/tables.lua"),
        &["table.isempty", "table.isarray", "table.nkeys", "table.clone"],
    ),
    (
        "moongate.libs.digests",
        include_str!("resty/digests.lua"),
        &[
            "resty.md5",
            "resty.sha1",
            "resty.sha256",
            "resty.sha384",
            "resty.sha512",
        ],
    ),
    (
        "moongate.libs.names",
        include_str!("resty/names.lua"),
        &[
            "resty.string",
            "resty.random",
            "ngx.base64",
            "resty.jit-uuid",
            "resty.core",
            "resty.core.base",
            "resty.core.utils",
            "resty.core.time",
            "resty.core.regex",
            "resty.core.uri",
            "resty.core.hash",
            "resty.core.base64",
            "resty.core.exit",
            "resty.core.misc",
            "resty.core.request",
            "resty.core.response",
            "resty.core.var",
            "resty.core.worker",
            "resty.core.ctx",
            "resty.core.phase",
            "resty.core.shdict",
            "resty.core.ndk",
        ],
    ),
];

/// Brings the libraries into a state.
///
/// # Errors
/// When Lua is out of memory.
pub fn install(r: &Registrar) -> mlua::Result<()> {
    cjson::install(r.lua)?;
    ops::install(r)?;
    gzip::install(r)?;
    for (name, source) in MODULES {
        r.module(name, source)?;
    }
    let preload: Table = r.lua.globals().get::<Table>("package")?.get("preload")?;
    for (bundle, source, names) in BUNDLES {
        r.module(bundle, source)?;
        for name in *names {
            let load = r
                .lua
                .load("local bundle, name = ... return function() return require(bundle)[name] end")
                .call::<mlua::Function>((*bundle, *name))?;
            preload.set(*name, load)?;
        }
    }
    Ok(())
}
