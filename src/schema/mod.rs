//! The schema engine (Lua): one validator for plugin configuration and entities.
//!
//! A schema is Lua (`kong.plugins.<name>.schema`, with Lua validators inside), so judging is Lua too, in a state
//! off the request path; this side turns what it made into JSON.
//! Must not: know the request (that is `ngx` and `pdk`).

mod convert;
mod expression;
mod ops;
mod router_regex;

pub use convert::Converter;

use crate::vm::loader::Source;
use crate::vm::{Registrar, op};

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
