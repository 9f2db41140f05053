//! Makes a snapshot of accepted rows, one by one.
//!
//! Must not: judge; a row that does not fit its type is the schemas' fault and ends the building.

use super::rows::{EntityKind, Rows};
use super::{Snapshot, StoreError};
use crate::entity::{CertificateIdx, ConsumerIdx, RouteIdx, ServiceIdx, Target};
use serde::de::DeserializeOwned;
use serde_json::Value;

/// A snapshot in the making; the ids that rows refer to are kept until all rows are there.
#[derive(Debug)]
pub struct Builder {
    snapshot: Snapshot,
    /// Each with the id of its upstream.
    targets: Vec<(Target, Box<str>)>,
    services_of_routes: Vec<Box<str>>,
    /// Route, service and consumer.
    scopes_of_plugins: Vec<[Box<str>; 3]>,
    certificates_of_snis: Vec<Box<str>>,
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

    /// Adds a row: an object with every field that is set.
    ///
    /// # Errors
    /// Where the kind is not known, or the row does not fit it.
    pub fn add(&mut self, kind: &str, mut row: Value) -> Result<(), StoreError> {
        if let Value::Object(fields) = &mut row {
            fields.retain(|_, value| !value.is_null());
        }
        let s = &mut self.snapshot;
        match kind {
            "services" => s.services.push(typed(kind, &row)?),
            "routes" => {
                s.routes.push(typed(kind, &row)?);
                self.services_of_routes.push(reference(&row, "service"));
            }
            "consumers" => s.consumers.push(typed(kind, &row)?),
            "upstreams" => s.upstreams.push(typed(kind, &row)?),
            "plugins" => {
                s.plugins.push(typed(kind, &row)?);
                let scope = ["route", "service", "consumer"].map(|field| reference(&row, field));
                self.scopes_of_plugins.push(scope);
            }
            "certificates" => s.certificates.push(typed(kind, &row)?),
            "snis" => {
                s.snis.push(typed(kind, &row)?);
                self.certificates_of_snis.push(reference(&row, "certificate"));
            }
            "ca_certificates" => s.ca_certificates.push(typed(kind, &row)?),
            "targets" => {
                let mut target: Target = typed(kind, &row)?;
                target.parse_address();
                self.targets.push((target, reference(&row, "upstream")));
            }
            _ => {}
        }
        let at = s
            .kinds
            .get(kind)
            .ok_or_else(|| StoreError::Row(kind.to_owned(), "no such kind of entity".to_owned()))?;
        s.rows[*at].add(&row);
        Ok(())
    }

    /// The snapshot: references are resolved, the order of pages is fixed.
    pub fn finish(mut self, hash: String) -> Snapshot {
        for rows in &mut self.snapshot.rows {
            rows.finish();
        }
        let s = &mut self.snapshot;
        let rows = |kind: &str| s.kinds.get(kind).and_then(|at| s.rows.get(*at));
        let (certificates, services) = (rows("certificates"), rows("services"));
        let (routes, consumers) = (rows("routes"), rows("consumers"));
        let find = |rows: Option<&Rows>, id: &str| rows.and_then(|rows| rows.by_id(id));
        for service in &mut s.services {
            let wanted = service.client_certificate_ref.as_ref();
            service.client_certificate = wanted.and_then(|r| find(certificates, &r.id)).map(CertificateIdx);
        }
        for (route, service) in s.routes.iter_mut().zip(&self.services_of_routes) {
            route.service = find(services, service).map(ServiceIdx);
        }
        for (plugin, [route, service, consumer]) in s.plugins.iter_mut().zip(&self.scopes_of_plugins) {
            plugin.route = find(routes, route).map(RouteIdx);
            plugin.service = find(services, service).map(ServiceIdx);
            plugin.consumer = find(consumers, consumer).map(ConsumerIdx);
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

fn typed<T: DeserializeOwned>(kind: &str, row: &Value) -> Result<T, StoreError> {
    T::deserialize(row).map_err(|e| StoreError::Row(kind.to_owned(), e.to_string()))
}

/// The id in a reference; empty where there is none.
fn reference(row: &Value, field: &str) -> Box<str> {
    let id = row.get(field).and_then(|reference| reference.get("id"));
    id.and_then(Value::as_str).unwrap_or_default().into()
}
