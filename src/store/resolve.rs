//! From judged entities to the snapshot: unique keys, references, types.

use super::flatten::Entry;
use super::snapshot::Kind;
use super::{Snapshot, StoreError};
use crate::entity::shape::{Step, put};
use crate::entity::{ConsumerIdx, PluginEntity, Route, RouteIdx, Service, ServiceIdx, Target};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use std::collections::{HashMap, HashSet};

type Seen = HashMap<(&'static str, String), String>;

/// Makes the snapshot.
pub(super) fn snapshot(mut entries: Vec<Entry>) -> Result<Snapshot, StoreError> {
    let mut errors = Value::Null;
    let (ids, keys) = unique(&entries, &mut errors);
    resolve(&mut entries, &ids, &keys, &mut errors);
    if !errors.is_null() {
        return Err(StoreError::Invalid(errors));
    }
    typed(entries)
}

fn step(name: &str) -> Step {
    Step::Field(name.to_owned())
}

fn uniqueness(entity: &str, field: &str, value: &str) -> Value {
    Value::from(format!(
        "uniqueness violation: '{entity}' entity with {field} set to '{value}' already declared"
    ))
}

/// The name by which errors call an entity.
fn called(entry: &Entry) -> &str {
    let key = entry
        .kind
        .endpoint_key
        .filter(|_| entry.kind.endpoint_key_is_unique());
    key.and_then(|key| entry.object.get(key))
        .and_then(Value::as_str)
        .unwrap_or(&entry.id)
}

/// The ids, and the unique endpoint keys with the ids they stand for.
fn unique(entries: &[Entry], errors: &mut Value) -> (HashSet<(&'static str, String)>, Seen) {
    let (mut ids, mut keys) = (HashSet::new(), Seen::new());
    let mut others = HashSet::new();
    for entry in entries {
        let name = entry.kind.name;
        let mut path = match entry.parent {
            Some((parent, at)) => vec![step(parent), Step::Entry(at)],
            None => Vec::new(),
        };
        path.extend([step(name), Step::Entry(entry.at)]);
        let mut failed = false;
        for field in entry.kind.fields.iter().filter(|field| field.unique) {
            let Some(value) = entry.object.get(field.name).and_then(Value::as_str) else {
                continue;
            };
            if Some(field.name) == entry.kind.endpoint_key {
                let slot = keys.entry((name, value.to_owned()));
                if let std::collections::hash_map::Entry::Vacant(slot) = slot {
                    slot.insert(entry.id.clone());
                } else {
                    put(errors, &path, uniqueness(name, field.name, value));
                    failed = true;
                }
            } else if !others.insert((name, field.name, value)) {
                put(
                    errors,
                    &[step(name), step(called(entry))],
                    uniqueness(name, field.name, value),
                );
            }
        }
        if !ids.insert((name, entry.id.clone())) && !failed {
            put(errors, &path, uniqueness(name, "primary key", &entry.id));
        }
    }
    (ids, keys)
}

/// Writes references as `{ "id": ... }`.
fn resolve(entries: &mut [Entry], ids: &HashSet<(&'static str, String)>, keys: &Seen, errors: &mut Value) {
    // How many were wrong for each entity, since Kong lists them.
    let mut wrong: HashMap<(&str, String), usize> = HashMap::new();
    for entry in entries {
        for (field, entity) in entry.kind.references() {
            let Some(value) = entry.object.get(field) else {
                continue;
            };
            let text = value.get("id").unwrap_or(value).as_str().unwrap_or_default();
            let wanted = (entity, text.to_owned());
            let found = keys
                .get(&wanted)
                .map(String::as_str)
                .or_else(|| ids.contains(&wanted).then_some(text));
            let Some(id) = found else {
                let shown = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                let message = format!("invalid reference '{field}: {shown}' (no such entry in '{entity}')");
                let name = called(entry).to_owned();
                let count = wrong.entry((entry.kind.name, name.clone())).or_default();
                let path = [step(entry.kind.name), step(&name), Step::Entry(*count)];
                put(errors, &path, Value::from(message));
                *count += 1;
                continue;
            };
            let reference = Map::from_iter([("id".to_owned(), Value::from(id))]);
            entry.object.insert(field.to_owned(), Value::Object(reference));
        }
    }
}

/// An entity as its type, and its table for `raw`.
fn read<T: DeserializeOwned>(object: Map<String, Value>) -> Result<(T, Value), StoreError> {
    let raw = Value::Object(object);
    // The judge has seen to it that this succeeds.
    let entity = T::deserialize(&raw).map_err(|error| StoreError::Syntax(error.to_string()))?;
    Ok((entity, raw))
}

fn reference<'r>(raw: &'r Value, field: &str) -> Option<&'r str> {
    raw.get(field)?.get("id")?.as_str()
}

fn typed(entries: Vec<Entry>) -> Result<Snapshot, StoreError> {
    let mut snapshot = Snapshot::empty();
    let mut targets: Vec<(Target, Value)> = Vec::new();
    for Entry { kind, object, .. } in entries {
        macro_rules! push {
            ($list:ident) => {{
                let (entity, raw) = read(object)?;
                snapshot.$list.push(entity);
                if let Some(entity) = snapshot.$list.last_mut() {
                    entity.raw = raw;
                }
            }};
        }
        match kind.name {
            "services" => push!(services),
            "routes" => push!(routes),
            "consumers" => push!(consumers),
            "upstreams" => push!(upstreams),
            "plugins" => push!(plugins),
            "certificates" => push!(certificates),
            "snis" => push!(snis),
            "ca_certificates" => push!(ca_certificates),
            "targets" => targets.push(read(object)?),
            other => snapshot
                .other
                .entry(other.to_owned())
                .or_default()
                .push(Value::Object(object)),
        }
    }
    name_all(&mut snapshot);
    link(&mut snapshot, targets);
    Ok(snapshot)
}

/// Fills in the ways to find entities.
fn name_all(snapshot: &mut Snapshot) {
    let mut ids: HashMap<Kind, HashMap<String, u32>> = HashMap::new();
    let mut keys: HashMap<Kind, HashMap<String, u32>> = HashMap::new();
    macro_rules! index {
        ($list:ident, $kind:ident $(, $key_kind:ident: $key:expr)*) => {
            for (at, entity) in snapshot.$list.iter().enumerate() {
                let at = u32::try_from(at).unwrap_or(u32::MAX);
                ids.entry(Kind::$kind).or_default().insert(entity.id.clone(), at);
                $(
                    #[allow(clippy::redundant_closure_call)]
                    if let Some(key) = $key(entity) {
                        keys.entry(Kind::$key_kind).or_default().insert(key, at);
                    }
                )*
            }
        };
    }
    index!(services, Service, Service: |e: &Service| e.name.clone());
    index!(routes, Route, Route: |e: &Route| e.name.clone());
    index!(
        consumers, Consumer,
        Consumer: |e: &crate::entity::Consumer| e.username.clone(),
        CustomId: |e: &crate::entity::Consumer| e.custom_id.clone()
    );
    index!(upstreams, Upstream, Upstream: |e: &crate::entity::Upstream| Some(e.name.clone()));
    index!(plugins, Plugin);
    index!(certificates, Certificate);
    (snapshot.ids, snapshot.keys) = (ids, keys);
}

/// Turns references into places.
fn link(snapshot: &mut Snapshot, targets: Vec<(Target, Value)>) {
    let ids = std::mem::take(&mut snapshot.ids);
    let find = |kind: Kind, raw: &Value, field: &str| {
        reference(raw, field).and_then(|id| ids.get(&kind)?.get(id).copied())
    };
    for Service {
        client_certificate,
        raw,
        ..
    } in &mut snapshot.services
    {
        *client_certificate =
            find(Kind::Certificate, raw, "client_certificate").map(crate::entity::CertificateIdx);
    }
    for Route { service, raw, .. } in &mut snapshot.routes {
        *service = find(Kind::Service, raw, "service").map(ServiceIdx);
    }
    for PluginEntity {
        route,
        service,
        consumer,
        raw,
        ..
    } in &mut snapshot.plugins
    {
        *route = find(Kind::Route, raw, "route").map(RouteIdx);
        *service = find(Kind::Service, raw, "service").map(ServiceIdx);
        *consumer = find(Kind::Consumer, raw, "consumer").map(ConsumerIdx);
    }
    for sni in &mut snapshot.snis {
        sni.certificate = find(Kind::Certificate, &sni.raw, "certificate").map(crate::entity::CertificateIdx);
    }
    for (mut target, raw) in targets {
        let upstream = find(Kind::Upstream, &raw, "upstream");
        target.parse_address();
        target.raw = raw;
        if let Some(upstream) = upstream.and_then(|at| snapshot.upstreams.get_mut(at as usize)) {
            upstream.targets.push(target);
        }
    }
    snapshot.ids = ids;
}
