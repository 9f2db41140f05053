//! Makes a snapshot of accepted rows, one by one.
//!
//! Must not: judge; a row that does not fit its type is the schemas' fault and ends the building.

use super::material;
use super::rows::{EntityKind, Rows};
use super::{Snapshot, StoreError};
use crate::entity::{CertificateIdx, ConsumerIdx, Reference, RouteIdx, ServiceIdx, Target};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// A snapshot in the making; the ids that rows refer to are kept until all rows are there.
#[derive(Debug)]
pub struct Builder {
    snapshot: Snapshot,
    /// Each with the id of its upstream.
    targets: Vec<(Target, Option<String>)>,
    services_of_routes: Vec<Option<String>>,
    scopes_of_plugins: Vec<Scope>,
    certificates_of_snis: Vec<Option<String>>,
}

impl Builder {
    /// Of these kinds of entities.
    pub fn new(kinds: Vec<EntityKind>) -> Self {
        let mut snapshot = Snapshot::empty();
        for (at, kind) in kinds.into_iter().enumerate() {
            snapshot.kinds.insert(kind.name.clone(), at);
            snapshot.rows.push(Rows::new(kind));
        }
        Self {
            snapshot,
            targets: Vec::new(),
            services_of_routes: Vec::new(),
            scopes_of_plugins: Vec::new(),
            certificates_of_snis: Vec::new(),
        }
    }

    /// Adds a row: a JSON object, in which unset fields are absent or null.
    ///
    /// # Errors
    /// Where the kind is not known, or the row does not fit it.
    pub fn add(&mut self, kind: &str, row: &str) -> Result<(), StoreError> {
        let s = &mut self.snapshot;
        match kind {
            "services" => s.services.push(typed(kind, row)?),
            "routes" => {
                let mut route: crate::entity::Route = typed(kind, row)?;
                self.services_of_routes
                    .push(route.service_ref.take().map(|r| r.id));
                route.fit();
                s.routes.push(route);
            }
            "consumers" => s.consumers.push(typed(kind, row)?),
            "upstreams" => s.upstreams.push(typed(kind, row)?),
            "plugins" => {
                s.plugins.push(typed(kind, row)?);
                self.scopes_of_plugins.push(typed(kind, row)?);
            }
            "certificates" => s.certificates.push(typed(kind, row)?),
            "snis" => {
                s.snis.push(typed(kind, row)?);
                let refers: OfSni = typed(kind, row)?;
                self.certificates_of_snis.push(refers.certificate.map(|r| r.id));
            }
            "ca_certificates" => s.ca_certificates.push(typed(kind, row)?),
            "targets" => {
                let mut target: Target = typed(kind, row)?;
                target.parse_address();
                let refers: OfTarget = typed(kind, row)?;
                self.targets.push((target, refers.upstream.map(|r| r.id)));
            }
            _ => {}
        }
        let wrong = |text: String| StoreError::Row(kind.to_owned(), text);
        let at = s
            .kinds
            .get(kind)
            .ok_or_else(|| wrong("no such kind of entity".to_owned()))?;
        s.rows[*at].add(row).map_err(|e| wrong(e.to_string()))
    }

    /// The snapshot: references are resolved, the order of pages is fixed.
    pub fn finish(mut self, hash: String) -> Snapshot {
        for rows in &mut self.snapshot.rows {
            rows.finish();
        }
        let s = &mut self.snapshot;
        s.services.shrink_to_fit();
        s.routes.shrink_to_fit();
        s.consumers.shrink_to_fit();
        let rows = |kind: &str| s.kinds.get(kind).and_then(|at| s.rows.get(*at));
        let (certificates, services) = (rows("certificates"), rows("services"));
        let (routes, consumers) = (rows("routes"), rows("consumers"));
        let find = |rows: Option<&Rows>, id: &Option<String>| rows?.by_id(id.as_deref()?);
        for service in &mut s.services {
            let wanted = service.client_certificate_ref.as_ref().map(|r| r.id.clone());
            service.client_certificate = find(certificates, &wanted).map(CertificateIdx);
        }
        for upstream in &mut s.upstreams {
            let wanted = upstream.client_certificate_ref.as_ref().map(|r| r.id.clone());
            upstream.client_certificate = find(certificates, &wanted).map(CertificateIdx);
        }
        s.identities = material::identities(&s.certificates);
        s.trust = material::trust_stores(&s.services, &s.ca_certificates, rows("ca_certificates"));
        for (route, service) in s.routes.iter_mut().zip(&self.services_of_routes) {
            route.service = find(services, service).map(ServiceIdx);
        }
        let id = |r: &Option<Reference>| r.as_ref().map(|r| r.id.clone());
        for (plugin, scope) in s.plugins.iter_mut().zip(&self.scopes_of_plugins) {
            plugin.route = find(routes, &id(&scope.route)).map(RouteIdx);
            plugin.service = find(services, &id(&scope.service)).map(ServiceIdx);
            plugin.consumer = find(consumers, &id(&scope.consumer)).map(ConsumerIdx);
        }
        for (sni, certificate) in s.snis.iter_mut().zip(&self.certificates_of_snis) {
            sni.certificate = find(certificates, certificate).map(CertificateIdx);
        }
        let upstreams = rows("upstreams");
        for (target, upstream) in self.targets {
            let at = find(upstreams, &upstream);
            if let Some(upstream) = at.and_then(|at| s.upstreams.get_mut(at as usize)) {
                upstream.targets.push(target);
            }
        }
        s.hash = hash;
        self.snapshot
    }
}

fn typed<T: DeserializeOwned>(kind: &str, row: &str) -> Result<T, StoreError> {
    serde_json::from_str(row).or_else(|e| {
        // Lua knows one kind of number: what is whole may be written as `-0` or `1e+17`
        let value = serde_json::from_str(row).map(whole_numbers);
        let read = value.and_then(|value| T::deserialize(&value));
        read.map_err(|_| StoreError::Row(kind.to_owned(), e.to_string()))
    })
}

fn whole_numbers(value: Value) -> Value {
    match value {
        Value::Number(n) => match n.as_f64() {
            Some(f) if f == f.trunc() && f.abs() < 9.2e18 => Value::from(f as i64),
            _ => Value::Number(n),
        },
        Value::Array(items) => items.into_iter().map(whole_numbers).collect(),
        Value::Object(fields) => fields
            .into_iter()
            .map(|(name, value)| (name, whole_numbers(value)))
            .collect(),
        other => other,
    }
}

#[derive(Deserialize)]
struct OfSni {
    certificate: Option<Reference>,
}

#[derive(Deserialize)]
struct OfTarget {
    upstream: Option<Reference>,
}

/// What a plugin entity is tied to.
#[derive(Debug, Deserialize)]
struct Scope {
    route: Option<Reference>,
    service: Option<Reference>,
    consumer: Option<Reference>,
}
