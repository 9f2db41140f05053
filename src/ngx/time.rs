//! `ngx.now` and the other clocks.
//!
//! What `ngx.now` says stands from the start of a turn (until the handler waits or ends) to `ngx.update_time`; the Lua
//! face keeps it. Must not: keep a time itself.

use std::ffi::c_int;
use std::time::{SystemTime, UNIX_EPOCH};

use time::format_description::BorrowedFormatItem;
use time::macros::format_description;
use time::{OffsetDateTime, UtcOffset};

use super::call;
use crate::vm::native::{self, Given, Reply};
use crate::vm::{Args, Out, Registrar, Ret, op};

/// `$time_local`.
pub(super) const LOG: &[BorrowedFormatItem] = format_description!(
    "[day]/[month repr:short]/[year]:[hour]:[minute]:[second] [offset_hour sign:mandatory][offset_minute]"
);
/// `$time_iso8601`.
pub(super) const ISO8601: &[BorrowedFormatItem] = format_description!(
    "[year]-[month]-[day]T[hour]:[minute]:[second][offset_hour sign:mandatory]:[offset_minute]"
);
const PLAIN: &[BorrowedFormatItem] = format_description!("[year]-[month]-[day] [hour]:[minute]:[second]");
const DAY: &[BorrowedFormatItem] = format_description!("[year]-[month]-[day]");
const HTTP: &[BorrowedFormatItem] =
    format_description!("[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT");
const COOKIE: &[BorrowedFormatItem] = format_description!(
    "[weekday repr:short], [day]-[month repr:short]-[year repr:last_two] [hour]:[minute]:[second] GMT"
);
const COOKIE_FAR: &[BorrowedFormatItem] =
    format_description!("[weekday repr:short], [day]-[month repr:short]-[year] [hour]:[minute]:[second] GMT");
pub(super) fn install(r: &Registrar) -> mlua::Result<()> {
    r.op("ngx_time", "now", op::raw(now))?;
    r.op("ngx_time", "today", op::raw(today))?;
    r.op("ngx_time", "localtime", op::raw(localtime))?;
    r.op("ngx_time", "utctime", op::raw(utctime))?;
    r.op("ngx_time", "http_time", op::raw(http_time))?;
    r.op("ngx_time", "cookie_time", op::raw(cookie_time))?;
    r.op("ngx_time", "parse_http_time", op::raw(parse_http_time))?;
    r.op("ngx_time", "sleep", op::raw(sleep))?;
    r.native("ngx_time", "now", native::raw(now_native))
}

/// Seconds since the epoch, to the millisecond.
pub(super) fn now_seconds() -> f64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    (since.as_secs() * 1000 + u64::from(since.subsec_millis())) as f64 / 1000.0
}

/// The local time in a format.
pub(super) fn local(format: &[BorrowedFormatItem]) -> String {
    in_local(OffsetDateTime::now_utc(), format)
}

fn in_local(utc: OffsetDateTime, format: &[BorrowedFormatItem]) -> String {
    let offset = UtcOffset::local_offset_at(utc).unwrap_or(UtcOffset::UTC);
    utc.to_offset(offset).format(format).unwrap_or_default()
}

fn utc(seconds: f64, format: &[BorrowedFormatItem]) -> Option<String> {
    OffsetDateTime::from_unix_timestamp(seconds as i64)
        .ok()?
        .format(format)
        .ok()
}

fn now(_: &Args, r: &mut Ret) {
    r.num(now_seconds());
}

fn now_native(_: &Given, reply: &mut Reply) -> c_int {
    reply.number = now_seconds();
    0
}

/// The local time of argument 1, in seconds since the epoch.
fn local_given(a: &Args, format: &[BorrowedFormatItem]) -> Option<String> {
    let at = OffsetDateTime::from_unix_timestamp(a.num(1)? as i64).ok()?;
    Some(in_local(at, format))
}

/// `today(seconds)`
fn today(a: &Args, r: &mut Ret) {
    r.opt(local_given(a, DAY));
}

/// `localtime(seconds)`
fn localtime(a: &Args, r: &mut Ret) {
    r.opt(local_given(a, PLAIN));
}

/// `utctime(seconds)`
fn utctime(a: &Args, r: &mut Ret) {
    r.opt(a.num(1).and_then(|t| utc(t, PLAIN)));
}

/// Whole seconds as nginx takes them: from 1970 on; what it can't write in four digits of a year ends there.
fn seconds(a: &Args) -> f64 {
    const LAST: f64 = 253_402_300_799.0;
    a.num(1).unwrap_or(0.0).clamp(0.0, LAST)
}

fn http_time(a: &Args, r: &mut Ret) {
    r.opt(utc(seconds(a), HTTP));
}

/// Years beyond 2037 have four digits, as nginx writes them.
fn cookie_time(a: &Args, r: &mut Ret) {
    let n = seconds(a);
    let far = OffsetDateTime::from_unix_timestamp(n as i64).is_ok_and(|t| t.year() > 2037);
    r.opt(utc(n, if far { COOKIE_FAR } else { COOKIE }));
}

fn parse_http_time(a: &Args, r: &mut Ret) {
    match parse(a.str(1).unwrap_or_default()) {
        Some(t) => r.int(t),
        None => r.nil(),
    };
}

/// Reads a date piece by piece.
struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn number(&mut self, digits: usize) -> Option<i64> {
        let (head, rest) = self.0.split_at_checked(digits)?;
        self.0 = rest;
        head.iter()
            .try_fold(0, |n, b| b.is_ascii_digit().then(|| n * 10 + i64::from(b - b'0')))
    }

    fn skip(&mut self, byte: u8) -> Option<()> {
        self.0 = self.0.strip_prefix(&[byte])?;
        Some(())
    }

    fn month(&mut self) -> Option<usize> {
        const NAMES: [&[u8]; 12] = [
            b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec",
        ];
        let (head, rest) = self.0.split_at_checked(3)?;
        self.0 = rest;
        NAMES.iter().position(|n| *n == head)
    }

    /// `hh:mm:ss` as seconds.
    fn clock(&mut self) -> Option<i64> {
        let hours = self.number(2)?;
        self.skip(b':')?;
        let minutes = self.number(2)?;
        self.skip(b':')?;
        let seconds = self.number(2)?;
        (hours < 24 && minutes < 60 && seconds < 60).then_some(hours * 3600 + minutes * 60 + seconds)
    }
}

/// A date of RFC 822, RFC 850 (below 70 a year is of this century) or asctime; what follows it doesn't count.
pub fn parse(text: &[u8]) -> Option<i64> {
    let at = text.iter().position(|b| matches!(b, b',' | b' '))?;
    let asctime = text[at] == b' ';
    let mut t = Reader(text[at + 1..].trim_ascii_start());
    let (day, month, year, clock);
    if asctime {
        month = t.month()?;
        t.0 = t.0.trim_ascii_start();
        let digits = t.0.iter().take_while(|b| **b != b' ').count();
        day = t.number(digits.min(2))?;
        t.skip(b' ')?;
        clock = t.clock()?;
        t.skip(b' ')?;
        year = t.number(4)?;
    } else {
        day = t.number(2)?;
        let between = *t.0.first().filter(|b| matches!(b, b' ' | b'-'))?;
        t.skip(between)?;
        month = t.month()?;
        t.skip(between)?;
        year = if between == b' ' {
            t.number(4)?
        } else {
            let short = t.number(2)?;
            short + if short < 70 { 2000 } else { 1900 }
        };
        t.skip(b' ')?;
        clock = t.clock()?;
    }
    let month = time::Month::try_from(month as u8 + 1).ok()?;
    let date = time::Date::from_calendar_date(year as i32, month, day as u8).ok()?;
    Some(date.midnight().assume_utc().unix_timestamp() + clock)
}

/// `sleep(seconds)`: waits.
fn sleep(a: &Args, r: &mut Ret) {
    let Some(seconds) = call::check_num(a, r, 1, "sleep") else {
        return;
    };
    let ms = seconds * 1000.0;
    if !(0.0..=f64::from(i32::MAX)).contains(&ms) {
        return r.raise(format!("invalid sleep duration \"{}\"", ms as i64));
    }
    if !call::allowed(r, call::SLEEP) {
        return;
    }
    r.wait(async move {
        if ms < 1.0 {
            tokio::task::yield_now().await;
        } else {
            tokio::time::sleep(std::time::Duration::from_millis(ms as u64)).await;
        }
        Out::new()
    });
}
