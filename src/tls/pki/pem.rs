//! PEM text: blocks with a label, headers and base64.
//!
//! As lenient as OpenSSL's reader: text around blocks, spaces at line ends, any line length. Must not: know
//! what the labels mean.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// One block.
#[derive(Debug)]
pub struct Block {
    /// What stands after BEGIN.
    pub label: String,
    /// `Name: value` lines before the base64.
    pub headers: Vec<(String, String)>,
    /// The bytes.
    pub data: Vec<u8>,
}

impl Block {
    /// The header called `name`.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(n, _)| n == name)
            .map(|(_, v)| v.as_str())
    }
}

/// Why there is no block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PemError {
    #[error("no start line")]
    NoStart,
    #[error("bad end line")]
    BadEnd,
    #[error("bad base64 decode")]
    BadBase64,
}

/// The blocks of a text, in order; ends at the first that is not well-formed.
pub struct Blocks<'a> {
    lines: std::slice::Split<'a, u8, fn(&u8) -> bool>,
}

/// The blocks of `text`.
pub fn blocks(text: &[u8]) -> Blocks<'_> {
    Blocks {
        lines: text.split((|b| *b == b'\n') as fn(&u8) -> bool),
    }
}

fn label<'a>(line: &'a [u8], edge: &[u8]) -> Option<&'a str> {
    let inner = line.strip_prefix(edge)?.strip_suffix(b"-----")?;
    std::str::from_utf8(inner).ok()
}

impl Blocks<'_> {
    /// The next block.
    ///
    /// # Errors
    /// `NoStart` when there is no further one; the others when there is one that is not well-formed.
    pub fn next_block(&mut self) -> Result<Block, PemError> {
        let label = self
            .lines
            .find_map(|line| label(line.trim_ascii_end(), b"-----BEGIN "))
            .ok_or(PemError::NoStart)?;
        let mut headers: Vec<(String, String)> = Vec::new();
        let mut base64 = Vec::new();
        let mut in_headers = false;
        for line in self.lines.by_ref() {
            let line = line.trim_ascii_end();
            if let Some(end) = self::label(line, b"-----END ") {
                if end != label {
                    return Err(PemError::BadEnd);
                }
                let data = STANDARD.decode(&base64).map_err(|_| PemError::BadBase64)?;
                return Ok(Block {
                    label: label.to_string(),
                    headers,
                    data,
                });
            }
            if base64.is_empty() && line.contains(&b':') {
                let text = String::from_utf8_lossy(line);
                if let Some((name, value)) = text.split_once(':') {
                    headers.push((name.trim().to_string(), value.trim().to_string()));
                }
                in_headers = true;
            } else if in_headers && line.is_empty() {
                in_headers = false;
            } else if line.starts_with(b"-----") {
                return Err(PemError::BadEnd);
            } else {
                base64.extend(line.iter().filter(|b| !b.is_ascii_whitespace()));
            }
        }
        Err(PemError::BadEnd)
    }
}

/// Writes a block, 64 characters a line.
pub fn write(label: &str, data: &[u8]) -> String {
    let base64 = STANDARD.encode(data);
    let mut out = format!("-----BEGIN {label}-----\n");
    for line in base64.as_bytes().chunks(64) {
        out.push_str(&String::from_utf8_lossy(line));
        out.push('\n');
    }
    out.push_str(&format!("-----END {label}-----\n"));
    out
}
