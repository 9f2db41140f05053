//! Parses a request head line by line, as far as its bytes have come, and refuses what must be refused.
//!
//! Line ends: CR LF, or LF alone as nginx accepts it in heads (RFC 9112, 2.2 allows that). A CR elsewhere is
//! refused. What nginx calls 494 is answered 431 here.
//!
//! Must not: look behind the empty line that ends the head.

use bytes::Bytes;
use memchr::memchr;

use super::chunked::ChunkLimits;
use super::head::{Framing, HeadFault, HeaderSpan, RequestHead, Span, Version};
use super::known::Known;
use super::plain::is_plain;
use super::target;

/// Limits on a head, all in bytes.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// The request line; above it 414.
    pub request_line: usize,
    /// One header line; above it 431.
    pub header_line: usize,
    /// The whole head; above it 431.
    pub head: usize,
    /// Header lines; above it 431.
    pub headers: usize,
    /// Limits inside chunked bodies.
    pub chunks: ChunkLimits,
}

impl Limits {
    /// The most a head may be allowed to have, whatever the settings say.
    pub const MAX_HEAD: usize = 16 * 1024 * 1024;

    /// From nginx's `large_client_header_buffers number size`.
    pub fn from_buffers(number: usize, size: usize) -> Self {
        let line = size.clamp(256, Self::MAX_HEAD);
        Self {
            request_line: line,
            header_line: line,
            head: line.saturating_mul(number.max(1)).min(Self::MAX_HEAD),
            headers: 1000,
            chunks: ChunkLimits::default(),
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self::from_buffers(4, 8 * 1024)
    }
}

/// Positions of known headers are kept in 16 bits.
const MAX_HEADERS: usize = 60_000;

/// A status and what nginx's error log says about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) status: u16,
    pub(super) reason: &'static str,
}

pub(super) const fn bad(reason: &'static str) -> Refusal {
    Refusal { status: 400, reason }
}

/// How far a head has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Progress {
    /// More bytes are needed; call again with these bytes and what follows them.
    More,
    /// The head is complete and has this many bytes.
    Done(usize),
    /// The head is refused.
    Refused(Refusal),
}

/// The state of parsing one head; reused for the next after `finish`.
#[derive(Debug)]
pub(super) struct HeadParser {
    draft: RequestHead,
    /// Where the line being read begins.
    line_start: usize,
    /// Up to here no line end was found.
    scanned: usize,
    has_line: bool,
    length: Option<u64>,
    chunked: bool,
}

/// Whether a byte may stand in a token (RFC 9110, 5.6.2).
pub(super) fn is_token(byte: u8) -> bool {
    TOKEN[usize::from(byte)]
}

const TOKEN: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0_usize;
    while byte < 128 {
        table[byte] = (byte as u8).is_ascii_alphanumeric();
        byte += 1;
    }
    let marks = b"!#$%&'*+-.^_`|~";
    let mut at = 0;
    while at < marks.len() {
        table[marks[at] as usize] = true;
        at += 1;
    }
    table
};

/// nginx's rule: capital letters, `_` and `-`.
fn is_method(byte: u8) -> bool {
    byte.is_ascii_uppercase() || byte == b'_' || byte == b'-'
}

/// Whether there are control characters but tabs.
fn has_control(value: &[u8]) -> bool {
    !is_plain(value) && value.iter().any(|b| b.is_ascii_control() && *b != b'\t')
}

fn trim(mut value: &[u8], mut start: usize) -> (usize, usize) {
    while let [b' ' | b'\t', rest @ ..] = value {
        value = rest;
        start += 1;
    }
    while let [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    (start, start + value.len())
}

// === impl HeadParser ===

impl HeadParser {
    pub(super) fn new() -> Self {
        Self {
            draft: RequestHead::empty(),
            line_start: 0,
            scanned: 0,
            has_line: false,
            length: None,
            chunked: false,
        }
    }

    /// Goes on with a head. `bytes` begins with the head's first byte each time.
    pub(super) fn parse(&mut self, bytes: &[u8], limits: &Limits) -> Progress {
        loop {
            let Some(found) = bytes.get(self.scanned..).and_then(|rest| memchr(b'\n', rest)) else {
                self.scanned = bytes.len();
                return match self.check_unfinished(bytes, limits) {
                    Ok(()) => Progress::More,
                    Err(refusal) => Progress::Refused(refusal),
                };
            };
            let line_feed = self.scanned + found;
            let start = self.line_start;
            let end = match line_feed {
                at if at > start && bytes[at - 1] == b'\r' => at - 1,
                at => at,
            };
            self.line_start = line_feed + 1;
            self.scanned = line_feed + 1;
            let step = if !self.has_line {
                self.has_line = true;
                self.request_line(bytes, start, end, limits)
            } else if start == end {
                return match self.check_whole(bytes) {
                    Ok(()) if line_feed + 1 > limits.head => Progress::Refused(TOO_LARGE),
                    Ok(()) => Progress::Done(line_feed + 1),
                    Err(refusal) => Progress::Refused(refusal),
                };
            } else if end > limits.head {
                Err(TOO_LARGE)
            } else {
                self.header_line(bytes, start, end, limits)
            };
            if let Err(refusal) = step {
                return Progress::Refused(refusal);
            }
        }
    }

    /// Takes the finished head out; `raw` are its exact bytes. The parser is ready for the next one.
    pub(super) fn finish(&mut self, raw: Bytes) -> RequestHead {
        let mut head = std::mem::replace(&mut self.draft, RequestHead::empty());
        head.raw = raw;
        self.line_start = 0;
        self.scanned = 0;
        self.has_line = false;
        self.length = None;
        self.chunked = false;
        head
    }

    /// Takes out what there is of a head that was refused.
    pub(super) fn finish_refused(&mut self, refusal: Refusal, raw: Bytes) -> HeadFault {
        let mut head = self.finish(raw);
        head.framing = Framing::None;
        HeadFault {
            status: refusal.status,
            reason: refusal.reason,
            head,
        }
    }

    fn check_unfinished(&mut self, bytes: &[u8], limits: &Limits) -> Result<(), Refusal> {
        let line = bytes.get(self.line_start..).unwrap_or_default();
        if !self.has_line {
            // Bytes that aren't HTTP (a TLS hello, say) need not wait for a line end.
            let method = line.iter().take_while(|byte| is_method(**byte)).count();
            if line.get(method).is_some_and(|byte| *byte != b' ' || method == 0) {
                self.draft.line = Span::new(0, line.len().min(limits.request_line));
                return Err(bad(
                    "client sent invalid method while reading client request line",
                ));
            }
            if line.len() > limits.request_line {
                self.draft.line = Span::new(0, limits.request_line);
                self.draft.method = Span::new(0, method);
                return Err(URI_TOO_LONG);
            }
        } else if line.len() > limits.header_line {
            return Err(LINE_TOO_LONG);
        } else if bytes.len() > limits.head {
            return Err(TOO_LARGE);
        }
        Ok(())
    }

    fn request_line(
        &mut self,
        bytes: &[u8],
        start: usize,
        end: usize,
        limits: &Limits,
    ) -> Result<(), Refusal> {
        let line = &bytes[start..end];
        self.draft.line = Span::new(start, end.min(start + limits.request_line));
        let method = line.iter().take_while(|byte| is_method(**byte)).count();
        if method == 0 || line.get(method) != Some(&b' ') {
            return Err(bad(
                "client sent invalid method while reading client request line",
            ));
        }
        self.draft.method = Span::new(start, start + method);
        if line.len() > limits.request_line {
            return Err(URI_TOO_LONG);
        }
        let rest = &line[method + 1..];
        let target_start = start + method + 1;
        let Some(space) = memchr(b' ', rest) else {
            return Err(bad("client sent HTTP/0.9 request"));
        };
        let version = parse_version(&rest[space + 1..]);
        // Known before the target is judged, so that a refusal speaks the client's version.
        self.draft.version = version.as_ref().ok().copied();
        target::parse(&mut self.draft, &line[..method], &rest[..space], target_start)?;
        version.map(|_| ())
    }

    fn header_line(
        &mut self,
        bytes: &[u8],
        start: usize,
        end: usize,
        limits: &Limits,
    ) -> Result<(), Refusal> {
        let line = &bytes[start..end];
        if line.len() > limits.header_line {
            return Err(LINE_TOO_LONG);
        }
        if self.draft.headers.len() >= limits.headers.min(MAX_HEADERS) {
            return Err(Refusal {
                status: 431,
                reason: "client sent too many header lines",
            });
        }
        let colon = line
            .iter()
            .position(|byte| !is_token(*byte))
            .unwrap_or(line.len());
        if colon == 0 || line.get(colon) != Some(&b':') {
            return Err(bad(match line.first() {
                Some(b' ' | b'\t') => "client sent folded header line",
                _ => "client sent invalid header line",
            }));
        }
        let value = &line[colon + 1..];
        if has_control(value) {
            return Err(bad("client sent invalid header line: control character in value"));
        }
        let (value_start, value_end) = trim(value, start + colon + 1);
        let position = self.draft.headers.len();
        if position == 0 {
            self.draft.headers.reserve(16);
        }
        self.draft.headers.push(HeaderSpan {
            name: Span::new(start, start + colon),
            value: Span::new(value_start, value_end),
        });
        let Some(id) = Known::of(&line[..colon]) else {
            return Ok(());
        };
        let duplicate = self.draft.known[id as usize] != 0;
        if !duplicate {
            self.draft.known[id as usize] = u16::try_from(position + 1).unwrap_or(0);
        }
        self.known_header(id, &bytes[value_start..value_end], duplicate)
    }

    fn known_header(&mut self, id: Known, value: &[u8], duplicate: bool) -> Result<(), Refusal> {
        match id {
            Known::Host if duplicate => return Err(bad("client sent duplicate host header")),
            Known::Host if !target::is_host(value) => return Err(bad("client sent invalid host header")),
            Known::ContentLength => {
                let length = parse_length(value)?;
                if self.length.is_some_and(|before| before != length) {
                    return Err(bad("client sent differing \"Content-Length\" headers"));
                }
                self.length = Some(length);
            }
            Known::TransferEncoding => {
                if duplicate || !value.eq_ignore_ascii_case(b"chunked") {
                    return Err(bad("client sent unknown \"Transfer-Encoding\""));
                }
                self.chunked = true;
            }
            Known::Connection => {
                for token in tokens(value) {
                    if token.eq_ignore_ascii_case(b"close") {
                        self.draft.connection.close = true;
                    } else if token.eq_ignore_ascii_case(b"keep-alive") {
                        self.draft.connection.keep_alive = true;
                    } else if token.eq_ignore_ascii_case(b"upgrade") {
                        self.draft.connection.upgrade = true;
                    }
                }
            }
            Known::Te => {
                self.draft.connection.te_trailers |=
                    tokens(value).any(|token| token.eq_ignore_ascii_case(b"trailers"));
            }
            Known::Expect => {
                self.draft.connection.expect_continue |= value.eq_ignore_ascii_case(b"100-continue");
            }
            _ => {}
        }
        Ok(())
    }

    fn check_whole(&mut self, bytes: &[u8]) -> Result<(), Refusal> {
        let http11 = self.draft.version == Some(Version::Http11);
        if http11 && self.draft.known[Known::Host as usize] == 0 {
            return Err(bad("client sent HTTP/1.1 request without \"Host\" header"));
        }
        if self.chunked {
            if self.length.is_some() {
                return Err(bad(
                    "client sent \"Content-Length\" and \"Transfer-Encoding\" headers at the same time",
                ));
            }
            if !http11 {
                return Err(bad(
                    "client sent HTTP/1.0 request with \"Transfer-Encoding\" header",
                ));
            }
            self.draft.framing = Framing::Chunked;
        } else if let Some(length) = self.length.filter(|length| *length > 0) {
            self.draft.framing = Framing::Length(length);
        }
        match self.draft.method.of(bytes) {
            b"CONNECT" => Err(Refusal {
                status: 405,
                reason: "client sent CONNECT method",
            }),
            b"TRACE" => Err(Refusal {
                status: 405,
                reason: "client sent TRACE method",
            }),
            _ => Ok(()),
        }
    }
}

const TOO_LARGE: Refusal = Refusal {
    status: 431,
    reason: "client sent too large request head",
};
const LINE_TOO_LONG: Refusal = Refusal {
    status: 431,
    reason: "client sent too long header line",
};
const URI_TOO_LONG: Refusal = Refusal {
    status: 414,
    reason: "client sent too long URI",
};

fn tokens(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii)
}

/// `HTTP/1.x`; a higher major version is 505 as in nginx.
fn parse_version(version: &[u8]) -> Result<Version, Refusal> {
    match version.strip_prefix(b"HTTP/") {
        Some([b'1', b'.', b'0']) => Ok(Version::Http10),
        Some([b'1', b'.', b'1'..=b'9']) => Ok(Version::Http11),
        Some([b'2'..=b'9'] | [b'2'..=b'9', b'.', b'0'..=b'9']) => Err(Refusal {
            status: 505,
            reason: "client sent invalid version while reading client request line",
        }),
        _ => Err(bad(
            "client sent invalid request while reading client request line",
        )),
    }
}

fn parse_length(value: &[u8]) -> Result<u64, Refusal> {
    const INVALID: Refusal = bad("client sent invalid \"Content-Length\" header");
    if value.is_empty() || value.len() > 19 {
        return Err(INVALID);
    }
    let mut length = 0_u64;
    for byte in value {
        if !byte.is_ascii_digit() {
            return Err(INVALID);
        }
        length = length * 10 + u64::from(byte - b'0');
    }
    if length > i64::MAX as u64 {
        Err(INVALID)
    } else {
        Ok(length)
    }
}
