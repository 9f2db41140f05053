//! A request head as the client sent it: one buffer with the exact bytes, and where its parts stand.
//!
//! Must not: change the bytes, normalise the path or judge anything beyond what `head_parser` judged.

use bytes::Bytes;

use super::known::{KNOWN_COUNT, Known};

/// The version the client spoke; minor versions above 1 count as 1.1 (RFC 9110, 2.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// HTTP/1.0
    Http10,
    /// HTTP/1.1
    Http11,
}

/// How the body behind a head is delimited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Framing {
    /// No body.
    #[default]
    None,
    /// `Content-Length`, in bytes, greater than zero.
    Length(u64),
    /// `Transfer-Encoding: chunked`.
    Chunked,
}

/// A part of the raw head.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Span {
    pub(super) start: u32,
    pub(super) end: u32,
}

impl Span {
    pub(super) fn new(start: usize, end: usize) -> Self {
        // Limits::MAX_HEAD keeps heads far below 4 GiB.
        Self {
            start: start as u32,
            end: end as u32,
        }
    }

    pub(super) fn of(self, raw: &[u8]) -> &[u8] {
        raw.get(self.start as usize..self.end as usize)
            .unwrap_or_default()
    }
}

#[derive(Debug, Clone, Copy)]
pub(super) struct HeaderSpan {
    pub(super) name: Span,
    pub(super) value: Span,
}

/// One request head, exact bytes kept.
///
/// Header names keep their case, order and duplicates. For a head that was refused (see [`HeadFault`]) the parts
/// read before the refusal are there and the others are empty.
#[derive(Debug, Clone)]
pub struct RequestHead {
    pub(super) raw: Bytes,
    pub(super) line: Span,
    pub(super) method: Span,
    pub(super) target: Span,
    /// Set only for an absolute-form target whose path is empty but which has a query.
    pub(super) rebuilt_target: Option<Box<[u8]>>,
    /// Host and port out of an absolute-form target.
    pub(super) authority: Option<Span>,
    pub(super) version: Option<Version>,
    pub(super) headers: Vec<HeaderSpan>,
    /// Position of the first header of each known name, plus one.
    pub(super) known: [u16; KNOWN_COUNT],
    pub(super) framing: Framing,
    pub(super) connection: ConnectionTokens,
}

/// What the Connection, TE and Expect headers said, as far as framing is concerned.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct ConnectionTokens {
    pub(super) close: bool,
    pub(super) keep_alive: bool,
    pub(super) upgrade: bool,
    pub(super) te_trailers: bool,
    pub(super) expect_continue: bool,
}

/// A head that was refused, with the status to answer.
#[derive(Debug, Clone)]
pub struct HeadFault {
    /// 400, 405, 414, 431 or 505.
    pub status: u16,
    /// What was wrong, in the words of nginx's error log where it has them.
    pub reason: &'static str,
    /// What was read of the head before it was refused; `raw()` are the bytes so far.
    pub head: RequestHead,
}

/// What the service finds in the queue for each request hyper calls it with.
#[derive(Debug)]
pub enum Incoming {
    /// A head that may be served.
    Head(RequestHead),
    /// A head to refuse; the connection closes after the answer.
    Fault(HeadFault),
}

// === impl RequestHead ===

impl RequestHead {
    pub(super) fn empty() -> Self {
        Self {
            raw: Bytes::new(),
            line: Span::default(),
            method: Span::default(),
            target: Span::default(),
            rebuilt_target: None,
            authority: None,
            version: None,
            headers: Vec::new(),
            known: [0; KNOWN_COUNT],
            framing: Framing::None,
            connection: ConnectionTokens::default(),
        }
    }

    /// The exact bytes, shared.
    pub fn raw_bytes(&self) -> Bytes {
        self.raw.clone()
    }

    /// Where each header's name and value stand in the raw bytes: (start, length) twice.
    pub fn spans(&self) -> impl Iterator<Item = ((usize, usize), (usize, usize))> {
        let at = |s: Span| (s.start as usize, (s.end - s.start) as usize);
        self.headers.iter().map(move |h| (at(h.name), at(h.value)))
    }

    /// The method as sent; empty when it could not be read.
    pub fn method(&self) -> &[u8] {
        self.method.of(&self.raw)
    }

    /// The target in origin form (path and query as sent), or `*`. An absolute-form target is taken apart: this
    /// is what stands behind its authority, `/` where nothing does.
    pub fn target(&self) -> &[u8] {
        match &self.rebuilt_target {
            Some(target) => target,
            None => self.target.of(&self.raw),
        }
    }

    /// Host (and port) the request is for: from an absolute-form target, else the Host header.
    pub fn host(&self) -> Option<&[u8]> {
        match self.authority {
            Some(authority) => Some(authority.of(&self.raw)),
            None => self.known(Known::Host),
        }
    }

    /// The version; `None` when the request line could not be read that far.
    pub fn version(&self) -> Option<Version> {
        self.version
    }

    /// The request line as sent, without its line end.
    pub fn request_line(&self) -> &[u8] {
        self.line.of(&self.raw)
    }

    /// The exact bytes of the head, the empty line included (`ngx.req.raw_header()`).
    pub fn raw(&self) -> &[u8] {
        &self.raw
    }

    /// The header block's exact bytes, without the request line (`ngx.req.raw_header(true)`).
    pub fn raw_headers(&self) -> &[u8] {
        let rest = self.raw.get(self.line.end as usize..).unwrap_or_default();
        rest.strip_prefix(b"\r\n")
            .or_else(|| rest.strip_prefix(b"\n"))
            .unwrap_or(rest)
    }

    /// How many header lines there are.
    pub fn header_count(&self) -> usize {
        self.headers.len()
    }

    /// All headers in the order sent, names in the case sent, values without surrounding white space.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (&[u8], &[u8])> + ExactSizeIterator {
        self.headers
            .iter()
            .map(|header| (header.name.of(&self.raw), header.value.of(&self.raw)))
    }

    /// The first value of a known header.
    pub fn known(&self, id: Known) -> Option<&[u8]> {
        let position = usize::from(self.known[id as usize]).checked_sub(1)?;
        self.headers
            .get(position)
            .map(|header| header.value.of(&self.raw))
    }

    /// The first value of a header; `name` in any case.
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        match Known::of(name.as_bytes()) {
            Some(id) => self.known(id),
            None => {
                let mut headers = self.iter();
                headers
                    .find(|(other, _)| other.eq_ignore_ascii_case(name.as_bytes()))
                    .map(|(_, value)| value)
            }
        }
    }

    /// All values of a header in the order sent; `name` in any case.
    pub fn get_all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        self.iter()
            .filter(move |(candidate, _)| {
                candidate.len() == name.len() && candidate.eq_ignore_ascii_case(name.as_bytes())
            })
            .map(|(_, value)| value)
    }

    /// How the body is delimited.
    pub fn framing(&self) -> Framing {
        self.framing
    }

    /// Whether the client asked to change the protocol (`Connection: upgrade` and an Upgrade header, on 1.1).
    /// The guard then holds back further bytes: see `GuardHandle::decline_upgrade`.
    pub fn wants_upgrade(&self) -> bool {
        self.connection.upgrade
            && self.version == Some(Version::Http11)
            && self.known[Known::Upgrade as usize] != 0
    }

    /// Whether the client waits for `100 Continue` before it sends the body.
    pub fn expects_continue(&self) -> bool {
        self.connection.expect_continue && self.version == Some(Version::Http11)
    }

    /// Whether the client accepts trailers (`TE: trailers`).
    pub fn accepts_trailers(&self) -> bool {
        self.connection.te_trailers
    }

    /// Whether the client wants the connection kept open.
    pub fn keep_alive(&self) -> bool {
        match self.version {
            Some(Version::Http11) => !self.connection.close,
            Some(Version::Http10) => self.connection.keep_alive && !self.connection.close,
            None => false,
        }
    }
}
