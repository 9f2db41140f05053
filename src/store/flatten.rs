//! From nested lists to one list of judged entities, each knowing where it stood.

use super::document::{Judge, Refusal};
use super::ids;
use crate::entity::kinds::{COMMON, ENTITIES, EntityKind, OTHERS};
use crate::entity::shape::{Field, Kind, Step, judge as judge_shape, put};
use crate::entity::{expand_url, grpc_defaults};
use serde_json::{Map, Value};
use std::time::{Duration, SystemTime};

/// One entity, judged, its references not resolved.
pub(super) struct Entry {
    pub kind: &'static EntityKind,
    pub object: Map<String, Value>,
    pub id: String,
    /// Place in its list.
    pub at: usize,
    /// The list it is nested in and the parent's place there.
    pub parent: Option<(&'static str, usize)>,
}

const SECONDS: &[Field] = &[
    Field::new("created_at", Kind::Integer(0, 1 << 53)),
    Field::new("updated_at", Kind::Integer(0, 1 << 53)),
];
const FRACTIONAL: &[Field] = &[
    Field::new("created_at", Kind::Number(0.0, 9e15)),
    Field::new("updated_at", Kind::Number(0.0, 9e15)),
];

/// Keys any entity may have that are no fields of it.
const IGNORED: &[&str] = &["_comment", "_ignore", "ws_id"];

struct Walk<'w, 'j> {
    now: Duration,
    daos: &'static [EntityKind],
    judge: &'w mut Judge<'j>,
    errors: &'w mut Value,
    entries: Vec<Entry>,
}

/// Where a list stands.
struct Place<'p> {
    path: Vec<Step>,
    parent: Option<(&'static EntityKind, usize)>,
    child_key: &'static str,
    parent_id: &'p str,
    /// Whether the parent's id was given or derived from its key.
    parent_known: bool,
}

/// All entities of a document, parents before what is nested in them.
pub(super) fn entries(
    root: Map<String, Value>,
    now: SystemTime,
    daos: &'static [EntityKind],
    judge: &mut Judge<'_>,
    errors: &mut Value,
) -> Vec<Entry> {
    let now = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let mut walk = Walk {
        now,
        daos,
        judge,
        errors,
        entries: Vec::new(),
    };
    for (name, list) in root {
        let place = Place {
            path: vec![Step::Field(name.clone())],
            parent: None,
            child_key: "",
            parent_id: "",
            parent_known: false,
        };
        match walk.kind(&name) {
            Some(kind) => walk.list(kind, list, &place),
            None => put(walk.errors, &place.path, Value::from("unknown field")),
        }
    }
    walk.entries
}

impl Walk<'_, '_> {
    fn kinds(&self) -> impl Iterator<Item = &'static EntityKind> + use<> {
        ENTITIES.iter().chain(OTHERS).chain(self.daos)
    }

    fn kind(&self, name: &str) -> Option<&'static EntityKind> {
        self.kinds().find(|kind| kind.name == name)
    }

    fn list(&mut self, kind: &'static EntityKind, list: Value, place: &Place<'_>) {
        let items = match list {
            Value::Null => return,
            Value::Array(items) => items,
            Value::Object(fields) if fields.is_empty() => return,
            _ => return put(self.errors, &place.path, Value::from("expected an array")),
        };
        for (at, item) in items.into_iter().enumerate() {
            let mut path = place.path.clone();
            path.push(Step::Entry(at));
            let object = match item {
                Value::Object(object) => object,
                // Server names are also written as plain texts under their certificate.
                Value::String(name) if kind.name == "snis" && place.parent.is_some() => {
                    Map::from_iter([("name".to_owned(), Value::String(name))])
                }
                _ => {
                    put(self.errors, &path, Value::from("expected a record"));
                    continue;
                }
            };
            self.entity(kind, object, (at, path), place);
        }
    }

    fn entity(
        &mut self,
        kind: &'static EntityKind,
        mut object: Map<String, Value>,
        (at, path): (usize, Vec<Step>),
        place: &Place<'_>,
    ) {
        object.retain(|key, _| !IGNORED.contains(&key.as_str()));
        let children = self.take_children(kind, &mut object);
        let (id, known) = identify(kind, &mut object, &path, place);
        let errors = self.judge_entity(kind, &mut object, place);
        if !errors.is_empty() {
            put(self.errors, &path, Value::Object(errors));
        }
        for (child, child_key, list) in children {
            let mut path = path.clone();
            path.push(Step::Field(child.name.to_owned()));
            let place = Place {
                path,
                parent: Some((kind, at)),
                child_key,
                parent_id: &id,
                parent_known: known,
            };
            self.list(child, list, &place);
        }
        let parent = place.parent.map(|(parent, at)| (parent.name, at));
        self.entries.push(Entry {
            kind,
            object,
            id,
            at,
            parent,
        });
    }

    /// Takes out the lists of entities that refer to this one.
    fn take_children(
        &self,
        kind: &EntityKind,
        object: &mut Map<String, Value>,
    ) -> Vec<(&'static EntityKind, &'static str, Value)> {
        let mut children = Vec::new();
        for child in self.kinds() {
            let reference = child.references().find(|(_, entity)| *entity == kind.name);
            if let Some((field, _)) = reference
                && let Some(list) = object.shift_remove(child.name)
            {
                children.push((child, field, list));
            }
        }
        children
    }

    fn judge_entity(
        &mut self,
        kind: &'static EntityKind,
        object: &mut Map<String, Value>,
        place: &Place<'_>,
    ) -> Map<String, Value> {
        let mut errors = Map::new();
        if kind.name == "services"
            && let Err(error) = expand_url(object)
        {
            errors.insert("url".to_owned(), error);
        }
        if kind.name == "routes" {
            grpc_defaults(object);
        }
        if place.parent.is_some() {
            let taken = object.insert(place.child_key.to_owned(), Value::from(place.parent_id));
            if taken.is_some_and(|value| !value.is_null()) {
                errors.insert(place.child_key.to_owned(), Value::from("value must be null"));
            }
        }
        let times = if kind.fractional_times {
            FRACTIONAL
        } else {
            SECONDS
        };
        let fields: Vec<Field> = COMMON.iter().chain(times).chain(kind.fields).copied().collect();
        let open: Vec<String> = if kind.open {
            object.keys().cloned().collect()
        } else {
            Vec::new()
        };
        let known: Vec<&str> = open.iter().map(String::as_str).collect();
        judge_shape(&fields, object, &known, &mut errors);
        (kind.check)(object, &mut errors);
        for time in ["created_at", "updated_at"] {
            object.entry(time).or_insert_with(|| match kind.fractional_times {
                true => Value::from(self.now.as_millis() as f64 / 1000.0),
                false => Value::from(self.now.as_secs()),
            });
        }
        if kind.name == "plugins" {
            self.judge_plugin(object, &mut errors);
        }
        errors
    }

    fn judge_plugin(&mut self, object: &mut Map<String, Value>, errors: &mut Map<String, Value>) {
        let Some(name) = object.get("name").and_then(Value::as_str).map(str::to_owned) else {
            return;
        };
        object
            .entry("config")
            .or_insert_with(|| Value::Object(Map::new()));
        match (self.judge)(&name, &Value::Object(object.clone())) {
            Ok(config) => {
                object.insert("config".to_owned(), config);
            }
            Err(Refusal::NotEnabled) => {
                let message =
                    format!("plugin '{name}' not enabled; add it to the 'plugins' configuration property");
                errors.insert("name".to_owned(), Value::from(message));
            }
            Err(Refusal::Fields(fields)) => errors.extend(fields),
        }
    }
}

/// Gives the entity an id; also says whether it was given or derived from the entity's key.
fn identify(
    kind: &EntityKind,
    object: &mut Map<String, Value>,
    path: &[Step],
    place: &Place<'_>,
) -> (String, bool) {
    if let Some(id) = object.get("id").filter(|id| !id.is_null()) {
        // What is no text is refused by the judge.
        return (id.as_str().unwrap_or_default().to_owned(), true);
    }
    let parent = place
        .parent
        .map(|_| (place.child_key, place.parent_known.then_some(place.parent_id)));
    let key = ids::key(kind, object, parent);
    let known = key.is_some();
    let id = ids::derive(kind.name, &key.unwrap_or_else(|| by_place(path)));
    object.insert("id".to_owned(), Value::from(id.as_str()));
    (id, known)
}

/// Kong draws a random id here; the place keeps it the same when an unchanged document is loaded again.
fn by_place(path: &[Step]) -> String {
    path.iter()
        .map(|step| match step {
            Step::Field(name) => format!("/{name}"),
            Step::Entry(at) => format!("/{at}"),
        })
        .collect()
}
