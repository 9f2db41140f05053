//! Routes: which requests belong to which service.

use super::shape::{Field, Kind, entity_error, is_nonempty};
use super::{Protocol, ServiceIdx, text};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};
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
    #[serde(default)]
    pub methods: Vec<String>,
    /// Host names, with one wildcard at an end and a port perhaps; empty: any.
    #[serde(default)]
    pub hosts: Vec<String>,
    /// Path prefixes, or `~` and a regular expression; empty: any.
    #[serde(default)]
    pub paths: Vec<String>,
    /// Header criteria; all must hold.
    #[serde(default, deserialize_with = "header_rules")]
    pub headers: Vec<HeaderRule>,
    /// Server names of TLS; empty: any.
    #[serde(default)]
    pub snis: Vec<String>,
    /// Order among regular expressions; higher first.
    #[serde(default)]
    pub regex_priority: i64,
    /// Whether the matched prefix is taken off the upstream path.
    pub strip_path: bool,
    /// Whether the upstream gets the request's Host.
    pub preserve_host: bool,
    /// How paths are joined.
    #[serde(default)]
    pub path_handling: PathHandling,
    /// The answer to http where only https is served.
    pub https_redirect_status_code: u16,
    /// Whether request bodies may be kept for a replay.
    pub request_buffering: bool,
    /// Whether response bodies may be buffered.
    pub response_buffering: bool,
    /// Seconds since the epoch; orders equal routes.
    #[serde(default)]
    pub created_at: u64,
    /// Free labels.
    #[serde(default)]
    pub tags: Vec<String>,
    /// The service served; a route without one is answered by plugins only.
    #[serde(skip)]
    pub service: Option<ServiceIdx>,
    /// The entity's table as Lua sees it.
    #[serde(skip)]
    pub raw: Value,
}

fn header_rules<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<HeaderRule>, D::Error> {
    let map = BTreeMap::<String, Vec<String>>::deserialize(from)?;
    Ok(map
        .into_iter()
        .map(|(name, values)| HeaderRule {
            name: name.to_ascii_lowercase(),
            values,
        })
        .collect())
}

const ADDRESS: &Field = &Field::element(Kind::Record(&[
    Field::new("ip", Kind::Text).check(text::ip_or_cidr),
    Field::new("port", Kind::Integer(0, 65535)),
]));

const STRINGS: Kind = Kind::Array(&Field::element(Kind::Text).check(text::header_value));

pub(super) const FIELDS: &[Field] = &[
    Field::new("name", Kind::Text).unique().check(text::utf8_name),
    Field::new(
        "protocols",
        Kind::Set(&Field::element(Kind::Text).one_of(Protocol::NAMES)),
    )
    .required()
    .default(r#"["http","https"]"#)
    .check(protocols),
    Field::new("https_redirect_status_code", Kind::Integer(0, 999))
        .required()
        .default("426")
        .one_of(&["426", "301", "302", "307", "308"]),
    Field::new("strip_path", Kind::Boolean).required().default("true"),
    Field::new("preserve_host", Kind::Boolean)
        .required()
        .default("false"),
    Field::new("request_buffering", Kind::Boolean)
        .required()
        .default("true"),
    Field::new("response_buffering", Kind::Boolean)
        .required()
        .default("true"),
    Field::new("service", Kind::Foreign("services")),
    Field::new(
        "snis",
        Kind::Set(&Field::element(Kind::Text).check(text::wildcard_host)),
    ),
    Field::new("sources", Kind::Set(ADDRESS)),
    Field::new("destinations", Kind::Set(ADDRESS)),
    Field::new(
        "methods",
        Kind::Set(&Field::element(Kind::Text).check(text::method)),
    ),
    Field::new(
        "hosts",
        Kind::Array(&Field::element(Kind::Text).check(text::route_host)),
    ),
    Field::new(
        "paths",
        Kind::Array(&Field::element(Kind::Text).check(text::route_path)),
    ),
    Field::new(
        "headers",
        Kind::Map(text::route_header_name, &Field::element(STRINGS)),
    ),
    Field::new("regex_priority", Kind::Integer(-(1 << 31), 1 << 31)).default("0"),
    Field::new("path_handling", Kind::Text)
        .default("\"v0\"")
        .one_of(&["v0", "v1"]),
];

fn protocols(value: &Value) -> Result<(), String> {
    const SETS: [(&[&str], &str); 4] = [
        (&["http", "https"], "('http', 'https')"),
        (&["tcp", "tls", "udp"], "('tcp', 'tls', 'udp')"),
        (&["tls_passthrough"], "('tls_passthrough')"),
        (&["grpc", "grpcs"], "('grpc', 'grpcs')"),
    ];
    let given: Vec<&str> = value
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    if given.is_empty() {
        return Err("length must be at least 1".to_owned());
    }
    let mut sets: Vec<&str> = Vec::new();
    for (set, shown) in given
        .iter()
        .filter_map(|name| SETS.iter().find(|(set, _)| set.contains(name)))
    {
        if !sets.contains(shown) && !set.is_empty() {
            sets.push(shown);
        }
    }
    if sets.len() > 1 {
        return Err(format!("these sets are mutually exclusive: {}", sets.join(", ")));
    }
    Ok(())
}

/// Routes of gRPC keep the path: their default of `strip_path` is another one.
pub fn grpc_defaults(route: &mut Map<String, Value>) {
    let first = route
        .get("protocols")
        .and_then(|p| p.get(0))
        .and_then(Value::as_str);
    if matches!(first, Some("grpc" | "grpcs")) && route.get("strip_path").is_none_or(Value::is_null) {
        route.insert("strip_path".to_owned(), Value::Bool(false));
    }
}

/// What a family of protocols forbids and needs.
struct Family {
    /// Fields that may not be set.
    forbidden: &'static [&'static str],
    /// The family's name in messages about these.
    name: &'static str,
    /// Fields of which one must be set.
    needed: &'static [&'static str],
    /// The protocol's name in messages about these.
    protocol: &'static str,
}

/// The family of the first protocol, as Kong picks a route's subschema.
fn family(protocols: &[&str]) -> Family {
    const STREAM: &str = "'tcp', 'tls', 'tls_passthrough' or 'udp'";
    const CRITERIA: &[&str] = &["methods", "hosts", "headers", "paths", "snis"];
    let has = |name: &str| protocols.contains(&name);
    let no_http: &[&str] = &["methods", "hosts", "paths", "headers"];
    match protocols.first().copied() {
        Some("tcp" | "tls" | "udp") => Family {
            forbidden: no_http,
            name: STREAM,
            needed: &["sources", "destinations", "snis"],
            protocol: "'tcp', 'tls' or 'udp'",
        },
        Some("tls_passthrough") => Family {
            forbidden: no_http,
            name: STREAM,
            needed: &[],
            protocol: "",
        },
        Some("grpc" | "grpcs") => {
            let forbidden = &["methods", "sources", "destinations"];
            let (needed, protocol) = match has("grpcs") {
                true => (&CRITERIA[1..], "'grpcs'"),
                false => (&CRITERIA[1..4], "'grpc'"),
            };
            Family {
                forbidden,
                name: "'grpc' or 'grpcs'",
                needed,
                protocol,
            }
        }
        _ => {
            let (needed, protocol) = match has("https") {
                true => (CRITERIA, "'https'"),
                false => (&CRITERIA[..4], "'http'"),
            };
            Family {
                forbidden: &["sources", "destinations"],
                name: "'http' or 'https'",
                needed,
                protocol,
            }
        }
    }
}

pub(super) fn check(route: &Map<String, Value>, errors: &mut Map<String, Value>) {
    let given: Vec<&str> = route
        .get("protocols")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let has = |name: &str| given.contains(&name);
    if is_nonempty(route.get("snis")) && !["grpcs", "https", "tls", "tls_passthrough"].into_iter().any(has) {
        errors.insert("snis".to_owned(), Value::from("length must be 0"));
        entity_error(
            errors,
            "'snis' can only be set when 'protocols' is 'grpcs', 'https', 'tls' or 'tls_passthrough'",
        );
    }
    if given.first() == Some(&"tls_passthrough") && !is_nonempty(route.get("snis")) {
        entity_error(errors, "must set snis when 'protocols' is 'tls_passthrough'");
    }
    if matches!(given.first(), Some(&"grpc" | &"grpcs"))
        && route.get("strip_path") == Some(&Value::Bool(true))
    {
        let message = "cannot set 'strip_path' when 'protocols' is 'grpc' or 'grpcs'";
        errors.insert("strip_path".to_owned(), Value::from(message));
    }
    let Family {
        forbidden,
        name,
        needed,
        protocol,
    } = family(&given);
    for field in forbidden.iter().filter(|field| route.contains_key(**field)) {
        let message = format!("cannot set '{field}' when 'protocols' is {name}");
        errors.insert((*field).to_owned(), Value::from(message));
    }
    if !needed.is_empty() && !needed.iter().any(|field| is_nonempty(route.get(*field))) {
        let list = needed
            .iter()
            .map(|field| format!("'{field}'"))
            .collect::<Vec<_>>()
            .join(", ");
        entity_error(
            errors,
            format!("must set one of {list} when 'protocols' is {protocol}"),
        );
    }
}
