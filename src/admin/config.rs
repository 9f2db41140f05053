//! `/config`: the whole configuration, to read and to replace.
//!
//! Must not: judge what was sent, or wait for it where others are answered.

use http::header::{HeaderName, HeaderValue};
use http::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::sync::oneshot;

use super::http::{Answer, Asked, Content, Paced};
use super::{Api, Ask, Load, Loaded};
use crate::db::Refused;
use crate::pdk::multipart;
use crate::store::{JsonPieces, syntax};

const UNEXPECTED: &str = "An unexpected error occurred";

/// What it can be asked.
pub(super) const METHODS: &str = "GET, HEAD, OPTIONS, POST";

pub(super) async fn answer(asked: Asked, api: &Api) -> Answer {
    match asked.method {
        Method::GET | Method::HEAD => export(api).await,
        Method::POST => load(asked, api).await,
        _ => Answer::message(StatusCode::METHOD_NOT_ALLOWED, "Method not allowed"),
    }
}

async fn export(api: &Api) -> Answer {
    let (tell, told) = oneshot::channel();
    let _ = api.asks.send(Ask::Export(tell)).await;
    match told.await {
        Ok(text) => Answer::new(StatusCode::OK, json!({ "config": text }).to_string()),
        Err(_) => Answer::message(StatusCode::INTERNAL_SERVER_ERROR, UNEXPECTED),
    }
}

async fn load(asked: Asked, api: &Api) -> Answer {
    let kind = asked.content_type.as_str();
    if !kind.is_empty() && !KINDS.iter().any(|known| kind.starts_with(known)) {
        return Answer::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, String::new());
    }
    let load = match sent(&asked) {
        Ok(load) => load,
        Err(Unread::Nothing) => {
            let message = "expected a declarative configuration";
            return Answer::message(StatusCode::BAD_REQUEST, message);
        }
        Err(Unread::NoJson) => return Answer::message(StatusCode::BAD_REQUEST, "Cannot parse JSON body"),
        Err(Unread::NoText(refused)) => {
            return Answer::new(StatusCode::BAD_REQUEST, refused.error.to_string());
        }
    };
    // the body is not needed while its configuration is judged
    drop(asked);
    let (tell, told) = oneshot::channel();
    let _ = api.asks.send(Ask::Load(load, tell)).await;
    match told.await {
        Ok(Loaded::Done(snapshot)) => Answer {
            status: StatusCode::CREATED,
            body: Content::Pieces(Box::new(Paced::new(JsonPieces::new(snapshot)))),
            headers: Vec::new(),
        },
        Ok(Loaded::Unchanged) => Answer {
            status: StatusCode::NOT_MODIFIED,
            body: Content::None,
            headers: Vec::new(),
        },
        Ok(Loaded::Refused(error)) => Answer::new(StatusCode::BAD_REQUEST, error.to_string()),
        Ok(Loaded::Busy) => Answer {
            headers: vec![(
                HeaderName::from_static("retry-after"),
                HeaderValue::from_static("1"),
            )],
            ..Answer::message(
                StatusCode::TOO_MANY_REQUESTS,
                "Currently loading previous configuration",
            )
        },
        Ok(Loaded::Failed(_)) | Err(_) => Answer::message(StatusCode::INTERNAL_SERVER_ERROR, UNEXPECTED),
    }
}

/// The media types that are taken; a body need not say what it is.
const KINDS: [&str; 5] = [
    "application/json",
    "multipart/form-data",
    "application/x-www-form-urlencoded",
    "application/yaml",
    "text/yaml",
];
/// Why there is no configuration in a request.
#[derive(Debug)]
enum Unread {
    /// There is none.
    Nothing,
    /// It says it is JSON, and is not.
    NoJson,
    /// It is not UTF-8.
    NoText(Box<Refused>),
}

/// Text that is UTF-8 as it stands: what a configuration says is never guessed.
fn text_of(bytes: &[u8]) -> Result<String, Unread> {
    let text = syntax::text(bytes).map_err(|e| Unread::NoText(Box::new(e.into())))?;
    Ok(text.to_owned())
}

/// The configuration in a request: the field `config` of a form, of multipart or of JSON, or else the body itself.
fn sent(asked: &Asked) -> Result<Load, Unread> {
    let mut fields: Vec<(String, String)> = pairs(&asked.query)?;
    let mut text = None;
    if asked.content_type.starts_with("multipart/form-data") {
        let parts = multipart::parse(&asked.body, asked.content_type.as_bytes());
        if parts.is_empty() {
            return Err(Unread::Nothing);
        }
        for part in &parts {
            fields.push((text_of(part.name)?, text_of(&part.value)?));
        }
    } else if asked
        .content_type
        .starts_with("application/x-www-form-urlencoded")
    {
        fields.extend(pairs(&text_of(&asked.body)?)?);
    } else if asked.content_type.starts_with("application/json") {
        match serde_json::from_slice::<FieldsOfJson>(&asked.body) {
            Ok(FieldsOfJson {
                format: None,
                config: Some(config),
                flatten_errors,
                check_hash,
            }) => {
                let given = [
                    ("config", Some(Value::String(config))),
                    ("flatten_errors", flatten_errors),
                    ("check_hash", check_hash),
                ];
                let text = |value: Value| match value {
                    Value::String(text) => text,
                    other => other.to_string(),
                };
                fields.extend(
                    given
                        .into_iter()
                        .filter_map(|(k, v)| Some((k.to_owned(), text(v?)))),
                );
            }
            Err(e) if e.is_syntax() || e.is_eof() => return Err(Unread::NoJson),
            _ => text = Some(text_of(&asked.body)?),
        }
    } else {
        text = Some(text_of(&asked.body)?);
    }
    let field = |name: &str| {
        fields
            .iter()
            .rev()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.clone())
    };
    let text = field("config")
        .or(text)
        .filter(|text| !text.trim().is_empty())
        .ok_or(Unread::Nothing)?;
    let truthy = |value: String| matches!(value.to_lowercase().as_str(), "true" | "1" | "on" | "yes");
    Ok(Load {
        text: text.into(),
        check_hash: field("check_hash").is_some_and(|value| value == "1"),
        flatten_errors: field("flatten_errors").is_some_and(truthy),
    })
}

/// The fields of a JSON body that say what to do with it; all else is skimmed.
#[derive(serde::Deserialize)]
struct FieldsOfJson {
    #[serde(rename = "_format_version")]
    format: Option<serde::de::IgnoredAny>,
    config: Option<String>,
    flatten_errors: Option<Value>,
    check_hash: Option<Value>,
}

/// The pairs of an urlencoded text.
fn pairs(text: &str) -> Result<Vec<(String, String)>, Unread> {
    let decode = |text: &str| {
        let spaced = text.replace('+', " ");
        text_of(&percent_encoding::percent_decode_str(&spaced).collect::<Vec<u8>>())
    };
    text.split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| pair.split_once('=').unwrap_or((pair, "true")))
        .map(|(key, value)| Ok((decode(key)?, decode(value)?)))
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn asked(query: &str, content_type: &str, body: &str) -> Asked {
        Asked {
            method: Method::POST,
            path: "/config".to_owned(),
            query: query.to_owned(),
            content_type: content_type.to_owned(),
            cors_headers: None,
            body: body.to_owned().into(),
        }
    }

    #[test]
    fn b04_a_configuration_is_sent_in_any_of_kongs_ways() {
        let text = "_format_version: '3.0'\nservices: []\n";
        let form = "config=_format_version%3A+%273.0%27%0Aservices%3A+%5B%5D%0A&check_hash=1";
        let part =
            format!("--b\r\nContent-Disposition: form-data; name=\"config\"\r\n\r\n{text}\r\n--b--\r\n");
        let json = serde_json::json!({ "config": text, "flatten_errors": true }).to_string();
        for (query, kind, body) in [
            ("", "text/yaml", text),
            ("", "application/x-www-form-urlencoded", form),
            ("", "multipart/form-data; boundary=b", &part),
            ("", "application/json", &json),
        ] {
            let load = sent(&asked(query, kind, body)).unwrap();
            assert_eq!(load.text.trim(), text.trim(), "{kind}");
        }
        let whole = r#"{"_format_version":"3.0","services":[]}"#;
        let load = sent(&asked(
            "check_hash=1&flatten_errors=on",
            "application/json",
            whole,
        ))
        .unwrap();
        assert_eq!(
            (&*load.text, load.check_hash, load.flatten_errors),
            (whole, true, true)
        );
        let latin = asked("", "application/x-www-form-urlencoded", "config=a%3A+%E9");
        assert!(matches!(sent(&latin), Err(Unread::NoText(r)) if r.text.ends_with("1:4: invalid UTF-8")));
        assert!(sent(&asked("", "application/json", "")).is_err());
        assert!(sent(&asked("", "multipart/form-data", "x")).is_err());
    }
}
