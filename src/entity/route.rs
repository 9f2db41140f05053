//! Routes: which requests belong to which service.

use super::{Protocol, Reference, ServiceIdx, or_default};
use serde::{Deserialize, Deserializer};
use std::collections::BTreeMap;

/// How a matched path is joined to the service's path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PathHandling {
    /// Joined with exactly one slash.
    #[default]
    V0,
    /// Concatenated.
    V1,
}

/// One header criterion: the request has the header with one of these values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeaderRule {
    /// Lower-cased header name.
    pub name: String,
    /// Accepted values; `~*` starts a regular expression.
    pub values: Vec<String>,
}

/// Which requests belong to a service.
///
/// # Source
/// `kong/db/schema/entities/routes.lua`, `routes_subschemas.lua`
#[derive(Debug, Clone, Deserialize)]
pub struct Route {
    /// UUID.
    pub id: String,
    /// Unique name.
    pub name: Option<String>,
    /// Protocols served.
    pub protocols: Vec<Protocol>,
    /// Request methods; empty: any.
    #[serde(default, deserialize_with = "or_default")]
    pub methods: Vec<String>,
    /// Host names, with one wildcard at an end and a port perhaps; empty: any.
    #[serde(default, deserialize_with = "or_default")]
    pub hosts: Vec<String>,
    /// Path prefixes, or `~` and a regular expression; empty: any.
    #[serde(default, deserialize_with = "or_default")]
    pub paths: Vec<String>,
    /// Header criteria; all must hold.
    #[serde(default, deserialize_with = "header_rules")]
    pub headers: Vec<HeaderRule>,
    /// Server names of TLS; empty: any.
    #[serde(default, deserialize_with = "or_default")]
    pub snis: Vec<String>,
    /// Order among regular expressions; higher first.
    #[serde(default, deserialize_with = "or_default")]
    pub regex_priority: i64,
    /// Whether the matched prefix is taken off the upstream path.
    pub strip_path: bool,
    /// Whether the upstream gets the request's Host.
    pub preserve_host: bool,
    /// How paths are joined.
    #[serde(default, deserialize_with = "or_default")]
    pub path_handling: PathHandling,
    /// The answer to http where only https is served.
    pub https_redirect_status_code: u16,
    /// Whether request bodies may be kept for a replay.
    pub request_buffering: bool,
    /// Whether response bodies may be buffered.
    pub response_buffering: bool,
    /// Seconds since the epoch; orders equal routes.
    #[serde(default, deserialize_with = "or_default")]
    pub created_at: u64,
    /// The service as its row names it, until it is found.
    #[serde(rename = "service")]
    pub service_ref: Option<Reference>,
    /// The service served; a route without one is answered by plugins only.
    #[serde(skip)]
    pub service: Option<ServiceIdx>,
}

impl Route {
    /// Gives back the room that reading left in the lists: there are as many of them as there are routes.
    pub fn fit(&mut self) {
        self.protocols.shrink_to_fit();
        for list in [
            &mut self.methods,
            &mut self.hosts,
            &mut self.paths,
            &mut self.snis,
        ] {
            list.shrink_to_fit();
        }
    }
}

fn header_rules<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<HeaderRule>, D::Error> {
    let map = Option::<BTreeMap<String, Vec<String>>>::deserialize(from)?;
    Ok(map
        .unwrap_or_default()
        .into_iter()
        .map(|(name, values)| HeaderRule {
            name: name.to_ascii_lowercase(),
            values,
        })
        .collect())
}
