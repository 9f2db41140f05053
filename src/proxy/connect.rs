//! From a choice to a connection: how TLS is to be spoken, the addresses in turn, a kept connection or a new one.
//!
//! Must not: choose hosts, or send anything of the request.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Generation;
use super::choose::Choice;
use crate::entity::{Service, ServiceIdx, UpstreamIdx};
use crate::exchange::Exchange;
use crate::tls::client::{Alpn, ClientProfile};
use crate::tls::identity::ClientIdentity;
use crate::tls::verify::Verification;
use crate::upstream::{AttemptError, Conn, ConnectPlan, TlsName, TlsPlan};

/// A connection for the choice, and how long making it took if it is new.
///
/// # Errors
/// Why there is none.
pub async fn connect(
    generation: &Generation,
    cell: &RefCell<Exchange>,
    choice: &Choice,
    limit: Duration,
) -> Result<(Conn, Option<Duration>), AttemptError> {
    let tls = tls_plan(generation, &cell.borrow(), choice)?;
    let resolving = generation.worker.names.resolve(&choice.host, choice.port);
    let addrs = match tokio::time::timeout(limit, resolving).await {
        Ok(found) => found?.iter().collect::<Vec<_>>(),
        Err(_) => {
            return Err(AttemptError::Name {
                host: choice.host.clone(),
                reason: "timed out".into(),
            });
        }
    };
    to_any(generation, cell, choice, &addrs, tls, limit).await
}

/// A kept connection to any of the addresses, else a new one to the first that answers.
async fn to_any(
    generation: &Generation,
    cell: &RefCell<Exchange>,
    choice: &Choice,
    addrs: &[SocketAddr],
    tls: Option<Arc<TlsPlan>>,
    limit: Duration,
) -> Result<(Conn, Option<Duration>), AttemptError> {
    let pool = &generation.worker.pool;
    let plan = |addr: &SocketAddr| ConnectPlan {
        addr: *addr,
        tls: tls.clone(),
    };
    for addr in addrs {
        if let Some(conn) = pool.kept(&plan(addr)) {
            return Ok((conn, None));
        }
    }
    let mut last = None;
    for addr in addrs {
        let began = Instant::now();
        match pool.connect(plan(addr), limit).await {
            Ok(conn) => return Ok((conn, Some(began.elapsed()))),
            Err(e) => {
                let failed = choice.attempt(*addr, Some(&e), None);
                cell.borrow_mut().attempts.push(failed);
                last = Some(e);
            }
        }
    }
    Err(last.unwrap_or(AttemptError::Name {
        host: String::new(),
        reason: "no address".into(),
    }))
}

/// How TLS is spoken for this try; none for plain connections.
///
/// What is most specific counts: the plugin's word, the Service's, the Upstream's, the settings'.
///
/// # Errors
/// [`AttemptError::Identity`]: a request is not sent without the certificate it is to be sent with.
///
/// # Source
/// `kong/runloop/upstream_ssl.lua`; Kong's nginx configuration for the defaults.
fn tls_plan(
    generation: &Generation,
    x: &Exchange,
    choice: &Choice,
) -> Result<Option<Arc<TlsPlan>>, AttemptError> {
    if x.outbound.scheme != "https" {
        return Ok(None);
    }
    let at = x.matched.as_ref().and_then(|m| m.service);
    let service = at.and_then(|at| generation.snapshot.service(at));
    let upstream = choice.target.map(|(upstream, _)| upstream);
    let defaults = &generation.tls;
    let profile = ClientProfile {
        identity: identity(generation, x, service, upstream)?,
        verification: verification(x, at.zip(service), generation),
        versions: defaults.versions,
        alpn: Alpn::None,
        resume: defaults.resume,
    };
    Ok(Some(Arc::new(TlsPlan {
        name: TlsName::of_host(&choice.host_header),
        profile,
    })))
}

fn identity(
    generation: &Generation,
    x: &Exchange,
    service: Option<&Service>,
    upstream: Option<UpstreamIdx>,
) -> Result<Option<Arc<ClientIdentity>>, AttemptError> {
    if let Some(own) = &x.target.identity {
        return Ok(Some(own.clone()));
    }
    let snapshot = &generation.snapshot;
    let of_upstream = || upstream.and_then(|at| snapshot.upstream(at)?.client_certificate);
    let certificate = service.and_then(|s| s.client_certificate).or_else(of_upstream);
    match certificate {
        None => Ok(generation.tls.identity.clone()),
        Some(at) => match snapshot.identity(at) {
            Ok(identity) => Ok(Some(identity.clone())),
            Err(why) => {
                let id = snapshot.certificate(at).map(|c| c.id.clone());
                Err(AttemptError::Identity(id.unwrap_or_default(), why.to_owned()))
            }
        },
    }
}

fn verification(
    x: &Exchange,
    service: Option<(ServiceIdx, &Service)>,
    generation: &Generation,
) -> Verification {
    let defaults = &generation.tls;
    let verify = x.target.tls_verify.or_else(|| service?.1.tls_verify);
    if !verify.unwrap_or(defaults.verify) {
        return Verification::Off;
    }
    let of_plugin = x.target.tls_verify_depth.map(|depth| depth.min(255) as u8);
    let depth = of_plugin.or_else(|| service?.1.tls_verify_depth);
    let of_service = || generation.snapshot.trust_of_service(service?.0);
    let trust = x.target.tls_verify_store.as_ref().or_else(of_service);
    Verification::On {
        trust: trust.unwrap_or(&defaults.trust).clone(),
        depth: depth.unwrap_or(defaults.depth),
    }
}
