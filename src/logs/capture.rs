//! Lines of a worker's error log that its Lua may read back: `lua_capture_error_log`.
//!
//! Must not: hold more bytes than it was given; the oldest lines make room.
//!
//! # Source
//! lua-nginx-module: `ngx_http_lua_log_ringbuf.c`.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::time::{SystemTime, UNIX_EPOCH};

use super::level::Level;

/// What a line costs beside its bytes, as OpenResty counts.
const HEADER: usize = 16;

/// A captured line.
#[derive(Debug, Clone, PartialEq)]
pub struct Captured {
    /// Its level.
    pub level: Level,
    /// When it was written: seconds since the epoch, with milliseconds behind the point.
    pub time: f64,
    /// Without its end.
    pub line: Box<[u8]>,
}

/// The lines captured and not yet read.
#[derive(Debug)]
pub struct Capture {
    size: usize,
    filter: Cell<Level>,
    lines: RefCell<VecDeque<Captured>>,
    used: Cell<usize>,
}

impl Capture {
    /// Captures lines of every level, up to `size` bytes of them.
    pub fn new(size: usize) -> Self {
        Self {
            size,
            filter: Cell::new(Level::Debug),
            lines: RefCell::default(),
            used: Cell::new(0),
        }
    }

    /// How many bytes it was given.
    pub fn size(&self) -> usize {
        self.size
    }

    /// From now on only lines of this level and graver ones are captured.
    pub fn set_filter(&self, level: Level) {
        self.filter.set(level);
    }

    /// The oldest line, which is taken out.
    pub fn take(&self) -> Option<Captured> {
        let found = self.lines.borrow_mut().pop_front()?;
        self.used.set(self.used.get() - found.line.len() - HEADER);
        Some(found)
    }

    /// Keeps a line, its end included or not, if the filter lets it through and it fits at all.
    pub(super) fn keep(&self, level: Level, line: &[u8]) {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let needed = line.len() + HEADER;
        if level > self.filter.get() || needed > self.size {
            return;
        }
        while self.used.get() + needed > self.size {
            if self.take().is_none() {
                return;
            }
        }
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        self.used.set(self.used.get() + needed);
        self.lines.borrow_mut().push_back(Captured {
            level,
            time: since.as_millis() as f64 / 1000.0,
            line: line.into(),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(c: &Capture) -> Vec<String> {
        std::iter::from_fn(|| c.take())
            .map(|l| String::from_utf8_lossy(&l.line).into_owned())
            .collect()
    }

    #[test]
    fn d04_the_oldest_lines_make_room() {
        let c = Capture::new(100);
        for i in 0..10 {
            c.keep(Level::Error, format!("line number {i:02}\n").as_bytes());
        }
        // 14 bytes and 16 more each
        assert_eq!(lines(&c), ["line number 07", "line number 08", "line number 09"]);
        assert!(c.take().is_none() && c.used.get() == 0);

        c.keep(Level::Error, &[b'x'; 85]);
        assert!(c.take().is_none(), "larger than everything");
        c.keep(Level::Error, b"small");
        c.keep(Level::Error, &[b'x'; 84]);
        assert_eq!(lines(&c), ["x".repeat(84)]);
    }

    #[test]
    fn d04_the_filter_lets_graver_lines_through() {
        let c = Capture::new(1000);
        c.keep(Level::Debug, b"debug");
        c.set_filter(Level::Warn);
        for level in [Level::Notice, Level::Warn, Level::Error] {
            c.keep(level, level.name().as_bytes());
        }
        assert_eq!(lines(&c), ["debug", "warn", "error"]);
    }
}
