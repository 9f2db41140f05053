//! Putting the sources together in their order of precedence.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::defaults::{self, DYNAMIC_PREFIXES, KEYS, Kind};
use super::source::{Layer, Sources, Unresolved, env_layer, gateway_layer, parse_conf};
use super::{Error, Settings, kong_env, typed, value, vault};

/// What [`Settings::load`] found.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The settings.
    pub settings: Settings,
    /// What the operator should hear about, one line each.
    pub warnings: Vec<String>,
    /// The `kong.conf` that was read, if any.
    pub conf_file: Option<PathBuf>,
}

/// Kong's key and nginx's directive for the same thing. Whichever the stronger source sets counts for both.
const ALIASES: &[(&str, &str)] = &[
    ("nginx_user", "nginx_main_user"),
    ("nginx_daemon", "nginx_main_daemon"),
    ("nginx_worker_processes", "nginx_main_worker_processes"),
    ("real_ip_header", "nginx_proxy_real_ip_header"),
    ("real_ip_recursive", "nginx_proxy_real_ip_recursive"),
    ("client_max_body_size", "nginx_http_client_max_body_size"),
    ("client_body_buffer_size", "nginx_http_client_body_buffer_size"),
    ("ssl_protocols", "nginx_http_ssl_protocols"),
    (
        "ssl_prefer_server_ciphers",
        "nginx_http_ssl_prefer_server_ciphers",
    ),
    ("ssl_dhparam", "nginx_http_ssl_dhparam"),
    ("ssl_session_tickets", "nginx_http_ssl_session_tickets"),
    ("ssl_session_timeout", "nginx_http_ssl_session_timeout"),
];

/// Keys Kong has put out of use, with what took their place.
const DEPRECATED: &[(&str, &str)] = &[
    ("privileged_worker", "dedicated_config_processing"),
    ("router_consistency", "worker_consistency"),
    ("opentelemetry_tracing", "tracing_instrumentations"),
    ("opentelemetry_tracing_sampling_rate", "tracing_sampling_rate"),
];

impl Settings {
    /// Reads all sources, checks every value and gives the settings they amount to.
    ///
    /// # Errors
    /// A named file that is missing, a value that is wrong, a feature that is not there yet (refused by name).
    pub fn load(sources: &Sources) -> Result<Loaded, Error> {
        let mut warnings = Vec::new();
        let mut errors = Vec::new();
        let (named, usual) = conf_layers(sources, &mut warnings)?;
        let conf_file = named.as_ref().or(usual.as_ref()).map(|(path, _)| path.clone());
        let env = env_layer(&sources.env, |key| {
            !sources.env_for_references_only && is_known(key)
        });
        let base = sources
            .kong_env
            .as_deref()
            .map(|text| kong_env::layer(text, &mut warnings));

        let mut layers: Vec<Layer> = vec![defaults_layer()];
        layers.extend(base);
        let given_at = layers.len();
        layers.extend(usual.map(|(_, layer)| layer));
        let gateway_at = layers.len();
        layers.extend(named.map(|(_, layer)| layer));
        layers.push(env);
        layers.push(command_line_layer(sources));

        let gateway = match &sources.gateway_json {
            Some(json) => Some(json.clone()),
            None => declared_gateway(&layers),
        };
        if let Some(json) = gateway {
            layers.insert(gateway_at, gateway_layer(&json, &mut errors));
        }
        warn_deprecated(&layers[given_at..], &mut warnings);

        let mut merged = merge(layers);
        let refs = dereference(&mut merged, sources)?;
        let settings = typed::build(merged, refs, sources.look_only, &mut errors, &mut warnings);
        Error::invalid(errors)?;
        Ok(Loaded {
            settings,
            warnings,
            conf_file,
        })
    }
}

type FileLayer = (PathBuf, Layer);

/// The layer of the file named by `-c` and that of the file at a usual place; at most one of them.
fn conf_layers(
    sources: &Sources,
    warnings: &mut Vec<String>,
) -> Result<(Option<FileLayer>, Option<FileLayer>), Error> {
    if let Some(path) = &sources.conf_file {
        if !path.exists() {
            return Err(Error::NoFile(path.clone()));
        }
        return Ok((Some(read(path, warnings)?), None));
    }
    match sources.usual_files.iter().find(|p| p.exists()) {
        Some(path) => Ok((None, Some(read(path, warnings)?))),
        None => Ok((None, None)),
    }
}

fn read(path: &Path, warnings: &mut Vec<String>) -> Result<FileLayer, Error> {
    let text = std::fs::read_to_string(path).map_err(|source| Error::Unreadable {
        path: path.to_owned(),
        source,
    })?;
    Ok((
        path.to_owned(),
        parse_conf(&text, &path.display().to_string(), warnings),
    ))
}

/// The environment is full of other things; a file is not, so there every key is kept.
fn is_known(key: &str) -> bool {
    KEYS.iter().any(|(k, ..)| *k == key)
        || key == "client_max_body_size"
        || DYNAMIC_PREFIXES.iter().any(|p| key.starts_with(p))
}

fn defaults_layer() -> Layer {
    KEYS.iter()
        .map(|(key, _, default)| ((*key).to_owned(), (*default).to_owned()))
        .collect()
}

fn command_line_layer(sources: &Sources) -> Layer {
    let mut layer = Layer::new();
    if let Some(prefix) = &sources.prefix {
        layer.insert("prefix".to_owned(), prefix.display().to_string());
    }
    if let Some(file) = &sources.config_json {
        layer.insert("declarative_config".to_owned(), file.display().to_string());
    }
    layer.extend(sources.overrides.iter().cloned());
    layer
}

/// The `_gateway` of the declarative configuration that the other sources name.
fn declared_gateway(layers: &[Layer]) -> Option<Value> {
    let last = |key: &str| {
        layers
            .iter()
            .rev()
            .find_map(|layer| layer.get(key))
            .filter(|v| !v.is_empty())
    };
    let text = match last("declarative_config") {
        Some(path) => std::fs::read_to_string(path).ok()?,
        None => last("declarative_config_string")?.clone(),
    };
    gateway_of(&text)
}

/// The `_gateway` of declarative text, JSON or YAML. Text that doesn't parse is for the loader to complain about.
fn gateway_of(text: &str) -> Option<Value> {
    if !text.contains("_gateway") {
        return None;
    }
    let mut whole: Value = match serde_json::from_str(text) {
        Ok(value) => value,
        Err(_) => serde_norway::from_str(text).ok()?,
    };
    whole.get_mut("_gateway").map(Value::take)
}

fn warn_deprecated(layers: &[Layer], warnings: &mut Vec<String>) {
    for (old, new) in DEPRECATED {
        let set = |layer: &Layer| layer.get(*old).is_some_and(|v| !v.is_empty());
        if layers.iter().any(set) {
            warnings.push(format!(
                "the '{old}' configuration property is deprecated, use '{new}' instead"
            ));
        }
    }
}

/// Later layers win; aliases follow within each layer; empty values are dropped.
fn merge(layers: Vec<Layer>) -> Layer {
    let mut merged = Layer::new();
    for mut layer in layers {
        for (old, new) in DEPRECATED {
            if let (Some(value), None) = (layer.get(*old).cloned(), layer.get(*new)) {
                layer.insert((*new).to_owned(), value);
            }
        }
        for (kong, nginx) in ALIASES {
            match (layer.get(*kong).cloned(), layer.get(*nginx).cloned()) {
                (Some(value), None) => drop(layer.insert((*nginx).to_owned(), value)),
                (_, Some(value)) if !value.is_empty() => drop(layer.insert((*kong).to_owned(), value)),
                _ => {}
            }
        }
        merged.append(&mut layer);
    }
    merged.retain(|_, value| !value.is_empty());
    merged
}

/// Puts values in the place of references and gives the references back by key.
fn dereference(layer: &mut Layer, sources: &Sources) -> Result<Layer, Error> {
    let mut refs = Layer::new();
    let candidates: Vec<(String, String)> = layer
        .iter()
        .filter(|(_, v)| v.contains("{vault://"))
        .map(|(k, v)| (k.clone(), v.clone()))
        .collect();
    for (key, text) in candidates {
        let is_list = defaults::kind(&key) == Kind::Array;
        let items = if is_list {
            value::array(&text)
        } else {
            vec![text.clone()]
        };
        if !items.iter().any(|item| vault::is_reference(item)) {
            continue;
        }
        let mut resolved = Vec::with_capacity(items.len());
        for (i, item) in items.into_iter().enumerate() {
            match vault::resolve(&item, layer, sources) {
                None => resolved.push(item),
                Some(Ok(value)) => resolved.push(value),
                Some(Err(why)) => match (sources.unresolved, why) {
                    (Unresolved::Unset, _) => {}
                    (Unresolved::Keep, _) => resolved.push(item),
                    (Unresolved::Refuse, vault::Why::InLua) => return Err(Error::InLua(item)),
                    (Unresolved::Refuse, vault::Why::Reason(reason)) => {
                        return Err(Error::Dereference {
                            key: if is_list { format!("{key}[{}]", i + 1) } else { key },
                            reference: item,
                            reason,
                        });
                    }
                },
            }
        }
        let value = resolved.join(",");
        refs.insert(key.clone(), text);
        if value.is_empty() {
            layer.remove(&key);
        } else {
            layer.insert(key, value);
        }
    }
    Ok(refs)
}

/// Kong's key for an nginx directive that goes by another name there.
pub(super) fn kong_key_of(nginx: &str) -> Option<&'static str> {
    ALIASES
        .iter()
        .find(|(_, alias)| *alias == nginx)
        .map(|(kong, _)| *kong)
}
