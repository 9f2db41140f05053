//! Kong's default client: types in an order, short names remembered, CNAMEs followed.
//!
//! # Source
//! `kong/resty/dns/client.lua` (`new_dns_client = off`)
//!
//! Must not: do I/O; it asks through [`Core`].

use std::rc::Rc;
use std::time::{Duration, Instant};

use super::cache::Key;
use super::core::Core;
use super::name::{self, HostKind};
use super::options::{Client, Step};
use super::record::{Answer, Data, Record, Reply, TEN_YEARS, code_text, kind};
use super::tries::Tries;

/// Where a lookup stands.
enum At {
    Found(Rc<Answer>),
    /// The name has another name.
    Alias(Rc<str>),
}

/// The records of `name`: of the wanted type, or of the first type of `dns_order` that has any.
pub async fn resolve(
    core: &Rc<Core>,
    name: &str,
    wanted: Option<u16>,
    cache_only: bool,
    tries: &mut Tries,
) -> Result<Rc<Answer>, String> {
    let mut name = name.to_ascii_lowercase();
    let mut wanted = wanted;
    loop {
        match step(core, &name, wanted, cache_only, tries).await? {
            At::Found(answer) => return Ok(answer),
            At::Alias(other) => {
                tries.note("dereferencing CNAME");
                name = other.to_string();
                wanted = None;
            }
        }
    }
}

/// The other name, where the answer is one and it was not that what was asked for.
fn alias(answer: &Answer, wanted: Option<u16>) -> Option<Rc<str>> {
    match &answer.records.first()?.data {
        Data::Cname(other) if wanted != Some(kind::CNAME) => Some(other.clone()),
        _ => None,
    }
}

/// An answer that needs no way: fresh, and its aliases too.
pub fn at_hand(core: &Core, name: &str, now: Instant) -> Option<Rc<Answer>> {
    let mut cache = core.cache.borrow_mut();
    let mut answer = cache.get(name, Key::short(None), now)?;
    for _ in 0..8 {
        if answer.stale(now) || answer.records.is_empty() {
            return None;
        }
        match alias(&answer, None) {
            None => return Some(answer),
            Some(other) => answer = cache.get(&other, Key::short(None), now)?,
        }
    }
    None
}

async fn step(
    core: &Rc<Core>,
    name: &str,
    wanted: Option<u16>,
    cache_only: bool,
    tries: &mut Tries,
) -> Result<At, String> {
    let now = Instant::now();
    let short = format!("(short){name}");
    let known = core.cache.borrow_mut().get(name, Key::short(wanted), now);
    match known {
        Some(answer) => {
            if tries.been(&short, wanted) {
                tries.note("recursion detected");
                return Err("recursion detected".into());
            }
            tries.add(&short, wanted, "cache-hit");
            if !answer.stale(now) {
                return Ok(alias(&answer, wanted).map_or(At::Found(answer), At::Alias));
            }
            // the whole way again: that starts what refreshes it
            tries.note("stale");
        }
        None => tries.add(&short, wanted, "cache-miss"),
    }
    if let Some(result) = literal(name, wanted, tries) {
        return result.map(At::Found);
    }
    let mut error = String::new();
    for (candidate, kind) in way(core, name, wanted) {
        if tries.been(&candidate, Some(kind)) {
            error = "recursion detected".into();
            break;
        }
        let answer = lookup(core, &candidate, kind, cache_only, tries).await?;
        match judge(&answer, &candidate, kind, wanted) {
            Ok(()) => {
                if !cache_only {
                    if wanted.is_none() {
                        core.set_last(&candidate, kind);
                    }
                    keep_short(core, name, wanted, &answer);
                }
                return Ok(alias(&answer, wanted).map_or(At::Found(answer), At::Alias));
            }
            Err(e) => {
                tries.note(&e);
                error = e;
            }
        }
    }
    Err(error)
}

/// Whether an answer ends the way.
fn judge(answer: &Answer, candidate: &str, asked: u16, wanted: Option<u16>) -> Result<(), String> {
    if answer.code != 0 {
        return Err(format!(
            "dns server error: {} {}",
            answer.code,
            if answer.code == 100 {
                "cache only lookup failed"
            } else {
                code_text(answer.code)
            }
        ));
    }
    if answer.records.is_empty() {
        return Err("dns client error: 101 empty record received".into());
    }
    let itself = |r: &Record| matches!(&r.data, Data::Srv { target, .. } if **target == *candidate);
    if asked == kind::SRV && wanted != Some(kind::SRV) && answer.records.iter().all(itself) {
        // Kubernetes gives each host a service that is the host itself
        return Err("recursion detected".into());
    }
    Ok(())
}

/// An address in place of a name.
fn literal(text: &str, wanted: Option<u16>, tries: &mut Tries) -> Option<Result<Rc<Answer>, String>> {
    let (label, fits, error) = match name::kind_of(text) {
        HostKind::Name => return None,
        HostKind::Ipv4 => (
            "IPv4",
            wanted.is_none_or(|k| k == kind::A),
            "dns client error: 102 invalid name, bad IPv4",
        ),
        HostKind::Ipv6 => (
            "IPv6",
            wanted.is_none_or(|k| k == kind::AAAA),
            "dns client error: 103 invalid name, bad IPv6",
        ),
    };
    tries.add(text, wanted, label);
    let ip = name::literal(text).filter(|ip| fits && ip.is_ipv6() == (label == "IPv6"));
    Some(match ip {
        Some(ip) => Ok(Rc::new(address(text, ip))),
        None => Err(error.into()),
    })
}

/// The answer that an address is.
pub fn address(name: &str, ip: std::net::IpAddr) -> Answer {
    let data = match ip {
        std::net::IpAddr::V4(ip) => Data::A(ip),
        std::net::IpAddr::V6(ip) => Data::Aaaa(ip),
    };
    let record = Record {
        name: name.into(),
        ttl: TEN_YEARS.as_secs() as u32,
        data,
    };
    Answer::new(0, vec![record], TEN_YEARS, Instant::now() + TEN_YEARS)
}

/// All names and types to look up, in order.
fn way(core: &Core, name: &str, wanted: Option<u16>) -> Vec<(String, u16)> {
    let mut kinds: Vec<u16> = Vec::new();
    match (wanted, &core.options.client) {
        (Some(kind), _) => kinds.push(kind),
        (None, Client::Classic { order, .. }) => {
            for step in order {
                let kind = match step {
                    Step::Kind(kind) => Some(*kind),
                    Step::Last => core.last(name),
                };
                kinds.extend(kind.filter(|k| !kinds.contains(k)));
            }
        }
        (None, Client::Modern { .. }) => {}
    }
    let files = core.files.borrow();
    let mut way = Vec::new();
    for kind in kinds {
        let candidates = files
            .conf
            .candidates(name, core.hosts_answer(name, kind).is_some());
        way.extend(candidates.into_iter().map(|c| (c, kind)));
    }
    way
}

/// One name and type: from the cache, with a refresh where it is stale, or from the servers.
async fn lookup(
    core: &Rc<Core>,
    name: &str,
    kind: u16,
    cache_only: bool,
    tries: &mut Tries,
) -> Result<Rc<Answer>, String> {
    let now = Instant::now();
    if let Some(answer) = core.known(name, kind, now) {
        tries.add(name, Some(kind), "cache-hit");
        if answer.stale(now) {
            tries.note("stale");
            if core.may_refresh(&answer, now) {
                core.counters.stale.set(core.counters.stale.get() + 1);
                tries.note("scheduled");
                let _ = core.flight(name, kind);
            }
        }
        return Ok(answer);
    }
    if cache_only {
        tries.add(name, Some(kind), "cache only lookup failed");
        let none = Answer::new(100, Vec::new(), Duration::ZERO, now);
        return Ok(Rc::new(none));
    }
    tries.add(name, Some(kind), "cache-miss");
    core.query(name, kind, tries).await.inspect_err(|e| tries.note(e))
}

fn keep_short(core: &Core, name: &str, wanted: Option<u16>, answer: &Rc<Answer>) {
    let drop_at = answer
        .expire
        .checked_add(core.options.stale_ttl)
        .unwrap_or(answer.expire);
    let mut cache = core.cache.borrow_mut();
    if drop_at <= Instant::now() {
        return cache.remove(name, Key::short(wanted));
    }
    cache.set(name, Key::short(wanted), answer.clone(), drop_at);
}

/// Puts a reply into the cache: the records of the name and type asked for, and apart from them what else belongs
/// to the way there. Answers with the former.
///
/// # Source
/// `parseAnswer`, `cacheinsert`
pub fn take_in(core: &Core, name: &str, kind: u16, reply: Reply) -> Rc<Answer> {
    let asked = name.strip_suffix('.').unwrap_or(name);
    let belongs = related(asked, &reply.records);
    let mut own = Vec::new();
    let mut others: Vec<Vec<Record>> = Vec::new();
    for record in reply.records {
        if record.kind() == kind && *record.name == *asked {
            own.push(record);
        } else if matches!(
            record.data,
            Data::A(_) | Data::Aaaa(_) | Data::Cname(_) | Data::Srv { .. }
        ) && belongs.contains(&record.name)
        {
            let same = |group: &&mut Vec<Record>| {
                let first = group.first();
                first.is_some_and(|f| f.kind() == record.kind() && f.name == record.name)
            };
            match others.iter_mut().find(same) {
                Some(group) => group.push(record),
                None => others.push(vec![record]),
            }
        }
    }
    for group in others {
        if let Some((name, kind)) = group.first().map(|f| (f.name.clone(), f.kind())) {
            insert(core, &name, kind, 0, group);
            if core.last(&name).is_none() {
                core.set_last(&name, kind);
            }
        }
    }
    insert(core, name, kind, reply.code, own)
}

/// The names that a reply may speak of: the one asked for, its aliases, and the targets of its services. A server
/// has no business to say anything of others here.
pub fn related(asked: &str, records: &[Record]) -> Vec<Rc<str>> {
    let mut names: Vec<Rc<str>> = vec![asked.into()];
    let mut at = 0;
    while at < names.len() && names.len() < 64 {
        let name = names[at].clone();
        for record in records.iter().filter(|r| r.name == name) {
            if let Data::Cname(other) | Data::Srv { target: other, .. } = &record.data
                && !names.contains(other)
                && names.len() < 64
            {
                names.push(other.clone());
            }
        }
        at += 1;
    }
    names
}

fn insert(core: &Core, name: &str, kind: u16, code: u16, mut records: Vec<Record>) -> Rc<Answer> {
    let now = Instant::now();
    let o = &core.options;
    let ttl = if records.is_empty() {
        if code == 0 || code == 3 {
            o.not_found_ttl
        } else {
            o.error_ttl
        }
    } else if let Some(forced) = o.valid_ttl {
        let seconds = u32::try_from(forced.as_secs()).unwrap_or(u32::MAX);
        records.iter_mut().for_each(|r| r.ttl = seconds);
        forced
    } else {
        let least = records.iter().map(|r| r.ttl).min().unwrap_or_default();
        Duration::from_secs(least.into())
    };
    let data = !records.is_empty();
    let answer = Rc::new(Answer::new(code, records, ttl, now + ttl));
    if !data
        && code != 3
        && let Some(old) = core.known(name, kind, now)
        && !old.records.is_empty()
    {
        // what is stale but has data is not replaced by an error, nor asked for again at once
        old.retry_at.set(Some(now + o.error_ttl));
        return answer;
    }
    let drop_at = (now + ttl).checked_add(o.stale_ttl).unwrap_or(now + ttl);
    if drop_at > now {
        core.cache
            .borrow_mut()
            .set(name, Key::of(kind), answer.clone(), drop_at);
    }
    answer
}
