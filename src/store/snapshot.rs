//! The snapshot: every entity of one configuration, with the ways to find them.
//!
//! Must not: change once it is built.

use super::material::Identities;
use super::rows::{EntityKind, Rows};
use crate::entity::{
    CaCertificate, Certificate, CertificateIdx, ConfigIdx, Consumer, ConsumerIdx, PluginEntity, Route,
    RouteIdx, Service, ServiceIdx, Sni, Upstream, UpstreamIdx,
};
use crate::tls::identity::ClientIdentity;
use crate::tls::trust::TrustStore;
use hashbrown::HashMap;
use std::sync::Arc;

/// The hash of no configuration at all.
pub const EMPTY_HASH: &str = "00000000000000000000000000000000";

/// One whole configuration, immutable; handed around in an `Arc`.
///
/// The typed lists are what the request path reads; the same entities stand as rows, in the same order, for what
/// reads them as tables.
#[derive(Debug, Default)]
pub struct Snapshot {
    /// In the order of the rows.
    pub services: Vec<Service>,
    /// In the order of the rows.
    pub routes: Vec<Route>,
    /// In the order of the rows.
    pub consumers: Vec<Consumer>,
    /// In the order of the rows, each with its targets.
    pub upstreams: Vec<Upstream>,
    /// In the order of the rows; a [`ConfigIdx`] counts here.
    pub plugins: Vec<PluginEntity>,
    /// In the order of the rows.
    pub certificates: Vec<Certificate>,
    /// Of each certificate, in the same order.
    pub identities: Vec<Identities>,
    /// In the order of the rows.
    pub snis: Vec<Sni>,
    /// In the order of the rows.
    pub ca_certificates: Vec<CaCertificate>,
    /// MD5 of the document in hex; [`EMPTY_HASH`] for the empty snapshot.
    pub hash: String,
    /// Of each service, in their order: its `ca_certificates`, where it names any.
    pub(super) trust: Vec<Option<Arc<TrustStore>>>,
    pub(super) rows: Vec<Rows>,
    pub(super) kinds: HashMap<String, usize>,
}

impl Snapshot {
    /// The configuration before any is loaded, of no kinds.
    pub fn empty() -> Self {
        Self {
            hash: EMPTY_HASH.to_owned(),
            ..Self::default()
        }
    }

    /// The rows of a kind; none where the kind is not known.
    pub fn rows(&self, kind: &str) -> Option<&Rows> {
        self.rows.get(*self.kinds.get(kind)?)
    }

    /// The kinds of entities there are.
    pub fn kinds(&self) -> impl Iterator<Item = &EntityKind> {
        self.rows.iter().map(|rows| &rows.kind)
    }

    /// A service by its place.
    pub fn service(&self, at: ServiceIdx) -> Option<&Service> {
        self.services.get(at.index())
    }

    /// A route by its place.
    pub fn route(&self, at: RouteIdx) -> Option<&Route> {
        self.routes.get(at.index())
    }

    /// A consumer by its place.
    pub fn consumer(&self, at: ConsumerIdx) -> Option<&Consumer> {
        self.consumers.get(at.index())
    }

    /// An upstream by its place.
    pub fn upstream(&self, at: UpstreamIdx) -> Option<&Upstream> {
        self.upstreams.get(at.index())
    }

    /// A plugin entity by its place.
    pub fn plugin(&self, at: ConfigIdx) -> Option<&PluginEntity> {
        self.plugins.get(at.index())
    }

    /// A certificate by its place.
    pub fn certificate(&self, at: CertificateIdx) -> Option<&Certificate> {
        self.certificates.get(at.index())
    }

    /// What a certificate's chain and key amount to.
    ///
    /// # Errors
    /// Why they are no identity, for the log.
    pub fn identity(&self, at: CertificateIdx) -> Result<&Arc<ClientIdentity>, &str> {
        match self.identities.get(at.index()) {
            Some(identities) => identities.main.as_ref().map_err(String::as_str),
            None => Err("no such certificate"),
        }
    }

    /// The CA certificates a service trusts, where it names any.
    pub fn trust_of_service(&self, at: ServiceIdx) -> Option<&Arc<TrustStore>> {
        self.trust.get(at.index())?.as_ref()
    }

    fn by_id(&self, kind: &str, id: &str) -> Option<u32> {
        self.rows(kind)?.by_id(id)
    }

    fn by_key(&self, kind: &str, field: &str, key: &str) -> Option<u32> {
        self.rows(kind)?.by_key(field, key)
    }

    /// A service by id or name.
    pub fn find_service(&self, id_or_name: &str) -> Option<ServiceIdx> {
        let at = self
            .by_id("services", id_or_name)
            .or_else(|| self.by_key("services", "name", id_or_name));
        at.map(ServiceIdx)
    }

    /// A route by id or name.
    pub fn find_route(&self, id_or_name: &str) -> Option<RouteIdx> {
        self.by_id("routes", id_or_name)
            .or_else(|| self.by_key("routes", "name", id_or_name))
            .map(RouteIdx)
    }

    /// A consumer by id.
    pub fn consumer_by_id(&self, id: &str) -> Option<ConsumerIdx> {
        self.by_id("consumers", id).map(ConsumerIdx)
    }

    /// A consumer by user name.
    pub fn consumer_by_username(&self, username: &str) -> Option<ConsumerIdx> {
        self.by_key("consumers", "username", username).map(ConsumerIdx)
    }

    /// A consumer by `custom_id`.
    pub fn consumer_by_custom_id(&self, custom_id: &str) -> Option<ConsumerIdx> {
        self.by_key("consumers", "custom_id", custom_id).map(ConsumerIdx)
    }

    /// An upstream by its name, which is a host name.
    pub fn upstream_by_name(&self, name: &str) -> Option<UpstreamIdx> {
        self.by_key("upstreams", "name", name).map(UpstreamIdx)
    }

    /// A plugin entity by id.
    pub fn plugin_by_id(&self, id: &str) -> Option<ConfigIdx> {
        self.by_id("plugins", id).map(ConfigIdx)
    }

    /// A certificate by id.
    pub fn certificate_by_id(&self, id: &str) -> Option<CertificateIdx> {
        self.by_id("certificates", id).map(CertificateIdx)
    }
}
