//! `ngx.now` and the other clocks.
//!
//! What `ngx.now` says stands from the start of a turn (until the handler waits or ends) to `ngx.update_time`; the Lua
//! face keeps it. Must not: keep a time itself, but the text of the second that it told last.

use std::cell::RefCell;
use std::ffi::c_int;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use time::format_description::BorrowedFormatItem;
use time::macros::format_description;
use time::{OffsetDateTime, UtcOffset};

use super::call;
use crate::vm::native::{self, Given, Reply};
use crate::vm::{Args, Out, Registrar, Ret, op};

/// `$time_local`.
const LOG: &[BorrowedFormatItem] = format_description!(
    "[day]/[month repr:short]/[year]:[hour]:[minute]:[second] [offset_hour sign:mandatory][offset_minute]"
);
/// `$time_iso8601`.
const ISO8601: &[BorrowedFormatItem] = format_description!(
    "[year]-[month]-[day]T[hour]:[minute]:[second][offset_hour sign:mandatory]:[offset_minute]"
);
const PLAIN: &[BorrowedFormatItem] = format_description!("[year]-[month]-[day] [hour]:[minute]:[second]");
const DAY: &[BorrowedFormatItem] = format_description!("[year]-[month]-[day]");

/// The time of now as text. Its number is what the face calls it by.
#[derive(Debug, Clone, Copy)]
pub(super) enum Clock {
    /// `ngx.today`.
    Today = 0,
    /// `ngx.localtime`.
    Local = 1,
    /// `ngx.utctime`.
    Utc = 2,
    /// `$time_local`.
    Log = 3,
    /// `$time_iso8601`.
    Iso8601 = 4,
}

/// The longest of such texts is shorter.
const LONGEST: usize = 40;

thread_local! {
    /// The text of each clock, and of which second it is.
    static TEXTS: RefCell<[(i64, String); 5]> = const { RefCell::new([const { (i64::MIN, String::new()) }; 5]) };
}

/// Shows `f` the time of now.
pub(super) fn show<R>(clock: Clock, f: impl FnOnce(&str) -> R) -> R {
    show_at(clock, since_epoch().as_secs() as i64, f)
}

/// Shows `f` a time, in seconds since the epoch.
fn show_at<R>(clock: Clock, now: i64, f: impl FnOnce(&str) -> R) -> R {
    TEXTS.with_borrow_mut(|texts| {
        let (second, text) = &mut texts[clock as usize];
        if *second != now {
            *text = written(clock, now);
            *second = now;
        }
        f(text)
    })
}

fn written(clock: Clock, now: i64) -> String {
    let utc = OffsetDateTime::from_unix_timestamp(now).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    let format = match clock {
        Clock::Today => DAY,
        Clock::Local | Clock::Utc => PLAIN,
        Clock::Log => LOG,
        Clock::Iso8601 => ISO8601,
    };
    let offset = match clock {
        Clock::Utc => UtcOffset::UTC,
        _ => UtcOffset::local_offset_at(utc).unwrap_or(UtcOffset::UTC),
    };
    utc.to_offset(offset).format(format).unwrap_or_default()
}

/// Whole seconds as headers have them: `Thu, 18 Nov 2010 11:27:35 GMT`, or as cookies do (`-` between the parts of the
/// date, two digits of the year up to 2037, as nginx writes them).
fn http_text(seconds: i64, cookie: bool, out: &mut [u8; LONGEST]) -> Option<usize> {
    const DAYS: &[u8; 21] = b"MonTueWedThuFriSatSun";
    const MONTHS: &[u8; 36] = b"JanFebMarAprMayJunJulAugSepOctNovDec";
    let t = OffsetDateTime::from_unix_timestamp(seconds).ok()?;
    let (year, month, day) = t.to_calendar_date();
    let (hour, minute, second) = t.to_hms();
    let mut at = 0;
    let mut put = |text: &[u8]| {
        out[at..at + text.len()].copy_from_slice(text);
        at += text.len();
    };
    let two = |n: u8| [b'0' + n / 10, b'0' + n % 10];
    let between: &[u8] = if cookie { b"-" } else { b" " };
    put(&DAYS[usize::from(t.weekday().number_days_from_monday()) * 3..][..3]);
    put(b", ");
    put(&two(day));
    put(between);
    put(&MONTHS[usize::from(u8::from(month) - 1) * 3..][..3]);
    put(between);
    if !cookie || year > 2037 {
        put(&two((year / 100) as u8));
    }
    put(&two((year % 100) as u8));
    for (sign, n) in [(b' ', hour), (b':', minute), (b':', second)] {
        put(&[sign]);
        put(&two(n));
    }
    put(b" GMT");
    Some(at)
}

pub(super) fn install(r: &Registrar) -> mlua::Result<()> {
    r.op("ngx_time", "now", op::raw(now))?;
    r.op("ngx_time", "today", op::raw(today))?;
    r.op("ngx_time", "localtime", op::raw(localtime))?;
    r.op("ngx_time", "utctime", op::raw(utctime))?;
    r.op("ngx_time", "http_time", op::raw(http_time))?;
    r.op("ngx_time", "cookie_time", op::raw(cookie_time))?;
    r.op("ngx_time", "parse_http_time", op::raw(parse_http_time))?;
    r.op("ngx_time", "sleep", op::raw(sleep))?;
    r.native("ngx_time", "now", native::raw(now_native))?;
    r.native("ngx_time", "clock", native::raw(clock_native))?;
    r.native("ngx_time", "http", native::raw(http_native))?;
    r.native("ngx_time", "parse", native::raw(parse_native))
}

/// Since the epoch.
pub(super) fn since_epoch() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// Seconds since the epoch, to the millisecond.
fn now_seconds() -> f64 {
    let since = since_epoch();
    (since.as_secs() * 1000 + u64::from(since.subsec_millis())) as f64 / 1000.0
}

fn now(_: &Args, r: &mut Ret) {
    r.num(now_seconds());
}

fn now_native(_: &Given, reply: &mut Reply) -> c_int {
    reply.number = now_seconds();
    0
}

/// `today(seconds)`
fn today(a: &Args, r: &mut Ret) {
    put_clock(a, r, Clock::Today);
}

/// `localtime(seconds)`
fn localtime(a: &Args, r: &mut Ret) {
    put_clock(a, r, Clock::Local);
}

/// `utctime(seconds)`
fn utctime(a: &Args, r: &mut Ret) {
    put_clock(a, r, Clock::Utc);
}

fn put_clock(a: &Args, r: &mut Ret, clock: Clock) {
    show_at(clock, a.num(1).unwrap_or(0.0) as i64, |t| {
        r.str(t);
    });
}

/// Clock `i` at seconds `x`: the length of its text.
fn clock_native(g: &Given, reply: &mut Reply) -> c_int {
    let clock = match g.i {
        0 => Clock::Today,
        1 => Clock::Local,
        2 => Clock::Utc,
        _ => return native::OP,
    };
    show_at(clock, g.x as i64, |t| reply.text(t.as_bytes()))
}

/// Whole seconds as nginx takes them: from 1970 on; what it can't write in four digits of a year ends there.
fn whole(seconds: f64) -> i64 {
    const LAST: f64 = 253_402_300_799.0;
    seconds.clamp(0.0, LAST) as i64
}

fn http_time(a: &Args, r: &mut Ret) {
    put_http(a, r, false);
}

fn cookie_time(a: &Args, r: &mut Ret) {
    put_http(a, r, true);
}

fn put_http(a: &Args, r: &mut Ret, cookie: bool) {
    let mut text = [0; LONGEST];
    let len = http_text(whole(a.num(1).unwrap_or(0.0)), cookie, &mut text);
    r.opt(len.map(|len| &text[..len]));
}

/// Seconds `x` as a header has them, or a cookie if `i`: the length of the text.
fn http_native(g: &Given, reply: &mut Reply) -> c_int {
    let mut text = [0; LONGEST];
    match http_text(whole(g.x), g.i != 0, &mut text) {
        Some(len) => reply.text(&text[..len]),
        None => native::OP,
    }
}

/// The date `a`: 0, and the seconds in the reply.
fn parse_native(g: &Given, reply: &mut Reply) -> c_int {
    match parse(g.a) {
        Some(seconds) => {
            reply.number = seconds as f64;
            0
        }
        None => native::NONE,
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn d04_times_are_written_as_nginx_does() {
        for (seconds, http, cookie) in [
            (0, "Thu, 01 Jan 1970 00:00:00 GMT", "Thu, 01-Jan-70 00:00:00 GMT"),
            (
                1_290_079_655,
                "Thu, 18 Nov 2010 11:27:35 GMT",
                "Thu, 18-Nov-10 11:27:35 GMT",
            ),
            (
                951_782_400,
                "Tue, 29 Feb 2000 00:00:00 GMT",
                "Tue, 29-Feb-00 00:00:00 GMT",
            ),
            (
                2_145_916_799,
                "Thu, 31 Dec 2037 23:59:59 GMT",
                "Thu, 31-Dec-37 23:59:59 GMT",
            ),
            (
                2_145_916_800,
                "Fri, 01 Jan 2038 00:00:00 GMT",
                "Fri, 01-Jan-2038 00:00:00 GMT",
            ),
            (
                253_402_300_799,
                "Fri, 31 Dec 9999 23:59:59 GMT",
                "Fri, 31-Dec-9999 23:59:59 GMT",
            ),
        ] {
            let mut out = [0; LONGEST];
            for (is_cookie, want) in [(false, http), (true, cookie)] {
                let len = http_text(seconds, is_cookie, &mut out).unwrap_or_default();
                assert_eq!(String::from_utf8_lossy(&out[..len]), want);
            }
            assert_eq!(parse(http.as_bytes()), Some(seconds));
        }
        assert_eq!(
            (whole(-5.0), whole(1e300), whole(f64::NAN)),
            (0, 253_402_300_799, 0)
        );
    }
}
