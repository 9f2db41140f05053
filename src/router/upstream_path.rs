//! The path the upstream is asked for.
//!
//! # Source
//! `kong/router/utils.lua` (`get_upstream_uri_v0`), `kong/router/traditional.lua` (v1)

use crate::entity::{PathHandling, Route};

/// Takes a first dot segment off, so that a stripped prefix cannot make one that climbs.
fn sanitize(postfix: &[u8]) -> &[u8] {
    match postfix {
        b"." | b".." => b"",
        [b'.', b'/', rest @ ..] | [b'.', b'.', b'/', rest @ ..] => rest,
        postfix => postfix,
    }
}

/// Joins the service's path and the request's path as the route says.
///
/// `path` is the normalized request path, `matched` the length of what the route matched of it
/// ([`super::Match::matched_path`]). The result is not escaped yet, see [`super::escape`].
pub fn upstream_path(
    route: &Route,
    service_path: Option<&str>,
    path: &[u8],
    matched: Option<usize>,
) -> Vec<u8> {
    let base = service_path.unwrap_or("/").as_bytes();
    let after_slash = path.get(1..).unwrap_or_default();
    // Without a matched path the postfix is the path without its slash.
    let postfix = sanitize(path.get(matched.unwrap_or(1)..).unwrap_or_default());
    match (route.path_handling, route.strip_path) {
        (PathHandling::V1, true) if base.ends_with(b"/") && postfix.starts_with(b"/") => {
            [&base[..base.len() - 1], postfix].concat()
        }
        (PathHandling::V1, true) => [base, postfix].concat(),
        (PathHandling::V1, false) => [base, after_slash].concat(),
        (PathHandling::V0, true) => stripped(base, postfix, path),
        (PathHandling::V0, false) if base.ends_with(b"/") => [base, after_slash].concat(),
        (PathHandling::V0, false) if path == b"/" => base.to_vec(),
        (PathHandling::V0, false) => [base, path].concat(),
    }
}

fn stripped(base: &[u8], postfix: &[u8], path: &[u8]) -> Vec<u8> {
    let bare = base.strip_suffix(b"/");
    if postfix.is_empty() {
        return match bare {
            Some(b"") => base.to_vec(),
            Some(bare) if !path.ends_with(b"/") => bare.to_vec(),
            Some(_) => base.to_vec(),
            None if path.len() > 1 && path.ends_with(b"/") => [base, b"/"].concat(),
            None => base.to_vec(),
        };
    }
    match (bare, postfix.starts_with(b"/")) {
        (Some(bare), true) => [bare, postfix].concat(),
        (Some(_), false) | (None, true) => [base, postfix].concat(),
        (None, false) => [base, b"/", postfix].concat(),
    }
}

/// What `X-Forwarded-Prefix` says: the prefix taken off, unless it is just a slash.
///
/// # Source
/// `kong/runloop/handler.lua`, `access.before`
pub fn forwarded_prefix<'p>(route: &Route, path: &'p [u8], matched: Option<usize>) -> Option<&'p [u8]> {
    let prefix = path.get(..matched?)?;
    (route.strip_path && prefix != b"/").then_some(prefix)
}
