//! Fields of a `multipart/form-data` body.
//!
//! Must not: keep files apart from fields; Kong's PDK gives both by name.
//!
//! # Source
//! RFC 7578; what `kong.request.get_body` takes from the `multipart` rock

/// One part.
#[derive(Debug, PartialEq, Eq)]
pub struct Part<'b> {
    /// The field's name.
    pub name: &'b [u8],
    /// Its content.
    pub value: &'b [u8],
}

/// Most parts that are taken; the rest is left out.
const MAX_PARTS: usize = 1000;

/// The named parts of `body`, or None where the content type has no boundary or the body does not use it.
pub fn parse<'b>(body: &'b [u8], content_type: &[u8]) -> Option<Vec<Part<'b>>> {
    let boundary = boundary(content_type)?;
    let mut delimiter = b"--".to_vec();
    delimiter.extend_from_slice(boundary);
    let finder = memchr::memmem::Finder::new(&delimiter);
    let mut rest = &body[finder.find(body)? + delimiter.len()..];
    let mut parts = Vec::new();
    while !rest.starts_with(b"--") && parts.len() < MAX_PARTS {
        let Some(end) = finder.find(rest) else {
            break;
        };
        let section = trim_line_end(after_line_end(&rest[..end]));
        rest = &rest[end + delimiter.len()..];
        parts.extend(part(section));
    }
    Some(parts)
}

fn boundary(content_type: &[u8]) -> Option<&[u8]> {
    let at = find_ignoring_case(content_type, b"boundary=")? + b"boundary=".len();
    let rest = &content_type[at..];
    let value = match rest.strip_prefix(b"\"") {
        Some(quoted) => &quoted[..memchr::memchr(b'"', quoted)?],
        None => rest[..memchr::memchr(b';', rest).unwrap_or(rest.len())].trim_ascii(),
    };
    (!value.is_empty()).then_some(value)
}

fn find_ignoring_case(text: &[u8], needle: &[u8]) -> Option<usize> {
    text.windows(needle.len())
        .position(|w| w.eq_ignore_ascii_case(needle))
}

fn after_line_end(text: &[u8]) -> &[u8] {
    let text = text.strip_prefix(b"\r").unwrap_or(text);
    text.strip_prefix(b"\n").unwrap_or(text)
}

fn trim_line_end(text: &[u8]) -> &[u8] {
    let text = text.strip_suffix(b"\n").unwrap_or(text);
    text.strip_suffix(b"\r").unwrap_or(text)
}

fn part(section: &[u8]) -> Option<Part<'_>> {
    let mut rest = section;
    let mut name = None;
    loop {
        let end = memchr::memchr(b'\n', rest)?;
        let line = rest[..end].trim_ascii_end();
        rest = &rest[end + 1..];
        if line.is_empty() {
            return Some(Part {
                name: name?,
                value: rest,
            });
        }
        if find_ignoring_case(line, b"content-disposition:") == Some(0) {
            name = field_name(line);
        }
    }
}

/// The `name` parameter, not that of `filename`.
fn field_name(line: &[u8]) -> Option<&[u8]> {
    let mut params = line.split(|b| *b == b';').map(<[u8]>::trim_ascii);
    let value = params.find_map(|p| {
        p.get(..5)
            .filter(|start| start.eq_ignore_ascii_case(b"name="))
            .map(|_| &p[5..])
    })?;
    let unquoted = value.strip_prefix(b"\"").and_then(|v| v.strip_suffix(b"\""));
    Some(unquoted.unwrap_or(value))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a11_multipart_fields() {
        let body = b"--x\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n2\r\n\
            --x\r\nContent-Type: text/plain\r\ncontent-disposition: form-data; filename=\"f\"; name=\"b\"\r\n\r\n\r\n--x--\r\n";
        let parts = parse(body, b"multipart/form-data; Boundary=\"x\"; charset=utf-8").unwrap();
        let pairs: Vec<_> = parts.iter().map(|p| (p.name, p.value)).collect();
        assert_eq!(pairs, [(&b"a"[..], &b"1\r\n2"[..]), (b"b", b"")]);
        assert_eq!(parse(body, b"multipart/form-data"), None);
        assert_eq!(parse(b"junk", b"multipart/form-data; boundary=x"), None);
        assert_eq!(
            parse(b"--x\r\njunk", b"multipart/form-data; boundary=x"),
            Some(vec![])
        );
    }
}
