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
use crate::vm::loader::Source;

const MODULES: &[(&str, Source)] = &[
    ("inspect", crate::embed!("lua/inspect.lua")),
    ("socket.url", crate::embed!("lua/socket_url.lua")),
    ("kong.constants", crate::embed!("lua/constants.lua")),
    ("kong.plugins.base_plugin", crate::embed!("lua/base_plugin.lua")),
    ("kong.vendor.classic", crate::embed!("lua/classic.lua")),
    ("kong.tools.cjson", crate::embed!("tools/cjson.lua")),
    ("kong.tools.gzip", crate::embed!("tools/gzip.lua")),
    ("kong.tools.http", crate::embed!("tools/http.lua")),
    ("kong.tools.ip", crate::embed!("tools/ip.lua")),
    ("kong.tools.module", crate::embed!("tools/module.lua")),
    ("kong.tools.rand", crate::embed!("tools/rand.lua")),
    ("kong.tools.sha256", crate::embed!("tools/sha256.lua")),
    ("kong.tools.string", crate::embed!("tools/string.lua")),
    ("kong.tools.table", crate::embed!("tools/table.lua")),
    ("kong.tools.time", crate::embed!("tools/time.lua")),
    ("kong.tools.timestamp", crate::embed!("tools/timestamp.lua")),
    ("kong.tools.uri", crate::embed!("tools/uri.lua")),
    ("kong.tools.utils", crate::embed!("tools/utils.lua")),
    ("kong.tools.uuid", crate::embed!("tools/uuid.lua")),
    ("kong.tools.yield", crate::embed!("tools/yield.lua")),
    ("pl.List", crate::embed!("pl/List.lua")),
    ("pl.class", crate::embed!("pl/class.lua")),
    ("pl.file", crate::embed!("pl/file.lua")),
    ("pl.path", crate::embed!("pl/path.lua")),
    ("pl.pretty", crate::embed!("pl/pretty.lua")),
    ("pl.stringx", crate::embed!("pl/stringx.lua")),
    ("pl.tablex", crate::embed!("pl/tablex.lua")),
    ("pl.utils", crate::embed!("pl/utils.lua")),
    ("moongate.clock", crate::embed!("lua/clock.lua")),
    ("resty.lrucache", crate::embed!("resty/lrucache.lua")),
    ("resty.lrucache.pureffi", crate::embed!("resty/lrucache.lua")),
];

/// Files that answer several modules: a table from module name to module.
const BUNDLES: &[(&str, Source, &[&str])] = &[
    (
        "moongate.libs.tables",
        crate::embed!("lua/tables.lua"),
        &["table.isempty", "table.isarray", "table.nkeys", "table.clone"],
    ),
    (
        "moongate.libs.digests",
        crate::embed!("resty/digests.lua"),
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
        crate::embed!("resty/names.lua"),
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
        r.module(name, *source)?;
    }
    let preload: Table = r.lua.globals().get::<Table>("package")?.get("preload")?;
    for (bundle, source, names) in BUNDLES {
        r.module(bundle, *source)?;
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
