//! Reading single values: lists, switches, sizes, times.

use std::time::Duration;

/// Comma separated, trimmed, empty entries dropped.
pub(super) fn array(text: &str) -> Vec<String> {
    text.split(',')
        .map(str::trim)
        .filter(|v| !v.is_empty())
        .map(str::to_owned)
        .collect()
}

/// Kong's reading of a switch: `on` and `true` are on, all else is off.
pub(super) fn boolean(text: &str) -> bool {
    matches!(text, "on" | "true")
}

/// nginx's sizes, in bytes: `512`, `8k`, `10m`, `1g`, case-insensitive.
///
/// # Source
/// nginx, "Configuration file measurement units".
pub fn parse_size(text: &str) -> Option<u64> {
    let text = text.trim();
    let (digits, factor) = match text.as_bytes().last()? {
        b'k' | b'K' => (&text[..text.len() - 1], 1 << 10),
        b'm' | b'M' => (&text[..text.len() - 1], 1 << 20),
        b'g' | b'G' => (&text[..text.len() - 1], 1 << 30),
        _ => (text, 1),
    };
    number(digits)?.checked_mul(factor)
}

/// nginx's times: `30` (seconds), `500ms`, `1m 30s`, `1d`.
///
/// # Source
/// nginx, "Configuration file measurement units".
pub fn parse_time(text: &str) -> Option<Duration> {
    let mut rest = text.trim();
    if rest.is_empty() {
        return None;
    }
    let mut total_ms = 0u64;
    let mut last = u64::MAX;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let amount = number(&rest[..digits])?;
        rest = &rest[digits..];
        let unit_end = rest.bytes().take_while(u8::is_ascii_alphabetic).count();
        let unit_ms = unit_ms(&rest[..unit_end])?;
        // Units go from large to small, each at most once, as nginx wants them.
        if unit_ms >= last {
            return None;
        }
        last = unit_ms;
        total_ms = total_ms.checked_add(amount.checked_mul(unit_ms)?)?;
        rest = rest[unit_end..].trim_start();
    }
    Some(Duration::from_millis(total_ms))
}

fn unit_ms(unit: &str) -> Option<u64> {
    Some(match unit {
        "ms" => 1,
        "" | "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        "w" => 7 * 86_400_000,
        "M" => 30 * 86_400_000,
        "y" => 365 * 86_400_000,
        _ => return None,
    })
}

fn number(digits: &str) -> Option<u64> {
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a12_sizes_are_nginx_sizes() {
        assert_eq!(parse_size("0"), Some(0));
        assert_eq!(parse_size("8k"), Some(8192));
        assert_eq!(parse_size(" 10M "), Some(10 << 20));
        assert_eq!(parse_size("1g"), Some(1 << 30));
        for wrong in ["", "k", "1.5m", "-1", "10mb", "99999999999999999999g", "ä", "8ä"] {
            assert_eq!(parse_size(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a12_times_are_nginx_times() {
        assert_eq!(parse_time("60"), Some(Duration::from_secs(60)));
        assert_eq!(parse_time("500ms"), Some(Duration::from_millis(500)));
        assert_eq!(parse_time("1m 30s"), Some(Duration::from_secs(90)));
        assert_eq!(parse_time("1h30m"), Some(Duration::from_secs(5400)));
        assert_eq!(parse_time("1d"), Some(Duration::from_secs(86400)));
        for wrong in ["", "s", "1x", "30s 1m", "1s1s", "-1", "9999999999999999y"] {
            assert_eq!(parse_time(wrong), None, "{wrong}");
        }
    }
}
