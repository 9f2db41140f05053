//! `ngx.*`: pairs of a Lua face and Rust ops with the same stem.
//!
//! Must not: raise from Rust anything but OpenResty's own messages, or keep request state outside the scope.

mod args;
mod body;
mod body_build;
mod call;
mod core;
mod dict;
mod encode;
mod header;
pub mod log;
mod ocsp;
mod output;
mod pipe;
mod process;
pub mod re;
mod re_template;
mod req;
mod req_socket;
pub mod sockets;
mod ssl;
mod ssl_server;
mod subrequest;
pub mod tcp;
mod thread;
mod time;
pub mod timer;
mod udp;
mod var;
mod var_names;
mod var_ssl;
pub mod worker;
pub mod worker_thread;

pub use time::parse as parse_http_time;

#[cfg(test)]
mod tests;

use crate::vm::Registrar;
use crate::vm::loader::Source;

type Part = (&'static str, Source, fn(&Registrar) -> mlua::Result<()>);

const PARTS: &[Part] = &[
    ("core", crate::embed!("core.lua"), core::install),
    ("var", crate::embed!("var.lua"), var::install),
    ("header", crate::embed!("header.lua"), header::install),
    ("req", crate::embed!("req.lua"), req::install),
    ("output", crate::embed!("output.lua"), output::install),
    ("time", crate::embed!("time.lua"), time::install),
    ("log", crate::embed!("log.lua"), log::install),
    ("args", crate::embed!("args.lua"), args::install),
    ("body", crate::embed!("body.lua"), body::install),
    ("subrequest", crate::embed!("subrequest.lua"), subrequest::install),
    ("encode", crate::embed!("encode.lua"), encode::install),
    ("ndk", crate::embed!("ndk.lua"), |_| Ok(())),
    ("dict", crate::embed!("dict.lua"), dict::install),
    ("thread", crate::embed!("thread.lua"), thread::install),
    ("worker", crate::embed!("worker.lua"), worker::install),
    (
        "worker_thread",
        crate::embed!("worker_thread.lua"),
        worker_thread::install,
    ),
    ("pipe", crate::embed!("pipe.lua"), pipe::install),
    ("process", crate::embed!("process.lua"), process::install),
    ("timer", crate::embed!("timer.lua"), timer::install),
    ("re", crate::embed!("re.lua"), re::install),
    ("sockets", crate::embed!("sockets.lua"), sockets::install),
    ("tcp", crate::embed!("tcp.lua"), tcp::install),
    ("udp", crate::embed!("udp.lua"), udp::install),
    ("req_socket", crate::embed!("req_socket.lua"), req_socket::install),
    ("ssl", crate::embed!("ssl.lua"), ssl::install),
    ("ssl_server", crate::embed!("ssl_server.lua"), ssl_server::install),
    ("ocsp", crate::embed!("ocsp.lua"), ocsp::install),
];

/// `resty.core` and its modules are loaded from the start, as nginx's Lua module does.
const LOAD_CORE: &str = "for name in pairs(package.preload) do \
    if name == 'resty.core' or name:find('resty.core.', 1, true) == 1 then require(name) end \
end";

/// Brings `ngx.*` into a state.
///
/// # Errors
/// When Lua is out of memory.
pub fn install(r: &Registrar) -> mlua::Result<()> {
    let ngx = r.lua.create_table()?;
    for (name, source, ops) in PARTS {
        ops(r)?;
        r.lua
            .load(source.text().as_ref())
            .set_name(format!("@moongate/ngx/{name}.lua"))
            .call::<()>(&ngx)?;
    }
    r.lua.globals().set("ngx", &ngx)?;
    let package: mlua::Table = r.lua.globals().get("package")?;
    package.get::<mlua::Table>("loaded")?.set("ngx", ngx)?;
    r.lua.load(LOAD_CORE).exec()
}
