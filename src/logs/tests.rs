//! Lines, levels, and the writing thread on real files.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use time::macros::{datetime, offset};

use super::access::{AccessBuffer, AccessFormat, AccessRecord, escape};
use super::error::{ErrorContext, ErrorLog, MAX_LINE, SharedLevel, write_line};
use super::level::Level;
use super::stamp::Stamp;
use super::target::Target;
use super::writer::{LogSink, LogWriter};

fn stamp() -> Stamp {
    Stamp::at(datetime!(2017-07-09 17:36:25 UTC), offset!(+02:00))
}

/// A folder of its own for one test, removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("moongate-logs-{}-{name}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self, name: &str) -> Target {
        Target::File(self.0.join(name))
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.0.join(name)).unwrap()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

const RECORD: AccessRecord<'_> = AccessRecord {
    remote_addr: b"1.2.3.4",
    remote_user: None,
    request: b"GET /a HTTP/1.1",
    status: 200,
    body_bytes_sent: 12,
    referer: None,
    user_agent: Some(b"curl/8"),
    request_id: b"0123456789abcdef0123456789abcdef",
};

const CONTEXT: ErrorContext<'_> = ErrorContext {
    connection: Some(45),
    action: None,
    context: None,
    client: Some(b"1.2.3.4"),
    server: Some(b"kong"),
    request: Some(b"GET / HTTP/1.1"),
    upstream: None,
    host: Some(b"h"),
    referrer: None,
    request_id: Some(b"abc"),
};

fn error_line(message: &[u8], context: &ErrorContext<'_>) -> String {
    let mut out = b"before\n".to_vec();
    write_line(&mut out, &stamp(), Level::Error, 123, message, context);
    String::from_utf8(out)
        .unwrap()
        .strip_prefix("before\n")
        .unwrap()
        .to_owned()
}

#[test]
fn d04_a_debug_line_is_its_message_only() {
    let mut out = Vec::new();
    write_line(&mut out, &stamp(), Level::Debug, 123, b"hello", &CONTEXT);
    let line = String::from_utf8(out).unwrap();
    assert_eq!(line, "2017/07/09 19:36:25 [debug] 123#0: *45 hello\n");
    assert!(error_line(b"hello", &CONTEXT).contains("hello, client: 1.2.3.4"));
}

#[test]
fn a07_stamps_are_local_times() {
    assert_eq!(stamp().error(), b"2017/07/09 19:36:25");
    assert_eq!(stamp().access(), b"09/Jul/2017:19:36:25 +0200");
    let west = Stamp::at(datetime!(2024-12-31 23:59:59 UTC), offset!(-09:30));
    assert_eq!(west.access(), b"31/Dec/2024:14:29:59 -0930");
    assert_ne!(Stamp::now().error(), b"0000000000000000000");
}

#[test]
fn a07_error_lines_look_like_nginx_and_kong() {
    assert_eq!(
        error_line(b"[lua] x.lua:1: message", &CONTEXT),
        "2017/07/09 19:36:25 [error] 123#0: *45 [lua] x.lua:1: message, client: 1.2.3.4, server: kong, \
         request: \"GET / HTTP/1.1\", host: \"h\", request_id: \"abc\"\n"
    );
    let bare = error_line(b"started", &ErrorContext::default());
    assert_eq!(bare, "2017/07/09 19:36:25 [error] 123#0: started\n");
    let context = ErrorContext {
        request: Some(b"\x16\x03\" a\nb"),
        upstream: Some(b"http://10.0.0.1:80/"),
        referrer: Some(b"r"),
        ..CONTEXT
    };
    let line = error_line(b"m", &context);
    assert!(line.contains(r#"request: "\x16\x03\x22 a\x0Ab", upstream: "http://10.0.0.1:80/", host: "h", referrer: "r", request_id"#));
}

#[test]
fn a07_error_lines_are_cut() {
    let line = error_line(&[b'x'; 10_000], &CONTEXT);
    assert_eq!(line.len(), MAX_LINE);
    assert!(line.ends_with("x\n"));
}

#[test]
fn a07_access_lines_have_kongs_format() {
    let mut out = Vec::new();
    AccessFormat::named(None).write_line(&mut out, &stamp(), &RECORD);
    assert_eq!(
        String::from_utf8(out).unwrap(),
        "1.2.3.4 - - [09/Jul/2017:19:36:25 +0200] \"GET /a HTTP/1.1\" 200 12 \"-\" \"curl/8\" \
         kong_request_id: \"0123456789abcdef0123456789abcdef\"\n"
    );
    let mut out = Vec::new();
    let record = AccessRecord {
        remote_user: Some(b"me"),
        referer: Some(b""),
        ..RECORD
    };
    AccessFormat::named(Some("basic")).write_line(&mut out, &stamp(), &record);
    assert_eq!(
        String::from_utf8(out).unwrap(),
        "1.2.3.4 - me [09/Jul/2017:19:36:25 +0200] \"GET /a HTTP/1.1\" 200 12 \"\" \"curl/8\"\n"
    );
}

#[test]
fn a07_values_are_escaped_as_in_nginx() {
    let mut out = Vec::new();
    escape(&mut out, Some(b"a\"b\\c\n\x00\x7f\xff~ end"));
    assert_eq!(out, br"a\x22b\x5Cc\x0A\x00\x7F\xFF~ end");
}

#[test]
fn a07_levels_have_nginx_and_kong_names() {
    for (name, level) in [
        ("debug", Level::Debug),
        ("info", Level::Info),
        ("notice", Level::Notice),
        ("warn", Level::Warn),
        ("error", Level::Error),
        ("err", Level::Error),
        ("crit", Level::Crit),
        ("alert", Level::Alert),
        ("emerg", Level::Emerg),
    ] {
        assert_eq!(name.parse::<Level>(), Ok(level));
        assert_eq!(Level::from_number(level as i64), Some(level));
    }
    assert!("verbose".parse::<Level>().is_err());
    assert_eq!(Level::from_number(9), None);
}

#[test]
fn a07_error_log_filters_by_the_shared_level() {
    let folder = Folder::new("level");
    let writer = LogWriter::start().unwrap();
    let level = SharedLevel::new(Level::Notice);
    let log = ErrorLog::new(writer.open(&folder.file("e.log")).unwrap(), level.clone(), 7);
    log.log(Level::Info, b"one", &CONTEXT);
    log.log(Level::Notice, b"two", &CONTEXT);
    level.set(Level::Error);
    assert!(!log.wants(Level::Warn));
    log.log(Level::Warn, b"three", &CONTEXT);
    log.log(Level::Crit, b"four", &CONTEXT);
    assert!(writer.flush(Duration::from_secs(5)));
    let text = folder.read("e.log");
    assert!(text.contains("[notice] 7#0: *45 two, ") && text.contains("[crit] 7#0: *45 four, "));
    assert_eq!(text.lines().count(), 2);
}

#[test]
fn a07_access_lines_wait_in_the_buffer_until_flushed() {
    let folder = Folder::new("buffer");
    let writer = LogWriter::start().unwrap();
    let target = folder.file("a.log");
    let mut buffer = AccessBuffer::new(writer.open(&target).unwrap(), AccessFormat::Kong);
    buffer.log(&RECORD);
    assert!(writer.flush(Duration::from_secs(5)));
    assert_eq!(folder.read("a.log"), "");
    buffer.flush();
    assert!(writer.flush(Duration::from_secs(5)));
    assert_eq!(folder.read("a.log").lines().count(), 1);
    for _ in 0..300 {
        buffer.log(&RECORD);
    }
    assert!(writer.flush(Duration::from_secs(5)));
    assert!(
        folder.read("a.log").lines().count() > 100,
        "a full buffer leaves by itself"
    );
    drop(buffer);
    drop(writer);
    assert_eq!(folder.read("a.log").lines().count(), 301);
}

#[test]
fn a07_reopen_follows_a_moved_file() {
    let folder = Folder::new("reopen");
    let writer = LogWriter::start().unwrap();
    let sink = writer.open(&folder.file("x.log")).unwrap();
    let same = writer.open(&folder.file("x.log")).unwrap();
    sink.write(b"one\n".to_vec());
    assert!(writer.flush(Duration::from_secs(5)));
    fs::rename(folder.0.join("x.log"), folder.0.join("x.log.1")).unwrap();
    same.write(b"two\n".to_vec());
    writer.reopen();
    sink.write(b"three\n".to_vec());
    assert!(writer.flush(Duration::from_secs(5)));
    assert_eq!(folder.read("x.log.1"), "one\ntwo\n");
    assert_eq!(folder.read("x.log"), "three\n");
    // Appended, not begun anew.
    drop(writer);
    let writer = LogWriter::start().unwrap();
    writer
        .open(&folder.file("x.log"))
        .unwrap()
        .write(b"four\n".to_vec());
    drop(writer);
    assert_eq!(folder.read("x.log"), "three\nfour\n");
}

#[test]
fn a07_a_log_that_cannot_be_opened_is_named() {
    let folder = Folder::new("missing");
    let writer = LogWriter::start().unwrap();
    let error = writer
        .open(&folder.file("no/such/x.log"))
        .unwrap_err()
        .to_string();
    assert!(error.starts_with("open() \"") && error.contains("no/such/x.log\" failed (No such file"));
    assert!(writer.open(&Target::Off).unwrap().is_off());
    LogSink::off().write(b"nothing".to_vec());
}

#[test]
fn a07_a_slow_log_drops_lines_and_says_so_but_never_waits() {
    let folder = Folder::new("slow");
    let pipe = folder.0.join("pipe");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status().unwrap();
    assert!(made.success());
    // Held open for reading and not read from: the pipe fills and the thread hangs in its write.
    let reader = std::thread::spawn({
        let pipe = pipe.clone();
        move || fs::File::open(pipe).unwrap()
    });
    let writer = LogWriter::start().unwrap();
    let sink = writer.open(&Target::File(pipe)).unwrap();
    let mut reader = reader.join().unwrap();
    let begun = Instant::now();
    for _ in 0..5000 {
        sink.write(vec![b'\n'; 1024]);
    }
    assert!(begun.elapsed() < Duration::from_secs(2));
    let drain = std::thread::spawn(move || {
        let mut text = Vec::new();
        std::io::Read::read_to_end(&mut reader, &mut text).unwrap();
        String::from_utf8(text).unwrap()
    });
    while !writer.flush(Duration::from_secs(5)) {}
    sink.write(b"last\n".to_vec());
    drop(writer);
    let text = drain.join().unwrap();
    assert!(text.contains("log writes were dropped"));
    assert!(text.contains("last\n"));
}
