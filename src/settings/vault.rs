//! `{vault://env/...}` references in settings.
//!
//! Only the `env` vault is read here; a reference to another vault is passed through as it stands.

use super::source::Layer;

const OPEN: &str = "{vault://";

/// The value of `reference`, or why it has none; `None` where `text` is no reference to the `env` vault.
///
/// `{vault://env/my-secret}` is `$MY_SECRET`; `{vault://env/my-secret/key}` a field of the JSON in it;
/// `?prefix=x_` or `vault_env_prefix` is put before the name.
///
/// # Source
/// Kong 3.10 `kong/vaults/env/init.lua`, `kong/pdk/vault.lua`.
pub(super) fn resolve(text: &str, layer: &Layer, env: &[(String, String)]) -> Option<Result<String, String>> {
    let inner = text.strip_prefix(OPEN)?.strip_suffix('}')?;
    let rest = inner.strip_prefix("env/")?;
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    let path = path.split_once('#').map_or(path, |(path, _version)| path);
    let (name, field) = match path.split_once('/') {
        Some((name, field)) => (name, Some(field)),
        None => (path, None),
    };
    let prefix = query
        .split('&')
        .find_map(|pair| pair.strip_prefix("prefix="))
        .or_else(|| layer.get("vault_env_prefix").map(String::as_str))
        .unwrap_or_default();
    let variable = format!("{prefix}{name}").to_ascii_uppercase().replace('-', "_");
    let Some(value) = env.iter().find(|(k, _)| *k == variable).map(|(_, v)| v) else {
        return Some(Err(format!(
            "unable to load value ({name}) from vault (env): not found [{text}]"
        )));
    };
    let Some(field) = field else {
        return Some(Ok(value.clone()));
    };
    let found = serde_json::from_str::<serde_json::Value>(value)
        .ok()
        .and_then(|json| match json.get(field)? {
            serde_json::Value::String(s) => Some(s.clone()),
            serde_json::Value::Number(n) => Some(n.to_string()),
            _ => None,
        });
    Some(found.ok_or_else(|| format!("subfield {field} not found in vault (env) value ({name}) [{text}]")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env() -> Vec<(String, String)> {
        vec![
            ("MY_SECRET".into(), "s3cret".into()),
            ("KONG_JSON".into(), r#"{"user":"bob","port":5}"#.into()),
        ]
    }

    #[test]
    fn a12_env_vault_references() {
        let layer = Layer::new();
        let get = |text: &str| resolve(text, &layer, &env());
        assert_eq!(get("{vault://env/my-secret}"), Some(Ok("s3cret".into())));
        assert_eq!(
            get("{vault://env/json/user?prefix=kong_}"),
            Some(Ok("bob".into()))
        );
        assert_eq!(get("{vault://env/kong-json/port}"), Some(Ok("5".into())));
        assert!(matches!(get("{vault://env/nothing}"), Some(Err(e)) if e.contains("not found")));
        assert!(matches!(get("{vault://env/kong-json/none}"), Some(Err(e)) if e.contains("subfield none")));
        assert_eq!(get("{vault://aws/my-secret}"), None);
        assert_eq!(get("plain"), None);
    }
}
