//! The tier of Kong's caches that all workers share, and the turns that workers take at filling it.
//!
//! The values lie in the shared dictionaries `kong_db_cache`, `kong_core_db_cache` and their `_miss` companions
//! ([`super::dict`]: sharded, bounded in bytes, least recently used first out, expired values kept as stale ones);
//! what is no longer true is told through [`super::events`]. A turn is a key in a dictionary of locks: one holder,
//! and others who wait until it is given back or its time is over.
//! Must not: know Lua, or hold a lock while anybody waits.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::Notify;
use tokio::sync::futures::OwnedNotified;

use super::dict::{self, Dict, DictError, Mode, Value, Write};
use super::events::{self, Event};

/// Kong's caches; each has a dictionary of that name, one for misses, and a log.
const CACHES: [&str; 2] = ["kong_core_db_cache", "kong_db_cache"];

/// Empties both caches: the shared tier now, each worker's own tier at its next look. What a callback that is
/// under way brings is handed to its caller and kept by nobody.
///
/// To be called when what callbacks read has been swapped, not before.
pub fn purge_all() {
    purge(&dict::all());
}

fn purge(dicts: &[Arc<Dict>]) {
    for cache in CACHES {
        let miss = format!("{cache}_miss");
        dicts
            .iter()
            .filter(|d| d.name() == cache || d.name() == miss)
            .for_each(|d| d.clear());
        events::open(cache).post(Event {
            from: 0,
            to: 0,
            channel: Bytes::from(format!("mlcache:purge:{cache}")),
            data: Bytes::new(),
        });
    }
}

/// How many wait for a key, and what wakes them.
type Waiting = HashMap<Box<[u8]>, (usize, Arc<Notify>)>;

static WAITING: [Mutex<Option<Waiting>>; 8] = [const { Mutex::new(None) }; 8];

fn waiting(key: &[u8]) -> MutexGuard<'static, Option<Waiting>> {
    let h = key.iter().fold(0u32, |h, b| h.wrapping_mul(31) ^ u32::from(*b));
    let shard = &WAITING[h as usize % WAITING.len()];
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One who waits for a turn; gone from the list when dropped.
#[derive(Debug)]
struct Waiter {
    key: Box<[u8]>,
}

impl Waiter {
    fn new(key: &[u8]) -> (Self, OwnedNotified) {
        let mut map = waiting(key);
        let (count, notify) = map
            .get_or_insert_default()
            .entry(key.into())
            .or_insert_with(|| (0, Arc::new(Notify::new())));
        *count += 1;
        (Self { key: key.into() }, notify.clone().notified_owned())
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        let mut map = waiting(&self.key);
        if let Some(map) = map.as_mut()
            && let Some((count, _)) = map.get_mut(&self.key)
        {
            *count -= 1;
            if *count == 0 {
                map.remove(&self.key);
            }
        }
    }
}

/// Takes the turn at `key` under the name `holder`, for `lasting` at most.
///
/// # Errors
/// `Exists` while another has it; `NoMemory`.
pub fn take_turn(locks: &Dict, key: &[u8], holder: f64, lasting: Duration) -> Result<(), DictError> {
    let write = Write {
        key,
        value: Value::Num(holder),
        flags: 0,
        ttl_ms: ms(lasting),
        mode: Mode::Add,
        evict: true,
    };
    locks.put(write).map(|_| ())
}

/// Gives the turn back if `holder` still has it, and wakes all who wait.
pub fn end_turn(locks: &Dict, key: &[u8], holder: f64) -> bool {
    let held = locks.delete_if(key, &Value::Num(holder));
    let notify = waiting(key)
        .as_ref()
        .and_then(|map| map.get(key).map(|(_, n)| n.clone()));
    if let Some(notify) = notify {
        notify.notify_waiters();
    }
    held
}

/// Gives a turn that is still `holder`'s another length, from now.
pub fn extend_turn(locks: &Dict, key: &[u8], holder: f64, lasting: Duration) -> bool {
    let found = locks.get(key, false);
    found.is_some_and(|f| f.value == Value::Num(holder)) && locks.expire(key, ms(lasting)).is_ok()
}

/// What a dictionary takes for a time: 0 would be no end.
fn ms(lasting: Duration) -> u64 {
    (lasting.as_millis() as u64).max(1)
}

/// Resolves when the turn at `key` is given back, when its time is over, or after `limit`; at once if nobody has it.
pub fn turn_over(locks: &Dict, key: &[u8], limit: Duration) -> impl Future<Output = ()> + use<> {
    // among those who wait before looking whether there is anything to wait for: a turn that ends now is noticed
    let (waiter, woken) = Waiter::new(key);
    let left = match locks.ttl_ms(key) {
        Ok(Some(left)) => Duration::from_millis(left.max(0) as u64).min(limit),
        Ok(None) => limit,
        Err(_) => Duration::ZERO,
    };
    async move {
        let _waiter = waiter;
        if !left.is_zero() {
            // a timer may fire a little early for a value that still has a fraction of a millisecond to live
            let _ = tokio::time::timeout(left + Duration::from_millis(1), woken).await;
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Instant;

    const LONG: Duration = Duration::from_secs(10);

    fn set(d: &Dict, key: &[u8], len: usize, ttl: Option<Duration>) -> Result<bool, DictError> {
        d.put(Write {
            key,
            value: Value::Str(vec![b'x'; len].into()),
            flags: 0,
            ttl_ms: ttl.map_or(0, ms),
            mode: Mode::Set,
            evict: true,
        })
    }

    #[test]
    fn b06_a_turn_is_given_to_one_and_given_back_by_that_one() {
        let locks = Dict::new("locks", 1 << 16);
        assert_eq!(take_turn(&locks, b"k", 1.0, LONG), Ok(()));
        assert_eq!(take_turn(&locks, b"k", 2.0, LONG), Err(DictError::Exists));
        assert!(!end_turn(&locks, b"k", 2.0), "it is not theirs");
        assert!(extend_turn(&locks, b"k", 1.0, Duration::from_millis(5)));
        assert!(!extend_turn(&locks, b"k", 2.0, LONG));
        std::thread::sleep(Duration::from_millis(10));
        assert_eq!(take_turn(&locks, b"k", 2.0, LONG), Ok(()), "its time was over");
        assert!(!end_turn(&locks, b"k", 1.0), "another has it now");
        assert!(end_turn(&locks, b"k", 2.0));
    }

    #[test]
    fn b06_a_callback_runs_once_while_four_threads_wait() {
        let locks = Dict::new("locks", 1 << 16);
        let values = Dict::new("values", 1 << 16);
        let (ran, waited) = (AtomicUsize::new(0), AtomicUsize::new(0));
        std::thread::scope(|s| {
            for me in 0..4 {
                let (locks, values, ran, waited) = (&locks, &values, &ran, &waited);
                s.spawn(move || {
                    let rt = tokio::runtime::Builder::new_current_thread().enable_all().build();
                    rt.unwrap().block_on(async {
                        while values.get(b"k", false).is_none() {
                            if take_turn(locks, b"once", f64::from(me), LONG).is_err() {
                                waited.fetch_add(1, Ordering::Relaxed);
                                turn_over(locks, b"once", LONG).await;
                                continue;
                            }
                            if values.get(b"k", false).is_none() {
                                ran.fetch_add(1, Ordering::Relaxed);
                                tokio::time::sleep(Duration::from_millis(30)).await;
                                set(values, b"k", 1, None).unwrap();
                            }
                            end_turn(locks, b"once", f64::from(me));
                        }
                    });
                });
            }
        });
        assert_eq!(ran.load(Ordering::Relaxed), 1);
        assert!(waited.load(Ordering::Relaxed) >= 3);
        assert!(
            waiting(b"once").as_ref().is_none_or(HashMap::is_empty),
            "nobody is left on the list"
        );
    }

    #[test]
    fn b06_a_wait_ends_with_the_turns_time_or_its_own_limit() {
        let rt = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let locks = Dict::new("locks", 1 << 16);
        rt.block_on(async {
            let start = Instant::now();
            turn_over(&locks, b"free", LONG).await;
            take_turn(&locks, b"a", 1.0, Duration::from_millis(20)).unwrap();
            turn_over(&locks, b"a", LONG).await;
            assert_eq!(take_turn(&locks, b"a", 2.0, LONG), Ok(()));
            turn_over(&locks, b"a", Duration::from_millis(20)).await;
            assert!(start.elapsed() >= Duration::from_millis(40) && start.elapsed() < LONG / 2);
            drop(turn_over(&locks, b"a", LONG));
        });
        assert!(waiting(b"a").as_ref().is_none_or(HashMap::is_empty));
    }

    #[test]
    fn b06_the_shared_tier_stays_within_its_bytes_under_churn_from_four_threads() {
        let capacity = 1 << 20;
        let tier = Dict::new("tier", capacity);
        std::thread::scope(|s| {
            for me in 0..4u32 {
                let tier = &tier;
                s.spawn(move || {
                    let mut n = me + 1;
                    for i in 0..20_000u32 {
                        n = n.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                        let key = (n >> 16) % 5000;
                        let ttl = (i % 3 == 0).then(|| Duration::from_millis(u64::from(n % 20)));
                        match n % 8 {
                            0 => tier.delete(&key.to_le_bytes()),
                            1 => drop(tier.get(&key.to_le_bytes(), true)),
                            _ => drop(set(tier, &key.to_le_bytes(), (n >> 8) as usize % 4096, ttl).unwrap()),
                        }
                        if i % 4096 == 0 {
                            assert!(tier.bytes_used() <= capacity, "{}", tier.bytes_used());
                        }
                    }
                });
            }
        });
        assert!(tier.bytes_used() <= capacity && tier.bytes_used() > capacity / 2);
        tier.clear();
        assert_eq!((tier.bytes_used(), tier.keys(0).len()), (0, 0));
        assert!(tier.get(b"x", true).is_none(), "nothing is stale either");
    }

    #[test]
    fn b06_purge_all_empties_the_dictionaries_and_tells_every_worker() {
        let sizes = [
            "kong_db_cache",
            "kong_db_cache_miss",
            "kong_core_db_cache",
            "kept",
        ];
        let dicts = sizes.map(|name| Arc::new(Dict::new(name, 1 << 16)));
        let find = |name: &str| dicts.iter().find(|d| d.name() == name).unwrap();
        for name in sizes {
            set(find(name), b"k", 10, None).unwrap();
        }
        let seen = events::open("kong_db_cache").last();
        purge(&dicts);
        assert!(find("kept").get(b"k", true).is_some());
        for name in &sizes[..3] {
            assert!(find(name).get(b"k", true).is_none(), "{name}");
        }
        let since = events::open("kong_db_cache").since(seen, 7);
        assert_eq!(since.events[0].channel, "mlcache:purge:kong_db_cache");
    }
}
