//! What the libraries ask of Rust: digests, encodings, randomness, clocks, addresses, files' kinds.
//!
//! Must not: know which library asks.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::OnceLock;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::alphabet;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{
    GeneralPurpose, GeneralPurposeConfig, STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD,
};
use md5::{Digest as _, Md5};
use ring::digest;
use ring::rand::{SecureRandom as _, SystemRandom};
use uuid::Uuid;

use crate::vm::{Args, Kind, Registrar, Ret, op};

/// More random bytes than this in one call are refused.
const MAX_RANDOM: i64 = 1 << 20;

const LENIENT: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_decode_padding_mode(DecodePaddingMode::Indifferent)
    .with_decode_allow_trailing_bits(true);
const DECODE: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);
const DECODE_URL: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, LENIENT);

/// Registers the ops of room `libs`.
pub(super) fn install(r: &Registrar) -> mlua::Result<()> {
    r.op("libs", "digest", op::raw(digest))?;
    r.op("libs", "hex", op::raw(hex))?;
    r.op("libs", "base64", op::raw(base64))?;
    r.op("libs", "base64url", op::raw(base64url))?;
    r.op("libs", "unbase64", op::raw(unbase64))?;
    r.op("libs", "unbase64url", op::raw(unbase64url))?;
    r.op("libs", "random_bytes", op::raw(random_bytes))?;
    r.op("libs", "uuid_v4", op::raw(uuid_v4))?;
    r.op("libs", "uuid_v5", op::raw(uuid_v5))?;
    r.op("libs", "validate_utf8", op::raw(validate_utf8))?;
    r.op("libs", "ip_kind", op::raw(ip_kind))?;
    r.op("libs", "ipv6_full", op::raw(ipv6_full))?;
    r.op("libs", "ip_bytes", op::raw(ip_bytes))?;
    r.op("libs", "time_ns", op::raw(time_ns))?;
    r.op("libs", "monotonic_ms", op::raw(monotonic_ms))?;
    r.op("libs", "file_kind", op::raw(file_kind))?;
    r.op("libs", "current_dir", op::raw(current_dir))
}

/// A string argument as UTF-8 text.
pub(super) fn text(a: &Args, i: usize) -> Option<&str> {
    a.str(i).and_then(|s| std::str::from_utf8(s).ok())
}

/// Raises what a missing string raises.
pub(super) fn no_string(a: &Args, r: &mut Ret, i: usize, name: &str) {
    let got = match a.kind(i) {
        Kind::None => "no value",
        Kind::Nil => "nil",
        Kind::Boolean => "boolean",
        Kind::Number => "number",
        Kind::Table => "table",
        Kind::Function => "function",
        _ => "userdata",
    };
    r.raise(format!(
        "bad argument #{i} to '{name}' (string expected, got {got})"
    ));
}

fn digest(a: &Args, r: &mut Ret) {
    let (Some(name), Some(bytes)) = (text(a, 1), a.str(2)) else {
        return no_string(a, r, 2, "digest");
    };
    let algorithm = match name {
        "md5" => {
            r.str(Md5::digest(bytes));
            return;
        }
        "sha224" => {
            r.str(sha2::Sha224::digest(bytes));
            return;
        }
        "sha1" => &digest::SHA1_FOR_LEGACY_USE_ONLY,
        "sha256" => &digest::SHA256,
        "sha384" => &digest::SHA384,
        "sha512" => &digest::SHA512,
        _ => {
            r.fail("unknown digest");
            return;
        }
    };
    r.str(digest::digest(algorithm, bytes));
}

fn hex(a: &Args, r: &mut Ret) {
    let Some(bytes) = a.str(1) else {
        return no_string(a, r, 1, "to_hex");
    };
    let mut out = String::with_capacity(bytes.len() * 2);
    for b in bytes {
        out.push(char::from_digit(u32::from(b >> 4), 16).unwrap_or('0'));
        out.push(char::from_digit(u32::from(b & 15), 16).unwrap_or('0'));
    }
    r.str(out);
}

fn base64(a: &Args, r: &mut Ret) {
    let Some(bytes) = a.str(1) else {
        return no_string(a, r, 1, "encode_base64");
    };
    let engine = if a.truthy(2) { &STANDARD_NO_PAD } else { &STANDARD };
    r.str(engine.encode(bytes));
}

fn base64url(a: &Args, r: &mut Ret) {
    let Some(bytes) = a.str(1) else {
        return no_string(a, r, 1, "encode_base64url");
    };
    r.str(URL_SAFE_NO_PAD.encode(bytes));
}

fn unbase64(a: &Args, r: &mut Ret) {
    match a.str(1) {
        Some(text) => decoded(r, &DECODE, text),
        None => no_string(a, r, 1, "decode_base64"),
    }
}

fn unbase64url(a: &Args, r: &mut Ret) {
    match a.str(1) {
        Some(text) => decoded(r, &DECODE_URL, text),
        None => no_string(a, r, 1, "decode_base64url"),
    }
}

fn decoded(r: &mut Ret, engine: &GeneralPurpose, text: &[u8]) {
    match engine.decode(text) {
        Ok(bytes) => r.str(bytes),
        Err(_) => r.fail("invalid input"),
    };
}

fn random_bytes(a: &Args, r: &mut Ret) {
    let n = a.int(1).unwrap_or(-1);
    if !(0..=MAX_RANDOM).contains(&n) {
        r.fail("bad number of random bytes");
        return;
    }
    let mut bytes = vec![0; n as usize];
    match SystemRandom::new().fill(&mut bytes) {
        Ok(()) => r.str(bytes),
        Err(_) => r.fail("no randomness"),
    };
}

fn uuid_v4(_: &Args, r: &mut Ret) {
    r.str(
        Uuid::new_v4()
            .hyphenated()
            .encode_lower(&mut Uuid::encode_buffer()),
    );
}

fn uuid_v5(a: &Args, r: &mut Ret) {
    let (Some(space), Some(name)) = (text(a, 1).and_then(|s| Uuid::parse_str(s).ok()), a.str(2)) else {
        r.fail("namespace must be a valid UUID");
        return;
    };
    let id = Uuid::new_v5(&space, name);
    r.str(id.hyphenated().encode_lower(&mut Uuid::encode_buffer()));
}

/// true, or false and the position (from 1) of the first byte that is not UTF-8.
fn validate_utf8(a: &Args, r: &mut Ret) {
    match a.str(1).map(std::str::from_utf8) {
        Some(Ok(_)) => r.bool(true),
        Some(Err(e)) => r.bool(false).int(e.valid_up_to() as i64 + 1),
        None => r.bool(false).int(1),
    };
}

fn ip_kind(a: &Args, r: &mut Ret) {
    match text(a, 1) {
        Some(s) if s.parse::<Ipv4Addr>().is_ok() => r.lit("ipv4"),
        Some(s) if s.parse::<Ipv6Addr>().is_ok() => r.lit("ipv6"),
        _ => r.nil(),
    };
}

/// An IPv6 address with all its groups and zeros.
fn ipv6_full(a: &Args, r: &mut Ret) {
    match text(a, 1).and_then(|s| s.parse::<Ipv6Addr>().ok()) {
        Some(ip) => {
            let groups = ip.segments().map(|g| format!("{g:04x}"));
            r.str(groups.join(":"))
        }
        None => r.nil(),
    };
}

/// The 4 bytes of an IPv4 or the 16 of an IPv6 address; nil if it is none.
fn ip_bytes(a: &Args, r: &mut Ret) {
    match text(a, 1).map(str::parse) {
        Some(Ok(IpAddr::V4(ip))) => r.str(ip.octets()),
        Some(Ok(IpAddr::V6(ip))) => r.str(ip.octets()),
        _ => r.nil(),
    };
}

fn time_ns(_: &Args, r: &mut Ret) {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or(Duration::ZERO);
    r.num(now.as_nanos() as f64);
}

/// Like nginx's, this clock counts from the machine's start.
fn monotonic_ms(_: &Args, r: &mut Ret) {
    static START: OnceLock<(Instant, Duration)> = OnceLock::new();
    let (at, up) = START.get_or_init(|| (Instant::now(), uptime()));
    r.num((at.elapsed() + *up).as_millis() as f64);
}

/// How long the machine is up, to the hundredth of a second; a second where it doesn't say.
fn uptime() -> Duration {
    std::fs::read_to_string("/proc/uptime")
        .ok()
        .and_then(|text| text.split(' ').next()?.parse().ok())
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .unwrap_or(Duration::from_secs(1))
}

/// "file", "directory" or "other", the size, the time of change; nil if nothing is there.
fn file_kind(a: &Args, r: &mut Ret) {
    let Some(meta) = text(a, 1).and_then(|p| std::fs::metadata(p).ok()) else {
        r.nil();
        return;
    };
    let kind = match meta.file_type() {
        t if t.is_file() => "file",
        t if t.is_dir() => "directory",
        _ => "other",
    };
    let changed = meta
        .modified()
        .ok()
        .and_then(|t| t.duration_since(UNIX_EPOCH).ok());
    r.lit(kind)
        .num(meta.len() as f64)
        .num(changed.unwrap_or_default().as_secs() as f64);
}

fn current_dir(_: &Args, r: &mut Ret) {
    match std::env::current_dir() {
        Ok(dir) => r.str(dir.to_string_lossy().as_bytes()),
        Err(e) => r.fail(e.to_string()),
    };
}
