//! Event logs: what one worker tells all others (a key is stale, a cache is empty, a plugin's own news).
//!
//! A log is a bounded list of the latest events and a number that counts them. Who follows a log compares that
//! number (one atomic load) and asks for the events only when it moved; who fell behind the bound is told so.
//! Must not: hold the list while anybody is told anything.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::Notify;
use tokio::sync::futures::Notified;

/// How many events a log keeps.
const MAX_EVENTS: usize = 16_384;
/// How many bytes of channels and data a log keeps.
const MAX_BYTES: usize = 8 << 20;

/// One event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Who told it: the number of a Lua state, 0 for the gateway itself.
    pub from: u32,
    /// Who alone is told; 0 for everybody.
    pub to: u32,
    /// What it is about.
    pub channel: Bytes,
    /// What it says.
    pub data: Bytes,
}

impl Event {
    fn size(&self) -> usize {
        self.channel.len() + self.data.len()
    }
}

/// What happened since somebody looked last.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Since {
    /// The number to ask with the next time.
    pub last: u32,
    /// Whether events are missing: more happened than the log keeps.
    pub lost: bool,
    /// The events, oldest first.
    pub events: Vec<Event>,
}

#[derive(Debug, Default)]
struct List {
    /// The number of the latest event; the log's cell holds its lower half.
    last: u64,
    events: VecDeque<Event>,
    bytes: usize,
}

/// A log; see the module.
#[derive(Debug)]
pub struct Log {
    name: String,
    cell: AtomicU32,
    list: Mutex<List>,
    changed: Notify,
}

impl Log {
    /// An empty log.
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            cell: AtomicU32::new(0),
            list: Mutex::default(),
            changed: Notify::new(),
        }
    }

    fn list(&self) -> MutexGuard<'_, List> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The number of the latest event, to be compared only for being the same.
    pub fn last(&self) -> u32 {
        self.cell.load(Ordering::Acquire)
    }

    /// Where that number lies in memory.
    pub fn cell(&self) -> &AtomicU32 {
        &self.cell
    }

    /// Resolves at the next event. Made before [`Log::last`] is looked at, it misses none.
    pub fn changed(&self) -> Notified<'_> {
        self.changed.notified()
    }

    /// Adds an event.
    pub fn post(&self, event: Event) {
        let mut list = self.list();
        list.last += 1;
        list.bytes += event.size();
        list.events.push_back(event);
        let mut gone = Vec::new();
        while list.events.len() > MAX_EVENTS || list.bytes > MAX_BYTES {
            let Some(old) = list.events.pop_front() else { break };
            list.bytes -= old.size();
            gone.push(old);
        }
        self.cell.store(list.last as u32, Ordering::Release);
        drop(list);
        self.changed.notify_waiters();
    }

    /// What happened after `seen`, for the state `me`: its own events and those for others are left out.
    /// With `me` 0 nothing is left out.
    pub fn since(&self, seen: u32, me: u32) -> Since {
        let list = self.list();
        let last = list.last as u32;
        let behind = last.wrapping_sub(seen) as usize;
        let skip = list.events.len().saturating_sub(behind);
        Since {
            last,
            lost: behind > list.events.len(),
            events: list
                .events
                .iter()
                .skip(skip)
                .filter(|e| me == 0 || if e.to == 0 { e.from != me } else { e.to == me })
                .cloned()
                .collect(),
        }
    }

    /// Whether an event that `wanted` picks, or one that is no longer known, came after `seen`.
    pub fn any_since(&self, seen: u32, wanted: impl Fn(&Event) -> bool) -> bool {
        if self.last() == seen {
            return false;
        }
        let list = self.list();
        let behind = (list.last as u32).wrapping_sub(seen) as usize;
        behind > list.events.len() || list.events.iter().rev().take(behind).any(wanted)
    }
}

/// Logs are few (one for each cache and one for the workers' events) and live as long as the process.
static LOGS: Mutex<Vec<&'static Log>> = Mutex::new(Vec::new());

/// The log of that name; made when it is asked for first.
pub fn open(name: &str) -> &'static Log {
    let mut logs = LOGS.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(log) = logs.iter().find(|l| l.name == name) {
        return log;
    }
    let log: &'static Log = Box::leak(Box::new(Log::new(name)));
    logs.push(log);
    log
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(from: u32, data: &str) -> Event {
        Event {
            from,
            to: 0,
            channel: Bytes::from_static(b"c"),
            data: Bytes::copy_from_slice(data.as_bytes()),
        }
    }

    fn texts(since: &Since) -> Vec<String> {
        let text = |e: &Event| String::from_utf8_lossy(&e.data).into_owned();
        since.events.iter().map(text).collect()
    }

    #[test]
    fn b06_a_log_tells_what_is_new_but_not_what_one_said_oneself() {
        let log = Log::new("l");
        log.post(event(1, "a"));
        let seen = log.last();
        log.post(event(1, "b"));
        log.post(event(2, "c"));
        log.post(Event {
            to: 1,
            ..event(1, "d")
        });
        assert_eq!(texts(&log.since(seen, 1)), ["c", "d"]);
        assert_eq!(texts(&log.since(seen, 2)), ["b"]);
        assert_eq!(texts(&log.since(0, 0)), ["a", "b", "c", "d"]);
        assert_eq!(
            log.since(log.last(), 1),
            Since {
                last: 4,
                ..Since::default()
            }
        );
        assert!(log.any_since(seen, |e| e.data == "c") && !log.any_since(seen, |e| e.data == "a"));
    }

    #[test]
    fn b06_a_log_is_bounded_and_says_when_events_are_missing() {
        let log = Log::new("l");
        for i in 0..MAX_EVENTS + 1 {
            log.post(event(1, &i.to_string()));
        }
        let all = log.since(0, 2);
        assert!(all.lost && all.events.len() == MAX_EVENTS && texts(&all)[0] == "1");
        assert!(!log.since(1, 2).lost);
        assert!(log.any_since(0, |_| false) && !log.any_since(1, |_| false));
        let large = "x".repeat(MAX_BYTES / 2);
        for _ in 0..3 {
            log.post(event(1, &large));
        }
        assert!(log.list().bytes <= MAX_BYTES);
        log.post(event(1, &"x".repeat(2 * MAX_BYTES)));
        assert_eq!(
            log.list().bytes,
            0,
            "an event larger than the log is lost, nothing else goes wrong"
        );
        assert!(log.since(log.last().wrapping_sub(1), 2).lost);
    }

    #[test]
    fn b06_a_log_counts_round() {
        let log = Log::new("l");
        log.list().last = u64::from(u32::MAX) - 1;
        log.post(event(1, "a"));
        let seen = log.last();
        log.post(event(1, "b"));
        log.post(event(1, "c"));
        assert_eq!((seen, log.last()), (u32::MAX, 1));
        assert_eq!(texts(&log.since(seen, 2)), ["b", "c"]);
    }

    #[test]
    fn b06_four_threads_miss_nothing() {
        let log = Log::new("l");
        std::thread::scope(|s| {
            for me in 1..=4 {
                let log = &log;
                s.spawn(move || {
                    let (mut seen, mut heard) = (0, 0);
                    for i in 0..1000 {
                        log.post(event(me, &i.to_string()));
                        let since = log.since(seen, me);
                        assert!(!since.lost);
                        (seen, heard) = (since.last, heard + since.events.len());
                    }
                    while heard < 3000 {
                        let since = log.since(seen, me);
                        (seen, heard) = (since.last, heard + since.events.len());
                    }
                    assert_eq!(heard, 3000);
                });
            }
        });
    }
}
