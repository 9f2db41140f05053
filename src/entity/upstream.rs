//! Upstreams and their targets: what is balanced over.

use super::{CertificateIdx, Reference, or_default, parse_address};
use serde::{Deserialize, Deserializer};

/// How a target is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Algorithm {
    /// Weighted round-robin.
    #[default]
    RoundRobin,
    /// Ring of hashes.
    ConsistentHashing,
    /// Fewest connections by weight.
    LeastConnections,
    /// Lowest latency.
    Latency,
}

/// What a request is hashed by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HashOn {
    /// Nothing.
    #[default]
    None,
    /// The consumer's id, or the credential's.
    Consumer,
    /// The client's address.
    Ip,
    /// A header's values.
    Header,
    /// A cookie, which is set where it is missing.
    Cookie,
    /// The path.
    Path,
    /// An argument's values.
    QueryArg,
    /// A capture of the route's path.
    UriCapture,
}

/// The inputs of consistent hashing and what they are named by.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Hashing {
    #[serde(deserialize_with = "or_default")]
    pub hash_on: HashOn,
    #[serde(deserialize_with = "or_default")]
    pub hash_fallback: HashOn,
    pub hash_on_header: Option<String>,
    pub hash_fallback_header: Option<String>,
    pub hash_on_cookie: Option<String>,
    pub hash_on_cookie_path: Option<String>,
    pub hash_on_query_arg: Option<String>,
    pub hash_fallback_query_arg: Option<String>,
    pub hash_on_uri_capture: Option<String>,
    pub hash_fallback_uri_capture: Option<String>,
}

/// A virtual host name that is balanced over targets.
///
/// # Source
/// `kong/db/schema/entities/upstreams.lua`
#[derive(Debug, Clone, Deserialize)]
pub struct Upstream {
    /// UUID.
    pub id: String,
    /// The host name that a service, or `kong.service.set_target`, uses.
    pub name: String,
    /// How a target is chosen.
    #[serde(default, deserialize_with = "or_default")]
    pub algorithm: Algorithm,
    /// Whether `healthchecks` asks for any check.
    #[serde(rename = "healthchecks", default, deserialize_with = "asks_for_checks")]
    pub health_checked: bool,
    /// What a request is hashed by, where that chooses.
    #[serde(flatten)]
    pub hashing: Hashing,
    /// Size of the ring.
    #[serde(default = "default_slots", deserialize_with = "slots")]
    pub slots: u32,
    /// The Host header sent to targets.
    pub host_header: Option<String>,
    /// Whether SRV names take the place of target names in Host.
    #[serde(default, deserialize_with = "or_default")]
    pub use_srv_name: bool,
    /// Id of the certificate presented to targets where the service has none.
    #[serde(rename = "client_certificate")]
    pub client_certificate_ref: Option<Reference>,
    /// The same, resolved.
    #[serde(skip)]
    pub client_certificate: Option<CertificateIdx>,
    /// In order of declaration.
    #[serde(skip)]
    pub targets: Vec<Target>,
}

/// One address of an upstream.
///
/// # Source
/// `kong/db/schema/entities/targets.lua`
#[derive(Debug, Clone, Deserialize)]
pub struct Target {
    /// UUID.
    pub id: String,
    /// As declared: `host`, `host:port`, `[::1]:port`.
    pub target: String,
    /// Host name or IP literal, without brackets.
    #[serde(skip)]
    pub host: String,
    /// Port; 8000 where none is declared, as Kong has it.
    #[serde(skip)]
    pub port: u16,
    /// Share of the traffic; 0: none.
    #[serde(default = "default_weight", deserialize_with = "weight")]
    pub weight: u16,
}

impl Target {
    /// Fills in host and port from `target`.
    pub fn parse_address(&mut self) {
        // Judged before: what is no address stays empty.
        if let Ok(address) = parse_address(&self.target) {
            self.host = address.host;
            self.port = address.port.unwrap_or(DEFAULT_PORT);
        }
    }
}

/// Of `healthchecks` what switches a check on: an interval or a count above 0.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Checks {
    active: Option<Sides>,
    passive: Option<Sides>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Sides {
    healthy: Option<Counts>,
    unhealthy: Option<Counts>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Counts {
    interval: Option<f64>,
    successes: Option<f64>,
    tcp_failures: Option<f64>,
    timeouts: Option<f64>,
    http_failures: Option<f64>,
}

fn asks_for_checks<'de, D: Deserializer<'de>>(from: D) -> Result<bool, D::Error> {
    let Checks { active, passive } = Option::deserialize(from)?.unwrap_or_default();
    let sides = |s: Option<Sides>| s.map_or([None, None], |s| [s.healthy, s.unhealthy]);
    let on = |n: Option<f64>| n.is_some_and(|n| n > 0.0);
    let probing = sides(active).into_iter().flatten().any(|c| on(c.interval));
    let counting = sides(passive).into_iter().flatten().any(|c| {
        [c.successes, c.tcp_failures, c.timeouts, c.http_failures]
            .into_iter()
            .any(on)
    });
    Ok(probing || counting)
}

/// What stands for a null: the schema's default.
fn default_slots() -> u32 {
    10_000
}

fn slots<'de, D: Deserializer<'de>>(from: D) -> Result<u32, D::Error> {
    Option::deserialize(from).map(|given| given.unwrap_or_else(default_slots))
}

fn default_weight() -> u16 {
    100
}

fn weight<'de, D: Deserializer<'de>>(from: D) -> Result<u16, D::Error> {
    Option::deserialize(from).map(|given| given.unwrap_or_else(default_weight))
}

/// The port of a target that names none.
const DEFAULT_PORT: u16 = 8000;
