//! The Lua libraries that plugins require (`cjson`, `kong.tools.*`, ...), over Rust where a crate does the work.
//!
//! Each is written for this runtime and has the names and results of the one plugins know; what is not here is a
//! missing module, never an empty one. Must not: know the request (that is `ngx` and `pdk`); Lua faces may call
//! `ngx.*` when they run.

mod ada;
pub(crate) mod cjson;
mod files;
mod gzip;
mod openssl;
mod ops;
pub mod semaphore;
#[cfg(test)]
mod tests;

use mlua::Table;

use crate::vm::Registrar;
use crate::vm::loader::Source;

const MODULES: &[(&str, Source)] = &[
    ("inspect", crate::embed!("lua/inspect.lua")),
    ("ltn12", crate::embed!("socket/ltn12.lua")),
    ("mime", crate::embed!("socket/mime.lua")),
    ("socket", crate::embed!("socket/init.lua")),
    ("socket.url", crate::embed!("lua/socket_url.lua")),
    ("kong.plugins.jwt.jwt_parser", crate::embed!("lua/jwt_parser.lua")),
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
    ("kong.tools.system", crate::embed!("tools/system.lua")),
    ("kong.tools.table", crate::embed!("tools/table.lua")),
    ("kong.tools.time", crate::embed!("tools/time.lua")),
    ("kong.tools.timestamp", crate::embed!("tools/timestamp.lua")),
    ("kong.tools.uri", crate::embed!("tools/uri.lua")),
    ("kong.tools.utils", crate::embed!("tools/utils.lua")),
    ("kong.tools.uuid", crate::embed!("tools/uuid.lua")),
    ("kong.tools.yield", crate::embed!("tools/yield.lua")),
    ("date", crate::embed!("lua/date.lua")),
    ("lfs", crate::embed!("lua/lfs.lua")),
    ("lxp.lom", crate::embed!("lua/lxp_lom.lua")),
    ("lsyslog", crate::embed!("lua/lsyslog.lua")),
    ("luatz", crate::embed!("lua/luatz.lua")),
    ("lua_system_constants", crate::embed!("lua/system_constants.lua")),
    ("multipart", crate::embed!("lua/multipart.lua")),
    ("pgmoon.json", crate::embed!("lua/pgmoon_json.lua")),
    ("kong.api.arguments", crate::embed!("api/arguments.lua")),
    ("kong.api.arguments_decoder", crate::embed!("api/decoder.lua")),
    ("kong.concurrency", crate::embed!("lua/concurrency.lua")),
    ("kong.deprecation", crate::embed!("lua/deprecation.lua")),
    ("kong.llm", crate::embed!("llm/init.lua")),
    ("kong.llm.plugin.base", crate::embed!("llm/base.lua")),
    ("kong.llm.plugin.ctx", crate::embed!("llm/ctx.lua")),
    (
        "kong.llm.plugin.observability",
        crate::embed!("llm/observability.lua"),
    ),
    (
        "kong.llm.plugin.shared-filters.parse-request",
        crate::embed!("llm/parse_request.lua"),
    ),
    ("kong.llm.schemas", crate::embed!("llm/schemas.lua")),
    (
        "kong.dynamic_hook",
        crate::embed!("observability/dynamic_hook.lua"),
    ),
    ("kong.observability.otlp", crate::embed!("observability/otlp.lua")),
    (
        "kong.observability.otlp.proto",
        crate::embed!("observability/otlp_proto.lua"),
    ),
    ("kong.tools.grpc", crate::embed!("grpc/tools.lua")),
    ("lua_pack", crate::embed!("grpc/lua_pack.lua")),
    ("moongate.libs.pb_wire", crate::embed!("grpc/pb_wire.lua")),
    ("moongate.libs.proto_files", crate::embed!("grpc/proto_files.lua")),
    ("moongate.libs.proto_lexer", crate::embed!("grpc/proto_lexer.lua")),
    ("pb", crate::embed!("grpc/pb.lua")),
    ("protoc", crate::embed!("grpc/protoc.lua")),
    ("kong.observability.logs", crate::embed!("observability/logs.lua")),
    (
        "kong.observability.tracing.instrumentation",
        crate::embed!("observability/instrumentation.lua"),
    ),
    (
        "kong.observability.tracing.propagation",
        crate::embed!("observability/propagation.lua"),
    ),
    (
        "kong.observability.tracing.tracing_context",
        crate::embed!("observability/tracing_context.lua"),
    ),
    ("kong.resty.ctx", crate::embed!("lua/resty_ctx.lua")),
    ("resty.kong.log", crate::embed!("resty/kong_log.lua")),
    (
        "kong.observability.tracing.propagation.utils",
        crate::embed!("observability/propagation_utils.lua"),
    ),
    (
        "kong.observability.tracing.request_id",
        crate::embed!("lua/request_id.lua"),
    ),
    (
        "kong.pdk.private.rate_limiting",
        crate::embed!("lua/rate_limiting.lua"),
    ),
    ("kong.reports", crate::embed!("lua/reports.lua")),
    (
        "kong.runloop.certificate",
        crate::embed!("lua/runloop_certificate.lua"),
    ),
    ("kong.tools.mime_type", crate::embed!("tools/mime_type.lua")),
    ("kong.tools.queue", crate::embed!("tools/queue.lua")),
    ("kong.tools.sandbox", crate::embed!("sandbox/init.lua")),
    (
        "kong.tools.sandbox.environment",
        crate::embed!("sandbox/environment.lua"),
    ),
    ("kong.tools.sandbox.kong", crate::embed!("sandbox/kong.lua")),
    ("kong.tools.sandbox.require", crate::embed!("sandbox/require.lua")),
    ("kong.workspaces", crate::embed!("lua/workspaces.lua")),
    (
        "moongate.libs.ljsonschema.compile",
        crate::embed!("ljsonschema/compile.lua"),
    ),
    (
        "moongate.libs.ljsonschema.refs",
        crate::embed!("ljsonschema/refs.lua"),
    ),
    (
        "moongate.libs.ljsonschema.values",
        crate::embed!("ljsonschema/values.lua"),
    ),
    ("moongate.libs.asn1", crate::embed!("lua/asn1.lua")),
    ("moongate.libs.http_body", crate::embed!("http/body.lua")),
    ("moongate.libs.http_connect", crate::embed!("http/connect.lua")),
    ("moongate.libs.http_pipeline", crate::embed!("http/pipeline.lua")),
    ("moongate.libs.tablex_pairs", crate::embed!("pl/tablex_pairs.lua")),
    ("binaryheap", crate::embed!("openresty/binaryheap.lua")),
    ("MessagePack", crate::embed!("openresty/msgpack.lua")),
    ("ffi-zlib", crate::embed!("openresty/ffi_zlib.lua")),
    ("luaxxhash", crate::embed!("openresty/xxhash.lua")),
    ("resty.aes", crate::embed!("openresty/aes.lua")),
    ("resty.limit.conn", crate::embed!("openresty/limit_conn.lua")),
    ("resty.limit.count", crate::embed!("openresty/limit_count.lua")),
    ("resty.limit.req", crate::embed!("openresty/limit_req.lua")),
    (
        "resty.limit.traffic",
        crate::embed!("openresty/limit_traffic.lua"),
    ),
    ("resty.upload", crate::embed!("openresty/upload.lua")),
    ("tablepool", crate::embed!("openresty/tablepool.lua")),
    ("ngx.balancer", crate::embed!("openresty/balancer.lua")),
    ("ngx.errlog", crate::embed!("openresty/errlog.lua")),
    ("ngx.re", crate::embed!("openresty/re.lua")),
    ("ngx.semaphore", crate::embed!("resty/semaphore.lua")),
    ("resty.core.base", crate::embed!("openresty/base.lua")),
    ("pl.OrderedMap", crate::embed!("pl/OrderedMap.lua")),
    ("pl.Set", crate::embed!("pl/Set.lua")),
    ("pl.compat", crate::embed!("pl/compat.lua")),
    ("pl.config", crate::embed!("pl/config.lua")),
    ("pl.dir", crate::embed!("pl/dir.lua")),
    ("pl.stringio", crate::embed!("pl/stringio.lua")),
    ("pl.template", crate::embed!("pl/template.lua")),
    ("resty.events", crate::embed!("resty/events.lua")),
    ("resty.counter", crate::embed!("resty/counter.lua")),
    ("resty.dns.resolver", crate::embed!("resty/dns_resolver.lua")),
    ("resty.http", crate::embed!("http/init.lua")),
    ("resty.http_headers", crate::embed!("http/headers.lua")),
    ("resty.ipmatcher", crate::embed!("resty/ipmatcher.lua")),
    ("resty.ljsonschema", crate::embed!("ljsonschema/init.lua")),
    (
        "resty.ljsonschema.metaschema",
        crate::embed!("ljsonschema/metaschema.lua"),
    ),
    ("resty.kong.tls", crate::embed!("resty/kong_tls.lua")),
    ("resty.lock", crate::embed!("resty/lock.lua")),
    ("resty.redis", crate::embed!("resty/redis.lua")),
    ("resty.shell", crate::embed!("resty/shell.lua")),
    ("resty.signal", crate::embed!("resty/signal.lua")),
    ("resty.timerng", crate::embed!("resty/timerng.lua")),
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
        "moongate.libs.luajit",
        crate::embed!("lua/luajit.lua"),
        &["thread.exdata", "thread.exdata2"],
    ),
    (
        "moongate.libs.runloop_balancer",
        crate::embed!("lua/runloop_balancer.lua"),
        &["kong.runloop.balancer", "kong.runloop.balancer.upstreams"],
    ),
    (
        "moongate.libs.extractors",
        crate::embed!("observability/extractors.lua"),
        &[
            "kong.observability.tracing.propagation.extractors._base",
            "kong.observability.tracing.propagation.extractors.w3c",
            "kong.observability.tracing.propagation.extractors.b3",
            "kong.observability.tracing.propagation.extractors.jaeger",
            "kong.observability.tracing.propagation.extractors.ot",
            "kong.observability.tracing.propagation.extractors.datadog",
            "kong.observability.tracing.propagation.extractors.aws",
            "kong.observability.tracing.propagation.extractors.gcp",
            "kong.observability.tracing.propagation.extractors.instana",
        ],
    ),
    (
        "moongate.libs.injectors",
        crate::embed!("observability/injectors.lua"),
        &[
            "kong.observability.tracing.propagation.injectors._base",
            "kong.observability.tracing.propagation.injectors.w3c",
            "kong.observability.tracing.propagation.injectors.b3",
            "kong.observability.tracing.propagation.injectors.b3-single",
            "kong.observability.tracing.propagation.injectors.jaeger",
            "kong.observability.tracing.propagation.injectors.ot",
            "kong.observability.tracing.propagation.injectors.datadog",
            "kong.observability.tracing.propagation.injectors.aws",
            "kong.observability.tracing.propagation.injectors.gcp",
            "kong.observability.tracing.propagation.injectors.instana",
        ],
    ),
    (
        "moongate.libs.digests",
        crate::embed!("resty/digests.lua"),
        &[
            "resty.md5",
            "resty.sha1",
            "resty.sha224",
            "resty.sha256",
            "resty.sha384",
            "resty.sha512",
        ],
    ),
    (
        "moongate.libs.names",
        crate::embed!("resty/names.lua"),
        &["resty.string", "resty.random", "ngx.base64", "resty.jit-uuid"],
    ),
    (
        "moongate.libs.core",
        crate::embed!("openresty/core.lua"),
        &[
            "resty.core",
            "resty.core.utils",
            "resty.core.time",
            "resty.core.regex",
            "resty.core.uri",
            "resty.core.hash",
            "resty.core.base64",
            "resty.core.coroutine",
            "resty.core.exit",
            "resty.core.misc",
            "resty.core.param",
            "resty.core.request",
            "resty.core.response",
            "resty.core.socket",
            "resty.core.var",
            "resty.core.worker",
            "resty.core.ctx",
            "resty.core.phase",
            "resty.core.shdict",
            "resty.core.ndk",
        ],
    ),
    (
        "moongate.libs.socket_http",
        crate::embed!("socket/http.lua"),
        &["socket.http", "ssl.https"],
    ),
    (
        "moongate.libs.absent",
        crate::embed!("openresty/absent.lua"),
        &[
            "ngx.proxyssl",
            "ngx.ssl.proxysslcert",
            "ngx.ssl.proxysslverify",
            "ngx.ssl.session",
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
    files::install(r)?;
    semaphore::install(r)?;
    gzip::install(r)?;
    openssl::install(r)?;
    ada::install(r)?;
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
    r.lua.load("require 'moongate.libs.luajit'").exec()
}
