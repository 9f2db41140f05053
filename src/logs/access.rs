//! Lines of the access log, and the buffer a worker collects them in.
//!
//! Must not: read requests; a record of what to write comes in.

use std::io::Write;

use super::stamp::Stamp;
use super::writer::LogSink;

/// A buffer is handed to the writer when it has this many bytes.
const FLUSH_AT: usize = 16 * 1024;

/// What is logged of one request; `None` is written as `-`.
#[derive(Debug, Clone, Copy)]
pub struct AccessRecord<'a> {
    /// `$remote_addr`
    pub remote_addr: &'a [u8],
    /// `$remote_user`
    pub remote_user: Option<&'a [u8]>,
    /// `$request`: the request line as sent.
    pub request: &'a [u8],
    /// `$status`
    pub status: u16,
    /// `$body_bytes_sent`
    pub body_bytes_sent: u64,
    /// `$http_referer`
    pub referer: Option<&'a [u8]>,
    /// `$http_user_agent`
    pub user_agent: Option<&'a [u8]>,
    /// `$kong_request_id`
    pub request_id: &'a [u8],
}

/// How a line is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AccessFormat {
    /// `kong_log_format`: nginx's `combined` with the request id behind.
    #[default]
    Kong,
    /// nginx's `combined`, for `basic` and any other name.
    Basic,
}

impl AccessFormat {
    /// The format a setting names (`proxy_access_log = logs/access.log basic`).
    pub fn named(name: Option<&str>) -> Self {
        match name {
            None | Some("kong_log_format") => Self::Kong,
            Some(_) => Self::Basic,
        }
    }

    /// Appends one line to `out`.
    ///
    /// `$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer"
    /// "$http_user_agent" kong_request_id: "$kong_request_id"`
    pub fn write_line(self, out: &mut Vec<u8>, stamp: &Stamp, record: &AccessRecord<'_>) {
        escape(out, Some(record.remote_addr));
        out.extend_from_slice(b" - ");
        escape(out, record.remote_user);
        out.extend_from_slice(b" [");
        out.extend_from_slice(stamp.access());
        out.extend_from_slice(b"] \"");
        escape(out, Some(record.request));
        // Writing into a Vec cannot fail.
        let _ = write!(out, "\" {:03} {} \"", record.status, record.body_bytes_sent);
        escape(out, record.referer);
        out.extend_from_slice(b"\" \"");
        escape(out, record.user_agent);
        if self == Self::Kong {
            out.extend_from_slice(b"\" kong_request_id: \"");
            escape(out, Some(record.request_id));
        }
        out.extend_from_slice(b"\"\n");
    }
}

/// nginx's default escaping: `"`, `\` and all but printable ASCII as `\xXX`; nothing at all as `-`.
pub fn escape(out: &mut Vec<u8>, value: Option<&[u8]>) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let Some(mut value) = value else {
        out.push(b'-');
        return;
    };
    let plain = |byte: &u8| matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\\');
    while let Some(at) = value.iter().position(|byte| !plain(byte)) {
        let byte = value[at];
        out.extend_from_slice(&value[..at]);
        out.extend_from_slice(&[
            b'\\',
            b'x',
            HEX[usize::from(byte >> 4)],
            HEX[usize::from(byte & 15)],
        ]);
        value = &value[at + 1..];
    }
    out.extend_from_slice(value);
}

/// One worker's access log: lines are collected and leave together.
#[derive(Debug)]
pub struct AccessBuffer {
    sink: LogSink,
    format: AccessFormat,
    lines: Vec<u8>,
}

impl AccessBuffer {
    /// Collects lines for `sink`.
    pub fn new(sink: LogSink, format: AccessFormat) -> Self {
        Self {
            sink,
            format,
            lines: Vec::new(),
        }
    }

    /// Whether nothing is logged: then there is no need to build a record.
    pub fn is_off(&self) -> bool {
        self.sink.is_off()
    }

    /// Adds a line; a full buffer leaves at once.
    pub fn log(&mut self, record: &AccessRecord<'_>) {
        if self.is_off() {
            return;
        }
        if self.lines.capacity() == 0 {
            self.lines.reserve(FLUSH_AT + 1024);
        }
        self.format.write_line(&mut self.lines, &Stamp::now(), record);
        if self.lines.len() >= FLUSH_AT {
            self.flush();
        }
    }

    /// Hands over what was collected; to be called by a timer and at the end.
    pub fn flush(&mut self) {
        if !self.lines.is_empty() {
            self.sink.write(std::mem::take(&mut self.lines));
        }
    }
}

impl Drop for AccessBuffer {
    fn drop(&mut self) {
        self.flush();
    }
}
