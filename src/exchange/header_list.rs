//! Request headers as an ordered list: case, order and duplicates kept, one buffer for all text.
//!
//! Must not: judge framing (the guard did) or know hop-by-hop rules (the forwarder does).

use bytes::Bytes;

/// A range of the list's text: the raw head, then what was added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// First byte.
    pub start: u32,
    /// Length in bytes.
    pub len: u32,
}

impl Span {
    /// A range from its first byte and its length.
    pub fn new(start: usize, len: usize) -> Self {
        Self {
            start: start as u32,
            len: len as u32,
        }
    }
}

/// One header line.
#[derive(Debug, Clone, Copy)]
pub struct Entry {
    name: Span,
    value: Span,
}

/// Headers in the order they came. The text of changes is appended behind the raw head.
#[derive(Debug, Clone, Default)]
pub struct HeaderList {
    raw: Bytes,
    added: Vec<u8>,
    entries: Vec<Entry>,
}

impl HeaderList {
    /// Takes the raw head and the ranges of its names and values.
    pub fn from_raw(raw: Bytes, spans: impl IntoIterator<Item = (Span, Span)>) -> Self {
        let entries = spans
            .into_iter()
            .map(|(name, value)| Entry { name, value })
            .collect();
        Self {
            raw,
            added: Vec::new(),
            entries,
        }
    }

    fn text(&self, span: Span) -> &[u8] {
        text(&self.raw, &self.added, span)
    }

    /// The raw head as it came (request line included).
    pub fn raw(&self) -> &[u8] {
        &self.raw
    }

    /// Whether `text`, a name or value of this list, came with the raw head (and so passed the guard).
    #[inline]
    pub fn is_raw(&self, text: &[u8]) -> bool {
        self.raw.as_ptr_range().contains(&text.as_ptr())
    }

    /// How many header lines there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is no header line.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Names and values in order.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.entries
            .iter()
            .map(|e| (self.text(e.name), self.text(e.value)))
    }

    fn is(&self, e: &Entry, name: &[u8]) -> bool {
        e.name.len as usize == name.len() && same(self.text(e.name), name)
    }

    /// The first value of `name` (any case).
    pub fn get(&self, name: impl AsRef<[u8]>) -> Option<&[u8]> {
        let name = name.as_ref();
        self.entries
            .iter()
            .find(|e| self.is(e, name))
            .map(|e| self.text(e.value))
    }

    /// Like [`Self::get`], but `_` in `name` also matches `-` (as `$http_name` does).
    pub fn get_var(&self, name: &[u8]) -> Option<&[u8]> {
        self.entries
            .iter()
            .find(|e| same_var(self.text(e.name), name))
            .map(|e| self.text(e.value))
    }

    /// Every value of `name`, in order.
    pub fn get_all<'a>(&'a self, name: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
        self.entries
            .iter()
            .filter(move |e| self.is(e, name))
            .map(|e| self.text(e.value))
    }

    fn store(&mut self, text: &[u8]) -> Span {
        let start = self.raw.len() + self.added.len();
        self.added.extend_from_slice(text);
        Span::new(start, text.len())
    }

    /// Appends a line.
    pub fn add(&mut self, name: &[u8], value: &[u8]) {
        let name = self.store(name);
        let value = self.store(value);
        self.entries.push(Entry { name, value });
    }

    /// Replaces all lines of `name` by one, where the first stood and spelled like it (at the end if there was none).
    pub fn set(&mut self, name: &[u8], value: &[u8]) {
        let Some(first) = self.entries.iter().position(|e| self.is(e, name)) else {
            self.add(name, value);
            return;
        };
        self.entries[first].value = self.store(value);
        let (raw, added, mut at) = (&self.raw, &self.added, 0);
        self.entries.retain(|e| {
            let keep = at <= first || !same(text(raw, added, e.name), name);
            at += 1;
            keep
        });
    }

    /// Removes every line of `name`.
    pub fn remove(&mut self, name: &[u8]) {
        let (raw, added) = (&self.raw, &self.added);
        self.entries.retain(|e| !same(text(raw, added, e.name), name));
    }
}

fn text<'a>(raw: &'a [u8], added: &'a [u8], span: Span) -> &'a [u8] {
    let (start, len) = (span.start as usize, span.len as usize);
    match start.checked_sub(raw.len()) {
        None => &raw[start..start + len],
        Some(at) => &added[at..at + len],
    }
}

fn same(header: &[u8], name: &[u8]) -> bool {
    header.len() == name.len() && header.eq_ignore_ascii_case(name)
}

fn same_var(header: &[u8], var: &[u8]) -> bool {
    header.len() == var.len()
        && header.iter().zip(var).all(|(h, v)| {
            let h = if *h == b'-' { b'_' } else { h.to_ascii_lowercase() };
            h == v.to_ascii_lowercase()
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a03_keeps_order_case_and_duplicates() {
        let mut list = HeaderList::default();
        list.add(b"X-A", b"1");
        list.add(b"x-b", b"2");
        list.add(b"x-a", b"3");
        assert_eq!(list.get("x-A"), Some(&b"1"[..]));
        assert_eq!(list.get_var(b"x_b"), Some(&b"2"[..]));
        assert_eq!(list.get_all(b"X-a").collect::<Vec<_>>(), [b"1", b"3"]);
        list.set(b"x-a", b"9");
        let all: Vec<_> = list.iter().collect();
        assert_eq!(all, [(&b"X-A"[..], &b"9"[..]), (b"x-b", b"2")]);
        list.remove(b"X-B");
        assert_eq!(list.len(), 1);
    }
}
