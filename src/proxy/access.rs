//! Between rewrite and access: the route, the service's target, the forwarding headers.
//!
//! Must not: run handlers.

use std::borrow::Cow;

use super::{Generation, fault::Fault};
use crate::entity::Protocol;
use crate::exchange::{Captures, Client, Connection, Exchange, Matched, Outbound, Request};
use crate::net::forwarded::{Forwarded, Observed, forwarded_of};
use crate::router::{HeaderLookup, Query, escape, forwarded_prefix, normalize, upstream_path};

struct Headers<'a>(&'a crate::exchange::HeaderList);

impl HeaderLookup for Headers<'_> {
    fn any(&self, name: &str, test: &mut dyn FnMut(&[u8]) -> bool) -> bool {
        self.0.get_all(name.as_bytes()).any(test)
    }
}

fn lossy(bytes: &[u8]) -> String {
    // nearly all are UTF-8, which is found out sooner than it is taken apart
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => String::from_utf8_lossy(bytes).into_owned(),
    }
}

/// The same, where the bytes are mostly those that `ours` begins with.
fn text_of(bytes: &[u8], ours: &str) -> String {
    match ours.get(..bytes.len()) {
        Some(text) if text.as_ptr() == bytes.as_ptr() => text.to_owned(),
        _ => lossy(bytes),
    }
}

/// Finds the route and prepares what goes upstream.
///
/// # Errors
/// [`Fault::NoRoute`], [`Fault::HttpsRequired`].
pub fn route(generation: &Generation, x: &mut Exchange) -> Result<(), Fault> {
    let whole = x.request.uri_path();
    let path = normalize(&whole, true);
    let sent = x.request.headers.get("host").unwrap_or_default();
    let host = match std::str::from_utf8(sent) {
        Ok("") => Cow::Borrowed(x.request.host.as_str()),
        Ok(text) => Cow::Borrowed(text),
        Err(_) => String::from_utf8_lossy(sent),
    };
    let https = x.request.scheme == "https";
    let asked = x
        .connection
        .tls
        .as_ref()
        .and_then(|tls| tls.server_name.as_deref());
    let sni = asked.map(|name| name.trim_end_matches('.').to_ascii_lowercase());
    let found = generation
        .router
        .find(&Query {
            method: &x.request.method,
            host: &host,
            port: x.connection.local.port(),
            path: &path,
            https,
            sni: sni.as_deref(),
            headers: &Headers(&x.request.headers),
        })
        .ok_or(Fault::NoRoute)?;
    let snapshot = generation.snapshot.clone();
    let route = snapshot.route(found.route).ok_or(Fault::NoRoute)?;
    let service = found.service.and_then(|s| snapshot.service(s));
    let prefix = forwarded_prefix(route, &path, found.matched_path);
    let sides = (&*x.connection, &x.client, &x.request);
    forward_headers(generation, sides, prefix, &mut x.outbound);
    let told_https = x.client.trusted && x.outbound.x_forwarded_proto == "https";
    if !https
        && !told_https
        && !route.protocols.contains(&Protocol::Http)
        && route.protocols.contains(&Protocol::Https)
    {
        return Err(Fault::HttpsRequired(route.https_redirect_status_code));
    }
    x.outbound.scheme = match service.map(|s| s.protocol) {
        Some(Protocol::Https) => "https".into(),
        _ => "http".into(),
    };
    let up = upstream_path(
        route,
        service.and_then(|s| s.path.as_deref()),
        &path,
        found.matched_path,
    );
    let escaped = escape(&up);
    let query = x.request.args.as_ref().map_or(0, |args| args.len() + 1);
    let mut uri = String::with_capacity(escaped.len() + query);
    match std::str::from_utf8(&escaped) {
        Ok(text) => uri.push_str(text),
        Err(_) => uri.push_str(&String::from_utf8_lossy(&escaped)),
    }
    x.outbound.uri = uri;
    // what a plugin chose in rewrite stays chosen
    if route.preserve_host && !x.target.chosen {
        x.outbound.host = host.into_owned();
    }
    if let Some(s) = service {
        let t = &mut x.target;
        if !t.chosen {
            t.host = s.host.clone();
            t.port = s.port;
        }
        t.retries = u32::from(s.retries);
        t.connect_timeout = s.connect_timeout;
        t.write_timeout = s.write_timeout;
        t.read_timeout = s.read_timeout;
    }
    let captures = found.captures.map(|c| {
        Box::new(Captures {
            positional: c.positional.iter().map(|p| p.as_deref().map(lossy)).collect(),
            named: c.named.iter().map(|(n, v)| (n.clone(), lossy(v))).collect(),
        })
    });
    x.matched = Some(Matched {
        route: found.route,
        service: found.service,
        captures,
        prefix: prefix.map(lossy),
    });
    Ok(())
}

fn forward_headers(
    generation: &Generation,
    (connection, client, request): (&Connection, &Client, &Request),
    prefix: Option<&[u8]>,
    out: &mut Outbound,
) {
    let peer = &*connection.peer_ip;
    let other = (client.addr.ip() != connection.peer.ip()).then(|| client.addr.ip().to_string());
    let remote = other.as_deref().unwrap_or(peer);
    let port = connection.local.port();
    let seen = Observed {
        remote_addr: remote,
        realip_remote_addr: peer,
        trusted: client.trusted,
        scheme: request.scheme,
        host: request.host.as_bytes(),
        port: generation.settings.port_maps.get(&port).copied().unwrap_or(port),
        request_uri: request.target.as_bytes(),
        prefix,
    };
    let Forwarded {
        by,
        proto,
        host,
        port,
        path,
        prefix,
        ..
    } = forwarded_of(|id| request.headers.get(id.name()), &seen);
    out.x_forwarded_for = text_of(&by, remote);
    out.x_forwarded_proto = text_of(proto, request.scheme);
    out.x_forwarded_host = text_of(host, &request.host);
    out.x_forwarded_port = lossy(&port);
    out.x_forwarded_path = text_of(path, &request.target);
    out.x_forwarded_prefix = prefix.map(lossy);
}

/// After access: joins the query to the upstream's URI, once. An empty one is kept if the client sent it.
pub fn join_query(x: &mut Exchange) {
    let args = x.request.args.as_deref().unwrap_or_default();
    if !x.outbound.uri_has_args && (!args.is_empty() || x.request.target.ends_with('?')) {
        x.outbound.uri.push('?');
        x.outbound.uri.push_str(args);
    }
    if x.outbound.uri.is_empty() {
        x.outbound.uri.push('/');
    }
}
