//! A ClientHello as it came: what rustls does not tell of it.
//!
//! Must not: judge a handshake (rustls does), or keep more than one message of a bounded size.

use std::ops::Range;

/// OpenSSL takes no longer ClientHello.
pub const MAX_HELLO: usize = 16_384;

/// The most bytes that are read for one: its records' headers come on top, and many small records are no excuse.
pub const MAX_BYTES: usize = MAX_HELLO + 2048;

const HANDSHAKE: u8 = 22;
const CLIENT_HELLO: u8 = 1;
const MAX_RECORD: usize = 16_384;

const SERVER_NAME: u16 = 0;
const SUPPORTED_GROUPS: u16 = 10;
const SIGNATURE_ALGORITHMS: u16 = 13;
const SUPPORTED_VERSIONS: u16 = 43;

/// The protocols, as they stand on the wire.
pub const TLS12: u16 = 0x0303;
/// See [`TLS12`].
pub const TLS13: u16 = 0x0304;

/// A ClientHello.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hello {
    /// The message without its header.
    body: Box<[u8]>,
    ciphers: Range<usize>,
    /// Type and contents, in the order they came.
    extensions: Vec<(u16, Range<usize>)>,
}

/// How far a ClientHello has come.
#[derive(Debug, PartialEq, Eq)]
pub enum Progress {
    /// More has to be read.
    More,
    /// It is there.
    Whole(Hello),
    /// What comes is none, or a longer one than is taken; OpenSSL's reason.
    Broken(&'static str),
}

/// Reads records from the start of a connection.
pub fn read(bytes: &[u8]) -> Progress {
    let mut message = Vec::new();
    let mut rest = bytes;
    loop {
        if let Some((length, body)) = header(&message) {
            if length > MAX_HELLO {
                return Progress::Broken("excessive message size");
            }
            if let Some(body) = body.get(..length) {
                return match parse(body) {
                    Some(hello) => Progress::Whole(hello),
                    None => Progress::Broken("length mismatch"),
                };
            }
        }
        let Some((head, body)) = rest.split_at_checked(5) else {
            return match rest.first() {
                Some(kind) if *kind != HANDSHAKE => Progress::Broken("wrong version number"),
                _ => Progress::More,
            };
        };
        let length = usize::from(u16::from_be_bytes([head[3], head[4]]));
        if head[0] != HANDSHAKE || head[1] != 3 {
            return Progress::Broken("wrong version number");
        }
        if length == 0 || length > MAX_RECORD {
            return Progress::Broken("packet length too long");
        }
        let here = &body[..length.min(body.len())];
        message.extend_from_slice(here);
        if message.first().is_some_and(|kind| *kind != CLIENT_HELLO) {
            return Progress::Broken("unexpected message");
        }
        if here.len() < length {
            // all of a record first, as its like are taken by rustls, too
            return match header(&message) {
                Some((length, _)) if length > MAX_HELLO => Progress::Broken("excessive message size"),
                _ => Progress::More,
            };
        }
        rest = &body[length..];
    }
}

/// A message's length and what is there of its body.
fn header(message: &[u8]) -> Option<(usize, &[u8])> {
    let (head, body) = message.split_at_checked(4)?;
    let length = u32::from_be_bytes([0, head[1], head[2], head[3]]);
    Some((length as usize, body))
}

/// A place in the message.
struct Cursor<'a> {
    body: &'a [u8],
    at: usize,
}

impl Cursor<'_> {
    fn take(&mut self, n: usize) -> Option<Range<usize>> {
        let range = self.at..self.at.checked_add(n)?;
        self.body.get(range.clone())?;
        self.at = range.end;
        Some(range)
    }

    fn number(&mut self, bytes: usize) -> Option<usize> {
        let range = self.take(bytes)?;
        Some(
            self.body[range]
                .iter()
                .fold(0, |n, byte| n << 8 | usize::from(*byte)),
        )
    }

    /// A vector behind its length of so many bytes.
    fn vector(&mut self, bytes: usize) -> Option<Range<usize>> {
        let length = self.number(bytes)?;
        self.take(length)
    }
}

fn parse(body: &[u8]) -> Option<Hello> {
    let mut c = Cursor { body, at: 0 };
    c.take(2 + 32)?;
    let session = c.vector(1)?;
    if session.len() > 32 {
        return None;
    }
    let ciphers = c.vector(2)?;
    if ciphers.len() % 2 != 0 {
        return None;
    }
    c.vector(1)?;
    let mut extensions = Vec::new();
    if c.at < body.len() {
        let all = c.vector(2)?;
        if c.at != body.len() {
            return None;
        }
        c.at = all.start;
        while c.at < all.end {
            let kind = c.number(2)? as u16;
            extensions.push((kind, c.vector(2)?));
        }
    }
    Some(Hello {
        body: body.into(),
        ciphers,
        extensions,
    })
}

fn numbers(bytes: &[u8]) -> impl Iterator<Item = u16> {
    bytes
        .chunks_exact(2)
        .map(|pair| u16::from_be_bytes([pair[0], pair[1]]))
}

/// Whether a number is one that stands for nothing and is sent to keep servers tolerant (RFC 8701).
pub fn is_grease(number: u16) -> bool {
    number & 0x0f0f == 0x0a0a && number >> 8 == number & 0xff
}

// === impl Hello ===

impl Hello {
    /// The client's random bytes.
    pub fn random(&self) -> &[u8] {
        &self.body[2..34]
    }

    /// The cipher suites offered, in the client's order.
    pub fn ciphers(&self) -> impl Iterator<Item = u16> {
        numbers(&self.body[self.ciphers.clone()])
    }

    /// An extension's contents.
    pub fn extension(&self, kind: u16) -> Option<&[u8]> {
        let (_, range) = self.extensions.iter().find(|(k, _)| *k == kind)?;
        Some(&self.body[range.clone()])
    }

    /// The extensions' types, in the client's order.
    pub fn extensions(&self) -> impl Iterator<Item = u16> {
        self.extensions.iter().map(|(kind, _)| *kind)
    }

    /// The name the client asks for, as it spells it.
    pub fn server_name(&self) -> Option<&[u8]> {
        let body = self.extension(SERVER_NAME)?;
        let mut c = Cursor { body, at: 0 };
        let list = c.vector(2)?;
        c.at = list.start;
        if c.number(1)? != 0 {
            return None;
        }
        let name = &body[c.vector(2)?];
        (!name.is_empty() && name.len() <= 255 && !name.contains(&0)).then_some(name)
    }

    /// The groups (curves) the client can do, in its order.
    pub fn groups(&self) -> impl Iterator<Item = u16> {
        self.list(SUPPORTED_GROUPS)
    }

    /// The signatures the client can check, in its order.
    pub fn signatures(&self) -> impl Iterator<Item = u16> {
        self.list(SIGNATURE_ALGORITHMS)
    }

    fn list(&self, kind: u16) -> impl Iterator<Item = u16> {
        let list = self.extension(kind).and_then(|body| body.get(2..));
        numbers(list.unwrap_or_default())
    }

    /// Whether the client can do this version.
    pub fn can(&self, version: u16) -> bool {
        match self.extension(SUPPORTED_VERSIONS).and_then(|body| body.get(1..)) {
            Some(list) => numbers(list).any(|v| v == version),
            None => version == TLS12 && numbers(&self.body[..2]).any(|most| most >= TLS12),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// A ClientHello of these parts, in one record.
    pub(crate) fn hello(ciphers: &[u16], extensions: &[(u16, &[u8])]) -> Vec<u8> {
        let short = |n: usize| u16::try_from(n).unwrap().to_be_bytes();
        let mut body = vec![3, 3];
        body.extend([7; 32]);
        body.push(0);
        body.extend(short(ciphers.len() * 2));
        body.extend(ciphers.iter().flat_map(|c| c.to_be_bytes()));
        body.extend([1, 0]);
        let mut all = Vec::new();
        for (kind, contents) in extensions {
            all.extend(kind.to_be_bytes());
            all.extend(short(contents.len()));
            all.extend(*contents);
        }
        body.extend(short(all.len()));
        body.extend(all);
        let mut message = vec![CLIENT_HELLO, 0];
        message.extend(short(body.len()));
        message.extend(body);
        message
    }

    pub(crate) fn record(message: &[u8]) -> Vec<u8> {
        let mut record = vec![HANDSHAKE, 3, 1];
        record.extend(u16::try_from(message.len()).unwrap().to_be_bytes());
        record.extend(message);
        record
    }

    fn named(name: &str) -> Vec<u8> {
        let n = name.len() as u8;
        let mut contents = vec![0, n + 3, 0, 0, n];
        contents.extend(name.as_bytes());
        contents
    }

    #[test]
    fn c07_a_hello_tells_its_parts_wherever_records_are_cut() {
        let name = named("a.example");
        let message = hello(
            &[0x1302, 0x2a2a, 0xc02b],
            &[
                (0, &name),
                (43, &[4, 3, 4, 3, 3]),
                (10, &[0, 4, 0, 29, 0, 23]),
                (13, &[0, 2, 4, 3]),
            ],
        );
        for cut in 1..message.len() {
            let mut bytes = record(&message[..cut]);
            bytes.extend(record(&message[cut..]));
            for end in 0..bytes.len() {
                assert_eq!(read(&bytes[..end]), Progress::More, "{cut} {end}");
            }
            let Progress::Whole(hello) = read(&bytes) else {
                panic!("{cut}")
            };
            assert_eq!(hello.server_name(), Some(&b"a.example"[..]));
            assert_eq!(hello.ciphers().collect::<Vec<_>>(), [0x1302, 0x2a2a, 0xc02b]);
            assert_eq!(hello.groups().collect::<Vec<_>>(), [29, 23]);
            assert_eq!(hello.signatures().collect::<Vec<_>>(), [0x0403]);
            assert_eq!(hello.extensions().collect::<Vec<_>>(), [0, 43, 10, 13]);
            assert!(hello.can(TLS13) && hello.can(TLS12) && !hello.can(0x0302));
            assert_eq!(hello.random(), [7; 32]);
        }
        assert!(is_grease(0x2a2a) && is_grease(0xfafa) && !is_grease(0x1302) && !is_grease(0x2a3a));
    }

    #[test]
    fn c07_what_is_no_hello_is_refused_with_a_reason() {
        let refused = |bytes: &[u8]| match read(bytes) {
            Progress::Broken(why) => why,
            other => panic!("{other:?}"),
        };
        assert_eq!(refused(b"GET / HTTP/1.1\r\n"), "wrong version number");
        assert_eq!(refused(b"G"), "wrong version number");
        assert_eq!(refused(&[22, 3, 1, 0, 0]), "packet length too long");
        assert_eq!(refused(&[22, 3, 1, 0x7f, 0xff]), "packet length too long");
        assert_eq!(refused(&record(&[2, 0, 0, 0])), "unexpected message");
        assert_eq!(refused(&record(&[1, 0, 0x7f, 0xff])), "excessive message size");
        assert_eq!(refused(&record(&[1, 0, 0, 3, 3, 3, 0])), "length mismatch");
    }

    #[test]
    fn c07_no_cut_or_changed_hello_makes_the_reader_panic() {
        let name = named("a.example");
        let good = record(&hello(
            &[0x1302],
            &[(0, &name), (43, &[2, 3, 4]), (10, &[0, 2, 0, 29])],
        ));
        let mut seed = 0x9e37_79b9_u64;
        for _ in 0..20_000 {
            let mut bytes = good.clone();
            for _ in 0..3 {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let at = (seed >> 33) as usize % bytes.len();
                bytes[at] = (seed >> 24) as u8;
            }
            bytes.truncate((seed >> 40) as usize % (bytes.len() + 1));
            if let Progress::Whole(hello) = read(&bytes) {
                let _ = (hello.server_name(), hello.groups().count(), hello.can(TLS13));
                let _ = (hello.ciphers().count(), hello.signatures().count());
            }
        }
    }
}
