//! Fields of a `multipart/form-data` body, as the rock that Kong uses reads them: line by line, generously.
//!
//! Must not: keep files apart from fields; Kong's PDK gives both by name.
//!
//! # Source
//! The `multipart` rock 0.5.11, whose answers `kong.request.get_body` and `kong.service.response.get_body` give on. It
//! takes a line that begins with the delimiter for one; the name of a part is cut at `;`, and a piece with a colon in
//! it is no name; what stands before the first delimiter belongs to the first part's value; a part that nothing ends
//! takes the place of those of its name.

use std::borrow::Cow;

/// One part.
#[derive(Debug, PartialEq, Eq)]
pub struct Part<'b> {
    /// The field's name.
    pub name: &'b [u8],
    /// Its content.
    pub value: Cow<'b, [u8]>,
}

/// The named parts of `body`: none where the content type has no boundary, or the body does not use it.
pub fn parse<'b>(body: &'b [u8], content_type: &[u8]) -> Vec<Part<'b>> {
    let Some(boundary) = boundary(content_type) else {
        return Vec::new();
    };
    let mut reader = Reader::default();
    let mut at = 0;
    while let Some(length) = memchr::memchr2(b'\r', b'\n', &body[at..]) {
        let line = &body[at..at + length];
        at = reader.line(body, line, at, at + length, boundary);
    }
    let last = &body[at..];
    if !last.is_empty() {
        reader.line(body, last, at, body.len(), boundary);
    }
    reader.end(body)
}

#[derive(Default)]
struct Reader<'b> {
    parts: Vec<Part<'b>>,
    /// Of the part that is being read.
    name: Option<&'b [u8]>,
    /// Where its value began; None in its head.
    value: Option<usize>,
    /// What came before the first delimiter.
    before: Vec<u8>,
}

impl<'b> Reader<'b> {
    /// Reads a line from `at` to `end`, where its break is; gives where to read on.
    fn line(&mut self, body: &'b [u8], line: &'b [u8], at: usize, end: usize, boundary: &[u8]) -> usize {
        let next = (end + 1).min(body.len());
        if line.is_empty() {
            return next;
        }
        if line
            .strip_prefix(b"--")
            .is_some_and(|rest| rest.starts_with(boundary))
        {
            self.delimiter(body, at);
            return next;
        }
        if self.value.is_some() {
            return next;
        }
        let disposition = line
            .get(..19)
            .is_some_and(|start| start.eq_ignore_ascii_case(b"content-disposition"));
        if disposition {
            self.name = field_name(line).or(self.name);
        } else if !is_header(line) {
            self.value = Some(at);
            return next;
        }
        if body[end..].starts_with(b"\r\n\r\n") {
            self.value = Some(end + 4);
            return end + 4;
        }
        next
    }

    fn delimiter(&mut self, body: &'b [u8], at: usize) {
        let text = self.value.take().map_or(&b""[..], |from| &body[from..at]);
        let Some(name) = self.name.take() else {
            self.before.extend_from_slice(text);
            return;
        };
        let value = self.whole(text);
        let value = match value {
            Cow::Borrowed(text) => Cow::Borrowed(&text[..without_break(text)]),
            Cow::Owned(mut text) => {
                text.truncate(without_break(&text));
                Cow::Owned(text)
            }
        };
        self.parts.push(Part { name, value });
    }

    fn whole(&mut self, text: &'b [u8]) -> Cow<'b, [u8]> {
        if self.before.is_empty() {
            return Cow::Borrowed(text);
        }
        let mut all = std::mem::take(&mut self.before);
        all.extend_from_slice(text);
        Cow::Owned(all)
    }

    fn end(mut self, body: &'b [u8]) -> Vec<Part<'b>> {
        if let Some(name) = self.name.take() {
            let text = self.value.take().map_or(&b""[..], |from| &body[from..]);
            let value = self.whole(text);
            self.parts.retain(|part| part.name != name);
            self.parts.push(Part { name, value });
        }
        self.parts
    }
}

/// How long a text is without the line break at its end; a lone carriage return is none.
fn without_break(text: &[u8]) -> usize {
    match text {
        [rest @ .., b'\r', b'\n'] | [rest @ .., b'\n'] => rest.len(),
        _ => text.len(),
    }
}

/// What follows `; boundary=`, up to a space, quotes around it taken off.
fn boundary(content_type: &[u8]) -> Option<&[u8]> {
    let mut rest = content_type;
    loop {
        rest = &rest[memchr::memchr(b';', rest)? + 1..];
        let Some(value) = rest.trim_ascii_start().strip_prefix(b"boundary=") else {
            continue;
        };
        let end = value
            .iter()
            .position(u8::is_ascii_whitespace)
            .unwrap_or(value.len());
        let value = &value[..end];
        if value.is_empty() {
            continue;
        }
        let quoted = |quote: &[u8]| value.strip_prefix(quote)?.strip_suffix(quote);
        let value = quoted(b"\"").or_else(|| quoted(b"'")).unwrap_or(value);
        return (!value.is_empty()).then_some(value);
    }
}

/// Whether a colon has something on either side.
fn is_header(line: &[u8]) -> bool {
    memchr::memchr_iter(b':', line)
        .any(|at| at > 0 && !line[at - 1].is_ascii_whitespace() && !line[at + 1..].trim_ascii().is_empty())
}

/// The last `name` parameter, without its first and its last character: they ought to be quotes.
fn field_name(line: &[u8]) -> Option<&[u8]> {
    let pieces = line.split(|b| *b == b';').rev().filter(|piece| !is_header(piece));
    let value = pieces.map(<[u8]>::trim_ascii_start).find_map(|piece| {
        let start = piece.get(..5)?;
        start.eq_ignore_ascii_case(b"name=").then(|| &piece[5..])
    });
    let value = value?.trim_ascii_start();
    let value = value.split(|b| *b == b'=').next()?.trim_ascii_end();
    Some(value.get(1..value.len().saturating_sub(1)).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn pairs(body: &str, content_type: &str) -> Vec<(String, String)> {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let parts = parse(body.as_bytes(), content_type.as_bytes());
        parts.iter().map(|p| (text(p.name), text(&p.value))).collect()
    }

    fn some(list: &[(&str, &str)]) -> Vec<(String, String)> {
        list.iter().map(|(a, b)| ((*a).into(), (*b).into())).collect()
    }

    const X: &str = "multipart/form-data; boundary=x";
    const NAMED_A: &str = "--x\r\nContent-Disposition: form-data; name=\"a\"\r\n";

    #[test]
    fn d06_fields_and_files_by_name() {
        let body = format!(
            "{NAMED_A}\r\n1\r\n2\r\n--x\r\nContent-Type: text/plain\r\n\
             content-disposition: form-data; filename=\"f\"; NAME=\"b\"\r\n\r\n\r\n--x--\r\n"
        );
        assert_eq!(pairs(&body, X), some(&[("a", "1\r\n2"), ("b", "")]));
        assert_eq!(pairs("junk", X), []);
        assert_eq!(pairs("--x\r\njunk", X), []);
        assert_eq!(pairs("", X), []);
    }

    #[test]
    fn d06_boundaries_as_the_rock_finds_them() {
        let body = format!("{NAMED_A}\r\n1\r\n--x--\r\n");
        for good in [
            "boundary=x",
            "boundary=\"x\"",
            "boundary='x'",
            "charset=utf-8;  boundary=x",
            "boundary= y; boundary=x",
        ] {
            assert_eq!(
                pairs(&body, &format!("multipart/form-data; {good}")),
                some(&[("a", "1")]),
                "{good}"
            );
        }
        for bad in [
            "",
            "Boundary=x",
            "boundary=x;a=b",
            "boundary=\"x\";",
            "boundary=",
            "boundary=\"\"",
            "boundary=y",
        ] {
            assert_eq!(pairs(&body, &format!("multipart/form-data; {bad}")), [], "{bad}");
        }
        assert_eq!(pairs(&body, "boundary=x"), []);
    }

    #[test]
    fn d06_what_the_rock_makes_of_odd_bodies() {
        // a line that begins like the delimiter is one
        let body = format!("{NAMED_A}\r\n1\r\n--xyz\r\n2\r\n--x--\r\n");
        assert_eq!(pairs(&body, X), some(&[("a", "1")]));
        // what stands before is the first value's
        let body = format!("before\r\n{NAMED_A}\r\n1\r\n--x--");
        assert_eq!(pairs(&body, X), some(&[("a", "before\r\n1")]));
        // a part without an end takes the place of its namesakes
        let body = format!("{NAMED_A}\r\n1\r\n{NAMED_A}\r\n2\r\n{NAMED_A}\r\n3\r\n");
        assert_eq!(pairs(&body, X), some(&[("a", "3\r\n")]));
        // bare line feeds: the head has no end that is seen
        let body = "--x\nContent-Disposition: form-data; name=\"a\"\n\n1\n2\n--x--\n";
        assert_eq!(pairs(body, X), some(&[("a", "1\n2")]));
        let names = [
            ("name=\"a;b\"", ""),
            ("name=\"a:b\"", "none"),
            ("name=a=b", ""),
            ("name=\"\"", ""),
            ("name=\"", ""),
            ("name= \"a\" ", "a"),
            ("name=\"a\"; name=\"b\"", "b"),
            ("xname=\"a\"", "none"),
        ];
        for (parameter, name) in names {
            let body = format!("--x\r\nContent-Disposition: form-data; {parameter}\r\n\r\n1\r\n--x--\r\n");
            let all = pairs(&body, X);
            let found = all.first().map_or("none", |(name, _)| name.as_str());
            assert_eq!(found, name, "{parameter}");
        }
    }
}
