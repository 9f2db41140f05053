//! Escaping, encodings and digests: `ngx.escape_uri`, `ngx.encode_base64`, `ngx.md5` and their kin.
//!
//! Must not: know the request.

use std::borrow::Cow;
use std::ffi::c_int;

use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use base64::{DecodeSliceError, Engine as _};
use md5::Digest as _;

use super::call;
use crate::vm::native::{self, Given, ROOM, Reply};
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
    r.op("ngx_encode", "quote_sql_str", op::raw(quote_sql_str))?;
    r.native("ngx_encode", "escape_uri", native::raw(escape_native))?;
    r.native("ngx_encode", "unescape_uri", native::raw(unescape_native))?;
    r.native("ngx_encode", "encode_base64", native::raw(encode_base64_native))?;
    r.native("ngx_encode", "decode_base64", native::raw(decode_base64_native))?;
    r.native("ngx_encode", "md5", native::raw(md5_hex_native))?;
    r.native("ngx_encode", "md5_bin", native::raw(md5_bin_native))?;
    r.native("ngx_encode", "sha1_bin", native::raw(sha1_bin_native))?;
    r.native("ngx_encode", "crc32", native::raw(crc32_native))
}

/// Argument 1, which the face has made a string.
fn given(a: &Args) -> &[u8] {
    a.str(1).unwrap_or_default()
}

/// nginx's kinds of percent-encoding, each a bit of [`PLAIN`].
pub(super) mod kind {
    /// `NGX_ESCAPE_URI`: what may stand in a whole URI stays.
    pub const WHOLE: u8 = 1;
    /// `NGX_ESCAPE_ARGS`.
    pub const ARGS: u8 = 2;
    /// `NGX_ESCAPE_URI_COMPONENT`: what `encodeURIComponent` leaves.
    pub const COMPONENT: u8 = 4;
    /// `NGX_ESCAPE_HTML`.
    pub const HTML: u8 = 8;
    /// `NGX_ESCAPE_REFRESH`.
    pub const REFRESH: u8 = 16;
    /// `NGX_ESCAPE_MEMCACHED`, which `NGX_ESCAPE_MAIL_AUTH` is too.
    pub const MEMCACHED: u8 = 32;
}

const fn is_in(b: u8, set: &[u8]) -> bool {
    let mut i = 0;
    while i < set.len() {
        if set[i] == b {
            return true;
        }
        i += 1;
    }
    false
}

/// Which kinds leave a byte as it is.
const PLAIN: [u8; 256] = {
    let mut plain = [0; 256];
    let mut b = 0u8;
    loop {
        let graphic = b > 0x20 && b < 0x7f;
        let mut kinds = 0;
        if graphic && !is_in(b, b"#%?") {
            kinds |= kind::WHOLE;
            if b != b'+' {
                kinds |= kind::ARGS;
            }
        }
        if b.is_ascii_alphanumeric() || is_in(b, b"-._~!'()*") {
            kinds |= kind::COMPONENT;
        }
        if graphic && !is_in(b, b"\"'") {
            kinds |= kind::REFRESH;
            if !is_in(b, b"#%") {
                kinds |= kind::HTML;
            }
        }
        if b > 0x20 && b != b'%' {
            kinds |= kind::MEMCACHED;
        }
        plain[b as usize] = kinds;
        if b == 255 {
            break plain;
        }
        b += 1;
    }
};

fn kind_of(number: i64) -> u8 {
    match number {
        0 => kind::WHOLE,
        1 => kind::ARGS,
        3 => kind::HTML,
        4 => kind::REFRESH,
        5 | 6 => kind::MEMCACHED,
        _ => kind::COMPONENT,
    }
}

fn triplet(b: u8) -> [u8; 3] {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    [b'%', HEX[usize::from(b >> 4)], HEX[usize::from(b & 15)]]
}

/// Percent-encodes what a kind does not leave as it is.
pub(super) fn escape(s: &[u8], kind: u8) -> Cow<'_, [u8]> {
    let plain = |b: u8| PLAIN[usize::from(b)] & kind != 0;
    if s.iter().all(|b| plain(*b)) {
        return Cow::Borrowed(s);
    }
    let mut out = Vec::with_capacity(s.len() + 16);
    for b in s {
        if plain(*b) {
            out.push(*b);
        } else {
            out.extend_from_slice(&triplet(*b));
        }
    }
    Cow::Owned(out)
}

/// `i` is the kind; none where nothing is to be encoded.
fn escape_native(g: &Given, reply: &mut Reply) -> c_int {
    if g.a.len() > ROOM / 3 {
        return native::OP;
    }
    let kind = kind_of(i64::from(g.i));
    let mut n = 0;
    for b in g.a {
        if PLAIN[usize::from(*b)] & kind != 0 {
            reply.bytes[n] = *b;
            n += 1;
        } else {
            reply.bytes[n..n + 3].copy_from_slice(&triplet(*b));
            n += 3;
        }
    }
    if n == g.a.len() { native::NONE } else { n as c_int }
}

/// `escape_uri(s, type)`: nginx's kinds of escaping, 0 to 6; 2 (for a component) unless given.
fn escape_uri(a: &Args, r: &mut Ret) {
    match escape(given(a), kind_of(a.num(2).unwrap_or(2.0) as i64)) {
        Cow::Borrowed(b) => r.str(b),
        Cow::Owned(v) => r.held(v.into()),
    };
}

/// Undoes percent-encoding; `+` is a space; what isn't an escape stays.
pub(super) fn unescape(s: &[u8]) -> Cow<'_, [u8]> {
    if memchr::memchr2(b'%', b'+', s).is_none() {
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

/// None where nothing is encoded.
fn unescape_native(g: &Given, reply: &mut Reply) -> c_int {
    if g.a.len() > ROOM {
        return native::OP;
    }
    match unescape(g.a) {
        Cow::Borrowed(_) => native::NONE,
        Cow::Owned(plain) => reply.text(&plain),
    }
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

/// `i`: without padding.
fn encode_base64_native(g: &Given, reply: &mut Reply) -> c_int {
    use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
    let engine = if g.i != 0 { &STANDARD_NO_PAD } else { &STANDARD };
    let written = engine.encode_slice(g.a, &mut reply.bytes);
    written.map_or(native::OP, |n| n as c_int)
}

/// None where it isn't base64.
fn decode_base64_native(g: &Given, reply: &mut Reply) -> c_int {
    if g.a.len() > ROOM {
        return native::OP;
    }
    let end = memchr::memchr(b'=', g.a).unwrap_or(g.a.len());
    match DECODER.decode_slice(&g.a[..end], &mut reply.bytes) {
        Ok(n) => n as c_int,
        Err(DecodeSliceError::OutputSliceTooSmall) => native::OP,
        Err(DecodeSliceError::DecodeError(_)) => native::NONE,
    }
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

fn hex<const N: usize>(bytes: &[u8]) -> [u8; N] {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let mut text = [0; N];
    for (pair, b) in text.chunks_exact_mut(2).zip(bytes) {
        pair.copy_from_slice(&[HEX[usize::from(b >> 4)], HEX[usize::from(b & 15)]]);
    }
    text
}

fn md5_text(s: &[u8]) -> [u8; 32] {
    hex(&md5::Md5::digest(s))
}

fn md5_hex(a: &Args, r: &mut Ret) {
    r.str(md5_text(given(a)));
}

fn md5_hex_native(g: &Given, reply: &mut Reply) -> c_int {
    reply.text(&md5_text(g.a))
}

fn md5_bin(a: &Args, r: &mut Ret) {
    r.str(md5::Md5::digest(given(a)));
}

fn md5_bin_native(g: &Given, reply: &mut Reply) -> c_int {
    reply.text(&md5::Md5::digest(g.a))
}

fn sha1_bin(a: &Args, r: &mut Ret) {
    r.str(sha1::Sha1::digest(given(a)));
}

fn sha1_bin_native(g: &Given, reply: &mut Reply) -> c_int {
    reply.text(&sha1::Sha1::digest(g.a))
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

fn crc32_native(g: &Given, reply: &mut Reply) -> c_int {
    reply.number = crc32fast::hash(g.a).into();
    0
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
