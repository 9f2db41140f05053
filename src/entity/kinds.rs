//! The entities the declarative format knows: their fields, keys and checks.

use super::shape::{Field, Kind};
use super::{certificate, consumer, plugin, route, service, text, upstream};
use serde_json::{Map, Value};

/// One kind of entity.
pub struct EntityKind {
    /// Its name, as the format's lists have it.
    pub name: &'static str,
    /// Its fields, without those all entities have.
    pub fields: &'static [Field],
    /// The field that can stand for the id.
    pub endpoint_key: Option<&'static str>,
    /// What an id is derived from where none is given.
    pub id_from: IdFrom,
    /// Whether fields that are not listed are kept as they are.
    pub open: bool,
    /// What concerns several fields.
    pub check: fn(&Map<String, Value>, &mut Map<String, Value>),
    /// Whether times of creation are in milliseconds.
    pub fractional_times: bool,
}

/// What an id is derived from; what is derived from nothing gets an id by its place in the document.
#[derive(Debug, Clone, Copy)]
pub enum IdFrom {
    /// The endpoint key.
    EndpointKey,
    /// These fields together.
    CacheKey(&'static [&'static str]),
    /// Nothing: the key may be generated.
    Nothing,
}

/// The fields all entities have.
pub const COMMON: &[Field] = &[
    Field::new("id", Kind::Text).check(text::uuid),
    Field::new("tags", Kind::Set(&Field::element(Kind::Text).check(text::tag))),
];

/// Entities with types, parents first.
pub const ENTITIES: &[EntityKind] = &[
    EntityKind {
        check: consumer::check,
        ..kind("consumers", consumer::FIELDS, Some("username"))
    },
    EntityKind {
        check: certificate::check,
        ..kind("certificates", certificate::FIELDS, None)
    },
    EntityKind {
        check: service::check,
        ..kind("services", service::FIELDS, Some("name"))
    },
    EntityKind {
        check: route::check,
        ..kind("routes", route::FIELDS, Some("name"))
    },
    kind("snis", certificate::SNI_FIELDS, Some("name")),
    EntityKind {
        check: upstream::check,
        ..kind("upstreams", upstream::FIELDS, Some("name"))
    },
    EntityKind {
        id_from: IdFrom::CacheKey(&["upstream", "target"]),
        fractional_times: true,
        ..kind("targets", upstream::TARGET_FIELDS, Some("target"))
    },
    EntityKind {
        id_from: IdFrom::CacheKey(&["name", "route", "service", "consumer"]),
        ..kind("plugins", plugin::FIELDS, Some("instance_name"))
    },
    kind("ca_certificates", certificate::CA_FIELDS, None),
];

const fn kind(
    name: &'static str,
    fields: &'static [Field],
    endpoint_key: Option<&'static str>,
) -> EntityKind {
    EntityKind {
        name,
        fields,
        endpoint_key,
        id_from: IdFrom::EndpointKey,
        open: false,
        check: no_check,
        fractional_times: false,
    }
}

fn no_check(_: &Map<String, Value>, _: &mut Map<String, Value>) {}

const CONSUMER: Field = Field::new("consumer", Kind::Foreign("consumers")).required();

/// Entities without types here, kept as they are: credentials of Kong's plugins, vaults, keys.
pub const OTHERS: &[EntityKind] = &[
    other(
        "keyauth_credentials",
        &[CONSUMER, Field::new("key", Kind::Text).unique()],
        Some("key"),
        IdFrom::Nothing,
    ),
    other(
        "basicauth_credentials",
        &[CONSUMER, Field::new("username", Kind::Text).required().unique()],
        Some("username"),
        IdFrom::CacheKey(&["username"]),
    ),
    other(
        "jwt_secrets",
        &[CONSUMER, Field::new("key", Kind::Text).unique()],
        Some("key"),
        IdFrom::Nothing,
    ),
    other(
        "hmacauth_credentials",
        &[CONSUMER, Field::new("username", Kind::Text).required().unique()],
        Some("username"),
        IdFrom::CacheKey(&["username"]),
    ),
    other(
        "acls",
        &[CONSUMER, Field::new("group", Kind::Text).required()],
        None,
        IdFrom::CacheKey(&["consumer", "group"]),
    ),
    other(
        "oauth2_credentials",
        &[CONSUMER, Field::new("client_id", Kind::Text).unique()],
        Some("client_id"),
        IdFrom::Nothing,
    ),
    other(
        "oauth2_tokens",
        &[
            Field::new("service", Kind::Foreign("services")),
            Field::new("credential", Kind::Foreign("oauth2_credentials")).required(),
            Field::new("access_token", Kind::Text).unique(),
        ],
        Some("access_token"),
        IdFrom::Nothing,
    ),
    other(
        "vaults",
        &[
            Field::new("prefix", Kind::Text).required().unique(),
            Field::new("name", Kind::Text).required(),
        ],
        Some("prefix"),
        IdFrom::CacheKey(&["prefix"]),
    ),
    other(
        "key_sets",
        &[Field::new("name", Kind::Text).unique()],
        Some("name"),
        IdFrom::EndpointKey,
    ),
    other(
        "keys",
        &[
            Field::new("set", Kind::Foreign("key_sets")),
            Field::new("name", Kind::Text).unique(),
            Field::new("kid", Kind::Text).required(),
        ],
        Some("name"),
        IdFrom::CacheKey(&["kid", "set"]),
    ),
    other(
        "workspaces",
        &[Field::new("name", Kind::Text).required().unique()],
        Some("name"),
        IdFrom::EndpointKey,
    ),
    other(
        "parameters",
        &[Field::new("key", Kind::Text).required()],
        None,
        IdFrom::Nothing,
    ),
];

/// A kind whose entities are kept as they are, with `fields` judged.
pub const fn other(
    name: &'static str,
    fields: &'static [Field],
    endpoint_key: Option<&'static str>,
    id_from: IdFrom,
) -> EntityKind {
    EntityKind {
        id_from,
        open: true,
        ..kind(name, fields, endpoint_key)
    }
}

impl EntityKind {
    /// The fields that refer to other entities, with these entities' names.
    pub fn references(&self) -> impl Iterator<Item = (&'static str, &'static str)> + use<> {
        let fields: &'static [Field] = self.fields;
        fields.iter().filter_map(|field| match field.kind {
            Kind::Foreign(entity) => Some((field.name, entity)),
            _ => None,
        })
    }

    /// Whether the endpoint key names one entity among all.
    pub fn endpoint_key_is_unique(&self) -> bool {
        self.fields
            .iter()
            .any(|field| Some(field.name) == self.endpoint_key && field.unique)
    }
}
