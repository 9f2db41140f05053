//! Which route serves a request: a pure function of the snapshot and the request head.
//!
//! The order is that of Kong's default router flavour, `traditional_compatible`: a route with more kinds of
//! criteria wins over one with fewer, then plain hosts over wildcards, more headers over fewer, regular
//! expressions over prefixes, higher `regex_priority`, longer prefixes; then the route created earlier, then the
//! greater id.
//!
//! Regular expressions are those of the `regex` crate, as in Kong's default flavour: linear time, and therefore no
//! look-around, back-references, atomic groups or possessive quantifiers. They are refused with the route's name.
//!
//! Must not: know connections, plugins or Lua.

mod criteria;
mod index;

mod upstream_path;

pub use crate::entity::path::{escape, normalize};
pub use criteria::HeaderLookup;
pub use upstream_path::{forwarded_prefix, upstream_path};

use crate::entity::{RouteIdx, ServiceIdx};
use crate::store::Snapshot;
use criteria::Matcher;
use index::Index;

/// Why no router can be built.
#[derive(Debug, thiserror::Error)]
pub enum RouterError {
    /// A regular expression of a route's path or header does not compile.
    #[error("route '{route}': invalid regex: '{pattern}' ({reason})")]
    Regex {
        /// The route's name, or its id.
        route: String,
        /// The expression.
        pattern: String,
        /// What the compiler says.
        reason: String,
    },
}

/// What is asked of the router: one request's head.
pub struct Query<'a> {
    /// The method, in its own case.
    pub method: &'a str,
    /// The Host header (or `:authority`), with its port perhaps; empty where there is none.
    pub host: &'a str,
    /// The port the request came in on, for hosts with a port where Host has none.
    pub port: u16,
    /// The path without query, [`normalize`]d with slashes merged.
    pub path: &'a [u8],
    /// Whether the request came by TLS.
    pub https: bool,
    /// The server name of the TLS handshake.
    pub sni: Option<&'a str>,
    /// The request's headers.
    pub headers: &'a dyn HeaderLookup,
}

/// What a path's regular expression captured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Captures {
    /// The whole match, then the groups by number.
    pub positional: Vec<Option<Vec<u8>>>,
    /// The named groups that took part.
    pub named: Vec<(String, Vec<u8>)>,
}

/// The route found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Match {
    /// The route.
    pub route: RouteIdx,
    /// Its service.
    pub service: Option<ServiceIdx>,
    /// Length in bytes of the matched start of the path; none where the route has no paths.
    pub matched_path: Option<usize>,
    /// Captures, where a regular expression with groups matched.
    pub captures: Option<Box<Captures>>,
}

/// The routes of a snapshot, in order of precedence, indexed by host and prefix.
pub struct Router {
    matchers: Vec<Matcher>,
    index: Index,
}

impl Router {
    /// Builds the router of a snapshot. Routes of services that are not enabled, and stream routes, are left out.
    ///
    /// # Errors
    /// Where a regular expression does not compile.
    pub fn build(snapshot: &Snapshot) -> Result<Self, RouterError> {
        let mut matchers = Vec::with_capacity(snapshot.routes.len());
        for (at, route) in snapshot.routes.iter().enumerate() {
            if !route.protocols.iter().any(|p| p.is_http()) {
                continue;
            }
            if route
                .service
                .and_then(|s| snapshot.service(s))
                .is_some_and(|s| !s.enabled)
            {
                continue;
            }
            criteria::marshal(RouteIdx::from(at), route, &mut matchers)?;
        }
        // no two are equal: the pieces of one route differ in weight, and routes in their ids
        matchers.sort_unstable_by(|a, b| {
            let (left, right) = (
                &snapshot.routes[a.route.index()],
                &snapshot.routes[b.route.index()],
            );
            (b.weight.cmp(&a.weight))
                .then_with(|| left.created_at.cmp(&right.created_at))
                .then_with(|| right.id.cmp(&left.id))
        });
        let index = Index::build(&matchers);
        Ok(Self { matchers, index })
    }

    /// The route that serves a request.
    pub fn find(&self, query: &Query<'_>) -> Option<Match> {
        let rank = self.index.first(&self.matchers, query)?;
        let matcher = self.matchers.get(rank)?;
        let (matched_path, captures) = matcher.matched_path(query.path);
        Some(Match {
            route: matcher.route,
            service: matcher.service,
            matched_path,
            captures,
        })
    }
}

#[cfg(test)]
mod tests;
