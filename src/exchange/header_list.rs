//! Request headers as an ordered list: case, order and duplicates kept, one buffer for all text.
//!
//! Must not: judge framing (the guard did) or know hop-by-hop rules (the forwarder does).

/// A range of the list's buffer.
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

    fn of(self, buf: &[u8]) -> &[u8] {
        &buf[self.start as usize..(self.start + self.len) as usize]
    }
}

/// One header line.
#[derive(Debug, Clone, Copy)]
pub struct Entry {
    name: Span,
    value: Span,
}

/// Headers in the order they came. The buffer begins with the raw head; changes are appended to it.
#[derive(Debug, Clone, Default)]
pub struct HeaderList {
    buf: Vec<u8>,
    raw_len: usize,
    entries: Vec<Entry>,
}

impl HeaderList {
    /// Takes the raw head and the ranges of its names and values.
    pub fn from_raw(buf: Vec<u8>, spans: impl IntoIterator<Item = (Span, Span)>) -> Self {
        let raw_len = buf.len();
        let entries = spans
            .into_iter()
            .map(|(name, value)| Entry { name, value })
            .collect();
        Self {
            buf,
            raw_len,
            entries,
        }
    }

    /// The raw head as it came (request line included).
    pub fn raw(&self) -> &[u8] {
        &self.buf[..self.raw_len]
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
            .map(|e| (e.name.of(&self.buf), e.value.of(&self.buf)))
    }

    fn is(&self, e: &Entry, name: &[u8]) -> bool {
        e.name.len as usize == name.len() && e.name.of(&self.buf).eq_ignore_ascii_case(name)
    }

    /// The first value of `name` (any case).
    pub fn get(&self, name: impl AsRef<[u8]>) -> Option<&[u8]> {
        let name = name.as_ref();
        self.entries
            .iter()
            .find(|e| self.is(e, name))
            .map(|e| e.value.of(&self.buf))
    }

    /// Like [`Self::get`], but `_` in `name` also matches `-` (as `$http_name` does).
    pub fn get_var(&self, name: &[u8]) -> Option<&[u8]> {
        self.entries
            .iter()
            .find(|e| same_var(e.name.of(&self.buf), name))
            .map(|e| e.value.of(&self.buf))
    }

    /// Every value of `name`, in order.
    pub fn get_all<'a>(&'a self, name: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
        self.entries
            .iter()
            .filter(move |e| self.is(e, name))
            .map(|e| e.value.of(&self.buf))
    }

    fn store(&mut self, text: &[u8]) -> Span {
        let start = self.buf.len();
        self.buf.extend_from_slice(text);
        Span::new(start, text.len())
    }

    /// Appends a line.
    pub fn add(&mut self, name: &[u8], value: &[u8]) {
        let name = self.store(name);
        let value = self.store(value);
        self.entries.push(Entry { name, value });
    }

    /// Replaces all lines of `name` by one, where the first stood (at the end if there was none).
    pub fn set(&mut self, name: &[u8], value: &[u8]) {
        let Some(first) = self.entries.iter().position(|e| self.is(e, name)) else {
            self.add(name, value);
            return;
        };
        let new_name = self.store(name);
        let new_value = self.store(value);
        self.entries[first] = Entry {
            name: new_name,
            value: new_value,
        };
        let (buf, mut at) = (&self.buf, 0);
        self.entries.retain(|e| {
            let keep = at <= first
                || e.name.len as usize != name.len()
                || !e.name.of(buf).eq_ignore_ascii_case(name);
            at += 1;
            keep
        });
    }

    /// Removes every line of `name`.
    pub fn remove(&mut self, name: &[u8]) {
        let buf = &self.buf;
        self.entries
            .retain(|e| e.name.len as usize != name.len() || !e.name.of(buf).eq_ignore_ascii_case(name));
    }
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
        assert_eq!(all, [(&b"x-a"[..], &b"9"[..]), (b"x-b", b"2")]);
        list.remove(b"X-B");
        assert_eq!(list.len(), 1);
    }
}
