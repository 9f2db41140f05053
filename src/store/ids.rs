//! Ids for entities that have none, the same as Kong derives.
//!
//! # Source
//! `kong/db/schema/others/declarative_config.lua`: `generate_uuid`, `get_key_for_uuid_gen`, `build_cache_key`

use crate::entity::kinds::{EntityKind, IdFrom};
use serde_json::{Map, Value};
use uuid::Uuid;

/// The namespace of the entities' namespaces.
const ENTITIES: Uuid = Uuid::from_u128(0xfd02801f_0957_4a15_a55a_c8d9606f30b5);

/// The version 5 UUID of a key among the entities of one name.
pub(super) fn derive(entity: &str, key: &str) -> String {
    let namespace = Uuid::new_v5(&ENTITIES, entity.as_bytes());
    Uuid::new_v5(&namespace, key.as_bytes()).to_string()
}

/// The id an entity stands under as a child: the field that refers to the parent, and the parent's id where that
/// was given or could be derived.
pub(super) type Parent<'p> = Option<(&'p str, Option<&'p str>)>;

/// The key an entity's id is derived from; none where it has nothing that names it.
pub(super) fn key(kind: &EntityKind, object: &Map<String, Value>, parent: Parent<'_>) -> Option<String> {
    match kind.id_from {
        IdFrom::Nothing => None,
        IdFrom::EndpointKey => object.get(kind.endpoint_key?)?.as_str().map(str::to_owned),
        IdFrom::CacheKey(fields) => cache_key(kind, fields, object, parent),
    }
}

fn cache_key(
    kind: &EntityKind,
    fields: &[&str],
    object: &Map<String, Value>,
    parent: Parent<'_>,
) -> Option<String> {
    // "*" stands for the workspace.
    let mut parts = vec![kind.name, "*"];
    for field in fields {
        match object.get(*field) {
            Some(Value::String(text)) => parts.push(text),
            Some(_) => {}
            None => match parent {
                Some((child_key, id)) if child_key == *field => parts.push(id?),
                _ if kind.fields.iter().any(|f| f.name == *field && f.required) => return None,
                _ => parts.push(""),
            },
        }
    }
    Some(parts.join(":"))
}
