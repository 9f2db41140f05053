//! Between rewrite and access: the route, the service's target, the forwarding headers.
//!
//! Must not: run handlers.

use super::{Generation, fault::Fault};
use crate::entity::Protocol;
use crate::exchange::{Captures, Exchange, Matched};
use crate::net::forwarded::{Forwarded, Observed, forwarded_of};
use crate::router::{HeaderLookup, Query, escape, forwarded_prefix, normalize, upstream_path};

struct Headers<'a>(&'a crate::exchange::HeaderList);

impl HeaderLookup for Headers<'_> {
    fn any(&self, name: &str, test: &mut dyn FnMut(&[u8]) -> bool) -> bool {
        self.0.get_all(name.as_bytes()).any(test)
    }
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Finds the route and prepares what goes upstream.
///
/// # Errors
/// [`Fault::NoRoute`], [`Fault::HttpsRequired`].
pub fn route(generation: &Generation, x: &mut Exchange) -> Result<(), Fault> {
    let path = normalize(&x.request.uri_path(), true).into_owned();
    let host = x.request.headers.get("host").map(lossy).unwrap_or_default();
    let host = if host.is_empty() {
        x.request.host.clone()
    } else {
        host
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
    forward_headers(generation, x, prefix);
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
    x.outbound.uri = lossy(&escape(&up));
    // what a plugin chose in rewrite stays chosen
    if route.preserve_host && !x.target.chosen {
        x.outbound.host = host;
    }
    if let Some(s) = service {
        let t = &mut x.target;
        if !t.chosen {
            t.host.clone_from(&s.host);
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

fn forward_headers(generation: &Generation, x: &mut Exchange, prefix: Option<&[u8]>) {
    let peer = &*x.connection.peer_ip;
    let other = (x.client.addr.ip() != x.connection.peer.ip()).then(|| x.client.addr.ip().to_string());
    let remote = other.as_deref().unwrap_or(peer);
    let port = x.connection.local.port();
    let seen = Observed {
        remote_addr: remote,
        realip_remote_addr: peer,
        trusted: x.client.trusted,
        scheme: x.request.scheme,
        host: x.request.host.as_bytes(),
        port: generation.settings.port_maps.get(&port).copied().unwrap_or(port),
        request_uri: x.request.target.as_bytes(),
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
    } = forwarded_of(|id| x.request.headers.get(id.name()), &seen);
    x.outbound.x_forwarded_for = lossy(&by);
    x.outbound.x_forwarded_proto = lossy(proto);
    x.outbound.x_forwarded_host = lossy(host);
    x.outbound.x_forwarded_port = lossy(&port);
    x.outbound.x_forwarded_path = lossy(path);
    x.outbound.x_forwarded_prefix = prefix.map(lossy);
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
