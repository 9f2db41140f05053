//! What both clients stand on: the files, the cache, and questions of which one at a time is under way per name.
//!
//! Must not: know the order in which things are looked up.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::HashMap;
use std::net::IpAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::ask::{self, Servers};
use super::cache::{Cache, Key};
use super::files::Files;
use super::options::{Client, Options, Step};
use super::record::{Answer, kind};
use super::tries::Tries;
use super::{classic, modern};

/// How many questions may be under way at once.
const MAX_FLIGHTS: usize = 1024;
/// How often the files are looked at, while names are looked up.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// A name and a type.
type Asked = (Rc<str>, u16);
type Outcome = Result<Rc<Answer>, Rc<str>>;

/// A question under way; whoever wants the same waits for it.
#[derive(Debug, Default)]
pub struct Flight {
    outcome: OnceCell<Outcome>,
    landed: Notify,
}

// === impl Flight ===

impl Flight {
    /// Waits for the outcome.
    pub async fn wait(&self) -> Outcome {
        loop {
            let landed = self.landed.notified();
            tokio::pin!(landed);
            landed.as_mut().enable();
            if let Some(outcome) = self.outcome.get() {
                return outcome.clone();
            }
            landed.await;
        }
    }

    fn land(&self, outcome: Outcome) {
        let _ = self.outcome.set(outcome);
        self.landed.notify_waiters();
    }
}

/// Lands a flight that came to no end of its own.
struct Pilot {
    core: Rc<Core>,
    key: Asked,
    flight: Rc<Flight>,
}

impl Drop for Pilot {
    fn drop(&mut self) {
        self.core.flights.borrow_mut().remove(&self.key);
        self.flight.land(Err("the query was given up".into()));
    }
}

/// What is counted.
#[derive(Debug, Default)]
pub struct Counters {
    /// Questions sent.
    pub queries: Cell<u64>,
    /// Questions that had no reply.
    pub failures: Cell<u64>,
    /// Lookups answered at once.
    pub hits: Cell<u64>,
    /// Stale answers served.
    pub stale: Cell<u64>,
}

/// One worker's state for one set of options.
#[derive(Debug)]
pub struct Core {
    pub(super) options: Options,
    pub(super) files: RefCell<Files>,
    pub(super) cache: RefCell<Cache>,
    pub(super) counters: Counters,
    flights: RefCell<HashMap<Asked, Rc<Flight>>>,
    looked: Cell<Instant>,
    looking: Cell<bool>,
    random: Cell<u64>,
}

// === impl Core ===

impl Core {
    /// Reads the files, which blocks.
    pub fn new(options: Options) -> Rc<Self> {
        let mut seed = [0; 8];
        let _ = getrandom::fill(&mut seed);
        Rc::new(Self {
            files: RefCell::new(Files::read(&options)),
            cache: RefCell::new(Cache::new(options.cache_size)),
            options,
            counters: Counters::default(),
            flights: RefCell::default(),
            looked: Cell::new(Instant::now()),
            looking: Cell::new(false),
            random: Cell::new(u64::from_ne_bytes(seed) | 1),
        })
    }

    /// Whether the newer client is followed.
    pub fn modern(&self) -> bool {
        matches!(self.options.client, Client::Modern { .. })
    }

    /// A number below `below`, to spread load with.
    pub fn random(&self, below: u64) -> u64 {
        let mut x = self.random.get();
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        self.random.set(x);
        x % below.max(1)
    }

    /// What the hosts file says.
    pub fn hosts_answer(&self, name: &str, kind: u16) -> Option<Answer> {
        let files = self.files.borrow();
        let found = files.hosts.get(name)?;
        let ip = match kind {
            kind::A => IpAddr::from(found.v4?),
            kind::AAAA => IpAddr::from(found.v6?),
            _ => return None,
        };
        let mut answer = classic::address(name, ip);
        answer.of_hosts = true;
        Some(answer)
    }

    /// What the hosts file or the cache says, stale or not.
    pub fn known(&self, name: &str, kind: u16, now: Instant) -> Option<Rc<Answer>> {
        let hosts = self.hosts_answer(name, kind).map(Rc::new);
        hosts.or_else(|| self.cache.borrow_mut().get(name, Key::of(kind), now))
    }

    /// The type that was found last; the hosts file's, where the name stands there.
    pub fn last(&self, name: &str) -> Option<u16> {
        let Client::Classic { order, .. } = &self.options.client else {
            return None;
        };
        let files = self.files.borrow();
        let Some(found) = files.hosts.get(name) else {
            return self.cache.borrow().last(name);
        };
        let tried = |kind| order.contains(&Step::Kind(kind));
        let preferred = order.iter().find_map(|step| match step {
            Step::Kind(k @ (kind::A | kind::AAAA)) => Some(*k),
            _ => None,
        });
        let v4 = found.v4.filter(|_| tried(kind::A)).map(|_| kind::A);
        let v6 = found.v6.filter(|_| tried(kind::AAAA)).map(|_| kind::AAAA);
        if preferred == Some(kind::AAAA) {
            v6.or(v4)
        } else {
            v4.or(v6)
        }
    }

    /// Notes what was found, if it is one of the types to try.
    pub fn set_last(&self, name: &str, kind: u16) {
        if let Client::Classic { order, .. } = &self.options.client
            && order.contains(&Step::Kind(kind))
        {
            self.cache.borrow_mut().set_last(name, kind);
        }
    }

    /// Whether a stale answer may be refreshed now; the last failure is not followed at once by the next.
    pub fn may_refresh(&self, answer: &Answer, now: Instant) -> bool {
        answer.retry_at.get().is_none_or(|at| at <= now)
    }

    /// Asks, or waits for the same question that is under way.
    pub async fn query(
        self: &Rc<Self>,
        name: &str,
        kind: u16,
        tries: &mut Tries,
    ) -> Result<Rc<Answer>, String> {
        if matches!(self.options.client, Client::Classic { no_sync: true, .. }) {
            tries.note("querying");
            return self.fetch(name, kind).await.map_err(|e| e.to_string());
        }
        let under_way = self.flights.borrow().contains_key(&(Rc::from(name), kind));
        if !self.modern() {
            tries.note(if under_way {
                "in progress (sync)"
            } else {
                "querying"
            });
        }
        let flight = self.flight(name, kind)?;
        flight.wait().await.map_err(|e| e.to_string())
    }

    /// The question's flight, started where there is none.
    pub fn flight(self: &Rc<Self>, name: &str, kind: u16) -> Result<Rc<Flight>, String> {
        let key: Asked = (name.into(), kind);
        let mut flights = self.flights.borrow_mut();
        if let Some(flight) = flights.get(&key) {
            return Ok(flight.clone());
        }
        if flights.len() >= MAX_FLIGHTS {
            return Err("too many DNS queries are under way".into());
        }
        let flight = Rc::new(Flight::default());
        flights.insert(key.clone(), flight.clone());
        let pilot = Pilot {
            core: self.clone(),
            key,
            flight: flight.clone(),
        };
        // a task of its own: it goes on when the one who asked first gives up
        tokio::task::spawn_local(async move {
            let (name, kind) = &pilot.key;
            let outcome = pilot.core.fetch(name, *kind).await;
            pilot.flight.land(outcome);
        });
        Ok(flight)
    }

    async fn fetch(self: &Rc<Self>, name: &str, kind: u16) -> Outcome {
        let servers = self.servers();
        self.counters.queries.set(self.counters.queries.get() + 1);
        match ask::ask(&servers, name, kind).await {
            Ok(reply) if self.modern() => Ok(modern::take_in(self, name, kind, reply)),
            Ok(reply) => Ok(classic::take_in(self, name, kind, reply)),
            Err(error) => {
                self.counters.failures.set(self.counters.failures.get() + 1);
                let now = Instant::now();
                if let Some(old) = self.known(name, kind, now) {
                    old.retry_at.set(Some(now + self.options.error_ttl));
                }
                Err(error.into())
            }
        }
    }

    fn servers(&self) -> Servers {
        let files = self.files.borrow();
        let conf = &files.conf;
        let list = if self.options.servers.is_empty() {
            conf.servers.clone()
        } else {
            self.options.servers.clone()
        };
        let first = if conf.rotate {
            self.random(list.len() as u64) as usize
        } else {
            0
        };
        Servers {
            list,
            first,
            attempts: conf.attempts,
            timeout: conf.timeout,
        }
    }

    /// Looks at the files now and then, away from this thread.
    pub fn look_at_files(self: &Rc<Self>, now: Instant) {
        if now.duration_since(self.looked.get()) < LOOK_AGAIN || self.looking.replace(true) {
            return;
        }
        self.looked.set(now);
        let core = self.clone();
        let seen = self.files.borrow().seen();
        tokio::task::spawn_local(async move {
            let options = core.options.clone();
            let changed = tokio::task::spawn_blocking(move || seen.changed(&options)).await;
            if let Ok(Some(files)) = changed {
                core.take_files(files);
            }
            core.looking.set(false);
        });
    }

    /// Takes in what the files say now.
    pub(super) fn take_files(&self, files: Files) {
        let old = self.files.replace(files);
        let files = self.files.borrow();
        self.cache
            .borrow_mut()
            .forget(|name| files.hosts.get(name) != old.hosts.get(name));
    }
}
