//! Lines of the error log, in nginx's form with Kong's request id behind.
//!
//! Must not: know Lua or requests; what a line says comes in as bytes.

use std::cell::RefCell;
use std::io::Write;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use super::capture::Capture;
use super::level::Level;
use super::stamp::Stamp;
use super::writer::LogSink;

/// A line's greatest length, its end included: OpenResty's (nginx cuts at 2048).
pub const MAX_LINE: usize = 4096;

/// What a line tells of the request it is about; what is `None` or empty is left out.
#[derive(Debug, Clone, Copy, Default)]
pub struct ErrorContext<'a> {
    /// `$connection`
    pub connection: Option<u64>,
    /// What was being done: `logging request`.
    pub action: Option<&'a str>,
    /// Where Lua runs without a request: `ngx.timer`.
    pub context: Option<&'a str>,
    /// The client's address.
    pub client: Option<&'a [u8]>,
    /// The server's name; Kong's is `kong`.
    pub server: Option<&'a [u8]>,
    /// The request line.
    pub request: Option<&'a [u8]>,
    /// The upstream's URL.
    pub upstream: Option<&'a [u8]>,
    /// The Host header.
    pub host: Option<&'a [u8]>,
    /// The Referer header.
    pub referrer: Option<&'a [u8]>,
    /// `$kong_request_id`
    pub request_id: Option<&'a [u8]>,
}

/// Appends one line to `out`:
///
/// `2017/07/09 19:36:25 [error] 123#0: *45 message, client: 1.2.3.4, server: kong, request: "GET / HTTP/1.1",
/// host: "h", request_id: "..."`
///
/// The message goes in as it is, line ends included, as in nginx; control characters in what a client sent are
/// escaped. A line is cut at [`MAX_LINE`]. Behind a debug message there is nothing more, as in nginx.
pub fn write_line(
    out: &mut Vec<u8>,
    stamp: &Stamp,
    level: Level,
    pid: u32,
    message: &[u8],
    context: &ErrorContext<'_>,
) {
    let start = out.len();
    out.extend_from_slice(stamp.error());
    // Writing into a Vec cannot fail.
    let _ = write!(out, " [{}] {pid}#0: ", level.name());
    if let Some(connection) = context.connection {
        let _ = write!(out, "*{connection} ");
    }
    out.extend_from_slice(&message[..message.len().min(MAX_LINE)]);
    if level != Level::Debug {
        write_context(out, context);
    }
    out.truncate(start + MAX_LINE - 1);
    out.push(b'\n');
}

fn write_context(out: &mut Vec<u8>, context: &ErrorContext<'_>) {
    for (name, value) in [(" while ", context.action), (", context: ", context.context)] {
        if let Some(value) = value {
            out.extend_from_slice(name.as_bytes());
            out.extend_from_slice(value.as_bytes());
        }
    }
    for (name, value) in [(", client: ", context.client), (", server: ", context.server)] {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            out.extend_from_slice(name.as_bytes());
            out.extend_from_slice(value);
        }
    }
    for (name, value) in [
        (", request: \"", context.request),
        (", upstream: \"", context.upstream),
        (", host: \"", context.host),
        (", referrer: \"", context.referrer),
        (", request_id: \"", context.request_id),
    ] {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            out.extend_from_slice(name.as_bytes());
            escape_controls(out, &value[..value.len().min(MAX_LINE)]);
            out.push(b'"');
        }
    }
}

fn escape_controls(out: &mut Vec<u8>, value: &[u8]) {
    for &byte in value {
        if byte < 0x20 || byte == 0x7f || byte == b'"' {
            let _ = write!(out, "\\x{byte:02X}");
        } else {
            out.push(byte);
        }
    }
}

/// A level that all workers share and the Admin API may change.
#[derive(Debug, Clone)]
pub struct SharedLevel(Arc<AtomicU8>);

impl SharedLevel {
    /// Starts with a level.
    pub fn new(level: Level) -> Self {
        Self(Arc::new(AtomicU8::new(level as u8)))
    }

    /// The level now.
    pub fn get(&self) -> Level {
        Level::from_number(i64::from(self.0.load(Ordering::Relaxed))).unwrap_or(Level::Notice)
    }

    /// Changes it for everybody.
    pub fn set(&self, level: Level) {
        self.0.store(level as u8, Ordering::Relaxed);
    }

    /// Whether lines of this level are wanted.
    pub fn wants(&self, level: Level) -> bool {
        level as u8 <= self.0.load(Ordering::Relaxed)
    }
}

/// One worker's error log.
#[derive(Debug)]
pub struct ErrorLog {
    sink: LogSink,
    level: SharedLevel,
    pid: u32,
    buffer: RefCell<Vec<u8>>,
    capture: RefCell<Option<Rc<Capture>>>,
}

impl ErrorLog {
    /// `pid` is what the lines give as the process: `ngx.worker.pid()`.
    pub fn new(sink: LogSink, level: SharedLevel, pid: u32) -> Self {
        Self {
            sink,
            level,
            pid,
            buffer: RefCell::new(Vec::with_capacity(512)),
            capture: RefCell::default(),
        }
    }

    /// Captures its lines from now on, up to `size` bytes of them, 0 for not at all; what it captured before stays if
    /// the size is the same.
    pub fn capture(&self, size: usize) -> Option<Rc<Capture>> {
        let mut capture = self.capture.borrow_mut();
        if capture.as_ref().map_or(0, |c| c.size()) != size {
            *capture = (size > 0).then(|| Rc::new(Capture::new(size)));
        }
        capture.clone()
    }

    /// Whether a line of this level would be written: to be asked before a message is built.
    pub fn wants(&self, level: Level) -> bool {
        self.level.wants(level) && !(self.sink.is_off() && self.capture.borrow().is_none())
    }

    /// Writes a line if its level is wanted.
    pub fn log(&self, level: Level, message: &[u8], context: &ErrorContext<'_>) {
        if !self.wants(level) {
            return;
        }
        let mut buffer = self.buffer.borrow_mut();
        buffer.clear();
        write_line(&mut buffer, &Stamp::now(), level, self.pid, message, context);
        if let Some(capture) = self.capture.borrow().as_ref() {
            capture.keep(level, &buffer);
        }
        self.sink.write(buffer.as_slice().to_vec());
    }

    /// The level all workers share.
    pub fn level(&self) -> &SharedLevel {
        &self.level
    }
}
