//! Names to addresses, as Kong looks them up: the hosts file, the system's or the settings' servers, search
//! domains, a cache with stale and negative answers, SRV with ports and weights.
//!
//! The protocol's bytes are hickory's; what is asked when, and what is kept for how long, follows Kong's two
//! clients ([`classic`], [`modern`]) and so is ours. One question per name and type is under way at a time.
//!
//! Must not: block the worker once it serves, or know what the addresses are for.

mod addresses;
mod ask;
mod cache;
mod classic;
mod core;
mod files;
mod hosts;
mod modern;
pub mod name;
pub mod options;
mod pick;
pub mod record;
mod resolv_conf;
#[cfg(test)]
mod tests;
mod tries;
mod wire;

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Instant;

pub use self::addresses::Addresses;
use self::core::Core;
pub use self::core::Counters;
pub use options::Options;
use record::kind;
pub use record::{Answer, Data, Record};
pub use tries::Tries;

/// How many services may lead from one to the next.
const MAX_SERVICES: usize = 16;

/// Why a name has no address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("DNS resolution failed: {reason}. Tried: {tried}")]
pub struct NameError {
    /// Kong's words.
    pub reason: String,
    /// What was looked up, as JSON.
    pub tried: String,
}

// === impl NameError ===

impl NameError {
    /// Whether there is no such name, or nothing for it: Kong's 503 rather than 500.
    ///
    /// # Source
    /// `kong/runloop/balancer/init.lua`, `execute`
    pub fn not_found(&self) -> bool {
        matches!(
            self.reason.as_str(),
            "dns server error: 3 name error" | "dns client error: 101 empty record received"
        )
    }
}

/// Where a name led to.
struct Found {
    answer: Rc<Answer>,
    port: Option<u16>,
    service: Option<Rc<str>>,
    others: Vec<(Rc<str>, u16)>,
}

/// A worker's names. A clone is the same names.
#[derive(Debug, Clone)]
pub struct Names(Rc<RefCell<Rc<Core>>>);

impl Default for Names {
    fn default() -> Self {
        Self::new(Options::default())
    }
}

thread_local! {
    static OF_THREAD: RefCell<Option<Names>> = const { RefCell::new(None) };
}

// === impl Names ===

impl Names {
    /// Reads the files, which blocks: for the start.
    pub fn new(options: Options) -> Self {
        Self(Rc::new(RefCell::new(Core::new(options))))
    }

    /// The names that this thread's Lua uses; made of defaults where [`Names::set_of_thread`] was not called.
    pub fn of_thread() -> Self {
        OF_THREAD.with(|names| names.borrow_mut().get_or_insert_with(Self::default).clone())
    }

    /// Makes these the names of this thread.
    pub fn set_of_thread(&self) {
        OF_THREAD.with(|names| *names.borrow_mut() = Some(self.clone()));
    }

    /// Takes in other options, with an empty cache; nothing happens where they are the same. Blocks: for a reload.
    pub fn configure(&self, options: Options) {
        if self.core().options != options {
            let new = Core::new(options);
            *self.0.borrow_mut() = new;
        }
    }

    fn core(&self) -> Rc<Core> {
        self.0.borrow().clone()
    }

    /// Runs `f` on what was counted and how many answers are cached.
    pub fn counted<R>(&self, f: impl FnOnce(&Counters, usize) -> R) -> R {
        let core = self.core();
        let len = core.cache.borrow().len();
        f(&core.counters, len)
    }

    /// What is known without asking: addresses only, fresh. Costs a look into the cache and no allocation.
    pub fn cached(&self, host: &str, port: u16) -> Option<Addresses> {
        let core = self.0.borrow();
        let now = Instant::now();
        core.look_at_files(now);
        let lower;
        let name = if host.bytes().any(|b| b.is_ascii_uppercase()) {
            lower = host.to_ascii_lowercase();
            &lower
        } else {
            host
        };
        let answer = if core.modern() {
            modern::at_hand(&core, name, now)
        } else {
            classic::at_hand(&core, name, now)
        }?;
        if answer.addresses().is_empty() {
            return None;
        }
        core.counters.hits.set(core.counters.hits.get() + 1);
        Some(Addresses::turned(&answer, port))
    }

    /// The addresses of `host`, which may be a literal, in the order they are to be tried. Where the name leads to a
    /// service (SRV), `port` gives way to the service's own.
    ///
    /// # Errors
    /// Why there is none, in Kong's words.
    ///
    /// # Source
    /// `kong/resty/dns/client.lua`, `toip`
    pub async fn resolve(&self, host: &str, port: u16) -> Result<Addresses, NameError> {
        if let Some(ip) = name::literal(host) {
            return Ok(Addresses::one(ip, port));
        }
        if let Some(found) = self.cached(host, port) {
            return Ok(found);
        }
        let core = self.core();
        let mut tries = Tries::new(core.modern());
        match to_ip(&core, host, Some(port), false, &mut tries).await {
            Ok(found) => {
                let addresses = Addresses::turned(&found.answer, found.port.unwrap_or(port));
                Ok(match found.service {
                    Some(service) => addresses.of_service(service, others(self, &found.others)),
                    None => addresses,
                })
            }
            Err(reason) => Err(NameError {
                reason,
                tried: tries.to_string(),
            }),
        }
    }

    /// One address and its port, as `kong.dns.toip` gives them.
    ///
    /// # Errors
    /// Kong's words.
    pub async fn to_ip(
        &self,
        host: &str,
        port: Option<u16>,
        cache_only: bool,
        tries: &mut Tries,
    ) -> Result<(Record, Option<u16>, bool), String> {
        let core = self.core();
        core.look_at_files(Instant::now());
        let found = to_ip(&core, host, port, cache_only, tries).await?;
        let record = found.answer.records.get(found.answer.turn()).cloned();
        let record = record.ok_or_else(|| "dns client error: 101 empty record received".to_owned())?;
        Ok((record, found.port, found.answer.of_hosts))
    }

    /// The records of a name, as `kong.dns.resolve` gives them.
    ///
    /// # Errors
    /// Kong's words.
    pub async fn records(
        &self,
        host: &str,
        wanted: Option<u16>,
        cache_only: bool,
        tries: &mut Tries,
    ) -> Result<Rc<Answer>, String> {
        let core = self.core();
        core.look_at_files(Instant::now());
        records(&core, host, wanted, cache_only, tries).await
    }

    /// An empty way for [`Names::to_ip`] and [`Names::records`].
    pub fn tries(&self) -> Tries {
        Tries::new(self.core().modern())
    }

    /// What a balancer's target of this name and weight weighs by what is known of the name now: each of its
    /// addresses has the weight, each of its services its own. Nothing for a name that is known to have none; the
    /// weight itself where nothing is known yet.
    ///
    /// # Source
    /// `kong/runloop/balancer/balancers.lua`, `addAddress`
    pub fn weight(&self, host: &str, weight: u32) -> u32 {
        if weight == 0 || name::literal(host).is_some() {
            return weight;
        }
        let core = self.0.borrow();
        let now = Instant::now();
        let key = if core.modern() {
            modern::wanted_of(&core, host).map_or(cache::Key::address(), cache::Key::of)
        } else {
            cache::Key::short(None)
        };
        let Some(answer) = core.cache.borrow_mut().get(host, key, now) else {
            return weight;
        };
        services_weight(&answer).unwrap_or_else(|| match answer.addresses().len() {
            0 => weight,
            n => weight.saturating_mul(n as u32),
        })
    }
}

/// The sum of the weights of the services of the lowest priority.
fn services_weight(answer: &Answer) -> Option<u32> {
    let of = |r: &Record| match r.data {
        Data::Srv { priority, weight, .. } => Some((priority, u32::from(weight).max(1))),
        _ => None,
    };
    let lowest = answer.records.iter().filter_map(of).map(|(p, _)| p).min()?;
    let best = answer.records.iter().filter_map(of).filter(|(p, _)| *p == lowest);
    Some(best.map(|(_, w)| w).sum())
}

/// Addresses of the services that were not chosen, as far as they are at hand.
fn others(names: &Names, services: &[(Rc<str>, u16)]) -> Vec<SocketAddr> {
    let mut all = Vec::new();
    for (target, port) in services {
        match name::literal(target) {
            Some(ip) => all.push(SocketAddr::new(ip, *port)),
            None => all.extend(names.cached(target, *port).iter().flat_map(Addresses::iter)),
        }
        if all.len() >= addresses::MAX_TRIED {
            break;
        }
    }
    all
}

async fn records(
    core: &Rc<Core>,
    host: &str,
    wanted: Option<u16>,
    cache_only: bool,
    tries: &mut Tries,
) -> Result<Rc<Answer>, String> {
    if !core.modern() {
        return classic::resolve(core, host, wanted, cache_only, tries).await;
    }
    let wanted = wanted.or_else(|| modern::wanted_of(core, &host.to_ascii_lowercase()));
    modern::resolve(core, host, wanted, cache_only, tries).await
}

async fn to_ip(
    core: &Rc<Core>,
    host: &str,
    port: Option<u16>,
    cache_only: bool,
    tries: &mut Tries,
) -> Result<Found, String> {
    let mut found = Found {
        answer: records(core, host, None, cache_only, tries).await?,
        port,
        service: None,
        others: Vec::new(),
    };
    for _ in 0..MAX_SERVICES {
        let answer = found.answer.clone();
        if answer.kind() != Some(kind::SRV) {
            break;
        }
        let at = answer.srv_turn(core.modern(), &mut |below| core.random(below));
        let of = |at: usize| match &answer.records.get(at)?.data {
            Data::Srv {
                priority,
                port,
                target,
                ..
            } => Some((*priority, *port, target.clone())),
            _ => None,
        };
        let Some((_, its_port, target)) = at.and_then(of) else {
            break;
        };
        if found.others.is_empty() {
            let mut rest: Vec<_> = (0..answer.records.len())
                .filter(|i| Some(*i) != at)
                .filter_map(of)
                .collect();
            rest.sort_by_key(|(priority, ..)| *priority);
            let default = found.port.unwrap_or_default();
            let port_of = |own: u16| if own == 0 { default } else { own };
            found.others = rest.into_iter().map(|(_, p, t)| (t, port_of(p))).collect();
        }
        if its_port != 0 {
            found.port = Some(its_port);
        }
        tries.note("dereferencing SRV");
        found.answer = if core.modern() {
            modern::resolve(core, &target, None, cache_only, tries).await?
        } else {
            classic::resolve(core, &target, None, cache_only, tries).await?
        };
        found.service = Some(target);
    }
    if found.answer.addresses().is_empty() {
        return Err("dns client error: 101 empty record received".into());
    }
    Ok(found)
}
