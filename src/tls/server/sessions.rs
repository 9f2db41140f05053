//! Sessions that clients take up again: tickets, and those kept here.
//!
//! Every server configuration has a keyring and a name of its own, so that no session made under one certificate,
//! or with one set of client CAs, goes on under another. Must not: grow beyond the memory it was given.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::rand::{SecureRandom, SystemRandom};
use rustls::server::{ProducesTickets, StoresServerSessions};

/// A session larger than this is not kept: it carries a client's long chain.
const MAX_SESSION: usize = 8 << 10;

/// What an entry takes beside its key and value.
const OVERHEAD: usize = 128;

type Key = (u64, Vec<u8>);

#[derive(Debug, Default)]
struct Kept {
    by_id: HashMap<Key, Entry>,
    /// With the number under which each was put: what was taken, or put again since, has another.
    oldest_first: VecDeque<(u64, Key)>,
    bytes: usize,
    puts: u64,
}

#[derive(Debug)]
struct Entry {
    value: Vec<u8>,
    since: Instant,
    number: u64,
}

/// The sessions kept for all configurations of a process.
#[derive(Debug)]
pub struct Sessions {
    limit: usize,
    timeout: Duration,
    kept: Mutex<Kept>,
}

impl Sessions {
    /// Room for so many bytes.
    pub fn new(limit: usize, timeout: Duration) -> Arc<Self> {
        Arc::new(Self {
            limit,
            timeout,
            kept: Mutex::default(),
        })
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.kept().by_id.len()
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn size(key: &Key, value: &[u8]) -> usize {
    key.1.len() + value.len() + OVERHEAD
}

impl Kept {
    fn put(&mut self, key: Key, value: Vec<u8>, limit: usize) {
        self.remove(&key);
        self.bytes += size(&key, &value);
        self.puts += 1;
        self.oldest_first.push_back((self.puts, key.clone()));
        let entry = Entry {
            value,
            since: Instant::now(),
            number: self.puts,
        };
        self.by_id.insert(key, entry);
        while self.bytes > limit || self.oldest_first.len() > 2 * self.by_id.len() + 16 {
            let Some((number, oldest)) = self.oldest_first.pop_front() else {
                return;
            };
            if self.by_id.get(&oldest).is_some_and(|e| e.number == number) {
                if self.bytes > limit {
                    self.remove(&oldest);
                } else {
                    self.oldest_first.push_back((number, oldest));
                }
            }
        }
    }

    fn remove(&mut self, key: &Key) -> Option<Entry> {
        let found = self.by_id.remove(key)?;
        self.bytes -= size(key, &found.value);
        Some(found)
    }
}

/// The part of one configuration.
#[derive(Debug)]
pub(super) struct Own {
    pub sessions: Arc<Sessions>,
    pub name: u64,
}

impl StoresServerSessions for Own {
    fn put(&self, key: Vec<u8>, value: Vec<u8>) -> bool {
        if value.len() > MAX_SESSION {
            return false;
        }
        let limit = self.sessions.limit;
        self.sessions.kept().put((self.name, key), value, limit);
        true
    }

    fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        let kept = self.sessions.kept();
        let entry = kept.by_id.get(&(self.name, key.to_vec()))?;
        (entry.since.elapsed() < self.sessions.timeout).then(|| entry.value.clone())
    }

    fn take(&self, key: &[u8]) -> Option<Vec<u8>> {
        let entry = self.sessions.kept().remove(&(self.name, key.to_vec()))?;
        (entry.since.elapsed() < self.sessions.timeout).then_some(entry.value)
    }

    fn can_cache(&self) -> bool {
        self.sessions.limit > 0
    }
}

/// A ticket's key, and the one before it; a key makes tickets for half of their life.
struct Ring {
    current: TicketKey,
    previous: Option<TicketKey>,
    next_at: Instant,
}

struct TicketKey {
    name: [u8; 16],
    key: LessSafeKey,
}

/// Tickets that only the process that made them can read.
pub(super) struct Tickets {
    timeout: Duration,
    random: SystemRandom,
    ring: Mutex<Ring>,
}

/// A ticket longer than this was not made here.
const MAX_TICKET: usize = 48 << 10;

impl Tickets {
    /// With a fresh key; None without randomness.
    pub fn new(timeout: Duration) -> Option<Self> {
        let random = SystemRandom::new();
        let ring = Ring {
            current: TicketKey::new(&random)?,
            previous: None,
            next_at: Instant::now() + timeout / 2,
        };
        Some(Self {
            timeout,
            random,
            ring: Mutex::new(ring),
        })
    }

    fn with<R>(&self, f: impl FnOnce(&Ring) -> Option<R>) -> Option<R> {
        let mut ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if now >= ring.next_at {
            let half = self.timeout / 2;
            let fresh = TicketKey::new(&self.random)?;
            let last = std::mem::replace(&mut ring.current, fresh);
            ring.previous = (now < ring.next_at + half).then_some(last);
            ring.next_at = now + half;
        }
        f(&ring)
    }
}

impl TicketKey {
    fn new(random: &SystemRandom) -> Option<Self> {
        let (mut key, mut name) = (zeroize::Zeroizing::new([0; 32]), [0; 16]);
        random.fill(&mut *key).ok()?;
        random.fill(&mut name).ok()?;
        let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &*key).ok()?);
        Some(Self { name, key })
    }

    fn seal(&self, plain: &[u8], nonce: [u8; NONCE_LEN]) -> Option<Vec<u8>> {
        let mut body = Vec::with_capacity(plain.len() + 16);
        body.extend_from_slice(plain);
        let aad = Aad::from(self.name);
        let sealed = Nonce::assume_unique_for_key(nonce);
        self.key.seal_in_place_append_tag(sealed, aad, &mut body).ok()?;
        Some([&self.name[..], &nonce, &body].concat())
    }

    fn open(&self, ticket: &[u8]) -> Option<Vec<u8>> {
        let rest = ticket.strip_prefix(&self.name)?;
        let (nonce, body) = rest.split_at_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let mut body = body.to_vec();
        let plain = self
            .key
            .open_in_place(nonce, Aad::from(self.name), &mut body)
            .ok()?;
        Some(plain.to_vec())
    }
}

impl std::fmt::Debug for Tickets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tickets")
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

impl ProducesTickets for Tickets {
    fn enabled(&self) -> bool {
        true
    }

    fn lifetime(&self) -> u32 {
        u32::try_from(self.timeout.as_secs())
            .unwrap_or(u32::MAX)
            .min(7 * 86_400)
    }

    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        let mut nonce = [0; NONCE_LEN];
        self.random.fill(&mut nonce).ok()?;
        self.with(|ring| ring.current.seal(plain, nonce))
    }

    fn decrypt(&self, ticket: &[u8]) -> Option<Vec<u8>> {
        if ticket.len() > MAX_TICKET {
            return None;
        }
        self.with(|ring| {
            let previous = || ring.previous.as_ref()?.open(ticket);
            ring.current.open(ticket).or_else(previous)
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn c07_sessions_stay_within_their_memory_and_their_configuration() {
        let sessions = Sessions::new(64 << 10, Duration::from_secs(60));
        let own = |name| Own {
            sessions: sessions.clone(),
            name,
        };
        let (one, two) = (own(1), own(2));
        assert!(one.put(vec![1], vec![5; 100]));
        assert_eq!(one.get(&[1]), Some(vec![5; 100]));
        assert_eq!(two.get(&[1]), None);
        assert_eq!(two.take(&[1]), None);
        assert_eq!(one.take(&[1]), Some(vec![5; 100]));
        assert_eq!(one.take(&[1]), None);
        assert!(!one.put(vec![2], vec![0; MAX_SESSION + 1]));
        for i in 0..100_000_u32 {
            one.put(i.to_be_bytes().to_vec(), vec![0; 200]);
            if i % 3 == 0 {
                one.take(&i.to_be_bytes());
            }
        }
        let kept = sessions.kept();
        assert!(kept.bytes <= 64 << 10 && kept.by_id.len() > 100, "{}", kept.bytes);
        assert!(kept.oldest_first.len() <= 2 * kept.by_id.len() + 16);
        drop(kept);
        assert!(one.get(&99_998_u32.to_be_bytes()).is_some());
        assert!(one.get(&1_u32.to_be_bytes()).is_none());
        let brief = Own {
            sessions: Sessions::new(1 << 20, Duration::ZERO),
            name: 1,
        };
        brief.put(vec![1], vec![1]);
        assert_eq!((brief.get(&[1]), brief.take(&[1])), (None, None));
    }

    #[test]
    fn c07_tickets_are_read_by_their_maker_only_and_not_for_ever() {
        let tickets = Tickets::new(Duration::from_secs(3600)).unwrap();
        let other = Tickets::new(Duration::from_secs(3600)).unwrap();
        let ticket = tickets.encrypt(b"secret").unwrap();
        assert_eq!(tickets.decrypt(&ticket).as_deref(), Some(&b"secret"[..]));
        assert_eq!(other.decrypt(&ticket), None);
        for at in 0..ticket.len() {
            let mut broken = ticket.clone();
            broken[at] ^= 1;
            assert_eq!(tickets.decrypt(&broken), None);
            assert_eq!(tickets.decrypt(&ticket[..at]), None);
        }
        assert_eq!(tickets.decrypt(&vec![0; MAX_TICKET + 1]), None);
        assert_eq!(tickets.lifetime(), 3600);
        let brief = Tickets::new(Duration::from_millis(40)).unwrap();
        let ticket = brief.encrypt(b"x").unwrap();
        std::thread::sleep(Duration::from_millis(25));
        assert!(brief.decrypt(&ticket).is_some());
        std::thread::sleep(Duration::from_millis(60));
        assert_eq!(brief.decrypt(&ticket), None);
        assert!(!format!("{tickets:?}").contains("key"));
    }
}
