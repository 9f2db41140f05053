//! Plain scalars of YAML 1.1: `yes`, `on`, `010`, as users of `lyaml` write them.
//!
//! Must not: see quoted ones, which are text.
//!
//! # Source
//! `lyaml`'s implicit tags; YAML 1.1's type repository.

/// What a plain scalar stands for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Plain<'t> {
    /// `~`, `null`, nothing.
    Null,
    /// `true`, `yes`, `on`, ...
    Bool(bool),
    /// Any number, infinities and NaN too.
    Number(f64),
    /// The text itself.
    Text(&'t str),
}

/// Whether `piece`, a part of `text`, stands there without quotes around it and is not said to be a string.
pub fn is_bare(text: &str, piece: &str) -> bool {
    /// How far back a tag is looked for: an alias far from it has it looked for again and again.
    const NEAR: usize = 64;
    let before = (piece.as_ptr() as usize)
        .checked_sub(text.as_ptr() as usize)
        .and_then(|at| text.as_bytes().get(at.saturating_sub(NEAR)..at))
        .unwrap_or_default();
    !before.ends_with(b"\"") && !before.ends_with(b"'") && !before.trim_ascii_end().ends_with(b"!!str")
}

/// A plain scalar that YAML 1.2 takes for a text, as YAML 1.1 takes it.
pub fn plain(text: &str) -> Plain<'_> {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Plain::Null,
        "true" | "True" | "TRUE" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" => return Plain::Bool(true),
        "false" | "False" | "FALSE" | "no" | "No" | "NO" | "off" | "Off" | "OFF" => {
            return Plain::Bool(false);
        }
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => return Plain::Number(f64::INFINITY),
        "-.inf" | "-.Inf" | "-.INF" => return Plain::Number(f64::NEG_INFINITY),
        ".nan" | ".NaN" | ".NAN" => return Plain::Number(f64::NAN),
        _ => {}
    }
    let (sign, digits) = match text.as_bytes()[0] {
        b'-' => (-1.0, &text[1..]),
        b'+' => (1.0, &text[1..]),
        _ => (1.0, text),
    };
    let head = digits.bytes().find(|b| *b != b'_').unwrap_or(b' ');
    if !head.is_ascii_digit() && head != b'.' {
        return Plain::Text(text);
    }
    number(digits).map_or_else(|| Plain::Text(text), |n| Plain::Number(sign * n))
}

/// A number of YAML 1.1 without its sign: octal, decimal, fraction, `0x`, `0b`, sexagesimal.
fn number(text: &str) -> Option<f64> {
    let bare: String = text.chars().filter(|c| *c != '_').collect();
    if bare.contains(':') {
        return sexagesimal(&bare);
    }
    let all = |of: &str, radix: u32| {
        let digits = !of.is_empty() && of.chars().all(|c| c.is_digit(radix));
        digits.then(|| {
            of.chars().fold(0.0, |sum, c| {
                sum * f64::from(radix) + f64::from(c.to_digit(radix).unwrap_or(0))
            })
        })
    };
    if let Some(hex) = bare.strip_prefix("0x") {
        return all(hex, 16);
    }
    if let Some(bits) = bare.strip_prefix("0b") {
        return all(bits, 2);
    }
    if let Some(n) = bare.strip_prefix('0').and_then(|octal| all(octal, 8)) {
        return Some(n);
    }
    let decimal = bare
        .bytes()
        .all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'E' | b'+' | b'-'));
    if decimal { bare.parse().ok() } else { None }
}

fn sexagesimal(text: &str) -> Option<f64> {
    let (whole, fraction) = match text.split_once('.') {
        Some((whole, digits)) => (whole, format!("0.{digits}").parse::<f64>().ok()?),
        None => (text, 0.0),
    };
    let mut sum = 0.0;
    for (i, part) in whole.split(':').enumerate() {
        let n: u32 = part.parse().ok()?;
        if i == 1 && n > 59 {
            return None;
        }
        sum = sum * 60.0 + f64::from(n);
    }
    Some(sum + fraction)
}
