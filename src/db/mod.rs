//! The entities as plugins see them (`kong.db`): DAOs, their errors, the declarative format. All of it is Lua in
//! Kong's names over the schema engine; the rows come from the snapshot.
//!
//! Must not: judge a value itself (that is `schema`), know the request.

mod keeper;
mod load;
mod pieces;
mod rows;
#[cfg(test)]
pub mod testing;
#[cfg(test)]
mod tests;
mod yaml;

pub use load::{Options, Refused, empty, hash, install_daos, load};
pub use rows::set_current;

use crate::vm::Registrar;
use crate::vm::loader::Source;

const MODULES: &[(&str, Source)] = &[
    // dao
    ("kong.db", crate::embed!("init.lua")),
    ("kong.db.init", crate::embed!("alias.lua")),
    ("kong.db.dao", crate::embed!("dao/init.lua")),
    ("kong.db.dao.init", crate::embed!("alias.lua")),
    (
        "kong.db.dao.ca_certificates",
        crate::embed!("dao/ca_certificates.lua"),
    ),
    ("kong.db.dao.certificates", crate::embed!("dao/certificates.lua")),
    ("kong.db.dao.key_sets", crate::embed!("dao/key_sets.lua")),
    ("kong.db.dao.keys", crate::embed!("dao/keys.lua")),
    ("kong.db.dao.plugins", crate::embed!("dao/plugins.lua")),
    ("kong.db.dao.services", crate::embed!("dao/services.lua")),
    ("kong.db.dao.snis", crate::embed!("dao/snis.lua")),
    ("kong.db.dao.tags", crate::embed!("dao/tags.lua")),
    ("kong.db.dao.targets", crate::embed!("dao/targets.lua")),
    ("kong.db.dao.vaults", crate::embed!("dao/vaults.lua")),
    ("kong.db.dao.workspaces", crate::embed!("dao/workspaces.lua")),
    ("kong.db.errors", crate::embed!("errors.lua")),
    ("kong.db.iteration", crate::embed!("iteration.lua")),
    ("kong.db.migrations.state", crate::embed!("migrations/state.lua")),
    ("kong.db.strategies", crate::embed!("strategies.lua")),
    ("kong.db.strategies.init", crate::embed!("alias.lua")),
    ("kong.db.strategies.connector", crate::embed!("connector.lua")),
    ("kong.db.strategies.off", crate::embed!("off/init.lua")),
    ("kong.db.strategies.off.init", crate::embed!("alias.lua")),
    (
        "kong.db.strategies.off.connector",
        crate::embed!("off/connector.lua"),
    ),
    ("kong.db.strategies.off.plugins", crate::embed!("off/plugins.lua")),
    (
        "kong.db.strategies.off.services",
        crate::embed!("off/services.lua"),
    ),
    ("kong.db.strategies.off.tags", crate::embed!("off/tags.lua")),
    ("kong.db.utils", crate::embed!("utils.lua")),
    ("kong.hooks", crate::embed!("hooks.lua")),
    ("moongate.db.by_ca", crate::embed!("off/by_ca.lua")),
    ("moongate.db.dao.cache_key", crate::embed!("dao/cache_key.lua")),
    ("moongate.db.dao.events", crate::embed!("dao/events.lua")),
    ("moongate.db.dao.generated", crate::embed!("dao/generated.lua")),
    ("moongate.db.dao.options", crate::embed!("dao/options.lua")),
    ("moongate.db.dao.read", crate::embed!("dao/read.lua")),
    ("moongate.db.dao.rows", crate::embed!("dao/rows.lua")),
    ("moongate.db.dao.write", crate::embed!("dao/write.lua")),
    ("moongate.db.entities", crate::embed!("entities.lua")),
    ("moongate.db.mutex", crate::embed!("mutex.lua")),
    ("moongate.db.setup", crate::embed!("setup.lua")),
    // declarative
    ("lyaml", crate::embed!("declarative/lyaml.lua")),
    ("kong.db.declarative", crate::embed!("declarative/init.lua")),
    (
        "kong.db.declarative.export",
        crate::embed!("declarative/export.lua"),
    ),
    (
        "kong.db.declarative.import",
        crate::embed!("declarative/import.lua"),
    ),
    (
        "kong.db.declarative.marshaller",
        crate::embed!("declarative/marshaller.lua"),
    ),
    (
        "kong.db.declarative.migrations",
        crate::embed!("declarative/migrations.lua"),
    ),
    (
        "kong.db.declarative.migrations.route_path",
        crate::embed!("declarative/route_path.lua"),
    ),
    (
        "kong.db.migrations.migrate_path_280_300",
        crate::embed!("declarative/migrate_path.lua"),
    ),
    (
        "kong.db.schema.others.declarative_config",
        crate::embed!("declarative/config.lua"),
    ),
    ("moongate.db.declarative", crate::embed!("declarative/load.lua")),
    (
        "moongate.db.declarative.ids",
        crate::embed!("declarative/ids.lua"),
    ),
    (
        "moongate.db.declarative.kinds",
        crate::embed!("declarative/kinds.lua"),
    ),
    (
        "moongate.db.declarative.limits",
        crate::embed!("declarative/limits.lua"),
    ),
    (
        "moongate.db.declarative.pass",
        crate::embed!("declarative/pass.lua"),
    ),
    ("moongate.db.declarative.pk", crate::embed!("declarative/pk.lua")),
    (
        "moongate.db.declarative.place",
        crate::embed!("declarative/place.lua"),
    ),
    (
        "moongate.db.declarative.records",
        crate::embed!("declarative/records.lua"),
    ),
    (
        "moongate.db.declarative.tree",
        crate::embed!("declarative/tree.lua"),
    ),
    (
        "moongate.db.declarative.whole",
        crate::embed!("declarative/whole.lua"),
    ),
    ("moongate.db.flatten", crate::embed!("flatten.lua")),
];

/// Brings the modules into a state.
///
/// # Errors
/// When Lua is out of memory.
pub fn install(r: &Registrar) -> mlua::Result<()> {
    rows::install(r)?;
    yaml::install(r)?;
    for (name, source) in MODULES {
        r.module(name, *source)?;
    }
    Ok(())
}
