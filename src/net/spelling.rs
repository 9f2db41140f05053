//! How the names of a response's headers are written: those that are not written in the usual way (`X-Some-Name`) are
//! noted, and all others take no room.
//!
//! Must not: know values, or what a name means.

use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::{cell::RefCell, io};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What is noted at most, in bytes: what goes beyond leaves in the usual way.
const MOST: usize = 16 << 10;

/// Names that are usually written in a way of their own.
const OWN: [&str; 2] = ["ETag", "WWW-Authenticate"];

/// Names in an unusual spelling, each followed by a line feed.
#[derive(Debug, Clone, Default)]
pub struct Spelling(Vec<u8>);

/// What a byte is in a name, by one bit each.
const LOWER: u8 = 1;
const UPPER: u8 = 2;
const DASH: u8 = 4;
const END: u8 = 8;
const CLASS: [u8; 256] = {
    let mut class = [0; 256];
    let mut b = 0;
    while b < 256 {
        class[b] = match b as u8 {
            b'a'..=b'z' => LOWER,
            b'A'..=b'Z' => UPPER,
            b'-' => DASH,
            b':' | b'\n' => END,
            _ => 0,
        };
        b += 1;
    }
    class
};

/// Where the name at the beginning of `bytes` ends, if it does, and whether it is written X-Some-Name.
#[inline]
fn name_of(bytes: &[u8]) -> (Option<usize>, bool) {
    let (mut wrong, mut found) = (LOWER, 0);
    for (at, b) in bytes.iter().enumerate() {
        let class = CLASS[usize::from(*b)];
        if class == END {
            return (Some(at), found == 0);
        }
        found |= class & wrong;
        wrong = if class == DASH { LOWER } else { UPPER };
    }
    (None, found == 0)
}

/// Whether a name is written as it would be without a note.
#[inline]
pub fn is_usual(name: &[u8]) -> bool {
    let usual = name_of(name).1;
    match name.len() {
        4 | 16 => is_own(name).unwrap_or(usual),
        _ => usual,
    }
}

/// Whether a name that has a way of its own is written in it.
fn is_own(name: &[u8]) -> Option<bool> {
    let own = OWN.iter().find(|own| own.as_bytes().eq_ignore_ascii_case(name))?;
    Some(own.as_bytes() == name)
}

impl Spelling {
    /// Whether all names are written in the usual way.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A header is written like this from now on.
    #[inline]
    pub fn note(&mut self, name: &[u8]) {
        let usual = is_usual(name);
        if !usual || !self.is_empty() {
            self.change(name, usual);
        }
    }

    #[cold]
    fn change(&mut self, name: &[u8], usual: bool) {
        let mut at = 0;
        for line in self.0.split_inclusive(|b| *b == b'\n') {
            if line.len() == name.len() + 1 && line[..name.len()].eq_ignore_ascii_case(name) {
                self.0.drain(at..at + name.len() + 1);
                break;
            }
            at += line.len();
        }
        // nginx writes this one itself
        let own = name.eq_ignore_ascii_case(b"content-type");
        if !usual && !own && self.0.len() + name.len() < MOST {
            self.0.extend_from_slice(name);
            self.0.push(b'\n');
        }
    }

    /// Takes over what another one notes.
    pub fn add(&mut self, other: &Self) {
        for name in other.0.split(|b| *b == b'\n').filter(|name| !name.is_empty()) {
            self.note(name);
        }
    }

    /// Writes a name, given in lower case.
    #[inline]
    pub fn write(&self, out: &mut Vec<u8>, name: &[u8]) {
        if !self.is_empty()
            && let Some(noted) = self.noted(name)
        {
            return out.extend_from_slice(noted);
        }
        let start = out.len();
        out.extend_from_slice(name);
        if let b'e' | b'w' = name.first().copied().unwrap_or_default()
            && let Some(own) = OWN.iter().find(|own| own.as_bytes().eq_ignore_ascii_case(name))
        {
            return out[start..].copy_from_slice(own.as_bytes());
        }
        let mut up = true;
        for b in &mut out[start..] {
            if up {
                b.make_ascii_uppercase();
            }
            up = *b == b'-';
        }
    }

    fn noted(&self, name: &[u8]) -> Option<&[u8]> {
        let mut names = self.0.split(|b| *b == b'\n');
        names.find(|noted| noted.eq_ignore_ascii_case(name))
    }
}

/// Where a reader of heads stands.
#[derive(Debug, Default)]
enum At {
    /// Not in a head.
    #[default]
    Behind,
    /// In the status line.
    Status,
    /// At the beginning of a line, or in its name.
    Name,
    /// Behind the name.
    Value,
}

/// Listens to a response's head.
#[derive(Debug, Default)]
struct Ear {
    at: At,
    /// What came of a status line or a name that is not whole.
    begun: Vec<u8>,
    /// The head is one of those before the answer's (1xx).
    informs: bool,
    heard: Spelling,
}

/// The other end of [`Overheard`].
#[derive(Debug, Clone, Default)]
pub(super) struct Ears(Rc<RefCell<Ear>>);

impl Ears {
    /// A response's head comes next.
    pub(super) fn open(&self) {
        let mut ear = self.0.borrow_mut();
        ear.at = At::Status;
        ear.begun.clear();
        ear.heard.0.clear();
    }

    /// How the names of the head that came are written.
    pub(super) fn take(&self) -> Spelling {
        let mut ear = self.0.borrow_mut();
        ear.at = At::Behind;
        match ear.heard.is_empty() {
            true => Spelling::default(),
            false => std::mem::take(&mut ear.heard),
        }
    }
}

impl Ear {
    fn hear(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            match self.at {
                At::Behind => return,
                At::Status => {
                    let Some(end) = memchr::memchr(b'\n', bytes) else {
                        return self.keep(bytes);
                    };
                    self.keep(&bytes[..end.min(16)]);
                    // what is switched to (101) is no HTTP
                    self.informs = self.begun.get(9) == Some(&b'1') && !self.begun[9..].starts_with(b"101");
                    self.begun.clear();
                    self.at = At::Name;
                    bytes = &bytes[end + 1..];
                }
                At::Name => {
                    let (end, usual) = name_of(bytes);
                    let Some(end) = end else {
                        return self.keep(bytes);
                    };
                    // mostly there is nothing to note
                    let usual = usual && self.begun.is_empty() && !matches!(end, 4 | 16);
                    if usual && bytes[end] == b':' && self.heard.is_empty() {
                        self.at = At::Value;
                        bytes = &bytes[end + 1..];
                        continue;
                    }
                    let whole = match self.begun.is_empty() {
                        true => &bytes[..end],
                        false => {
                            self.begun.extend_from_slice(&bytes[..end]);
                            &self.begun
                        }
                    };
                    if bytes[end] == b':' {
                        self.heard.note(whole);
                        self.at = At::Value;
                    } else if matches!(whole, b"" | b"\r") {
                        self.at = match self.informs {
                            true => At::Status,
                            false => At::Behind,
                        };
                    }
                    self.begun.clear();
                    bytes = &bytes[end + 1..];
                }
                At::Value => {
                    let Some(end) = memchr::memchr(b'\n', bytes) else {
                        return;
                    };
                    self.at = At::Name;
                    bytes = &bytes[end + 1..];
                }
            }
        }
    }

    fn keep(&mut self, bytes: &[u8]) {
        let room = MOST.saturating_sub(self.begun.len());
        self.begun.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }
}

/// A stream of responses whose heads are listened to.
#[derive(Debug)]
pub(super) struct Overheard<S> {
    stream: S,
    ears: Ears,
}

impl<S> Overheard<S> {
    pub(super) fn new(stream: S, ears: Ears) -> Self {
        Self { stream, ears }
    }

    pub(super) fn get_ref(&self) -> &S {
        &self.stream
    }

    pub(super) fn into_inner(self) -> S {
        self.stream
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Overheard<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let overheard = self.get_mut();
        let before = out.filled().len();
        ready!(Pin::new(&mut overheard.stream).poll_read(cx, out))?;
        let mut ear = overheard.ears.0.borrow_mut();
        if !matches!(ear.at, At::Behind) {
            ear.hear(&out.filled()[before..]);
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Overheard<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write_vectored(cx, slices)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(spelling: &Spelling, name: &str) -> String {
        let mut out = Vec::new();
        spelling.write(&mut out, name.as_bytes());
        String::from_utf8_lossy(&out).into_owned()
    }

    #[test]
    fn d02_only_unusual_names_are_noted() {
        let mut all = Spelling::default();
        for usual in ["Content-Type", "ETag", "WWW-Authenticate", "X", "X-1a-B", "X-_"] {
            all.note(usual.as_bytes());
            assert!(all.is_empty(), "{usual}");
            assert_eq!(written(&all, &usual.to_lowercase()), usual);
        }
        for name in ["x-low", "X-UP", "Etag", "x-Up-dOWN", "Www-Authenticate"] {
            all.note(name.as_bytes());
            assert_eq!(written(&all, &name.to_lowercase()), name);
        }
        all.note(b"content-type");
        assert_eq!(written(&all, "content-type"), "Content-Type");
        // the last word counts
        all.note(b"X-Low");
        assert_eq!(written(&all, "x-low"), "X-Low");
        all.note(b"x-lOw");
        assert_eq!(
            (&*written(&all, "x-low"), &*written(&all, "x-up")),
            ("x-lOw", "X-UP")
        );
        let mut more = Spelling::default();
        more.note(b"x-LOW");
        all.add(&more);
        assert_eq!(written(&all, "x-low"), "x-LOW");
        for i in 0..20_000 {
            all.note(format!("x-{i}").as_bytes());
        }
        assert!(all.0.len() <= MOST);
    }

    #[test]
    fn d02_names_are_heard_however_the_head_is_cut() {
        let head = b"HTTP/1.1 103 Early Hints\r\nlink: a\r\n\r\nHTTP/1.1 200 OK\r\nX-Usual: 1: 2\r\nx-LOW:3\r\n folded: x\r\n\
                     eTag: \"a\"\r\n\r\nx-body: 1\r\n";
        for step in [1, 2, 3, 7, 20, head.len()] {
            let ears = Ears::default();
            ears.open();
            for piece in head.chunks(step) {
                ears.0.borrow_mut().hear(piece);
            }
            let heard = ears.take();
            assert_eq!(written(&heard, "x-low"), "x-LOW", "{step}");
            assert_eq!(written(&heard, "etag"), "eTag");
            assert_eq!(written(&heard, "x-body"), "X-Body");
            assert_eq!(written(&heard, "x-usual"), "X-Usual");
            assert!(ears.take().is_empty());
        }
    }
}
