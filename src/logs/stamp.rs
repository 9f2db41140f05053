//! The local time as log lines write it, worked out once a second.
//!
//! Must not: be asked for anything finer than a second.

use std::cell::RefCell;
use std::time::{SystemTime, UNIX_EPOCH};

use time::{OffsetDateTime, UtcOffset};

/// The texts of one second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    second: i64,
    error: [u8; 19],
    access: [u8; 26],
}

thread_local! {
    static CURRENT: RefCell<Stamp> = const {
        RefCell::new(Stamp { second: i64::MIN, error: [b'0'; 19], access: [b'0'; 26] })
    };
}

impl Stamp {
    /// The current second's texts, kept per thread.
    pub fn now() -> Self {
        let second = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_secs() as i64);
        CURRENT.with_borrow_mut(|stamp| {
            if stamp.second != second {
                *stamp = Self::at_local(second);
            }
            *stamp
        })
    }

    fn at_local(second: i64) -> Self {
        let utc = OffsetDateTime::from_unix_timestamp(second).unwrap_or(OffsetDateTime::UNIX_EPOCH);
        // Asked anew each second: the clocks may change while we run.
        Self::at(utc, UtcOffset::local_offset_at(utc).unwrap_or(UtcOffset::UTC))
    }

    /// The texts of a moment at an offset.
    pub fn at(utc: OffsetDateTime, offset: UtcOffset) -> Self {
        const MONTHS: &[u8; 36] = b"JanFebMarAprMayJunJulAugSepOctNovDec";
        let local = utc.to_offset(offset);
        let mut error = *b"0000/00/00 00:00:00";
        let mut access = *b"00/Jan/0000:00:00:00 +0000";
        let year = local.year().clamp(0, 9999) as u32;
        let month = u8::from(local.month());
        put(&mut error, 0, 4, year);
        put(&mut error, 5, 2, month.into());
        put(&mut error, 8, 2, local.day().into());
        put(&mut access, 0, 2, local.day().into());
        let name = (usize::from(month) - 1) * 3;
        access[3..6].copy_from_slice(&MONTHS[name..name + 3]);
        put(&mut access, 7, 4, year);
        for (index, part) in [local.hour(), local.minute(), local.second()]
            .into_iter()
            .enumerate()
        {
            put(&mut error, 11 + index * 3, 2, part.into());
            put(&mut access, 12 + index * 3, 2, part.into());
        }
        let minutes = offset.whole_minutes();
        access[21] = if minutes < 0 { b'-' } else { b'+' };
        put(&mut access, 22, 2, u32::from(minutes.unsigned_abs() / 60));
        put(&mut access, 24, 2, u32::from(minutes.unsigned_abs() % 60));
        Self {
            second: utc.unix_timestamp(),
            error,
            access,
        }
    }

    /// `2017/07/09 19:36:25`
    pub fn error(&self) -> &[u8] {
        &self.error
    }

    /// `09/Jul/2017:19:36:25 +0000` (`$time_local`)
    pub fn access(&self) -> &[u8] {
        &self.access
    }
}

fn put(text: &mut [u8], at: usize, digits: usize, mut number: u32) {
    for place in text[at..at + digits].iter_mut().rev() {
        *place = b'0' + (number % 10) as u8;
        number /= 10;
    }
}
