//! One route's criteria, split by path so that each piece has one weight.

use super::{Captures, Query, RouterError};
use crate::entity::{Route, RouteIdx, ServiceIdx};
use regex::bytes::{Regex, RegexBuilder};

/// Access to the headers of a request, whatever holds them.
pub trait HeaderLookup {
    /// Whether any value of a header (name in lower case) passes the test.
    fn any(&self, name: &str, test: &mut dyn FnMut(&[u8]) -> bool) -> bool;
}

impl HeaderLookup for crate::exchange::HeaderList {
    fn any(&self, name: &str, test: &mut dyn FnMut(&[u8]) -> bool) -> bool {
        self.get_all(name.as_bytes()).any(test)
    }
}

impl HeaderLookup for http::HeaderMap {
    fn any(&self, name: &str, test: &mut dyn FnMut(&[u8]) -> bool) -> bool {
        self.get_all(name).iter().any(|value| test(value.as_bytes()))
    }
}

/// Precedence, most significant first; the order of the bits in Kong's `get_priority` (`kong/router/transform.lua`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Weight {
    kinds: u8,
    plain_hosts_only: bool,
    headers: u8,
    regex: bool,
    regex_priority: i64,
    length: usize,
}

#[derive(Debug)]
pub(super) struct HostRule {
    pattern: Pattern,
    port: Option<u16>,
}

/// A name with a wildcard at one end perhaps; in lower case.
#[derive(Debug)]
enum Pattern {
    Exact(String),
    Suffix(String),
    Prefix(String),
}

#[derive(Debug)]
struct HeaderTest {
    name: String,
    exact: Vec<Vec<u8>>,
    regexes: Vec<Regex>,
}

#[derive(Debug, Clone)]
pub(super) enum Paths {
    Any,
    Prefixes(Vec<String>),
    Regexes(Vec<Regex>),
}

#[derive(Debug)]
pub(super) struct Matcher {
    pub route: RouteIdx,
    pub service: Option<ServiceIdx>,
    pub weight: Weight,
    pub hosts: Vec<HostRule>,
    pub paths: Paths,
    methods: Vec<String>,
    headers: Vec<HeaderTest>,
    snis: Vec<Pattern>,
}

/// Splits a route into matchers: one for each length of its prefixes and one for all its regular expressions.
pub(super) fn marshal(at: RouteIdx, route: &Route, out: &mut Vec<Matcher>) -> Result<(), RouterError> {
    let mut groups: Vec<(usize, Paths)> = Vec::new();
    for path in &route.paths {
        if let Some(pattern) = path.strip_prefix('~') {
            let regex = compile(route, &format!("^{pattern}"), false)?;
            match groups.iter_mut().find_map(|(_, g)| {
                if let Paths::Regexes(all) = g {
                    Some(all)
                } else {
                    None
                }
            }) {
                Some(all) => all.push(regex),
                None => groups.push((0, Paths::Regexes(vec![regex]))),
            }
            continue;
        }
        let same = |(length, group): &mut (usize, Paths)| match group {
            Paths::Prefixes(_) => *length == path.len(),
            _ => false,
        };
        match groups
            .iter_mut()
            .find_map(|g| if same(g) { Some(&mut g.1) } else { None })
        {
            Some(Paths::Prefixes(all)) => all.push(path.clone()),
            _ => groups.push((path.len(), Paths::Prefixes(vec![path.clone()]))),
        }
    }
    if groups.is_empty() {
        groups.push((0, Paths::Any));
    }
    for (length, paths) in groups {
        out.push(matcher(at, route, length, paths)?);
    }
    Ok(())
}

fn matcher(at: RouteIdx, route: &Route, length: usize, paths: Paths) -> Result<Matcher, RouterError> {
    let regex = matches!(paths, Paths::Regexes(_));
    let kinds = [
        !route.methods.is_empty(),
        !route.hosts.is_empty(),
        !route.headers.is_empty(),
        !route.snis.is_empty(),
        !route.paths.is_empty(),
    ];
    let weight = Weight {
        kinds: kinds.into_iter().map(u8::from).sum(),
        plain_hosts_only: !route.hosts.is_empty() && !route.hosts.iter().any(|h| h.contains('*')),
        headers: u8::try_from(route.headers.len()).unwrap_or(u8::MAX),
        regex,
        regex_priority: if regex { route.regex_priority } else { 0 },
        length,
    };
    let mut headers = Vec::with_capacity(route.headers.len());
    for rule in &route.headers {
        let (mut exact, mut regexes) = (Vec::new(), Vec::new());
        for value in &rule.values {
            match value.strip_prefix("~*") {
                Some(pattern) => regexes.push(compile(route, pattern, true)?),
                None => exact.push(value.to_lowercase().into_bytes()),
            }
        }
        headers.push(HeaderTest {
            name: rule.name.clone(),
            exact,
            regexes,
        });
    }
    Ok(Matcher {
        route: at,
        service: route.service,
        weight,
        hosts: route.hosts.iter().map(|host| HostRule::new(host)).collect(),
        paths,
        methods: route.methods.clone(),
        headers,
        snis: route.snis.iter().map(|sni| Pattern::sni(sni)).collect(),
    })
}

fn compile(route: &Route, pattern: &str, case_insensitive: bool) -> Result<Regex, RouterError> {
    RegexBuilder::new(pattern)
        .case_insensitive(case_insensitive)
        .build()
        .map_err(|error| RouterError::Regex {
            route: route.name.clone().unwrap_or_else(|| route.id.clone()),
            pattern: pattern.to_owned(),
            reason: error.to_string(),
        })
}

/// Splits `host:port`; brackets stay, a text that is no port stays part of the host.
pub(super) fn split_port(host: &str) -> (&str, Option<u16>) {
    match host.rsplit_once(':') {
        Some((name, digits)) if !name.contains(':') || name.ends_with(']') => match digits.parse() {
            Ok(port) => (name, Some(port)),
            Err(_) => (host, None),
        },
        _ => (host, None),
    }
}

// === impl Pattern ===

impl Pattern {
    fn new(text: &str) -> Self {
        let text = text.to_ascii_lowercase();
        if let Some(suffix) = text.strip_prefix('*') {
            return Self::Suffix(suffix.to_owned());
        }
        match text.strip_suffix('*') {
            Some(prefix) => Self::Prefix(prefix.to_owned()),
            None => Self::Exact(text),
        }
    }

    fn sni(text: &str) -> Self {
        // The last dot of a fully qualified name is not sent in a handshake.
        Self::new(if text.len() > 1 {
            text.strip_suffix('.').unwrap_or(text)
        } else {
            text
        })
    }

    fn matches(&self, name: &str) -> bool {
        let (name, same) = (name.as_bytes(), |a: &[u8], b: &str| {
            a.eq_ignore_ascii_case(b.as_bytes())
        });
        match self {
            Self::Exact(text) => same(name, text),
            Self::Suffix(text) => name.len() >= text.len() && same(&name[name.len() - text.len()..], text),
            Self::Prefix(text) => name.len() >= text.len() && same(&name[..text.len()], text),
        }
    }
}

// === impl HostRule ===

impl HostRule {
    fn new(text: &str) -> Self {
        let (name, port) = split_port(text);
        Self {
            pattern: Pattern::new(name),
            port,
        }
    }

    /// The name, where it has no wildcard.
    pub fn exact(&self) -> Option<&str> {
        match &self.pattern {
            Pattern::Exact(name) => Some(name),
            _ => None,
        }
    }

    fn matches(&self, name: &str, port: u16) -> bool {
        self.port.is_none_or(|wanted| wanted == port) && self.pattern.matches(name)
    }
}

// === impl HeaderTest ===

impl HeaderTest {
    fn matches(&self, headers: &dyn HeaderLookup) -> bool {
        headers.any(&self.name, &mut |value| {
            self.exact.iter().any(|wanted| wanted.eq_ignore_ascii_case(value))
                || self.regexes.iter().any(|regex| regex.is_match(value))
        })
    }
}

// === impl Matcher ===

impl Matcher {
    /// Judges every criterion but a prefix found by the index.
    pub fn matches(&self, query: &Query<'_>, name: &str, port: u16, prefix_known: bool) -> bool {
        (self.hosts.is_empty() || self.hosts.iter().any(|host| host.matches(name, port)))
            && (self.methods.is_empty() || self.methods.iter().any(|method| method == query.method))
            && (self.snis.is_empty() || !query.https || self.sni_matches(query.sni.unwrap_or("")))
            && (prefix_known || self.path_matches(query.path))
            && self.headers.iter().all(|header| header.matches(query.headers))
    }

    fn sni_matches(&self, sni: &str) -> bool {
        self.snis.iter().any(|pattern| pattern.matches(sni))
    }

    fn path_matches(&self, path: &[u8]) -> bool {
        match &self.paths {
            Paths::Any => true,
            Paths::Prefixes(all) => all.iter().any(|prefix| path.starts_with(prefix.as_bytes())),
            Paths::Regexes(all) => all.iter().any(|regex| regex.is_match(path)),
        }
    }

    /// Length of the matched start of the path, and what its regular expression captured.
    pub fn matched_path(&self, path: &[u8]) -> (Option<usize>, Option<Box<Captures>>) {
        match &self.paths {
            Paths::Any => (None, None),
            // All prefixes of a matcher have one length.
            Paths::Prefixes(all) => (all.first().map(|prefix| prefix.len()), None),
            Paths::Regexes(all) => {
                let Some((regex, found)) = all.iter().find_map(|regex| Some((regex, regex.captures(path)?)))
                else {
                    return (None, None);
                };
                let length = found.get(0).map(|whole| whole.len());
                if regex.captures_len() == 1 {
                    return (length, None);
                }
                let owned = |group: regex::bytes::Match<'_>| group.as_bytes().to_vec();
                let named = regex.capture_names().flatten();
                let named = named
                    .filter_map(|n| Some((n.to_owned(), found.name(n).map(owned)?)))
                    .collect();
                let positional = found.iter().map(|group| group.map(owned)).collect();
                (length, Some(Box::new(Captures { positional, named })))
            }
        }
    }
}
