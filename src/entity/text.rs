//! Checks of texts: names, tags, hosts, paths, header names.
//!
//! # Source
//! `kong/db/schema/typedefs.lua`

use super::host::{AddressError, HostKind, parse_address};
use super::path::normalize;
use serde_json::Value;

type Checked = Result<(), String>;

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// Letters, digits, `.-_~` and what is not ASCII.
pub(super) fn utf8_name(value: &Value) -> Checked {
    let name = text(value);
    if name
        .chars()
        .all(|c| !c.is_ascii() || c.is_ascii_alphanumeric() || "._-~".contains(c))
    {
        return Ok(());
    }
    Err(format!(
        "invalid value '{name}': the only accepted ascii characters are alphanumerics or ., -, _, and ~"
    ))
}

/// Printable, without `,` and `/`.
pub(super) fn tag(value: &Value) -> Checked {
    let tag = text(value);
    if tag
        .chars()
        .all(|c| !c.is_ascii() || (!c.is_ascii_control() && c != ',' && c != '/'))
    {
        return Ok(());
    }
    Err(format!(
        "invalid tag '{tag}': expected printable ascii (except `,` and `/`) or valid utf-8 sequences"
    ))
}

/// A UUID in lower case.
pub(super) fn uuid(value: &Value) -> Checked {
    let text = text(value);
    let hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
    let dash = |at: usize| matches!(at, 8 | 13 | 18 | 23);
    let good = |(at, b): (usize, u8)| if dash(at) { b == b'-' } else { hex(b) };
    if text.len() == 36 && text.bytes().enumerate().all(good) {
        return Ok(());
    }
    Err("expected a valid UUID".to_owned())
}

/// A host name or address without a port.
pub(super) fn host(value: &Value) -> Checked {
    match parse_address(text(value)) {
        Ok(address) if address.port.is_none() => Ok(()),
        Ok(_) | Err(AddressError::Port) => Err("must not have a port".to_owned()),
        Err(_) => Err(format!("invalid value: {}", text(value))),
    }
}

/// A host name with one wildcard at an end perhaps, without a port: an SNI of a route.
pub(super) fn wildcard_host(value: &Value) -> Checked {
    let host_text = text(value);
    if let Some(at) = host_text.find('*') {
        if at != 0 && at + 1 != host_text.len() {
            return Err("wildcard must be leftmost or rightmost character".to_owned());
        }
        if host_text.matches('*').count() > 1 {
            return Err("only one wildcard must be specified".to_owned());
        }
    }
    named_host(&host_text.replace('*', "wildcard"))
}

/// A host name that is no address and has no port.
pub(super) fn sni(value: &Value) -> Checked {
    named_host(text(value))
}

fn named_host(host: &str) -> Checked {
    match parse_address(host) {
        Err(AddressError::Port) => Err("must not have a port".to_owned()),
        Err(_) => Err(format!("invalid value: {host}")),
        Ok(address) if address.kind != HostKind::Name => Err("must not be an IP".to_owned()),
        Ok(address) if address.port.is_some() => Err("must not have a port".to_owned()),
        Ok(_) => Ok(()),
    }
}

/// A host of a route: one wildcard label at an end and a port are allowed.
pub(super) fn route_host(value: &Value) -> Checked {
    let host = text(value);
    if host.matches('*').count() > 1 {
        return Err("invalid wildcard: must have at most one wildcard".to_owned());
    }
    if host.contains('*') && !host.starts_with("*.") && !host.ends_with(".*") {
        return Err("invalid wildcard: must be placed at leftmost or rightmost label".to_owned());
    }
    parse_address(&host.replace('*', "abc"))
        .map(|_| ())
        .map_err(|error| error.to_string())
}

/// The name of an upstream.
pub(super) fn upstream_name(value: &Value) -> Checked {
    let name = text(value);
    let wrong = |what: &str| Err(format!("Invalid name ('{name}'); {what}"));
    match parse_address(name) {
        Err(_) => wrong("must be a valid hostname"),
        Ok(address) if address.kind != HostKind::Name => wrong("no ip addresses allowed"),
        Ok(address) if address.port.is_some() => wrong("no port allowed"),
        Ok(_) => Ok(()),
    }
}

/// The address of a target.
pub(super) fn target(value: &Value) -> Checked {
    let wrong = |_| {
        format!(
            "Invalid target ('{}'); not a valid hostname or ip address",
            text(value)
        )
    };
    parse_address(text(value)).map(|_| ()).map_err(wrong)
}

/// A host name with a port perhaps: an upstream's `host_header`.
pub(super) fn host_with_optional_port(value: &Value) -> Checked {
    parse_address(text(value))
        .map(|_| ())
        .map_err(|error| error.to_string())
}

fn percent_encoded(path: &str) -> Checked {
    let bytes = path.as_bytes();
    for (at, _) in path.match_indices('%') {
        if !bytes
            .get(at + 1..at + 3)
            .is_some_and(|pair| pair.iter().all(u8::is_ascii_hexdigit))
        {
            let shown: String = path[at..].chars().take(3).collect();
            return Err(format!("invalid url-encoded value: '{shown}'"));
        }
    }
    Ok(())
}

fn in_rfc3986(path: &str) -> bool {
    path.starts_with('/')
        && path
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b".-_~/%:@!$&'()*+,;=".contains(&b))
}

/// The path of a service.
pub(super) fn path(value: &Value) -> Checked {
    let path = text(value);
    if !path.starts_with('/') {
        return Err("should start with: /".to_owned());
    }
    if path.contains("//") {
        return Err("must not have empty segments".to_owned());
    }
    if !in_rfc3986(path) {
        return Err(format!(
            "invalid path: '{path}' (characters outside of the reserved list of RFC 3986 found)"
        ));
    }
    percent_encoded(path)
}

/// A path of a route: a prefix in normal form, or `~` and a regular expression.
pub(super) fn route_path(value: &Value) -> Checked {
    let path = text(value);
    if !path.starts_with('/') && !path.starts_with("~/") {
        return Err("should start with: / (fixed path) or ~/ (regex path)".to_owned());
    }
    if path.contains("//") {
        return Err("must not have empty segments".to_owned());
    }
    if let Some(pattern) = path.strip_prefix('~') {
        return regex::bytes::Regex::new(&format!("^{pattern}"))
            .map(|_| ())
            .map_err(|error| format!("invalid regex: '{pattern}' ({})", regex_reason(&error)));
    }
    if in_rfc3986(path) {
        percent_encoded(path)?;
    }
    let normal = normalize(path.as_bytes(), true);
    if &*normal != path.as_bytes() {
        return Err(format!(
            "non-normalized path, consider use '{}' instead",
            String::from_utf8_lossy(&normal)
        ));
    }
    Ok(())
}

/// The last line of the compiler's message: what is wrong, without the picture.
fn regex_reason(error: &regex::Error) -> String {
    let message = error.to_string();
    let last = message.lines().last().unwrap_or_default();
    last.strip_prefix("error: ").unwrap_or(last).to_owned()
}

/// A value of a route's header; `~*` starts a regular expression.
pub(super) fn header_value(value: &Value) -> Checked {
    let Some(pattern) = text(value).strip_prefix("~*") else {
        return Ok(());
    };
    regex::bytes::Regex::new(pattern)
        .map(|_| ())
        .map_err(|error| format!("invalid regex: '{pattern}' ({})", regex_reason(&error)))
}

/// A name of a route's header.
pub(super) fn route_header_name(value: &Value) -> Checked {
    if text(value).eq_ignore_ascii_case("host") {
        return Err(
            "cannot contain 'host' header, which must be specified in the 'hosts' attribute".to_owned(),
        );
    }
    header_name(value)
}

/// A name of a header.
pub(super) fn header_name(value: &Value) -> Checked {
    let name = text(value);
    if name.is_empty() {
        return Err("no header name provided".to_owned());
    }
    if name
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    {
        return Ok(());
    }
    Err(format!(
        "bad header name '{name}', allowed characters are A-Z, a-z, 0-9, '_', and '-'"
    ))
}

/// A request method.
pub(super) fn method(value: &Value) -> Checked {
    if text(value).bytes().all(|b| b.is_ascii_uppercase()) {
        return Ok(());
    }
    Err(format!("invalid value: {}", text(value)))
}

/// An address or a range of addresses.
pub(super) fn ip_or_cidr(value: &Value) -> Checked {
    let text = text(value);
    if text.parse::<std::net::IpAddr>().is_ok() || text.parse::<ipnet::IpNet>().is_ok() {
        return Ok(());
    }
    Err(format!("invalid ip or cidr range: '{text}'"))
}
