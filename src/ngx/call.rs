//! What the ops of `ngx` share: arguments as OpenResty converts them, and its phase rules.
//!
//! Must not: touch a request.

use std::borrow::Cow;

use crate::exchange::Phase;
use crate::vm::{Args, Kind, Ret, scope};

/// Phases in which a request's own content handlers run: rewrite, access, response and the error answers.
pub const CONTENT: u32 = Phase::Rewrite as u32
    | Phase::Access as u32
    | Phase::Response as u32
    | Phase::Error as u32
    | Phase::AdminApi as u32;

/// Phases of a TLS handshake.
pub const HANDSHAKE: u32 = Phase::Certificate as u32 | Phase::ClientHello as u32;

/// Phases in which a handler may wait.
pub const WAIT: u32 = CONTENT | Phase::Timer as u32 | HANDSHAKE;

/// Where one may sleep: Kong lets it in `init_worker`, too.
pub const SLEEP: u32 = WAIT | Phase::InitWorker as u32;

/// Phases after the head was sent.
pub const SENT: u32 = Phase::BodyFilter as u32 | Phase::Log as u32;

/// How OpenResty names the place of a phase in its messages.
pub fn context(phase: Phase) -> &'static str {
    phase.lua_context()
}

/// Whether the current phase is one of `mask`; if not, leaves OpenResty's error.
#[inline]
pub fn allowed(r: &mut Ret, mask: u32) -> bool {
    let phase = scope::phase();
    if phase as u32 & mask != 0 {
        return true;
    }
    r.raise(format!("API disabled in the context of {}", context(phase)));
    false
}

/// Whether Lua runs in a phase of `mask`, which are of requests; if not, leaves OpenResty's error.
#[inline]
pub fn request_in(r: &mut Ret, mask: u32) -> bool {
    if scope::with(|_| ()).is_none() {
        no_request(r);
        return false;
    }
    allowed(r, mask)
}

/// Whether the request can be left as a whole; if another handler of it waits for a subrequest, leaves OpenResty's
/// error.
#[inline]
pub fn leavable(r: &mut Ret) -> bool {
    if scope::with(|s| s.captures.get()).unwrap_or_default() == 0 {
        return true;
    }
    r.raise("attempt to abort with pending subrequests");
    false
}

/// Leaves the error of a call outside any request.
#[cold]
pub fn no_request(r: &mut Ret) {
    r.raise(why_no_request());
}

/// The error of a call outside any request.
#[cold]
pub fn why_no_request() -> &'static str {
    // timers and workers' beginnings have a request of a kind on OpenResty, and these functions refuse it
    match scope::with(|_| ()) {
        Some(()) => "API disabled in the current context",
        None => "no request found",
    }
}

/// Whether there are `least` to `most` arguments; if not, leaves the error as OpenResty's C functions word it.
pub fn count(a: &Args, r: &mut Ret, least: usize, most: usize, wanted: &str) -> bool {
    let n = a.len();
    if (least..=most).contains(&n) {
        return true;
    }
    r.raise(format!("expecting {wanted} but seen {n}"));
    false
}

/// A string as OpenResty writes it into a message: what is no printable ASCII as `\\xHH`.
pub fn escape_log(s: &[u8]) -> String {
    s.iter().fold(String::with_capacity(s.len()), |mut out, b| {
        match b {
            b'"' | b'\\' | 0..0x20 | 0x7f.. => {
                use std::fmt::Write as _;
                let _ = write!(out, "\\x{b:02X}");
            }
            b => out.push(char::from(*b)),
        }
        out
    })
}

/// What `type()` says of a kind.
pub fn type_name(kind: Kind) -> &'static str {
    match kind {
        Kind::None => "no value",
        Kind::Nil => "nil",
        Kind::Boolean => "boolean",
        Kind::Light | Kind::Userdata => "userdata",
        Kind::Number => "number",
        Kind::String => "string",
        Kind::Table => "table",
        Kind::Function => "function",
        Kind::Thread => "thread",
        Kind::Cdata => "cdata",
    }
}

/// Argument `i` as a string; numbers as Lua writes them.
#[inline]
pub fn text<'a>(a: &'a Args, i: usize) -> Option<Cow<'a, [u8]>> {
    if let Some(s) = a.str(i) {
        return Some(Cow::Borrowed(s));
    }
    a.num(i).map(|n| Cow::Owned(number(n).into_bytes()))
}

/// Argument `i` as a string, or `bad argument #i to 'name' (string expected, got ...)`.
pub fn check_text<'a>(a: &'a Args, r: &mut Ret, i: usize, name: &str) -> Option<Cow<'a, [u8]>> {
    let t = text(a, i);
    if t.is_none() {
        bad(a, r, i, name, "string");
    }
    t
}

/// Argument `i` as a number, strings that spell one included, or the error as Lua words it.
pub fn check_num(a: &Args, r: &mut Ret, i: usize, name: &str) -> Option<f64> {
    let n = a.num(i).or_else(|| {
        let s = std::str::from_utf8(a.str(i)?).ok()?;
        s.trim().parse().ok()
    });
    if n.is_none() {
        bad(a, r, i, name, "number");
    }
    n
}

/// Leaves `bad argument #i to 'name' (expected expected, got ...)`.
pub fn bad(a: &Args, r: &mut Ret, i: usize, name: &str, expected: &str) {
    r.raise(format!(
        "bad argument #{i} to '{name}' ({expected} expected, got {})",
        type_name(a.kind(i))
    ));
}

/// A number as Lua writes it (`%.14g`).
pub fn number(n: f64) -> String {
    if n.is_nan() {
        return if n.is_sign_negative() { "-nan" } else { "nan" }.into();
    }
    if n.is_infinite() {
        return if n < 0.0 { "-inf" } else { "inf" }.into();
    }
    if n == n.trunc() && n.abs() < 1e14 {
        return if n == 0.0 && n.is_sign_negative() {
            "-0".into()
        } else {
            (n as i64).to_string()
        };
    }
    let sci = format!("{n:.13e}");
    let Some((digits, exp)) = sci.split_once('e') else {
        return sci;
    };
    let exp: i32 = exp.parse().unwrap_or(0);
    let trim = |s: &str| -> String {
        if s.contains('.') {
            s.trim_end_matches('0').trim_end_matches('.').into()
        } else {
            s.into()
        }
    };
    if (-5..14).contains(&exp) && exp != -5 {
        trim(&format!("{n:.*}", (13 - exp) as usize))
    } else {
        let sign = if exp < 0 { '-' } else { '+' };
        format!("{}e{sign}{:02}", trim(digits), exp.abs())
    }
}

#[cfg(test)]
mod tests {
    use super::number;

    #[test]
    fn a11_numbers_as_lua_writes_them() {
        for (n, s) in [
            (1.0, "1"),
            (-3.0, "-3"),
            (0.1, "0.1"),
            (1.5, "1.5"),
            (1e14, "1e+14"),
            (123_456_789_012_345.0, "1.2345678901234e+14"),
            (1e-5, "1e-05"),
            (0.0001, "0.0001"),
            (std::f64::consts::PI, "3.1415926535898"),
            (1e100, "1e+100"),
        ] {
            assert_eq!(number(n), s);
        }
    }
}
