//! As much DER as tests need to look into certificates and to write odd ones.

/// One element: its tag, its content, all of it, and what follows.
pub struct Element<'a> {
    pub tag: u8,
    pub content: &'a [u8],
    pub whole: &'a [u8],
    pub rest: &'a [u8],
}

/// The first element of `input`.
#[track_caller]
pub fn element(input: &[u8]) -> Element<'_> {
    let (start, length) = match input[1] {
        short @ 0..=0x7f => (2, usize::from(short)),
        long => {
            let n = usize::from(long & 0x7f);
            let bytes = &input[2..2 + n];
            (2 + n, bytes.iter().fold(0, |sum, b| sum << 8 | usize::from(*b)))
        }
    };
    Element {
        tag: input[0],
        content: &input[start..start + length],
        whole: &input[..start + length],
        rest: &input[start + length..],
    }
}

/// All elements one after another.
pub fn elements(mut input: &[u8]) -> Vec<Element<'_>> {
    let mut all = Vec::new();
    while !input.is_empty() {
        let one = element(input);
        input = one.rest;
        all.push(one);
    }
    all
}

/// Writes an element.
pub fn write(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    if content.len() < 0x80 {
        out.push(content.len() as u8);
    } else {
        let bytes = content.len().to_be_bytes();
        let first = bytes.iter().position(|b| *b != 0).unwrap();
        out.push(0x80 | (bytes.len() - first) as u8);
        out.extend_from_slice(&bytes[first..]);
    }
    out.extend_from_slice(content);
    out
}

/// A certificate's fields as they stand between its outer braces: version (where there is one), serial, ...
pub fn fields(cert: &[u8]) -> Vec<Vec<u8>> {
    let signed = element(element(cert).content);
    elements(signed.content)
        .iter()
        .map(|e| e.whole.to_vec())
        .collect()
}

/// Edits the signed fields of a certificate and signs it again with the same algorithm.
pub fn rewrite(
    cert: &[u8],
    sign: impl FnOnce(&[u8]) -> Vec<u8>,
    edit: impl FnOnce(&mut Vec<Vec<u8>>),
) -> Vec<u8> {
    let parts = elements(element(cert).content);
    let mut fields = fields(cert);
    edit(&mut fields);
    let signed = write(0x30, &fields.concat());
    let signature = [&[0], sign(&signed).as_slice()].concat();
    write(
        0x30,
        &[signed, parts[1].whole.to_vec(), write(3, &signature)].concat(),
    )
}

/// Where the fields begin when the version is left out of the count.
fn base(fields: &[Vec<u8>]) -> usize {
    usize::from(fields[0][0] == 0xa0)
}

/// 1 or 3.
pub fn version(cert: &[u8]) -> u8 {
    let fields = fields(cert);
    if base(&fields) == 0 {
        return 1;
    }
    element(element(&fields[0]).content).content[0] + 1
}

/// SubjectPublicKeyInfo.
pub fn spki(cert: &[u8]) -> Vec<u8> {
    let fields = fields(cert);
    fields[base(&fields) + 5].clone()
}

/// The common name of the subject; empty when it has none.
pub fn common_name(cert: &[u8]) -> String {
    let fields = fields(cert);
    let subject = &fields[base(&fields) + 4];
    for set in elements(element(subject).content) {
        let pair = elements(element(set.content).content);
        if pair[0].content == [0x55, 4, 3] {
            return String::from_utf8_lossy(pair[1].content).into_owned();
        }
    }
    String::new()
}
