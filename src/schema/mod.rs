//! The schema engine (Lua): one validator for plugin configuration and entities.
//!
//! A schema is Lua (`kong.plugins.<name>.schema`, with Lua validators inside), so judging is Lua too, in a state
//! off the request path; this side turns JSON into tables and back, and keeps runaways in check.
//! Must not: know the request (that is `ngx` and `pdk`).

mod convert;
mod expression;
mod ops;
mod router_regex;
#[cfg(test)]
mod tests;

pub use convert::{Converter, from_lua, to_lua};

use serde_json::{Value, json};

use crate::vm::loader::Source;
use crate::vm::{Registrar, Vm, op};

/// What judges: Kong's names for it, and the engine under them.
const ENGINE: &[(&str, Source)] = &[
    ("moongate.schema.engine.texts", crate::embed!("engine/texts.lua")),
    (
        "moongate.schema.engine.values",
        crate::embed!("engine/values.lua"),
    ),
    ("moongate.schema.engine.guard", crate::embed!("engine/guard.lua")),
    (
        "moongate.schema.engine.validators",
        crate::embed!("engine/validators.lua"),
    ),
    ("moongate.schema.engine.plan", crate::embed!("engine/plan.lua")),
    ("moongate.schema.engine.fill", crate::embed!("engine/fill.lua")),
    ("moongate.schema.engine.read", crate::embed!("engine/read.lua")),
    (
        "moongate.schema.engine.shorthand",
        crate::embed!("engine/shorthand.lua"),
    ),
    (
        "moongate.schema.engine.entity_checks",
        crate::embed!("engine/entity_checks.lua"),
    ),
    (
        "moongate.schema.engine.transformations",
        crate::embed!("engine/transformations.lua"),
    ),
    ("moongate.schema.engine.judge", crate::embed!("engine/judge.lua")),
    (
        "moongate.schema.metaschema_rules",
        crate::embed!("metaschema_rules.lua"),
    ),
    ("kong.db.schema", crate::embed!("schema.lua")),
    ("kong.db.schema.init", crate::embed!("schema_init.lua")),
    ("kong.db.schema.entity", crate::embed!("entity.lua")),
    ("kong.db.schema.json", crate::embed!("json.lua")),
    ("kong.db.schema.metaschema", crate::embed!("metaschema.lua")),
    (
        "kong.db.schema.topological_sort",
        crate::embed!("topological_sort.lua"),
    ),
];

/// Types, entities and what else is a schema.
const ENTITIES: &[(&str, Source)] = &[
    (
        "moongate.schema.typedefs.hosts",
        crate::embed!("typedefs/hosts.lua"),
    ),
    (
        "moongate.schema.typedefs.names",
        crate::embed!("typedefs/names.lua"),
    ),
    (
        "moongate.schema.typedefs.routing",
        crate::embed!("typedefs/routing.lua"),
    ),
    (
        "moongate.schema.typedefs.secrets",
        crate::embed!("typedefs/secrets.lua"),
    ),
    (
        "kong.observability.tracing.propagation.schema",
        crate::embed!("propagation_schema.lua"),
    ),
    (
        "kong.db.schema.entities.ca_certificates",
        crate::embed!("entities/ca_certificates.lua"),
    ),
    (
        "kong.db.schema.entities.certificates",
        crate::embed!("entities/certificates.lua"),
    ),
    (
        "kong.db.schema.entities.clustering_data_planes",
        crate::embed!("entities/clustering_data_planes.lua"),
    ),
    (
        "kong.db.schema.entities.consumers",
        crate::embed!("entities/consumers.lua"),
    ),
    (
        "kong.db.schema.entities.filter_chains",
        crate::embed!("entities/filter_chains.lua"),
    ),
    (
        "kong.db.schema.entities.key_sets",
        crate::embed!("entities/key_sets.lua"),
    ),
    ("kong.db.schema.entities.keys", crate::embed!("entities/keys.lua")),
    (
        "kong.db.schema.entities.parameters",
        crate::embed!("entities/parameters.lua"),
    ),
    (
        "kong.db.schema.entities.plugins",
        crate::embed!("entities/plugins.lua"),
    ),
    (
        "kong.db.schema.entities.routes",
        crate::embed!("entities/routes.lua"),
    ),
    (
        "kong.db.schema.entities.routes_subschemas",
        crate::embed!("entities/routes_subschemas.lua"),
    ),
    (
        "kong.db.schema.entities.services",
        crate::embed!("entities/services.lua"),
    ),
    ("kong.db.schema.entities.snis", crate::embed!("entities/snis.lua")),
    ("kong.db.schema.entities.tags", crate::embed!("entities/tags.lua")),
    (
        "kong.db.schema.entities.targets",
        crate::embed!("entities/targets.lua"),
    ),
    (
        "kong.db.schema.entities.upstreams",
        crate::embed!("entities/upstreams.lua"),
    ),
    (
        "kong.db.schema.entities.vaults",
        crate::embed!("entities/vaults.lua"),
    ),
    (
        "kong.db.schema.entities.workspaces",
        crate::embed!("entities/workspaces.lua"),
    ),
    (
        "kong.db.schema.others.migrations",
        crate::embed!("others/migrations.lua"),
    ),
    (
        "kong.db.schema.others.wasm_filter",
        crate::embed!("others/wasm_filter.lua"),
    ),
    ("kong.db.schema.plugin_loader", crate::embed!("plugin_loader.lua")),
    ("kong.db.schema.vault_loader", crate::embed!("vault_loader.lua")),
    ("kong.runloop.wasm", crate::embed!("wasm.lua")),
    ("moongate.schema.legacy", crate::embed!("legacy.lua")),
    ("moongate.schema.route_rules", crate::embed!("route_rules.lua")),
];

/// Brings the schema modules into a state.
///
/// # Errors
/// When Lua is out of memory.
pub fn install(r: &Registrar) -> mlua::Result<()> {
    r.op("schema", "is_regex", op::raw(ops::is_regex))?;
    r.op("schema", "is_router_regex", op::raw(ops::is_router_regex))?;
    r.op("schema", "check_expression", op::raw(ops::check_expression))?;
    for (name, source) in ENGINE {
        r.module(name, *source)?;
    }
    r.module("moongate.schema.plugin", crate::embed!("plugin.lua"))?;
    r.module("kong.db.schema.typedefs", crate::embed!("typedefs.lua"))?;
    for (name, source) in ENTITIES {
        r.module(name, *source)?;
    }
    r.module("kong.tools.queue_schema", crate::embed!("queue_schema.lua"))?;
    r.module("kong.tools.redis.schema", crate::embed!("redis_schema.lua"))
}

/// What a plugin's schema says about the fields beside `config`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EntityFields {
    /// The plugin must not be tied to a consumer (Kong's error: `{consumer = "value must be null"}`).
    pub no_consumer: bool,
    /// The plugin must not be tied to a route.
    pub no_route: bool,
    /// The plugin must not be tied to a service.
    pub no_service: bool,
    /// The protocols it may be configured for, where the schema limits them.
    pub protocols: Option<Vec<String>>,
}

/// Judges a plugin's configuration by its `schema.lua`: the completed configuration (defaults filled, unset
/// optional fields left out). A plugin without a schema takes any configuration.
///
/// # Errors
/// The error tree in Kong's shape and words: `{config = {field = text}}`, `{"@entity" = [text]}`, or
/// `{name = text}` when the schema cannot be used.
pub fn judge(vm: &Vm, plugin: &str, config: &Value) -> Result<Value, Value> {
    let judged = vm.guarded(|lua| -> mlua::Result<Result<Value, Value>> {
        let config = convert::to_lua_with_nulls(lua, config)?;
        let (ok, err): (mlua::Value, mlua::Value) = module(lua)?
            .get::<mlua::Function>("judge")?
            .call((plugin, config))?;
        if err.is_nil() {
            Ok(Ok(from_lua(lua, &ok)?))
        } else {
            Ok(Err(from_lua(lua, &err)?))
        }
    });
    judged.unwrap_or_else(|e| Err(json!({ "@entity": [failed(plugin, &e)] })))
}

/// What the plugin's schema says about consumer, route, service and protocols.
///
/// # Errors
/// A text, when the schema cannot be used.
pub fn entity_fields(vm: &Vm, plugin: &str) -> Result<EntityFields, String> {
    let found = vm.guarded(|lua| -> mlua::Result<Result<EntityFields, String>> {
        let f: mlua::Function = module(lua)?.get("entity_fields")?;
        let (flags, err): (Option<mlua::Table>, Option<String>) = f.call(plugin)?;
        let Some(flags) = flags else {
            return Ok(Err(err.unwrap_or_default()));
        };
        Ok(Ok(EntityFields {
            no_consumer: flags.get::<Option<bool>>("consumer")?.unwrap_or(false),
            no_route: flags.get::<Option<bool>>("route")?.unwrap_or(false),
            no_service: flags.get::<Option<bool>>("service")?.unwrap_or(false),
            protocols: flags.get("protocols")?,
        }))
    });
    found.unwrap_or_else(|e| Err(failed(plugin, &e)))
}

/// The `conf` table of a judged configuration, as a handler gets it: nulls absent, lists marked as arrays, sets
/// answering membership.
///
/// # Errors
/// When Lua is out of memory.
pub fn conf(lua: &mlua::Lua, plugin: &str, config: &Value) -> mlua::Result<mlua::Value> {
    let table = to_lua(lua, config)?;
    module(lua)?.get::<mlua::Function>("conf")?.call((plugin, table))
}

fn module(lua: &mlua::Lua) -> mlua::Result<mlua::Table> {
    lua.globals()
        .get::<mlua::Function>("require")?
        .call("moongate.schema.plugin")
}

fn failed(plugin: &str, e: &mlua::Error) -> String {
    let text = match e {
        mlua::Error::CallbackError { cause, .. } => cause.to_string(),
        e => e.to_string(),
    };
    let text = text.lines().next().unwrap_or_default().to_string();
    format!("the schema of plugin '{plugin}' failed: {text}")
}
