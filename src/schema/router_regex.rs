//! Whether `regex::Regex::new` would take a pattern, without making the expression: a load of many routes would
//! wait for the automata that make matching fast (0.2 ms for a `\d+`), while parsing takes microseconds.
//!
//! What parses is refused only when its automata would be too large, so a bound on their size decides, and what
//! may pass the limit is made. Must not: match (that is `router`).

use regex_syntax::hir::{Class, Hir, HirKind};

/// The crate's own limit on an automaton, in bytes.
const SIZE_LIMIT: usize = 10 << 20;
/// What a state takes at most, with its transitions and with what sorting ranges for the search backwards adds.
const STATE: usize = 256;

pub(super) fn compiles(pattern: &str) -> bool {
    match regex_syntax::parse(pattern) {
        Ok(hir) if bound(&hir).saturating_mul(STATE) < SIZE_LIMIT => true,
        Ok(_) => regex::Regex::new(pattern).is_ok(),
        Err(_) => false,
    }
}

/// No fewer states than an automaton for `hir` has. The parser limits the depth of nesting.
fn bound(hir: &Hir) -> usize {
    let all = |parts: &[Hir]| parts.iter().fold(1, |n: usize, p| n.saturating_add(bound(p)));
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => 1,
        HirKind::Literal(literal) => literal.0.len(),
        HirKind::Class(Class::Bytes(class)) => 1 + class.ranges().len(),
        HirKind::Class(Class::Unicode(class)) => class
            .ranges()
            .iter()
            .fold(1, |n, r| n + of_range(u32::from(r.start()), u32::from(r.end()))),
        HirKind::Repetition(repetition) => {
            let times = repetition.max.unwrap_or(repetition.min.saturating_add(1)).max(1);
            bound(&repetition.sub)
                .saturating_add(1)
                .saturating_mul(times as usize)
        }
        HirKind::Capture(capture) => bound(&capture.sub).saturating_add(2),
        HirKind::Concat(parts) | HirKind::Alternation(parts) => all(parts),
    }
}

/// States for a range of characters in UTF-8: per length, a sequence for the middle and two for each byte in
/// which its ends differ.
fn of_range(start: u32, end: u32) -> usize {
    const LENGTHS: [(u32, u32, usize); 4] = [
        (0, 0x7f, 1),
        (0x80, 0x7ff, 2),
        (0x800, 0xffff, 3),
        (0x1_0000, 0x10_ffff, 4),
    ];
    let mut states = 0;
    for (first, last, length) in LENGTHS {
        let (from, to) = (start.max(first), end.min(last));
        if from > to {
            continue;
        }
        // Surrogates cut the range in two.
        let cut = if length == 3 && from < 0xd800 && to > 0xdfff {
            2
        } else {
            1
        };
        let sequences = if from >> 6 == to >> 6 { 1 } else { 2 * length - 1 };
        states += cut * sequences * length;
    }
    states
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn b3_judges_as_the_regex_crate() {
        let patterns = [
            r"^/a/\d+$",
            r"^/(?P<id>\w{1,64})/.*",
            r"(?i)^/straße",
            r"^/a(?!b)",
            r"^/a(?<=b)",
            r"^/(a",
            r"^/\1",
            r"[\p{Greek}&&\p{Lu}]+",
            r"\w{20}",
            r"\w{100}{100}",
            r"\w{1000}{1000}",
            r"[^/]{1000}{10}",
            r"(?P<a>x)(?P<a>y)",
            r"\pZ\xFF\u{10FFFF}",
            r"(?-u:\xFF)",
            r"((a{100}){100}){100}",
            "",
        ];
        for pattern in patterns {
            assert_eq!(compiles(pattern), regex::Regex::new(pattern).is_ok(), "{pattern}");
        }
    }

    #[test]
    fn b3_a_pattern_that_needs_no_making_is_within_the_limit() {
        // At the bound, and of the kinds that take most for what is counted.
        for unit in [
            r"\w",
            r"\d",
            r"[^/]",
            r".",
            r"\PL",
            r"(?i:\p{Greek})",
            "a",
            "(x|yz)",
            r"\p{Cyrillic}*",
        ] {
            let Ok(one) = regex_syntax::parse(unit) else {
                panic!("{unit}");
            };
            let times = (SIZE_LIMIT / STATE / (bound(&one) + 1)).max(1);
            let pattern = format!("(?:{unit}){{{times}}}");
            assert!(regex::Regex::new(&pattern).is_ok(), "{pattern}");
        }
    }
}
