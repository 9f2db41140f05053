//! Upstreams and their targets: what is balanced over.

use super::shape::{Field, Kind, entity_error};
use super::{parse_address, text};
use serde::Deserialize;
use serde_json::{Map, Value};

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
    #[serde(default)]
    pub algorithm: Algorithm,
    /// Size of the ring.
    pub slots: u32,
    /// The Host header sent to targets.
    pub host_header: Option<String>,
    /// Whether SRV names take the place of target names in Host.
    #[serde(default)]
    pub use_srv_name: bool,
    /// Free labels.
    #[serde(default)]
    pub tags: Vec<String>,
    /// In order of declaration.
    #[serde(skip)]
    pub targets: Vec<Target>,
    /// The entity's table as Lua sees it; hash and health check fields are read from here.
    #[serde(skip)]
    pub raw: Value,
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
    pub weight: u16,
    /// Free labels.
    #[serde(default)]
    pub tags: Vec<String>,
    /// The entity's table as Lua sees it.
    #[serde(skip)]
    pub raw: Value,
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

/// The port of a target that names none.
const DEFAULT_PORT: u16 = 8000;

pub(super) const TARGET_FIELDS: &[Field] = &[
    Field::new("upstream", Kind::Foreign("upstreams")).required(),
    Field::new("target", Kind::Text).required().check(text::target),
    Field::new("weight", Kind::Integer(0, 65535)).default("100"),
];

const SOURCES: &[&str] = &[
    "none",
    "consumer",
    "ip",
    "header",
    "cookie",
    "path",
    "query_arg",
    "uri_capture",
];
const CHECKS: &[&str] = &["tcp", "http", "https", "grpc", "grpcs"];
const COUNT: Kind = Kind::Integer(0, 255);
const SECONDS: Kind = Kind::Number(0.0, 65535.0);
const STATUSES: Kind = Kind::Array(&Field::element(Kind::Integer(100, 999)));

const PASSIVE: &[Field] = &[
    Field::new("type", Kind::Text).default("\"http\"").one_of(CHECKS),
    Field::new(
        "healthy",
        Kind::Record(&[
            Field::new("successes", COUNT).default("0"),
            Field::new("http_statuses", STATUSES)
                .default("[200,201,202,203,204,205,206,207,208,226,300,301,302,303,304,305,306,307,308]"),
        ]),
    )
    .default("{}"),
    Field::new(
        "unhealthy",
        Kind::Record(&[
            Field::new("tcp_failures", COUNT).default("0"),
            Field::new("http_statuses", STATUSES).default("[429,500,503]"),
            Field::new("http_failures", COUNT).default("0"),
            Field::new("timeouts", COUNT).default("0"),
        ]),
    )
    .default("{}"),
];

const ACTIVE: &[Field] = &[
    Field::new("type", Kind::Text).default("\"http\"").one_of(CHECKS),
    Field::new("timeout", SECONDS).default("1"),
    Field::new("concurrency", Kind::Integer(1, 1 << 31)).default("10"),
    Field::new("http_path", Kind::Text)
        .default("\"/\"")
        .check(text::path),
    Field::new("https_sni", Kind::Text).check(text::sni),
    Field::new("https_verify_certificate", Kind::Boolean)
        .required()
        .default("true"),
    Field::new(
        "headers",
        Kind::Map(
            text::header_name,
            &Field::element(Kind::Array(&Field::element(Kind::Text))),
        ),
    ),
    Field::new(
        "healthy",
        Kind::Record(&[
            Field::new("interval", SECONDS).default("0"),
            Field::new("successes", COUNT).default("0"),
            Field::new("http_statuses", STATUSES).default("[200,302]"),
        ]),
    )
    .default("{}"),
    Field::new(
        "unhealthy",
        Kind::Record(&[
            Field::new("interval", SECONDS).default("0"),
            Field::new("http_statuses", STATUSES).default("[429,404,500,501,502,503,504,505]"),
            Field::new("tcp_failures", COUNT).default("0"),
            Field::new("timeouts", COUNT).default("0"),
            Field::new("http_failures", COUNT).default("0"),
        ]),
    )
    .default("{}"),
];

pub(super) const FIELDS: &[Field] = &[
    Field::new("name", Kind::Text)
        .required()
        .unique()
        .check(text::upstream_name),
    Field::new("algorithm", Kind::Text)
        .default("\"round-robin\"")
        .one_of(&[
            "consistent-hashing",
            "least-connections",
            "round-robin",
            "latency",
        ]),
    Field::new("hash_on", Kind::Text)
        .default("\"none\"")
        .one_of(SOURCES),
    Field::new("hash_fallback", Kind::Text)
        .default("\"none\"")
        .one_of(SOURCES),
    Field::new("hash_on_header", Kind::Text).check(text::header_name),
    Field::new("hash_fallback_header", Kind::Text).check(text::header_name),
    Field::new("hash_on_cookie", Kind::Text),
    Field::new("hash_on_cookie_path", Kind::Text)
        .default("\"/\"")
        .check(text::path),
    Field::new("hash_on_query_arg", Kind::Text),
    Field::new("hash_fallback_query_arg", Kind::Text),
    Field::new("hash_on_uri_capture", Kind::Text),
    Field::new("hash_fallback_uri_capture", Kind::Text),
    Field::new("slots", Kind::Integer(10, 65536)).default("10000"),
    Field::new(
        "healthchecks",
        Kind::Record(&[
            Field::new("active", Kind::Record(ACTIVE)).default("{}"),
            Field::new("passive", Kind::Record(PASSIVE)).default("{}"),
            Field::new("threshold", Kind::Number(0.0, 100.0)).default("0"),
        ]),
    )
    .default("{}"),
    Field::new("host_header", Kind::Text).check(text::host_with_optional_port),
    Field::new("client_certificate", Kind::Foreign("certificates")),
    Field::new("use_srv_name", Kind::Boolean).default("false"),
];

pub(super) fn check(upstream: &Map<String, Value>, errors: &mut Map<String, Value>) {
    let source = |field: &str| upstream.get(field).and_then(Value::as_str).unwrap_or("none");
    let (on, fallback) = (source("hash_on"), source("hash_fallback"));
    let mut needs = |when: bool, given: &str, field: &str| {
        if when && !upstream.contains_key(field) {
            errors.insert(field.to_owned(), Value::from("required field missing"));
            entity_error(
                errors,
                format!("failed conditional validation given value of field '{given}'"),
            );
        }
    };
    needs(on == "header", "hash_on", "hash_on_header");
    needs(fallback == "header", "hash_fallback", "hash_fallback_header");
    needs(on == "cookie", "hash_on", "hash_on_cookie");
    needs(fallback == "cookie", "hash_fallback", "hash_on_cookie");
    for kind in ["query_arg", "uri_capture"] {
        needs(on == kind, "hash_on", &format!("hash_on_{kind}"));
        needs(
            fallback == kind,
            "hash_fallback",
            &format!("hash_fallback_{kind}"),
        );
    }
    let allowed: Vec<&str> = match on {
        "none" | "cookie" => vec!["none"],
        "consumer" | "ip" | "path" => SOURCES.iter().copied().filter(|s| *s != on).collect(),
        _ => SOURCES.to_vec(),
    };
    if !allowed.contains(&fallback) {
        let message = format!("expected one of: {}", allowed.join(", "));
        errors.insert("hash_fallback".to_owned(), Value::from(message));
        entity_error(
            errors,
            "failed conditional validation given value of field 'hash_on'",
        );
    }
    for kind in ["header", "query_arg", "uri_capture"] {
        let (a, b) = (format!("hash_on_{kind}"), format!("hash_fallback_{kind}"));
        if upstream.contains_key(&a) && upstream.get(&a) == upstream.get(&b) {
            entity_error(
                errors,
                format!("values of these fields must be distinct: '{a}', '{b}'"),
            );
        }
    }
}
