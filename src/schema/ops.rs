//! What validators ask of Rust: whether a text compiles as a regular expression, whether it is PEM, whether a
//! route's expression can be matched.
//!
//! Must not: read certificates (that is `tls`); here only the wrapping is judged.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::vm::{Args, Ret};

/// `is_regex(text)`: true, or false and what PCRE says.
pub(super) fn is_regex(a: &Args, r: &mut Ret) {
    let Some(text) = a.str(1).and_then(|s| std::str::from_utf8(s).ok()) else {
        r.bool(false).lit("not UTF-8");
        return;
    };
    match pcre2::bytes::Regex::new(text) {
        Ok(_) => r.bool(true),
        Err(e) => r.bool(false).str(e.to_string()),
    };
}

/// `is_router_regex(pattern)`: whether the router can match by it.
pub(super) fn is_router_regex(a: &Args, r: &mut Ret) {
    let text = a.str(1).and_then(|s| std::str::from_utf8(s).ok());
    r.bool(text.is_some_and(super::router_regex::compiles));
}

/// `check_expression(text, stream)`: true, or false and what is wrong with it.
pub(super) fn check_expression(a: &Args, r: &mut Ret) {
    let Some(text) = a.str(1).and_then(|s| std::str::from_utf8(s).ok()) else {
        r.bool(false).lit("not UTF-8");
        return;
    };
    match super::expression::check(text, a.truthy(2)) {
        Ok(()) => r.bool(true),
        Err(why) => r.bool(false).str(why),
    };
}

/// `is_pem(text, label)`: true, or false and why. Labels match by their end, so that "PRIVATE KEY" takes
/// "RSA PRIVATE KEY".
pub(super) fn is_pem(a: &Args, r: &mut Ret) {
    let text = a.str(1).and_then(|s| std::str::from_utf8(s).ok());
    let label = a.str(2).and_then(|s| std::str::from_utf8(s).ok());
    let (Some(text), Some(label)) = (text, label) else {
        r.bool(false).lit("not a text");
        return;
    };
    match pem(text, label) {
        Ok(()) => r.bool(true),
        Err(why) => r.bool(false).lit(why),
    };
}

fn pem(text: &str, label: &str) -> Result<(), &'static str> {
    let (_, rest) = text.split_once("-----BEGIN ").ok_or("no PEM block found")?;
    let (name, rest) = rest.split_once("-----").ok_or("no PEM block found")?;
    if !name.ends_with(label) {
        return Err("PEM block of another kind");
    }
    let (body, end) = rest.split_once("-----END ").ok_or("PEM block has no end")?;
    if !end.starts_with(name) {
        return Err("PEM block has no end");
    }
    // Header lines ("Proc-Type: ...") come before an empty line.
    let body = body.trim_start_matches(['\r', '\n']);
    let body = match body.split_once("\n\n") {
        Some((head, body)) if head.contains(':') => body,
        _ => body,
    };
    let packed: String = body.split_whitespace().collect();
    match STANDARD.decode(packed) {
        Ok(der) if der.first() == Some(&0x30) => Ok(()),
        Ok(_) => Err("not DER"),
        Err(_) => Err("bad base64"),
    }
}
