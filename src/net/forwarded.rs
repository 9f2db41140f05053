//! What the upstream is told about the client: `X-Forwarded-*` and `X-Real-IP`.
//!
//! A trusted peer's own `X-Forwarded-{Proto,Host,Port,Path,Prefix}` are passed on; from anybody else they are
//! replaced by what we saw. `X-Forwarded-For` is appended to in either case.
//!
//! # Source
//! `access.before` and `access.after` of Kong's `runloop/handler.lua`.
//!
//! Must not: know routes; the matched prefix comes in as bytes.

use std::borrow::Cow;
use std::collections::HashMap;

use super::head::RequestHead;
use super::known::Known;

/// What the connection and the router know about a request.
#[derive(Debug, Clone, Copy)]
pub struct Observed<'a> {
    /// `$remote_addr`: the client, after `real_ip`.
    pub remote_addr: &'a str,
    /// `$realip_remote_addr`: who connected to us.
    pub realip_remote_addr: &'a str,
    /// Whether who connected to us is in `trusted_ips`.
    pub trusted: bool,
    /// `$scheme`: how we were spoken to.
    pub scheme: &'a str,
    /// `$host`: without port, in lower case.
    pub host: &'a [u8],
    /// The port we were reached on, after `port_maps`.
    pub port: u16,
    /// `$request_uri`: path and query as sent.
    pub request_uri: &'a [u8],
    /// The path prefix that matched, where `strip_path` took it off.
    pub prefix: Option<&'a [u8]>,
}

/// Values of the headers to send; an empty one is not to be sent, as in nginx.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forwarded<'a> {
    /// `X-Forwarded-For`
    pub by: Cow<'a, [u8]>,
    /// `X-Forwarded-Proto`; decides too whether a route for https only is met.
    pub proto: &'a [u8],
    /// `X-Forwarded-Host`
    pub host: &'a [u8],
    /// `X-Forwarded-Port`
    pub port: Cow<'a, [u8]>,
    /// `X-Forwarded-Path`
    pub path: &'a [u8],
    /// `X-Forwarded-Prefix`
    pub prefix: Option<&'a [u8]>,
    /// `X-Real-IP`
    pub real_ip: &'a [u8],
}

/// Works the headers out. Where a header was sent more than once its first value counts, as in Kong.
pub fn forwarded<'a>(head: &'a RequestHead, seen: &Observed<'a>) -> Forwarded<'a> {
    forwarded_of(|id| head.known(id), seen)
}

/// The same for a request whose headers may not be those of its head any more.
pub fn forwarded_of<'a>(sent: impl Fn(Known) -> Option<&'a [u8]>, seen: &Observed<'a>) -> Forwarded<'a> {
    let told = |id| if seen.trusted { sent(id) } else { None };
    let path = || {
        // Kong looks from the second character on.
        let query = seen.request_uri.iter().skip(1).position(|byte| *byte == b'?');
        query.map_or(seen.request_uri, |at| &seen.request_uri[..=at])
    };
    Forwarded {
        by: match sent(Known::XForwardedFor) {
            Some(before) => {
                let mut list = Vec::with_capacity(before.len() + 2 + seen.realip_remote_addr.len());
                list.extend_from_slice(before);
                list.extend_from_slice(b", ");
                list.extend_from_slice(seen.realip_remote_addr.as_bytes());
                Cow::Owned(list)
            }
            None => Cow::Borrowed(seen.remote_addr.as_bytes()),
        },
        proto: told(Known::XForwardedProto).unwrap_or(seen.scheme.as_bytes()),
        host: told(Known::XForwardedHost).unwrap_or(seen.host),
        port: match told(Known::XForwardedPort) {
            Some(port) => Cow::Borrowed(port),
            None => port_text(seen.port),
        },
        path: told(Known::XForwardedPath).unwrap_or_else(path),
        prefix: told(Known::XForwardedPrefix).or(seen.prefix.filter(|prefix| *prefix != b"/")),
        real_ip: seen.remote_addr.as_bytes(),
    }
}

fn port_text<'a>(port: u16) -> Cow<'a, [u8]> {
    match port {
        80 => Cow::Borrowed(b"80"),
        443 => Cow::Borrowed(b"443"),
        8000 => Cow::Borrowed(b"8000"),
        8443 => Cow::Borrowed(b"8443"),
        other => Cow::Owned(other.to_string().into_bytes()),
    }
}

/// `port_maps`: the ports clients see in place of ours.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PortMaps(HashMap<u16, u16>);

/// An entry of `port_maps` that is no `outer:inner`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid port mapping (`port_maps`): {0}")]
pub struct BadPortMap(pub String);

impl PortMaps {
    /// Reads `port_maps`, entries like `80:8000` (the client's port, then ours).
    ///
    /// # Errors
    /// The first entry that does not read so.
    pub fn parse<I: AsRef<str>>(entries: impl IntoIterator<Item = I>) -> Result<Self, BadPortMap> {
        let mut maps = HashMap::new();
        for entry in entries {
            let entry = entry.as_ref().trim();
            let ports = entry.split_once(':').and_then(|(outer, inner)| {
                let outer = outer.parse::<u16>().ok().filter(|port| *port > 0)?;
                Some((inner.parse::<u16>().ok().filter(|port| *port > 0)?, outer))
            });
            let (inner, outer) = ports.ok_or_else(|| BadPortMap(entry.to_owned()))?;
            maps.insert(inner, outer);
        }
        Ok(Self(maps))
    }

    /// The port clients see for one of ours.
    pub fn outer(&self, port: u16) -> u16 {
        self.0.get(&port).copied().unwrap_or(port)
    }
}
