//! Request targets and hosts, judged as nginx judges them: far more lenient than `http::Uri`.
//!
//! Must not: decode or normalise.

use super::head::{RequestHead, Span};
use super::head_parser::{Refusal, bad};

const INVALID: Refusal = bad("client sent invalid request while reading client request line");

/// Judges a target that begins at `start` of the head and notes its parts in `draft`.
///
/// # Source
/// RFC 9112, 3.2; nginx's `ngx_http_parse_request_line` for the characters let through: all but control
/// characters and spaces.
pub(super) fn parse(
    draft: &mut RequestHead,
    method: &[u8],
    target: &[u8],
    start: usize,
) -> Result<(), Refusal> {
    draft.target = Span::new(start, start + target.len());
    if target
        .iter()
        .fold(false, |found, &byte| found | (byte <= 0x20) | (byte == 0x7f))
    {
        return Err(INVALID);
    }
    match target {
        [b'/', ..] => Ok(()),
        b"*" if method == b"OPTIONS" => Ok(()),
        // Refused later, when the whole head is there.
        _ if method == b"CONNECT" && is_host(target) => Ok(()),
        _ => absolute(draft, target, start),
    }
}

fn absolute(draft: &mut RequestHead, target: &[u8], start: usize) -> Result<(), Refusal> {
    let scheme = [&b"http://"[..], b"https://"]
        .into_iter()
        .find(|scheme| {
            target
                .get(..scheme.len())
                .is_some_and(|begin| begin.eq_ignore_ascii_case(scheme))
        })
        .ok_or(INVALID)?
        .len();
    let rest = &target[scheme..];
    let authority = rest
        .iter()
        .take_while(|byte| !matches!(byte, b'/' | b'?' | b'#'))
        .count();
    if !is_host(&rest[..authority]) {
        return Err(bad("client sent invalid host in request line"));
    }
    draft.authority = Some(Span::new(start + scheme, start + scheme + authority));
    let path = &rest[authority..];
    draft.target = Span::new(start + scheme + authority, start + target.len());
    if path.first() != Some(&b'/') {
        draft.rebuilt_target = Some([b"/", path].concat().into_boxed_slice());
    }
    Ok(())
}

/// Whether a value may be a Host header: a name or address, and maybe a port.
///
/// # Source
/// nginx's `ngx_http_validate_host`; what would end an authority in a URI is refused too.
pub fn is_host(host: &[u8]) -> bool {
    let (name, port) = match host {
        [b'[', inner @ ..] => match memchr::memchr(b']', inner) {
            Some(end) => {
                let address = &inner[..end];
                let fits = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b':' | b'.' | b'%');
                if address.is_empty() || !address.iter().all(fits) {
                    return false;
                }
                (&b"[]"[..], &inner[end + 1..])
            }
            None => return false,
        },
        _ => host.split_at(memchr::memchr(b':', host).unwrap_or(host.len())),
    };
    let fits = |byte: &u8| {
        !matches!(
            byte,
            0..=0x20 | 0x7f | b'/' | b'?' | b'#' | b'@' | b'\\' | b'"' | b'<' | b'>' | b','
        )
    };
    let port_fits = match port {
        [] => true,
        [b':', digits @ ..] => digits.len() <= 5 && digits.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    // A single dot at the start is an empty name, two together an empty label.
    let dots_fit = name != b"." && !name.windows(2).any(|pair| pair == b"..");
    !name.is_empty() && name.iter().all(fits) && dots_fit && port_fits
}
