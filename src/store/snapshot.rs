//! The snapshot: every entity of one configuration, with the ways to find them.

use crate::entity::{
    CaCertificate, Certificate, CertificateIdx, ConfigIdx, Consumer, ConsumerIdx, PluginEntity, Route,
    RouteIdx, Service, ServiceIdx, Sni, Upstream, UpstreamIdx,
};
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};

/// The hash of no configuration at all.
pub const EMPTY_HASH: &str = "00000000000000000000000000000000";

/// One whole configuration, immutable; handed around in an `Arc`.
#[derive(Debug, Default)]
pub struct Snapshot {
    /// In order of declaration.
    pub services: Vec<Service>,
    /// In order of declaration.
    pub routes: Vec<Route>,
    /// In order of declaration.
    pub consumers: Vec<Consumer>,
    /// In order of declaration, each with its targets.
    pub upstreams: Vec<Upstream>,
    /// In order of declaration; a [`ConfigIdx`] counts here.
    pub plugins: Vec<PluginEntity>,
    /// In order of declaration.
    pub certificates: Vec<Certificate>,
    /// In order of declaration.
    pub snis: Vec<Sni>,
    /// In order of declaration.
    pub ca_certificates: Vec<CaCertificate>,
    /// Entities this room has no type for (credentials, vaults, keys, ...), by name, each with an `id`.
    pub other: BTreeMap<String, Vec<Value>>,
    /// MD5 of the document in hex; [`EMPTY_HASH`] for the empty snapshot.
    pub hash: String,
    /// Whether secrets are given in the clear (`_transform`), to be hashed by their plugins.
    pub transform: bool,
    pub(super) ids: HashMap<Kind, HashMap<String, u32>>,
    pub(super) keys: HashMap<Kind, HashMap<String, u32>>,
}

/// What an id or key names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    Service,
    Route,
    Consumer,
    CustomId,
    Upstream,
    Plugin,
    Certificate,
}

impl Snapshot {
    /// The configuration before any is loaded.
    pub fn empty() -> Self {
        Self {
            hash: EMPTY_HASH.to_owned(),
            ..Self::default()
        }
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

    fn by_id(&self, kind: Kind, id: &str) -> Option<u32> {
        self.ids.get(&kind)?.get(id).copied()
    }

    fn by_key(&self, kind: Kind, key: &str) -> Option<u32> {
        self.keys.get(&kind)?.get(key).copied()
    }

    /// A service by id or name.
    pub fn find_service(&self, id_or_name: &str) -> Option<ServiceIdx> {
        let at = self
            .by_id(Kind::Service, id_or_name)
            .or_else(|| self.by_key(Kind::Service, id_or_name));
        at.map(ServiceIdx)
    }

    /// A route by id or name.
    pub fn find_route(&self, id_or_name: &str) -> Option<RouteIdx> {
        self.by_id(Kind::Route, id_or_name)
            .or_else(|| self.by_key(Kind::Route, id_or_name))
            .map(RouteIdx)
    }

    /// A consumer by id.
    pub fn consumer_by_id(&self, id: &str) -> Option<ConsumerIdx> {
        self.by_id(Kind::Consumer, id).map(ConsumerIdx)
    }

    /// A consumer by user name.
    pub fn consumer_by_username(&self, username: &str) -> Option<ConsumerIdx> {
        self.by_key(Kind::Consumer, username).map(ConsumerIdx)
    }

    /// A consumer by `custom_id`.
    pub fn consumer_by_custom_id(&self, custom_id: &str) -> Option<ConsumerIdx> {
        self.by_key(Kind::CustomId, custom_id).map(ConsumerIdx)
    }

    /// An upstream by its name, which is a host name.
    pub fn upstream_by_name(&self, name: &str) -> Option<UpstreamIdx> {
        self.by_key(Kind::Upstream, name).map(UpstreamIdx)
    }

    /// A plugin entity by id.
    pub fn plugin_by_id(&self, id: &str) -> Option<ConfigIdx> {
        self.by_id(Kind::Plugin, id).map(ConfigIdx)
    }

    /// A certificate by id.
    pub fn certificate_by_id(&self, id: &str) -> Option<CertificateIdx> {
        self.by_id(Kind::Certificate, id).map(CertificateIdx)
    }
}
