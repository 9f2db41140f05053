//! `ngx.*`: pairs of a Lua face and Rust ops with the same stem.
//!
//! Must not: raise from Rust anything but OpenResty's own messages, or keep request state outside the scope.

mod args;
mod body;
mod call;
mod core;
mod dict;
mod encode;
mod header;
pub mod log;
mod output;
mod re;
mod req;
pub mod tcp;
mod time;
pub mod timer;
mod var;
pub mod worker;

#[cfg(test)]
mod tests;

use crate::vm::Registrar;

type Part = (&'static str, &'static str, fn(&Registrar) -> mlua::Result<()>);

const PARTS: &[Part] = &[
    ("core", include_str!("core.lua"), core::install),
    ("var", include_str!("var.lua"), var::install),
    ("header", include_str!("header.lua"), header::install),
    ("req", include_str!("req.lua"), req::install),
    ("output", include_str!("output.lua"), output::install),
    ("time", include_str!("time.lua"), time::install),
    ("log", include_str!("log.lua"), log::install),
    ("args", include_str!("args.lua"), args::install),
    ("body", include_str!("body.lua"), body::install),
    ("encode", include_str!("encode.lua"), encode::install),
    ("dict", include_str!("dict.lua"), dict::install),
    ("worker", include_str!("worker.lua"), worker::install),
    ("timer", include_str!("timer.lua"), timer::install),
    ("re", include_str!("re.lua"), re::install),
    ("tcp", include_str!("tcp.lua"), tcp::install),
];

/// Brings `ngx.*` into a state.
///
/// # Errors
/// When Lua is out of memory.
pub fn install(r: &Registrar) -> mlua::Result<()> {
    let ngx = r.lua.create_table()?;
    for (name, source, ops) in PARTS {
        ops(r)?;
        r.lua
            .load(*source)
            .set_name(format!("@moongate/ngx/{name}.lua"))
            .call::<()>(&ngx)?;
    }
    r.lua.globals().set("ngx", &ngx)?;
    let package: mlua::Table = r.lua.globals().get("package")?;
    package.get::<mlua::Table>("loaded")?.set("ngx", ngx)
}
