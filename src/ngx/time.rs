//! `ngx.now` and the other clocks.
//!
//! Must not: cache; reading the clock costs less than explaining a stale one.

use std::time::{SystemTime, UNIX_EPOCH};

use time::format_description::BorrowedFormatItem;
use time::macros::format_description;
use time::{OffsetDateTime, PrimitiveDateTime, UtcOffset};

use super::call;
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
const ASCTIME: &[BorrowedFormatItem] = format_description!(
    "[weekday repr:short] [month repr:short] [day padding:space] [hour]:[minute]:[second] [year]"
);

pub(super) fn install(r: &Registrar) -> mlua::Result<()> {
    r.op("ngx_time", "now", op::raw(now))?;
    r.op("ngx_time", "time", op::raw(whole))?;
    r.op("ngx_time", "today", op::raw(today))?;
    r.op("ngx_time", "localtime", op::raw(localtime))?;
    r.op("ngx_time", "utctime", op::raw(utctime))?;
    r.op("ngx_time", "http_time", op::raw(http_time))?;
    r.op("ngx_time", "cookie_time", op::raw(cookie_time))?;
    r.op("ngx_time", "parse_http_time", op::raw(parse_http_time))?;
    r.op("ngx_time", "sleep", op::raw(sleep))
}

/// Seconds since the epoch, to the millisecond.
pub(super) fn now_seconds() -> f64 {
    let ms = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_millis();
    ms as f64 / 1000.0
}

/// The local time in a format.
pub(super) fn local(format: &[BorrowedFormatItem]) -> String {
    let utc = OffsetDateTime::now_utc();
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

fn whole(_: &Args, r: &mut Ret) {
    r.num(now_seconds().trunc());
}

fn today(_: &Args, r: &mut Ret) {
    r.str(local(DAY));
}

fn localtime(_: &Args, r: &mut Ret) {
    r.str(local(PLAIN));
}

fn utctime(_: &Args, r: &mut Ret) {
    r.opt(utc(now_seconds(), PLAIN));
}

fn http_time(a: &Args, r: &mut Ret) {
    if let Some(n) = call::check_num(a, r, 1, "http_time") {
        r.opt(utc(n, HTTP));
    }
}

/// Years beyond 2037 have four digits, as nginx writes them.
fn cookie_time(a: &Args, r: &mut Ret) {
    if let Some(n) = call::check_num(a, r, 1, "cookie_time") {
        let far = OffsetDateTime::from_unix_timestamp(n as i64).is_ok_and(|t| t.year() > 2037);
        r.opt(utc(n, if far { COOKIE_FAR } else { COOKIE }));
    }
}

fn parse_http_time(a: &Args, r: &mut Ret) {
    let Some(text) = call::check_text(a, r, 1, "parse_http_time") else {
        return;
    };
    let Ok(text) = std::str::from_utf8(&text) else {
        r.nil();
        return;
    };
    match parse(text.trim()) {
        Some(t) => r.int(t),
        None => r.nil(),
    };
}

pub(super) fn parse(text: &str) -> Option<i64> {
    if let Ok(t) = PrimitiveDateTime::parse(text, HTTP).or_else(|_| PrimitiveDateTime::parse(text, ASCTIME)) {
        return Some(t.assume_utc().unix_timestamp());
    }
    // RFC 850 dates have two digits for the year; below 70 they mean this century.
    let (head, tail) = text.rsplit_once('-')?;
    let (yy, rest) = tail.split_at_checked(2)?;
    let century = if yy.parse::<u8>().ok()? < 70 { "20" } else { "19" };
    let (_, date) = head.split_once(", ")?;
    const LONG: &[BorrowedFormatItem] =
        format_description!("[day]-[month repr:short]-[year] [hour]:[minute]:[second] GMT");
    PrimitiveDateTime::parse(&format!("{date}-{century}{yy}{rest}"), LONG)
        .ok()
        .map(|t| t.assume_utc().unix_timestamp())
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
    if !call::allowed(r, call::YIELD) {
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
