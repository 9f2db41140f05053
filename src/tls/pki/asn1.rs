//! DER: reading elements from bytes that anybody may have sent, writing elements that others will read.
//!
//! Reading is total and borrows; depth is the caller's. Must not: know what the elements mean.

/// Universal tags, as whole identifier octets.
pub const BOOLEAN: u8 = 0x01;
pub const INTEGER: u8 = 0x02;
pub const BIT_STRING: u8 = 0x03;
pub const OCTET_STRING: u8 = 0x04;
pub const NULL: u8 = 0x05;
pub const OID: u8 = 0x06;
pub const UTF8_STRING: u8 = 0x0c;
pub const PRINTABLE_STRING: u8 = 0x13;
pub const IA5_STRING: u8 = 0x16;
pub const UTC_TIME: u8 = 0x17;
pub const GENERALIZED_TIME: u8 = 0x18;
pub const SEQUENCE: u8 = 0x30;
pub const SET: u8 = 0x31;

/// Why bytes are not the DER that was expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Asn1Error {
    #[error("not enough data")]
    Short,
    #[error("wrong tag")]
    Tag,
    #[error("header too long")]
    Length,
    #[error("invalid value")]
    Value,
}

type Result<T> = std::result::Result<T, Asn1Error>;

/// One element.
#[derive(Debug, Clone, Copy)]
pub struct Element<'a> {
    /// The identifier octet.
    pub tag: u8,
    /// Its contents.
    pub body: &'a [u8],
    /// Header and contents.
    pub whole: &'a [u8],
}

impl<'a> Element<'a> {
    /// The contents as further elements.
    pub fn reader(&self) -> Reader<'a> {
        Reader(self.body)
    }
}

/// A place in a run of elements.
#[derive(Debug, Clone, Copy)]
pub struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// Reads from `bytes`.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// Whether nothing is left.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The identifier octet of the next element.
    pub fn peek(&self) -> Option<u8> {
        self.0.first().copied()
    }

    /// The next element.
    ///
    /// # Errors
    /// When its header is not one, or reaches past the end.
    pub fn next_element(&mut self) -> Result<Element<'a>> {
        let all = self.0;
        let tag = *all.first().ok_or(Asn1Error::Short)?;
        if tag & 0x1f == 0x1f {
            return Err(Asn1Error::Tag);
        }
        let first = *all.get(1).ok_or(Asn1Error::Short)?;
        let (len, head) = match first {
            0..=0x7f => (usize::from(first), 2),
            0x81..=0x84 => {
                let n = usize::from(first & 0x7f);
                let octets = all.get(2..2 + n).ok_or(Asn1Error::Short)?;
                let len = octets.iter().fold(0usize, |len, b| len << 8 | usize::from(*b));
                (len, 2 + n)
            }
            _ => return Err(Asn1Error::Length),
        };
        let end = head.checked_add(len).ok_or(Asn1Error::Length)?;
        let whole = all.get(..end).ok_or(Asn1Error::Short)?;
        self.0 = &all[end..];
        Ok(Element {
            tag,
            body: &whole[head..],
            whole,
        })
    }

    /// The next element, which must carry `tag`.
    ///
    /// # Errors
    /// As [`Reader::next_element`]; `Tag` when it is another.
    pub fn expect(&mut self, tag: u8) -> Result<Element<'a>> {
        match self.peek() {
            Some(t) if t == tag => self.next_element(),
            Some(_) => Err(Asn1Error::Tag),
            None => Err(Asn1Error::Short),
        }
    }

    /// The next element if it carries `tag`.
    ///
    /// # Errors
    /// As [`Reader::next_element`].
    pub fn optional(&mut self, tag: u8) -> Result<Option<Element<'a>>> {
        if self.peek() == Some(tag) {
            return self.next_element().map(Some);
        }
        Ok(None)
    }

    /// An INTEGER that is not negative, without leading zeros.
    ///
    /// # Errors
    /// When the next element is no such INTEGER.
    pub fn unsigned(&mut self) -> Result<&'a [u8]> {
        let body = self.expect(INTEGER)?.body;
        match body {
            [] => Err(Asn1Error::Value),
            [first, ..] if first & 0x80 != 0 => Err(Asn1Error::Value),
            _ => Ok(strip_zeros(body)),
        }
    }

    /// A small INTEGER.
    ///
    /// # Errors
    /// When the next element is no INTEGER, or one of more than 31 bits.
    pub fn small(&mut self) -> Result<i64> {
        let bytes = self.unsigned()?;
        if bytes.len() > 4 {
            return Err(Asn1Error::Value);
        }
        Ok(bytes.iter().fold(0, |n, b| n << 8 | i64::from(*b)))
    }

    /// A BIT STRING of whole octets.
    ///
    /// # Errors
    /// When the next element is none.
    pub fn bits(&mut self) -> Result<&'a [u8]> {
        match self.expect(BIT_STRING)?.body {
            [0, bytes @ ..] => Ok(bytes),
            _ => Err(Asn1Error::Value),
        }
    }

    /// An AlgorithmIdentifier: the OID's contents, and the parameters as they stand.
    ///
    /// # Errors
    /// When the next element is none.
    pub fn algorithm(&mut self) -> Result<(&'a [u8], &'a [u8])> {
        let mut inner = self.expect(SEQUENCE)?.reader();
        let oid = inner.expect(OID)?.body;
        Ok((oid, inner.0))
    }
}

/// Reads `bytes` as one element with `tag`, whatever follows it.
///
/// # Errors
/// When they begin with none.
pub fn first(bytes: &[u8], tag: u8) -> Result<Element<'_>> {
    Reader::new(bytes).expect(tag)
}

/// The bytes without leading zeros (one zero stays).
pub fn strip_zeros(bytes: &[u8]) -> &[u8] {
    let zeros = bytes.iter().take_while(|b| **b == 0).count();
    &bytes[zeros.min(bytes.len().saturating_sub(1))..]
}

/// Writes one element.
pub fn element(tag: u8, body: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(body.len() + 6);
    out.push(tag);
    match body.len() {
        n @ 0..=0x7f => out.push(n as u8),
        n => {
            let octets = n.to_be_bytes();
            let octets = strip_zeros(&octets);
            out.push(0x80 | octets.len() as u8);
            out.extend_from_slice(octets);
        }
    }
    out.extend_from_slice(body);
    out
}

/// Writes a constructed element from its parts.
pub fn list(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    element(tag, &parts.concat())
}

/// Writes an INTEGER that is not negative.
pub fn unsigned(bytes: &[u8]) -> Vec<u8> {
    let bytes = strip_zeros(bytes);
    match bytes.first() {
        None => element(INTEGER, &[0]),
        Some(b) if b & 0x80 != 0 => element(INTEGER, &[&[0], bytes].concat()),
        Some(_) => element(INTEGER, bytes),
    }
}

/// Writes a BIT STRING of whole octets.
pub fn bits(bytes: &[u8]) -> Vec<u8> {
    element(BIT_STRING, &[&[0], bytes].concat())
}

/// Writes an OBJECT IDENTIFIER from its contents.
pub fn oid(contents: &[u8]) -> Vec<u8> {
    element(OID, contents)
}

/// The dotted text of an OID's contents.
pub fn dotted(contents: &[u8]) -> Option<String> {
    let mut arcs = Vec::new();
    let mut arc = 0u64;
    let mut open = false;
    for b in contents {
        if arc >> 57 != 0 {
            return None;
        }
        arc = arc << 7 | u64::from(b & 0x7f);
        open = b & 0x80 != 0;
        if !open {
            if arcs.is_empty() {
                let first = (arc / 40).min(2);
                arcs.push(first.to_string());
                arc -= first * 40;
            }
            arcs.push(arc.to_string());
            arc = 0;
        }
    }
    (!open && !arcs.is_empty()).then(|| arcs.join("."))
}

/// The contents of the OID that a dotted text names.
pub fn undotted(text: &str) -> Option<Vec<u8>> {
    let arcs = text
        .split('.')
        .map(|arc| {
            let digits = !arc.is_empty() && arc.bytes().all(|b| b.is_ascii_digit());
            digits.then(|| arc.parse::<u64>().ok()).flatten()
        })
        .collect::<Option<Vec<_>>>()?;
    let [first, second, rest @ ..] = arcs.as_slice() else {
        return None;
    };
    if *first > 2 || (*first < 2 && *second > 39) {
        return None;
    }
    let mut out = Vec::new();
    for arc in std::iter::once((first * 40).checked_add(*second)?).chain(rest.iter().copied()) {
        let groups = (64 - arc.leading_zeros()).div_ceil(7).max(1);
        for i in (0..groups).rev() {
            let more = if i > 0 { 0x80 } else { 0 };
            out.push((arc >> (7 * i) & 0x7f) as u8 | more);
        }
    }
    Some(out)
}
