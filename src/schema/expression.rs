//! Whether an expression of a route can be matched: Kong's language, by Kong's own parser (`atc-router`).
//!
//! Must not: match requests (that is `router`).

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::OnceLock;

use atc_router::ast::{Expression, LogicalExpression, Type};
use atc_router::parser::parse;
use atc_router::schema::Schema;
use atc_router::semantics::Validate as _;

/// Parser, judge and destructor are recursive: an expression deeper or longer than this is refused unread.
const MAX_DEPTH: usize = 100;
const MAX_TERMS: usize = 2000;
/// What Kong has room for.
const MAX_MESSAGE: usize = 4096;

const SEGMENTS: &str = "http.path.segments.";

fn fields(stream: bool) -> Schema {
    let mut schema = Schema::default();
    for name in ["net.protocol", "tls.sni"] {
        schema.add_field(name, Type::String);
    }
    for name in ["net.src.port", "net.dst.port"] {
        schema.add_field(name, Type::Int);
    }
    for name in ["net.src.ip", "net.dst.ip"] {
        schema.add_field(name, Type::IpAddr);
    }
    if !stream {
        for name in [
            "http.method",
            "http.host",
            "http.path",
            "http.path.segments.*",
            "http.headers.*",
            "http.queries.*",
        ] {
            schema.add_field(name, Type::String);
        }
        schema.add_field("http.path.segments.len", Type::Int);
    }
    schema
}

/// Judges an expression of a route, over HTTP or of a stream.
///
/// # Errors
/// What Kong says after "Router Expression failed validation: ".
///
/// # Source
/// `kong/db/schema/entities/routes.lua`, `kong/router/fields.lua`.
pub(super) fn check(text: &str, stream: bool) -> Result<(), String> {
    static HTTP: OnceLock<Schema> = OnceLock::new();
    static STREAM: OnceLock<Schema> = OnceLock::new();
    let schema = if stream { &STREAM } else { &HTTP }.get_or_init(|| fields(stream));
    if too_large(text) {
        return Err("expression is nested too deeply or too long".into());
    }
    // The parser panics where it thinks it cannot be ("not  in" with two blanks).
    let judged = catch_unwind(AssertUnwindSafe(|| {
        let expression = parse(text).map_err(|e| e.to_string())?;
        expression.validate(schema)?;
        if sound_segments(&expression) {
            Ok(())
        } else {
            Err("illformed http.path.segments.* field".to_string())
        }
    }));
    judged
        .unwrap_or_else(|_| Err("expression cannot be parsed".into()))
        .map_err(cut)
}

fn too_large(text: &str) -> bool {
    let (mut depth, mut deepest) = (0usize, 0usize);
    for b in text.bytes() {
        match b {
            b'(' => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b')' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest > MAX_DEPTH || text.matches("&&").count() + text.matches("||").count() > MAX_TERMS
}

fn cut(mut message: String) -> String {
    if message.len() > MAX_MESSAGE {
        let end = (0..=MAX_MESSAGE)
            .rev()
            .find(|i| message.is_char_boundary(*i))
            .unwrap_or(0);
        message.truncate(end);
    }
    message
}

fn sound_segments(expression: &Expression) -> bool {
    match expression {
        Expression::Logical(logical) => match logical.as_ref() {
            LogicalExpression::And(l, r) | LogicalExpression::Or(l, r) => {
                sound_segments(l) && sound_segments(r)
            }
            LogicalExpression::Not(e) => sound_segments(e),
        },
        Expression::Predicate(p) => p
            .lhs
            .var_name
            .strip_prefix(SEGMENTS)
            .is_none_or(|suffix| suffix == "len" || is_segment(suffix)),
    }
}

/// `N` or `N_M`, without leading zeros, N before M, M not 0.
fn is_segment(suffix: &str) -> bool {
    match suffix.split_once('_') {
        None => number(suffix).is_some(),
        Some((from, to)) => match (number(from), number(to)) {
            (Some(from), Some(to)) => from < to,
            _ => false,
        },
    }
}

fn number(text: &str) -> Option<f64> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let plain = digits && (text == "0" || !text.starts_with('0'));
    // As Lua counts: more digits than an integer holds are still a number.
    plain.then(|| text.parse().unwrap_or(f64::INFINITY))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn b3_expressions_are_judged_by_their_fields_and_types() {
        assert_eq!(
            check(r#"http.path ^= "/a" && !(http.host == "x")"#, false),
            Ok(())
        );
        assert_eq!(check("net.src.ip in 10.0.0.0/8", true), Ok(()));
        assert_eq!(
            check(r#"http.method == "GET""#, true),
            Err("Unknown LHS field".into())
        );
        let err = check(r#"http.path == "/a" &&"#, false).unwrap_err();
        assert!(err.starts_with(" --> 1:"), "{err}");
        assert!(check("net.src.ip in 1.2.3.4/16", true).is_err());
    }

    #[test]
    fn b3_segments_are_numbers_or_ranges() {
        for good in ["0", "12", "0_1", "20_30", "len"] {
            let value = if good == "len" { "1" } else { "\"x\"" };
            assert_eq!(
                check(&format!("http.path.segments.{good} == {value}"), false),
                Ok(())
            );
        }
        for bad in ["01", "1_", "_1", "2_1", "1_1", "1_2_3", "a", "len0"] {
            let text = format!("http.path.segments.{bad} == \"x\"");
            assert_eq!(
                check(&text, false),
                Err("illformed http.path.segments.* field".into()),
                "{bad}"
            );
        }
    }

    #[test]
    fn b3_what_would_overflow_the_stack_or_panic_is_refused() {
        let deep = format!("{}net.src.port == 1{}", "(".repeat(100_000), ")".repeat(100_000));
        assert!(check(&deep, true).is_err());
        let long = vec!["net.src.port == 1"; 100_000].join(" || ");
        assert!(check(&long, true).is_err());
        assert!(check("net.src.ip not  in 10.0.0.0/8", true).is_err());
    }
}
