//! The response as plugins see and change it.

use std::rc::Rc;

use bytes::Bytes;
use http::header::Entry;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use super::output::Output;
use crate::net::spelling::{Spelling, is_usual};

/// Who made the response (`kong.response.get_source`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Source {
    /// An upstream answered (`KONG_PROXIED`).
    Service,
    /// A plugin answered (`KONG_EXITED`).
    Exit,
    /// The gateway answered: an error (`KONG_UNEXPECTED`, faults).
    #[default]
    Error,
}

/// An answer that a plugin or the gateway makes itself.
#[derive(Debug, Clone, Default)]
pub struct Answer {
    /// The status, 100–999.
    pub status: u16,
    /// The body.
    pub body: Bytes,
}

/// The response. Its head may change until it was sent.
#[derive(Debug, Clone, Default)]
pub struct Response {
    /// The status (`ngx.status`).
    pub status: u16,
    /// A status and its own reason phrase, from the upstream or `ngx.resp`: holds while the status stays.
    pub reason: Option<Box<(u16, Bytes)>>,
    /// header_filter closed the connection.
    pub cut: bool,
    /// The connection closes after it.
    pub closes: bool,
    /// A subrequest that ended without a body, by its status alone.
    pub bare: bool,
    /// The headers (`ngx.header`).
    pub headers: HeaderMap,
    /// How their names are written, where that is not the usual way.
    pub spelling: Spelling,
    /// Who made it.
    pub source: Source,
    /// Set once header_filter has seen the head (`ngx.headers_sent`).
    pub head_sent: bool,
    /// It leaves in chunks (`$sent_http_transfer_encoding`).
    pub chunked: bool,
    /// What `ngx.say`, `ngx.print` and `kong.response.exit` left as the body; None when an upstream's is used.
    pub body: Option<Vec<u8>>,
    /// From the first `ngx.print` on: how what is written leaves, `body` holding what body_filter has not seen.
    pub output: Option<Rc<Output>>,
    /// The upstream's status (`$upstream_status`).
    pub upstream_status: Option<u16>,
    /// Body bytes that came from the upstream (`$upstream_response_length`).
    pub upstream_length: u64,
    /// Headers that the upstream did not send, set since by Lua or before its answer came.
    pub added: Vec<HeaderName>,
    /// Body bytes handed to the client (`$body_bytes_sent`).
    pub body_bytes_sent: u64,
    /// `$limit_rate`, bytes per second; 0 for none.
    pub limit_rate: u64,
    /// `limit_rate_after`: so many bytes leave before it counts.
    pub limit_rate_after: u64,
    /// The chunk under body_filter (`ngx.arg[1]`).
    pub chunk: Bytes,
    /// Whether that chunk is the last (`ngx.arg[2]`).
    pub last_chunk: bool,
    /// What a body_filter handler put into `ngx.arg[1]`: None leaves the chunk as it is.
    pub new_chunk: Option<Bytes>,
    /// The whole body, where buffering was asked for (`kong.service.request.enable_buffering`, response phase).
    pub buffered: Option<Bytes>,
    /// Asked for by `enable_buffering` or by a `response` handler.
    pub buffering: bool,
    /// Trailers of the upstream (`$sent_trailer_`, `$upstream_trailer_`).
    pub trailers: Option<HeaderMap>,
}

/// How many header lines Lua may make. The map holds a few more, which the gateway's own need: it panics beyond that.
const MAX_LINES: usize = 20_000;

impl Response {
    /// Whether Lua may add no more header lines.
    pub fn is_full(&self) -> bool {
        self.headers.len() >= MAX_LINES
    }

    /// `$limit_rate`, as nginx reads a size: digits, and K or M behind them; false where it is none.
    pub fn set_limit_rate(&mut self, text: &str) -> bool {
        let factor = match text.as_bytes().last() {
            Some(b'k' | b'K') => 1 << 10,
            Some(b'm' | b'M') => 1 << 20,
            _ => 1,
        };
        let digits = &text[..text.len() - usize::from(factor > 1)];
        let number = digits
            .bytes()
            .all(|b| b.is_ascii_digit())
            .then(|| digits.parse().ok());
        let rate = number.flatten().and_then(|n: u64| n.checked_mul(factor));
        match rate.filter(|rate| *rate <= i64::MAX as u64) {
            Some(rate) => self.limit_rate = rate,
            None => return false,
        }
        true
    }

    /// Notes how Lua writes the name of a header that it is about to set: `_` stands for `-`. One that is there keeps its
    /// spelling, as on nginx.
    #[inline]
    pub fn spell(&mut self, name: &HeaderName, written: &[u8]) {
        if !self.spelling.is_empty() || !is_usual(written) {
            self.spell_anew(name, written);
        }
    }

    fn spell_anew(&mut self, name: &HeaderName, written: &[u8]) {
        let mut room = [0; 64];
        let dashed = room.get_mut(..written.len());
        // what no name may hold is written in another way
        let Some(dashed) =
            dashed.filter(|_| written.len() == name.as_str().len() && !self.headers.contains_key(name))
        else {
            return;
        };
        for (to, from) in dashed.iter_mut().zip(written) {
            *to = if *from == b'_' { b'-' } else { *from };
        }
        self.spelling.note(dashed);
    }

    /// Sets a header, and notes it where the upstream sent none of the name.
    pub fn set_header(&mut self, name: &HeaderName, value: HeaderValue) {
        let full = self.is_full();
        match self.headers.try_entry(name) {
            Ok(Entry::Occupied(mut there)) => {
                there.insert(value);
            }
            // beyond the limit a line is left out rather than a panic risked
            Ok(Entry::Vacant(_)) if full => {}
            Ok(Entry::Vacant(free)) => {
                if self.upstream_status.is_some() {
                    self.added.push(free.key().clone());
                }
                let _ = free.try_insert(value);
            }
            Err(_) => {}
        }
    }

    /// Bytes handed to the client, head and body (`$bytes_sent`); the chunks' own framing is not counted.
    pub fn bytes_sent(&self) -> u64 {
        if !self.head_sent {
            return 0;
        }
        const DATE: usize = "Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n".len();
        let reason = StatusCode::from_u16(self.status)
            .ok()
            .and_then(|s| s.canonical_reason());
        let line = "HTTP/1.1 200 \r\n".len() + reason.unwrap_or_default().len();
        let lines = self.headers.iter().map(|(n, v)| n.as_str().len() + v.len() + 4);
        let date = if self.headers.contains_key(http::header::DATE) {
            0
        } else {
            DATE
        };
        (line + lines.sum::<usize>() + date + 2) as u64 + self.body_bytes_sent
    }

    /// Whether `name` is a header of the upstream's answer.
    pub fn of_upstream(&self, name: &HeaderName) -> bool {
        self.upstream_status.is_some() && !self.added.contains(name)
    }
}
