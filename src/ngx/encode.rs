//! Escaping, encodings and digests: `ngx.escape_uri`, `ngx.encode_base64`, `ngx.md5` and their kin.
//!
//! Must not: know the request.

use std::borrow::Cow;
use std::fmt::Write as _;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use md5::Digest as _;

use super::call;
use crate::vm::{Args, Registrar, Ret, op};

pub(super) fn install(r: &Registrar) -> mlua::Result<()> {
    r.op("ngx_encode", "escape_uri", op::raw(escape_uri))?;
    r.op("ngx_encode", "unescape_uri", op::raw(unescape_uri))?;
    r.op("ngx_encode", "encode_base64", op::raw(encode_base64))?;
    r.op("ngx_encode", "decode_base64", op::raw(decode_base64))?;
    r.op("ngx_encode", "decode_base64mime", op::raw(decode_base64mime))?;
    r.op("ngx_encode", "md5", op::raw(md5_hex))?;
    r.op("ngx_encode", "md5_bin", op::raw(md5_bin))?;
    r.op("ngx_encode", "sha1_bin", op::raw(sha1_bin))?;
    r.op("ngx_encode", "hmac_sha1", op::raw(hmac_sha1))?;
    r.op("ngx_encode", "crc32", op::raw(crc32))?;
    r.op("ngx_encode", "quote_sql_str", op::raw(quote_sql_str))
}

/// Argument 1, which the face has made a string.
fn given(a: &Args) -> &[u8] {
    a.str(1).unwrap_or_default()
}

/// Percent-encodes everything but unreserved characters (as `encodeURIComponent`, type 2, does it in nginx).
pub(super) fn escape(s: &[u8], keep: fn(u8) -> bool) -> Cow<'_, [u8]> {
    if s.iter().all(|b| keep(*b)) {
        return Cow::Borrowed(s);
    }
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let mut out = Vec::with_capacity(s.len() + 16);
    for b in s {
        if keep(*b) {
            out.push(*b);
        } else {
            out.extend_from_slice(&[b'%', HEX[usize::from(b >> 4)], HEX[usize::from(b & 15)]]);
        }
    }
    Cow::Owned(out)
}

/// `NGX_ESCAPE_URI_COMPONENT`.
pub(super) fn component(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b"-._~!'()*".contains(&b)
}

/// `NGX_ESCAPE_URI`: what may stand in a whole URI stays.
fn whole(b: u8) -> bool {
    b > 0x20 && b < 0x7f && !b"#%?".contains(&b)
}

/// `NGX_ESCAPE_ARGS`.
fn args(b: u8) -> bool {
    whole(b) && b != b'+'
}

/// `NGX_ESCAPE_HTML`.
fn html(b: u8) -> bool {
    refresh(b) && !b"#%".contains(&b)
}

/// `NGX_ESCAPE_REFRESH`.
fn refresh(b: u8) -> bool {
    b > 0x20 && b < 0x7f && !b"\"'".contains(&b)
}

/// `NGX_ESCAPE_MEMCACHED`, which `NGX_ESCAPE_MAIL_AUTH` is too.
fn memcached(b: u8) -> bool {
    b > 0x20 && b != b'%'
}

/// `escape_uri(s, type)`: nginx's kinds of escaping, 0 to 6; 2 (for a component) unless given.
fn escape_uri(a: &Args, r: &mut Ret) {
    let keep = match a.num(2).unwrap_or(2.0) as i64 {
        0 => whole,
        1 => args,
        3 => html,
        4 => refresh,
        5 | 6 => memcached,
        _ => component,
    };
    match escape(given(a), keep) {
        Cow::Borrowed(b) => r.str(b),
        Cow::Owned(v) => r.held(v.into()),
    };
}

/// Undoes percent-encoding; `+` is a space; what isn't an escape stays.
pub(super) fn unescape(s: &[u8]) -> Cow<'_, [u8]> {
    if !s.iter().any(|b| *b == b'%' || *b == b'+') {
        return Cow::Borrowed(s);
    }
    let hex = |b: u8| (b as char).to_digit(16).map(|d| d as u8);
    let mut out = Vec::with_capacity(s.len());
    let mut i = 0;
    while i < s.len() {
        match s[i] {
            b'+' => out.push(b' '),
            b'%' => match (
                s.get(i + 1).and_then(|b| hex(*b)),
                s.get(i + 2).and_then(|b| hex(*b)),
            ) {
                (Some(h), Some(l)) => {
                    out.push(h << 4 | l);
                    i += 2;
                }
                _ => out.push(b'%'),
            },
            b => out.push(b),
        }
        i += 1;
    }
    Cow::Owned(out)
}

fn unescape_uri(a: &Args, r: &mut Ret) {
    r.str(unescape(given(a)));
}

const LENIENT: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_decode_padding_mode(DecodePaddingMode::Indifferent)
    .with_decode_allow_trailing_bits(true);
const DECODER: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);

/// `encode_base64(s, no_padding)`.
fn encode_base64(a: &Args, r: &mut Ret) {
    use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
    let engine = if a.truthy(2) { &STANDARD_NO_PAD } else { &STANDARD };
    r.str(engine.encode(given(a)));
}

/// `decode_base64(s)`: nil where it isn't base64; what follows a `=` doesn't count.
fn decode_base64(a: &Args, r: &mut Ret) {
    let text = given(a);
    let end = memchr::memchr(b'=', text).unwrap_or(text.len());
    decoded(r, &text[..end]);
}

/// `decode_base64mime(s)`: the same, passing over what is no letter of base64.
fn decode_base64mime(a: &Args, r: &mut Ret) {
    let letter = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/');
    let text: Vec<u8> = given(a)
        .iter()
        .copied()
        .take_while(|b| *b != b'=')
        .filter(letter)
        .collect();
    decoded(r, &text);
}

fn decoded(r: &mut Ret, text: &[u8]) {
    match DECODER.decode(text) {
        Ok(v) => r.held(v.into()),
        Err(_) => r.nil(),
    };
}

fn hex(bytes: &[u8]) -> String {
    let mut s = String::with_capacity(bytes.len() * 2);
    for b in bytes {
        let _ = write!(s, "{b:02x}");
    }
    s
}

fn md5_hex(a: &Args, r: &mut Ret) {
    r.str(hex(&md5::Md5::digest(given(a))));
}

fn md5_bin(a: &Args, r: &mut Ret) {
    r.str(md5::Md5::digest(given(a)));
}

fn sha1_bin(a: &Args, r: &mut Ret) {
    r.str(sha1::Sha1::digest(given(a)));
}

/// `hmac_sha1(key, text)`.
fn hmac_sha1(a: &Args, r: &mut Ret) {
    if a.len() != 2 {
        return r.raise(format!("expecting 2 arguments, but got {}", a.len()));
    }
    let Some(key) = call::check_text(a, r, 1, "hmac_sha1") else {
        return;
    };
    let Some(text) = call::check_text(a, r, 2, "hmac_sha1") else {
        return;
    };
    let mut block = [0u8; 64];
    if key.len() > 64 {
        block[..20].copy_from_slice(&sha1::Sha1::digest(&key));
    } else {
        block[..key.len()].copy_from_slice(&key);
    }
    let pad = |x: u8| block.map(|b| b ^ x);
    let inner = sha1::Sha1::new()
        .chain_update(pad(0x36))
        .chain_update(&text)
        .finalize();
    let outer = sha1::Sha1::new()
        .chain_update(pad(0x5c))
        .chain_update(inner)
        .finalize();
    r.str(outer);
}

fn crc32(a: &Args, r: &mut Ret) {
    r.num(crc32fast::hash(given(a)));
}

/// `quote_sql_str(s)`: a MySQL string literal.
fn quote_sql_str(a: &Args, r: &mut Ret) {
    if a.len() != 1 {
        return r.raise("expecting one argument");
    }
    let Some(s) = call::check_text(a, r, 1, "quote_sql_str") else {
        return;
    };
    let mut out = Vec::with_capacity(s.len() + 2);
    out.push(b'\'');
    for b in s.iter() {
        match b {
            0 => out.extend_from_slice(b"\\0"),
            0x08 => out.extend_from_slice(b"\\b"),
            b'\t' => out.extend_from_slice(b"\\t"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            0x1a => out.extend_from_slice(b"\\Z"),
            b'\\' | b'\'' | b'"' => out.extend_from_slice(&[b'\\', *b]),
            b => out.push(*b),
        }
    }
    out.push(b'\'');
    r.str(out);
}
