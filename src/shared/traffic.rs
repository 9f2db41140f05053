//! Counters of the workers' connections and requests. Each worker writes its own without waiting for others;
//! who asks gets their sum.
//!
//! Must not: know what a connection carries.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

/// Where a connection stands, as nginx's stub status counts them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stand {
    /// Its first request is awaited or read.
    Reading,
    /// A request is under way.
    Writing,
    /// It idles between requests.
    Waiting,
}

/// Sums over all workers since the process began, and the connections of this moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    pub accepted: u64,
    pub handled: u64,
    pub requests: u64,
    pub reading: u64,
    pub writing: u64,
    pub waiting: u64,
}

#[derive(Default)]
struct Counters {
    accepted: AtomicU64,
    handled: AtomicU64,
    requests: AtomicU64,
    stands: [AtomicU64; 3],
}

static ALL: Mutex<Vec<Arc<Counters>>> = Mutex::new(Vec::new());

thread_local! {
    static MINE: Arc<Counters> = {
        let mine = Arc::<Counters>::default();
        ALL.lock().unwrap_or_else(PoisonError::into_inner).push(mine.clone());
        mine
    };
}

/// Only the worker itself writes, so nothing is lost between load and store.
fn add(counter: &AtomicU64, by: i64) {
    counter.store(counter.load(Relaxed).wrapping_add_signed(by), Relaxed);
}

/// A connection was accepted.
pub fn accepted() {
    MINE.with(|m| add(&m.accepted, 1));
}

/// A request began.
pub fn request() {
    MINE.with(|m| add(&m.requests, 1));
}

/// An open connection, counted until it is dropped on the thread that made it.
#[derive(Debug)]
pub struct Open(std::cell::Cell<Stand>);

impl Open {
    /// Counts a connection that is served.
    pub fn new() -> Self {
        MINE.with(|m| {
            add(&m.handled, 1);
            add(&m.stands[Stand::Reading as usize], 1);
        });
        Self(std::cell::Cell::new(Stand::Reading))
    }

    /// The connection goes on to `stand`.
    pub fn becomes(&self, stand: Stand) {
        let before = self.0.replace(stand);
        if before != stand {
            MINE.with(|m| {
                add(&m.stands[before as usize], -1);
                add(&m.stands[stand as usize], 1);
            });
        }
    }
}

impl Default for Open {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let stand = self.0.get();
        let _ = MINE.try_with(|m| add(&m.stands[stand as usize], -1));
    }
}

/// The sums of now.
pub fn totals() -> Totals {
    let all = ALL.lock().unwrap_or_else(PoisonError::into_inner);
    let sum = |of: fn(&Counters) -> &AtomicU64| all.iter().map(|c| of(c).load(Relaxed)).sum();
    Totals {
        accepted: sum(|c| &c.accepted),
        handled: sum(|c| &c.handled),
        requests: sum(|c| &c.requests),
        reading: sum(|c| &c.stands[0]),
        writing: sum(|c| &c.stands[1]),
        waiting: sum(|c| &c.stands[2]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn d01_a_connection_is_counted_where_it_stands() {
        std::thread::spawn(|| {
            MINE.with(|m| {
                let now = |i: usize| m.stands[i].load(Relaxed);
                accepted();
                let open = Open::new();
                assert_eq!((now(0), now(1), now(2)), (1, 0, 0));
                request();
                open.becomes(Stand::Writing);
                open.becomes(Stand::Writing);
                assert_eq!((now(0), now(1), now(2)), (0, 1, 0));
                open.becomes(Stand::Waiting);
                assert_eq!((now(0), now(1), now(2)), (0, 0, 1));
                drop(open);
                assert_eq!((now(0), now(1), now(2)), (0, 0, 0));
            });
            let sums = totals();
            assert!(sums.accepted >= 1 && sums.handled >= 1 && sums.requests >= 1);
        })
        .join()
        .expect("no panic");
    }
}
