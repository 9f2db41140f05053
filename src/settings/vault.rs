//! `{vault://env/...}` references in settings.
//!
//! The `env` vault alone is read here: settings come before there is a Lua state that could run another. What other
//! vaults hold is looked up by those who have one, and comes back with the sources.

use percent_encoding::percent_decode_str;
use serde_json::Value;

use super::source::{Layer, Sources};
use super::value;

/// A reference's parts.
struct Reference {
    name: String,
    resource: String,
    key: Option<String>,
    /// `prefix` of the query: `Some(None)` where there is one that cannot be used.
    prefix: Option<Option<String>>,
    version: Option<f64>,
}

/// Why a reference has no value.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Why {
    /// It names an enabled vault that is written in Lua.
    InLua,
    /// Kong's reason.
    Reason(String),
}

impl From<String> for Why {
    fn from(reason: String) -> Self {
        Self::Reason(reason)
    }
}

/// Whether `text` looks like a reference.
pub(super) fn is_reference(text: &str) -> bool {
    text.starts_with("{vault://") && text.ends_with('}')
}

/// The value of `text`, or why it has none; `None` where it is no reference.
///
/// `{vault://env/my-secret}` is `$MY_SECRET`, `#2` `$MY_SECRET_PREVIOUS`; `{vault://env/my-secret/key}` a field of
/// the JSON in it; `?prefix=x_` or `vault_env_prefix` is put before the name.
///
/// # Source
/// Kong 3.10 `kong/vaults/env/init.lua`, `kong/pdk/vault.lua`, `kong/conf_loader/init.lua`.
pub(super) fn resolve(text: &str, layer: &Layer, sources: &Sources) -> Option<Result<String, Why>> {
    if !is_reference(text) {
        return None;
    }
    if let Some((_, found)) = sources.looked_up.iter().find(|(reference, _)| reference == text) {
        return Some(found.clone().map_err(Why::Reason));
    }
    let reference = match parse(text) {
        Ok(reference) => reference,
        Err(why) => return Some(Err(why.into())),
    };
    Some(look_up(&reference, layer, &sources.env))
}

fn look_up(reference: &Reference, layer: &Layer, env: &[(String, String)]) -> Result<String, Why> {
    let vaults = layer
        .get("vaults")
        .map(|text| value::array(text))
        .unwrap_or_default();
    let is_off = vaults.first().is_none_or(|first| first == "off");
    let has = |name: &str| !is_off && vaults.iter().any(|vault| vault == name);
    if reference.name != "env" || !(has("bundled") || has("env")) {
        return Err(if has(&reference.name) {
            Why::InLua
        } else {
            // a prefix then, and entities come later than settings
            "unable to retrieve config from db".to_owned().into()
        });
    }
    secret(reference, layer, env)
        .map_err(|why| format!("could not get value from external vault ({why})").into())
}

fn secret(reference: &Reference, layer: &Layer, env: &[(String, String)]) -> Result<String, String> {
    let set = layer.get("vault_env_prefix").filter(|prefix| is_prefix(prefix));
    let prefix = match &reference.prefix {
        Some(given) => given.as_deref(),
        None => set.map(String::as_str),
    };
    let name = format!("{}{}", prefix.unwrap_or_default(), reference.resource);
    let mut variable = name.to_ascii_uppercase().replace('-', "_");
    if reference.version == Some(2.0) {
        variable.push_str("_PREVIOUS");
    }
    let found = env.iter().find(|(name, _)| *name == variable);
    let (_, value) = found.ok_or("no value found")?;
    match &reference.key {
        Some(key) => subfield(value, key).map_err(|why| format!("could not get subfield value: {why}")),
        None => Ok(value.clone()),
    }
}

fn subfield(text: &str, key: &str) -> Result<String, String> {
    let object: Value =
        serde_json::from_str(text).map_err(|why| format!("unable to json decode value (nil): {why}"))?;
    let found = match &object {
        Value::Object(map) => map.get(key),
        Value::Array(_) => None,
        other => return Err(format!("unable to json decode value ({other}): nil")),
    };
    let kind = match found {
        Some(Value::String(value)) => return Ok(value.clone()),
        None => return Err(format!("subfield {key} not found in JSON secret")),
        Some(Value::Null) => "userdata",
        Some(Value::Bool(_)) => "boolean",
        Some(Value::Number(_)) => "number",
        Some(Value::Array(_) | Value::Object(_)) => "table",
    };
    Err(format!(
        "unexpected {kind} value in JSON secret for subfield {key}"
    ))
}

/// Takes a reference apart as LuaSocket takes a URL apart: fragment, authority, query, parameters, path.
fn parse(text: &str) -> Result<Reference, String> {
    let refuse = |why: &str| format!("{why} [{text}]");
    let inner = &text["{vault://".len()..text.len() - 1];
    let (inner, fragment) = match inner.split_once('#') {
        Some((before, fragment)) => (before, Some(fragment)),
        None => (inner, None),
    };
    let (authority, rest) = inner.split_at(inner.find(['/', '?']).unwrap_or(inner.len()));
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    let path = path.split_once(';').map_or(path, |(path, _)| path);
    let host = authority.split_once('@').map_or(authority, |(_, host)| host);
    let host = host.rsplit_once(':').map_or(host, |(host, _port)| host);
    if host.is_empty() {
        return Err(refuse("reference url is missing host"));
    }
    let Some(path) = path.strip_prefix('/') else {
        return Err(refuse("reference url is missing path"));
    };
    if path.is_empty() {
        return Err(refuse("reference url has empty path"));
    }
    let version = match fragment {
        Some(text) => Some(
            text.trim()
                .parse()
                .map_err(|_| refuse("reference url has invalid version"))?,
        ),
        None => None,
    };
    let mut parts: Vec<String> = path
        .split('/')
        .filter(|part| !part.is_empty())
        .map(decoded)
        .collect();
    if parts.is_empty() {
        return Err(refuse("reference url has invalid path"));
    }
    let key = if parts.len() > 1 && !path.ends_with('/') {
        parts.pop()
    } else {
        None
    };
    Ok(Reference {
        name: host.to_owned(),
        resource: unescaped(&parts.join("/")),
        key: key.map(|key| unescaped(&key)),
        prefix: query_prefix(query),
        version,
    })
}

fn query_prefix(query: &str) -> Option<Option<String>> {
    let mut given = query.split('&').filter_map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (unescaped(name) == "prefix").then(|| unescaped(value))
    });
    let first = given.next()?;
    Some((given.next().is_none() && is_prefix(&first)).then_some(first))
}

/// What the vault's schema takes as a prefix; others are passed over.
fn is_prefix(text: &str) -> bool {
    let mut bytes = text.bytes();
    let is_start = |b: u8| b.is_ascii_alphabetic() || matches!(b, b'_' | b'-');
    bytes.next().is_some_and(is_start) && bytes.all(|b| is_start(b) || b.is_ascii_digit())
}

fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

fn unescaped(text: &str) -> String {
    decoded(&text.replace('+', " "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env() -> Vec<(String, String)> {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        vec![
            pair("MY_SECRET", "s3cret"),
            pair("MY_SECRET_PREVIOUS", "older"),
            pair(
                "KONG_JSON",
                r#"{"user":"bob","port":5,"on":true,"none":null,"list":[]}"#,
            ),
            pair("A/B", "nested"),
            pair("EMPTY", ""),
        ]
    }

    fn layer(pairs: &[(&str, &str)]) -> Layer {
        let mut layer = Layer::from([("vaults".to_owned(), "bundled".to_owned())]);
        layer.extend(pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())));
        layer
    }

    fn sources() -> Sources {
        Sources {
            env: env(),
            ..Sources::default()
        }
    }

    fn get(text: &str) -> Option<Result<String, Why>> {
        resolve(text, &layer(&[]), &sources())
    }

    #[test]
    fn b7_env_vault_references() {
        for (text, value) in [
            ("{vault://env/my-secret}", "s3cret"),
            ("{vault://env/MY_SECRET}", "s3cret"),
            ("{vault://env/my-secret#1}", "s3cret"),
            ("{vault://env/my-secret#2}", "older"),
            ("{vault://env/secret?prefix=my-}", "s3cret"),
            ("{vault://env/json/user?prefix=kong_}", "bob"),
            ("{vault://env//kong-json///user}", "bob"),
            ("{vault://env/a/b/}", "nested"),
            ("{vault://env/my%2Dsecret}", "s3cret"),
            ("{vault://env/empty}", ""),
        ] {
            assert_eq!(get(text), Some(Ok(value.to_owned())), "{text}");
        }
        assert_eq!(get("plain"), None);
        assert_eq!(get("{vault://env/x} and more"), None);
    }

    #[test]
    fn b7_prefix_of_settings_and_of_the_reference() {
        let layer = layer(&[("vault_env_prefix", "my_")]);
        let get = |text: &str| resolve(text, &layer, &sources());
        assert_eq!(get("{vault://env/secret}"), Some(Ok("s3cret".to_owned())));
        assert_eq!(
            get("{vault://env/json/user?prefix=kong_}"),
            Some(Ok("bob".to_owned()))
        );
        assert_eq!(
            get("{vault://env/my-secret?prefix=}"),
            Some(Ok("s3cret".to_owned()))
        );
        assert_eq!(
            get("{vault://env/my-secret?prefix=1}"),
            Some(Ok("s3cret".to_owned()))
        );
    }

    #[test]
    fn b7_why_a_reference_has_no_value() {
        for (text, why) in [
            (
                "{vault://env/nothing}",
                "could not get value from external vault (no value found)",
            ),
            (
                "{vault://env/kong-json/other}",
                "could not get value from external vault (could not get subfield value: subfield other not \
                 found in JSON secret)",
            ),
            (
                "{vault://env/kong-json/port}",
                "could not get value from external vault (could not get subfield value: unexpected number \
                 value in JSON secret for subfield port)",
            ),
            (
                "{vault://env/kong-json/none}",
                "could not get value from external vault (could not get subfield value: unexpected userdata \
                 value in JSON secret for subfield none)",
            ),
            ("{vault://aws/x}", "unable to retrieve config from db"),
            ("{vault://}", "reference url is missing host [{vault://}]"),
            ("{vault://env}", "reference url is missing path [{vault://env}]"),
            ("{vault://env/}", "reference url has empty path [{vault://env/}]"),
            (
                "{vault://env///}",
                "reference url has invalid path [{vault://env///}]",
            ),
            (
                "{vault://env/x#y}",
                "reference url has invalid version [{vault://env/x#y}]",
            ),
        ] {
            assert_eq!(get(text), Some(Err(why.to_owned().into())), "{text}");
        }
        let json = get("{vault://env/my-secret/key}");
        assert!(
            matches!(&json, Some(Err(Why::Reason(why))) if why.contains("unable to json decode value (nil): ")),
            "{json:?}"
        );
    }

    #[test]
    fn b7_vaults_that_are_not_enabled_or_written_in_lua() {
        let mut sources = sources();
        let mine = layer(&[("vaults", "mine")]);
        let off = layer(&[("vaults", "off")]);
        let none = || Some(Err("unable to retrieve config from db".to_owned().into()));
        assert_eq!(resolve("{vault://env/my-secret}", &off, &sources), none());
        assert_eq!(resolve("{vault://env/my-secret}", &mine, &sources), none());
        assert_eq!(
            resolve("{vault://mine/x}", &mine, &sources),
            Some(Err(Why::InLua))
        );
        sources.looked_up = vec![
            ("{vault://mine/x}".to_owned(), Ok("X".to_owned())),
            ("{vault://mine/y}".to_owned(), Err("gone".to_owned())),
        ];
        assert_eq!(
            resolve("{vault://mine/x}", &mine, &sources),
            Some(Ok("X".to_owned()))
        );
        assert_eq!(
            resolve("{vault://mine/y}", &mine, &sources),
            Some(Err("gone".to_owned().into()))
        );
    }
}
