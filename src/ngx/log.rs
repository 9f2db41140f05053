//! `ngx.log`: the line's prefix and the way to whoever writes it.
//!
//! Must not: write on the request path (the sink does, as it likes).

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use crate::exchange::{Caller, Exchange, Handshake, Phase};
use crate::logs::{self, Capture};
use crate::vm::{Args, Registrar, Ret, Scope, op, scope};

/// A log level, as nginx numbers them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Level(pub u8);

impl Level {
    pub const STDERR: Level = Level(0);
    pub const EMERG: Level = Level(1);
    pub const ALERT: Level = Level(2);
    pub const CRIT: Level = Level(3);
    pub const ERR: Level = Level(4);
    pub const WARN: Level = Level(5);
    pub const NOTICE: Level = Level(6);
    pub const INFO: Level = Level(7);
    pub const DEBUG: Level = Level(8);

    /// The word in a log line.
    pub fn name(self) -> &'static str {
        const NAMES: [&str; 9] = [
            "stderr", "emerg", "alert", "crit", "error", "warn", "notice", "info", "debug",
        ];
        NAMES[usize::from(self.0.min(8))]
    }
}

/// In whose name a line is written.
pub enum Origin<'a> {
    /// A request, and the phase it is in.
    Request(&'a Exchange, Phase),
    /// A TLS handshake.
    Handshake(&'a Handshake, Phase),
    /// A timer, or a worker that begins.
    Caller(&'a Caller, Phase),
    /// The worker itself.
    Worker,
}

/// Takes a line: its level, its text without a line end, and whose it is.
pub type Sink = Box<dyn Fn(Level, &[u8], &Origin<'_>)>;

thread_local! {
    static SINK: RefCell<Option<Sink>> = const { RefCell::new(None) };
    static CAPTURE: RefCell<Option<Rc<Capture>>> = const { RefCell::new(None) };
    static THRESHOLD: Cell<Level> = const { Cell::new(Level::NOTICE) };
}

/// Sets where this worker's lines go; stderr without it.
pub fn set_sink(sink: Sink) {
    SINK.with(|s| *s.borrow_mut() = Some(sink));
}

/// Sets where this worker's Lua finds captured lines (`lua_capture_error_log`).
pub fn set_capture(capture: Option<Rc<Capture>>) {
    CAPTURE.set(capture);
}

/// Sets the level above which this worker's lines are dropped; states made afterwards skip formatting them.
pub fn set_level(level: Level) {
    THRESHOLD.set(level);
}

/// Whether lines of `level` are written.
pub fn enabled(level: Level) -> bool {
    level <= THRESHOLD.get()
}

/// Writes a line in the name of what runs.
pub fn emit(level: Level, text: &[u8]) {
    if !enabled(level) {
        return;
    }
    if scope::with(|s| emit_of(s, level, text)).is_none() {
        deliver(level, text, &Origin::Worker);
    }
}

/// Writes a line in the name of a scope.
pub fn emit_of(scope: &Scope, level: Level, text: &[u8]) {
    if !enabled(level) {
        return;
    }
    let phase = scope.phase.get();
    if let Some(x) = &scope.exchange {
        match x.try_borrow() {
            Ok(x) => deliver(level, text, &Origin::Request(&x, phase)),
            Err(_) => deliver(level, text, &Origin::Worker),
        }
    } else if let Some(h) = &scope.handshake {
        deliver(level, text, &Origin::Handshake(h, phase));
    } else if let Some(c) = &scope.caller {
        deliver(level, text, &Origin::Caller(c, phase));
    }
}

/// Writes a line outside any request.
pub fn emit_outside(level: Level, text: &[u8]) {
    if enabled(level) {
        deliver(level, text, &Origin::Worker);
    }
}

fn deliver(level: Level, text: &[u8], origin: &Origin<'_>) {
    SINK.with(|s| match s.borrow().as_ref() {
        Some(sink) => sink(level, text, origin),
        None => eprintln!("[{}] {}", level.name(), String::from_utf8_lossy(text)),
    });
}

pub(super) fn install(r: &Registrar) -> mlua::Result<()> {
    r.op("ngx_log", "write", op::raw(write))?;
    r.op("ngx_log", "threshold", op::raw(threshold))?;
    r.op("ngx_log", "capture_filter", op::raw(capture_filter))?;
    r.op("ngx_log", "captured", op::raw(captured))
}

const NOT_CAPTURED: &str = "directive \"lua_capture_error_log\" is not set";

/// `capture_filter(level)`: true, or nil and why not.
fn capture_filter(a: &Args, r: &mut Ret) {
    let Some(capture) = CAPTURE.with_borrow(Option::clone) else {
        r.fail(NOT_CAPTURED);
        return;
    };
    let level = a.num(1).unwrap_or_default().trunc();
    let known = (0.0..=8.0).contains(&level);
    match logs::Level::from_number(level as i64).filter(|_| known) {
        Some(level) => {
            capture.set_filter(level);
            r.bool(true);
        }
        None => {
            r.fail(format!("bad log level: {}", level as i32));
        }
    }
}

/// `captured()`: level, time and text of the oldest line; false if there is none, or nil and why not.
fn captured(_: &Args, r: &mut Ret) {
    match CAPTURE.with_borrow(|c| c.as_ref().map(|c| c.take())) {
        None => {
            r.fail(NOT_CAPTURED);
        }
        Some(None) => {
            r.bool(false);
        }
        Some(Some(found)) => {
            r.num(found.level as u8).num(found.time).str(found.line);
        }
    }
}

fn threshold(_: &Args, r: &mut Ret) {
    r.num(THRESHOLD.get().0);
}

/// `write(level, text)`.
fn write(a: &Args, _: &mut Ret) {
    let level = Level(a.int(1).unwrap_or(4).clamp(0, 8) as u8);
    emit(level, a.str(2).unwrap_or_default());
}
