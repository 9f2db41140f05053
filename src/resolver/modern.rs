//! Kong's newer client: SRV for names of services, else A, then AAAA; one answer per name.
//!
//! # Source
//! `kong/dns/client.lua` (`new_dns_client = on`)
//!
//! Must not: do I/O; it asks through [`Core`].

use std::rc::Rc;
use std::time::{Duration, Instant};

use super::cache::Key;
use super::classic;
use super::core::Core;
use super::name;
use super::options::Client;
use super::record::{Answer, Reply, TEN_YEARS, code_text, kind};
use super::tries::Tries;

/// For how long a stale answer is served before the next refresh is tried.
const STALE_STEP: Duration = Duration::from_secs(60);

/// What is asked for: a type, or an address of either family.
pub fn wanted_of(core: &Core, name: &str) -> Option<u16> {
    match core.options.client {
        Client::Modern { srv: true, .. } if name::is_service(name) => Some(kind::SRV),
        _ => None,
    }
}

fn key(wanted: Option<u16>) -> Key {
    wanted.map_or(Key::address(), Key::of)
}

/// An answer that needs no way.
pub fn at_hand(core: &Core, name: &str, now: Instant) -> Option<Rc<Answer>> {
    let wanted = wanted_of(core, name);
    let answer = core.cache.borrow_mut().get(name, key(wanted), now)?;
    (!answer.stale(now) && answer.code == 0 && !answer.records.is_empty()).then_some(answer)
}

/// The records of `name`; `wanted` is a type, or None for addresses.
pub async fn resolve(
    core: &Rc<Core>,
    name: &str,
    wanted: Option<u16>,
    cache_only: bool,
    tries: &mut Tries,
) -> Result<Rc<Answer>, String> {
    let name = name.to_ascii_lowercase();
    let now = Instant::now();
    if let Some(ip) = name::literal(&name) {
        return Ok(Rc::new(classic::address(&name, ip)));
    }
    let hosts = match wanted {
        Some(kind) => core.hosts_answer(&name, kind),
        None => core
            .hosts_answer(&name, kind::A)
            .or_else(|| core.hosts_answer(&name, kind::AAAA)),
    };
    let known = match hosts {
        Some(answer) => {
            let answer = Rc::new(answer);
            let drop_at = now + TEN_YEARS;
            core.cache
                .borrow_mut()
                .set(&name, key(wanted), answer.clone(), drop_at);
            Some(answer)
        }
        None => core.cache.borrow_mut().get(&name, key(wanted), now),
    };
    if let Some(answer) = known {
        let refused = answer.code != 0;
        if !answer.stale(now) || (!refused && core.options.stale_ttl > Duration::ZERO) {
            if tries.is_empty() {
                tries.visit(&name, wanted, true);
            }
            if answer.stale(now) && core.may_refresh(&answer, now) {
                refresh(core, &name, wanted, &answer, now);
            }
            return finished(answer);
        }
    }
    if cache_only {
        return Err("dns client error: 100 cache only lookup failed".into());
    }
    let answer = way(core, &name, wanted, tries).await?;
    keep(core, &name, wanted, &answer);
    finished(answer)
}

fn finished(answer: Rc<Answer>) -> Result<Rc<Answer>, String> {
    match answer.code {
        0 => Ok(answer),
        code => Err(error_of(code)),
    }
}

/// The code for an answer without records.
const EMPTY: u16 = 101;

fn error_of(code: u16) -> String {
    match code {
        EMPTY => "dns client error: 101 empty record received".into(),
        code => format!("dns server error: {code} {}", code_text(code)),
    }
}

fn keep(core: &Core, name: &str, wanted: Option<u16>, answer: &Rc<Answer>) {
    let o = &core.options;
    let more = if answer.code == 0 {
        o.stale_ttl
    } else {
        Duration::ZERO
    };
    let drop_at = answer.expire.checked_add(more).unwrap_or(answer.expire);
    core.cache
        .borrow_mut()
        .set(name, key(wanted), answer.clone(), drop_at);
}

/// Serves the stale one for a minute more while a new one is fetched; an error does not take its place.
fn refresh(core: &Rc<Core>, name: &str, wanted: Option<u16>, old: &Answer, now: Instant) {
    core.counters.stale.set(core.counters.stale.get() + 1);
    old.retry_at.set(Some(now + STALE_STEP));
    let (core, name) = (core.clone(), name.to_owned());
    tokio::task::spawn_local(async move {
        let mut tries = Tries::new(true);
        if let Ok(answer) = way(&core, &name, wanted, &mut tries).await
            && answer.code == 0
        {
            keep(&core, &name, wanted, &answer);
        }
    });
}

/// Asks for all the names that the search list makes of one.
async fn way(
    core: &Rc<Core>,
    name: &str,
    wanted: Option<u16>,
    tries: &mut Tries,
) -> Result<Rc<Answer>, String> {
    let names = {
        let files = core.files.borrow();
        // unlike the older client, it does not go on to the domains once a name is complete
        if files.conf.below_ndots(name) {
            files.conf.candidates(name, files.hosts.contains_key(name))
        } else {
            vec![name.to_owned()]
        }
    };
    let (a, aaaa) = match core.options.client {
        Client::Modern { a, aaaa, .. } => (a, aaaa),
        Client::Classic { .. } => (true, false),
    };
    let kinds: Vec<u16> = match wanted {
        Some(kind) => vec![kind],
        None => [(a, kind::A), (aaaa, kind::AAAA)]
            .into_iter()
            .filter_map(|(on, kind)| on.then_some(kind))
            .collect(),
    };
    let mut last = None;
    for kind in kinds {
        for name in &names {
            tries.visit(name, Some(kind), false);
            let began = Instant::now();
            let answer = core.query(name, kind, tries).await.map_err(|e| {
                let took = began.elapsed().as_millis();
                let error = format!("DNS server error: {e}, took {took} ms");
                tries.note(&error);
                error
            })?;
            if answer.code == 0 {
                return Ok(answer);
            }
            tries.note(&error_of(answer.code));
            tries.code(answer.code);
            last = Some(answer);
        }
    }
    last.ok_or_else(|| error_of(EMPTY))
}

/// Makes an answer of a reply: the records of the type asked for, of the name or of what it is an alias for.
///
/// # Source
/// `process_answers`
pub fn take_in(core: &Core, name: &str, kind: u16, reply: Reply) -> Rc<Answer> {
    let now = Instant::now();
    let o = &core.options;
    let failed = |code| Rc::new(Answer::new(code, Vec::new(), o.error_ttl, now + o.error_ttl));
    if reply.code != 0 {
        return failed(reply.code);
    }
    let belongs = classic::related(name.strip_suffix('.').unwrap_or(name), &reply.records);
    let forced = o
        .valid_ttl
        .map(|ttl| u32::try_from(ttl.as_secs()).unwrap_or(u32::MAX));
    let least = reply.records.iter().map(|r| r.ttl).min().unwrap_or_default();
    let ttl = o.valid_ttl.unwrap_or(Duration::from_secs(least.into()));
    let mut own = reply.records;
    own.retain(|r| r.kind() == kind && belongs.contains(&r.name));
    if own.is_empty() {
        return failed(EMPTY);
    }
    if let Some(forced) = forced {
        own.iter_mut().for_each(|r| r.ttl = forced);
    }
    Rc::new(Answer::new(0, own, ttl, now + ttl))
}
