//! Where settings come from, and the text format of `kong.conf`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::Value;

/// A set of keys from one place; an empty text unsets the key.
pub(super) type Layer = BTreeMap<String, String>;

/// Where [`Settings::load`](super::Settings::load) looks. `Sources::default()` looks nowhere.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// The `kong.conf` named by `-c`; it must exist.
    pub conf_file: Option<PathBuf>,
    /// Where a `kong.conf` may lie when none is named; the first that exists is read.
    pub usual_files: Vec<PathBuf>,
    /// The environment.
    pub env: Vec<(String, String)>,
    /// The `_gateway` object of `config.json`. Left out, it is looked for in `declarative_config`.
    pub gateway_json: Option<Value>,
    /// The declarative file of the command line, which stands in for `declarative_config`.
    pub config_json: Option<PathBuf>,
    /// The command line's `-p`.
    pub prefix: Option<PathBuf>,
    /// The text of the `.kong_env` to build upon: what a running gateway was started with.
    pub kong_env: Option<String>,
    /// `env` holds no settings, only what vault references may point at.
    pub env_for_references_only: bool,
    /// Keys that come before all other sources (`conf_loader(path, overrides)`).
    pub overrides: Vec<(String, String)>,
    /// The settings are only looked at, not run with: what this gateway would refuse to run with is no error.
    pub look_only: bool,
    /// What becomes of vault references without a value.
    pub unresolved: Unresolved,
    /// References to vaults that are written in Lua, with what these had to say.
    pub looked_up: Vec<(String, Result<String, String>)>,
}

/// What to do about a vault reference without a value.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Unresolved {
    /// An error.
    #[default]
    Refuse,
    /// The key, or the entry of a list, is unset: for `stop`, `health`.
    Unset,
    /// It stays as it is.
    Keep,
}

// === impl Sources ===

impl Sources {
    /// The process's environment and Kong's usual places.
    pub fn of_process() -> Self {
        Self {
            usual_files: vec!["/etc/kong/kong.conf".into(), "/etc/kong.conf".into()],
            env: std::env::vars_os()
                .filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?)))
                .collect(),
            ..Self::default()
        }
    }

    /// Lets the fields of a JSON object come before everything else; what is no value of a setting is passed over.
    pub fn override_with(&mut self, values: &Value) {
        let layer = gateway_layer(values, &mut Vec::new());
        self.overrides.extend(layer);
    }
}

/// The keys of a `kong.conf` as they stand in it, without defaults.
///
/// # Errors
/// When the file cannot be read.
pub fn conf_file_keys(path: &std::path::Path) -> std::io::Result<BTreeMap<String, String>> {
    let text = std::fs::read_to_string(path)?;
    Ok(parse_conf(&text, "", &mut Vec::new()))
}

/// Reads `kong.conf` text: `key = value` lines, `#` comments (`\#` is the character), `\` at the end of a line
/// goes on with the next. What isn't such a line is named in `warnings`.
///
/// # Source
/// Kong 3.10 `kong.conf.default`, head comment; Penlight's `pl.config`, which reads it.
pub(super) fn parse_conf(text: &str, place: &str, warnings: &mut Vec<String>) -> Layer {
    let mut layer = Layer::new();
    let mut carried = String::new();
    for (number, line) in text.lines().enumerate() {
        let trimmed = line.trim();
        if carried.is_empty() && (trimmed.is_empty() || trimmed.starts_with(['#', ';'])) {
            continue;
        }
        if let Some(head) = trimmed.strip_suffix('\\') {
            carried.push_str(head);
            continue;
        }
        carried.push_str(trimmed);
        let whole = std::mem::take(&mut carried);
        match whole.split_once('=') {
            Some((key, value)) if !key.trim().is_empty() => {
                layer.insert(key_name(key), strip_comment(value.trim()));
            }
            _ => warnings.push(format!(
                "{place}:{}: not of the form key = value: {whole}",
                number + 1
            )),
        }
    }
    layer
}

/// Anything but letters, digits and `_` in a key reads as `_`.
fn key_name(key: &str) -> String {
    key.trim()
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || c == '_' {
                c
            } else {
                '_'
            }
        })
        .collect()
}

fn strip_comment(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    let mut chars = value.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\\' if chars.peek() == Some(&'#') => {
                chars.next();
                out.push('#');
            }
            '#' => break,
            other => out.push(other),
        }
    }
    out.trim().to_owned()
}

/// `KONG_<KEY>` variables of the environment, for keys that `known` recognizes.
pub(super) fn env_layer(env: &[(String, String)], known: impl Fn(&str) -> bool) -> Layer {
    env.iter()
        .filter_map(|(name, value)| {
            let key = name.strip_prefix("KONG_")?.to_ascii_lowercase();
            known(&key).then(|| (key, value.trim().to_owned()))
        })
        .collect()
}

/// The keys of a `_gateway` object.
pub(super) fn gateway_layer(value: &Value, errors: &mut Vec<String>) -> Layer {
    let mut layer = Layer::new();
    let Value::Object(map) = value else {
        errors.push("_gateway: expected an object".to_owned());
        return layer;
    };
    for (key, value) in map {
        match gateway_text(key, value) {
            Some(text) => drop(layer.insert(key.clone(), text)),
            None => errors.push(format!(
                "_gateway.{key}: expected a string, a number, a boolean or an array of them"
            )),
        }
    }
    layer
}

fn gateway_text(key: &str, value: &Value) -> Option<String> {
    Some(match value {
        Value::Null => String::new(),
        Value::Bool(true) => "on".to_owned(),
        Value::Bool(false) => "off".to_owned(),
        Value::Number(n) => n.to_string(),
        Value::String(s) => s.trim().to_owned(),
        Value::Array(items) => {
            let items: Option<Vec<String>> = items
                .iter()
                .map(|v| if v.is_array() { None } else { gateway_text(key, v) })
                .collect();
            items?.join(&separator(key))
        }
        Value::Object(_) => return None,
    })
}

/// A list of an nginx directive's values is that directive several times over.
fn separator(key: &str) -> String {
    let directive = key.strip_prefix("nginx_").and_then(|rest| rest.split_once('_'));
    match directive {
        Some((_, name))
            if super::defaults::KEYS
                .iter()
                .all(|(k, kind, _)| *k != key || *kind == super::defaults::Kind::Text) =>
        {
            format!("; {name} ")
        }
        _ => ",".to_owned(),
    }
}
