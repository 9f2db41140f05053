//! How deep the brackets of a YAML text nest, told before the YAML library sees it: what that library takes for a
//! token grows with the depth of the brackets around it, so that a hundred thousand of them would take it minutes.
//!
//! Must not: judge the text otherwise; what this reads wrongly, the library refuses.

/// Where brackets first nest deeper than `limit`: line and column, counted from 1.
pub fn too_deep(text: &str, limit: usize) -> Option<(usize, usize)> {
    let bytes = text.as_bytes();
    let mut at = 0;
    let mut depth = 0;
    // whether a node may begin here: after nothing but indicators, anchors and tags on this line
    let mut fresh = true;
    while at < bytes.len() {
        let byte = bytes[at];
        match byte {
            b'\n' => fresh = true,
            b' ' | b'\t' | b'\r' => {}
            b'#' if at == 0 || bytes[at - 1].is_ascii_whitespace() => {
                at = line_end(bytes, at);
                continue;
            }
            b'[' | b'{' if fresh || depth > 0 => {
                depth += 1;
                if depth > limit {
                    return Some(place(text, at));
                }
            }
            b']' | b'}' if depth > 0 => {
                depth -= 1;
                fresh = false;
            }
            b'"' | b'\'' if fresh || depth > 0 => {
                at = quoted(bytes, at);
                fresh = false;
            }
            b'|' | b'>' if fresh && depth == 0 => {
                at = block_end(bytes, at);
                continue;
            }
            b',' | b':' if depth > 0 => {}
            _ => {
                let end = word_end(bytes, at, depth > 0);
                fresh = fresh && begins_a_node(&bytes[at..end]) || depth == 0 && bytes[end - 1] == b':';
                at = end;
                continue;
            }
        }
        at += 1;
    }
    None
}

/// The end of a plain word; inside brackets it ends at those, too.
fn word_end(bytes: &[u8], at: usize, inside: bool) -> usize {
    let ends = |b: &u8| b.is_ascii_whitespace() || inside && b"[]{},:".contains(b);
    let rest = &bytes[at + 1..];
    at + 1 + rest.iter().position(ends).unwrap_or(rest.len())
}

/// Whether a node may follow a word: a mark of lists or documents, an anchor or a tag.
fn begins_a_node(word: &[u8]) -> bool {
    matches!(word, b"-" | b"?" | b":" | b"---") || word.starts_with(b"&") || word.starts_with(b"!")
}

/// The last byte of a quoted scalar that begins at `at`.
fn quoted(bytes: &[u8], at: usize) -> usize {
    let quote = bytes[at];
    let double = quote == b'"';
    let mut i = at + 1;
    while i < bytes.len() {
        match bytes[i] {
            b'\\' if double => i += 1,
            b if b == quote && !double && bytes.get(i + 1) == Some(&quote) => i += 1,
            b if b == quote => return i,
            _ => {}
        }
        i += 1;
    }
    bytes.len()
}

/// The beginning of the line after a block scalar whose `|` or `>` is at `at`.
fn block_end(bytes: &[u8], at: usize) -> usize {
    let parent = indent_of_parent(&bytes[line_start(bytes, at)..at]);
    let mut line = line_end(bytes, at) + 1;
    while line < bytes.len() {
        let end = line_end(bytes, line);
        let content = &bytes[line..end];
        let indent = content.iter().take_while(|b| **b == b' ').count();
        let empty = content.trim_ascii().is_empty();
        if !empty && parent.is_some_and(|parent| indent <= parent) {
            break;
        }
        line = end + 1;
    }
    line
}

/// The column of the innermost list mark or key of a line; none for the document itself.
fn indent_of_parent(before: &[u8]) -> Option<usize> {
    let mut column = None;
    let mut at = 0;
    while at < before.len() {
        match before[at] {
            b' ' => {}
            b'-' | b'?' if before.get(at + 1).is_none_or(|next| *next == b' ') => column = Some(at),
            _ if before[at..].starts_with(b"---") => return None,
            _ if before[at..].trim_ascii_end().ends_with(b":")
                || before[at..].windows(2).any(|w| w == b": ") =>
            {
                return Some(at);
            }
            _ => return column,
        }
        at += 1;
    }
    column
}

fn line_start(bytes: &[u8], at: usize) -> usize {
    memchr::memrchr(b'\n', &bytes[..at]).map_or(0, |end| end + 1)
}

fn line_end(bytes: &[u8], at: usize) -> usize {
    memchr::memchr(b'\n', &bytes[at.min(bytes.len())..]).map_or(bytes.len(), |n| at + n)
}

fn place(text: &str, at: usize) -> (usize, usize) {
    let before = &text[..at];
    let line = memchr::memchr_iter(b'\n', before.as_bytes()).count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    (line, column)
}

#[cfg(test)]
mod tests {
    use super::too_deep;

    #[test]
    fn b04_brackets_are_counted_where_they_are_brackets() {
        for (text, deep) in [
            ("[[[[", true),
            ("a: [[\n[ [", true),
            ("a:\n  - &x !t {b: [{c: [", true),
            ("{\"a\":{\"b\":{\"c\":{", true),
            ("---\n[ 'a]', \"]\\\"]\", [ # ]\n[ [", true),
            ("[it's, [a'b, [c'd, [", true),
            ("a: [1]\nb: [1]\nc: [1]\nd: [1]\ne: [[1]]", false),
            ("a: [ [ [", false),
            ("a: x[[[[\nb: ~/[[[[\nc: x [[[[ x", false),
            ("a: '[[[['\nb: \"[[[[\n  [[[[\"\nc: it's\nd: [1]", false),
            ("# [[[[\na: 1 # [[[[\nb: [ 1, # [[[[\n 2 ]", false),
            ("- a: |\n    [\n    [\n    [\n    [\n  b: [ [ [ 1 ] ] ]", false),
            ("- >-\n  [\n  [\n  [\n\n  [\n  [\n- [ 1 ]", false),
            ("- a: |\n    [\n  b: [[\n[ [", true),
            ("--- |\n[\n[\n[\n[\n[", false),
        ] {
            assert_eq!(too_deep(text, 3).is_some(), deep, "{text}");
        }
        assert_eq!(too_deep("a: 1\nü: [[[[", 3), Some((2, 7)));
    }
}
