//! What validators ask of Rust: whether a text compiles as a regular expression, whether a route's expression
//! can be matched.
//!
//! Must not: match requests (that is `router`).

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
