//! The times of certificates.
//!
//! Must not: read a clock.

use time::{Date, Month, OffsetDateTime, Time};

use super::asn1::{self, Asn1Error, Element};

/// Seconds since 1970 of a UTCTime or GeneralizedTime.
///
/// # Errors
/// When it is neither, or not as RFC 5280 has them.
pub fn read(element: &Element) -> Result<i64, Asn1Error> {
    let text = std::str::from_utf8(element.body).map_err(|_| Asn1Error::Value)?;
    let digits = text.strip_suffix('Z').ok_or(Asn1Error::Value)?;
    if !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(Asn1Error::Value);
    }
    let (year, rest) = match (element.tag, digits.len()) {
        (asn1::UTC_TIME, 10 | 12) => {
            let year = number(&digits[..2])?;
            (if year < 50 { 2000 + year } else { 1900 + year }, &digits[2..])
        }
        (asn1::GENERALIZED_TIME, 12 | 14) => (number(&digits[..4])?, &digits[4..]),
        _ => return Err(Asn1Error::Value),
    };
    let at = |i: usize| rest.get(i..i + 2).map_or(Ok(0), number);
    let month = Month::try_from(at(0)? as u8).map_err(|_| Asn1Error::Value)?;
    let date = Date::from_calendar_date(year, month, at(2)? as u8).map_err(|_| Asn1Error::Value)?;
    let time = Time::from_hms(at(4)? as u8, at(6)? as u8, at(8)? as u8).map_err(|_| Asn1Error::Value)?;
    Ok(OffsetDateTime::new_utc(date, time).unix_timestamp())
}

fn number(digits: &str) -> Result<i32, Asn1Error> {
    digits.parse().map_err(|_| Asn1Error::Value)
}

/// Writes a time: UTCTime up to 2049, GeneralizedTime from there on. None when it has no four-digit year.
pub fn write(seconds: i64) -> Option<Vec<u8>> {
    let t = OffsetDateTime::from_unix_timestamp(seconds).ok()?;
    let (year, month) = (t.year(), u8::from(t.month()));
    let (day, hour, minute, second) = (t.day(), t.hour(), t.minute(), t.second());
    let rest = format!("{month:02}{day:02}{hour:02}{minute:02}{second:02}Z");
    match year {
        1950..=2049 => Some(asn1::element(
            asn1::UTC_TIME,
            format!("{:02}{rest}", year % 100).as_bytes(),
        )),
        0..=9999 => Some(asn1::element(
            asn1::GENERALIZED_TIME,
            format!("{year:04}{rest}").as_bytes(),
        )),
        _ => None,
    }
}
