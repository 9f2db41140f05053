//! What a run computes without ever waiting, over all its resumes.
//!
//! The watchdog sees one resume at a time: a handler that yields in a loop, or light threads that each make others,
//! pass it by. Must not: stop anything; the driver does.
#![allow(unsafe_code)]

use std::time::Duration;

/// Steps that are not measured: most handlers take fewer before they wait, and the clock is a system call.
const FREE: u32 = 4;

/// After so many steps others get their turn.
const FAIR: u32 = 64;

/// The CPU time of a run since it waited last.
#[derive(Debug, Default)]
pub(super) struct Spin {
    steps: u32,
    cpu: Duration,
}

impl Spin {
    /// A step begins.
    pub(super) fn begin(&self) -> Option<Duration> {
        (self.steps >= FREE).then(now)
    }

    /// The step that began then is over.
    pub(super) fn end(&mut self, began: Option<Duration>) {
        self.steps = self.steps.saturating_add(1);
        if let Some(began) = began {
            self.cpu += now().saturating_sub(began);
        }
    }

    /// The run waits: it may compute anew afterwards.
    pub(super) fn rest(&mut self) {
        *self = Self::default();
    }

    /// Whether it computed this long.
    pub(super) fn exceeds(&self, limit: Duration) -> bool {
        self.cpu >= limit
    }

    /// Whether others are due.
    pub(super) fn is_unfair(&self) -> bool {
        self.steps % FAIR == FAIR - 1
    }
}

/// The CPU time of this thread.
fn now() -> Duration {
    let mut ts = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: a read of a clock that every thread has.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut ts) };
    Duration::new(ts.tv_sec as u64, ts.tv_nsec as u32)
}
