//! `sslhandshake`: TLS on a cosocket, by rustls.
//!
//! What a handshake asked (name, verification, trust, depth, identity) is kept with the connection: a pooled one is
//! taken for an answer only to the very same question; to another, another connection is taken or opened in its
//! place. A session belongs to its question, too. Must not: let two questions share a session or a verdict.

use std::io;
use std::rc::Rc;
use std::sync::Arc;

use rustls::ClientConfig;
use tokio::time::timeout;

use super::super::log::{self, Level};
use super::super::sockets::{self, Peer, bind_address, ms};
use super::pool::{self, Wanted};
use super::slot::{self, Busy, Kind, Part, Slot};
use super::wire::{self, Conn};
use crate::tls::client::{Alpn, ClientProfile, Clients, with_sessions};
use crate::tls::identity::ClientIdentity;
use crate::tls::openssl;
use crate::tls::session::PlaceSessions;
use crate::tls::verify::{Verification, refusal};
use crate::upstream::{TlsName, TlsPlan};
use crate::vm::scope::Ends;
use crate::vm::{Args, Kind as Lua, Out, Ret, cdata, held, scope};

/// What a connection's handshake asked, and the session that came of it.
pub(in crate::ngx) struct Shaken {
    pub plan: Arc<TlsPlan>,
    sessions: Arc<PlaceSessions>,
}

/// A session as Lua holds it.
struct Session {
    plan: Arc<TlsPlan>,
    sessions: Arc<PlaceSessions>,
}

thread_local! {
    static CLIENTS: Clients<TlsPlan> = Clients::default();
}

/// The identity that arguments `i` (certificates) and `i + 1` (key) make; the error in OpenResty's words.
pub(super) fn identity(a: &Args, i: usize) -> Result<Option<Arc<ClientIdentity>>, &'static str> {
    if matches!(a.kind(i), Lua::Nil | Lua::None) {
        return Ok(None);
    }
    let chain = held::certificate_chain(a, i);
    let chain = chain.ok_or("invalid client certificate chain")?;
    let chain = chain.map_err(|_| "invalid client certificate chain")?;
    let key = held::private_key(a, i + 1).ok_or("ssl set client private key failed")?;
    let key = key.map_err(|_| "ssl set client private key failed")?;
    match ClientIdentity::new(chain, key) {
        Ok(identity) => Ok(Some(identity)),
        Err(_) => Err("ssl set client private key failed"),
    }
}

/// The question.
fn plan(a: &Args) -> Result<TlsPlan, &'static str> {
    let d = sockets::defaults();
    let trust = match held::trust_store(a, 9) {
        Some(Ok(trust)) => trust,
        Some(Err(_)) => return Err("SSL_set1_verify_cert_store() failed"),
        None => d.tls.trust.clone(),
    };
    let name = a.str(3).unwrap_or_default();
    let depth = d.tls.depth;
    let verification = match (a.truthy(4), name.is_empty()) {
        (false, _) => Verification::Off,
        (true, false) => Verification::On { trust, depth },
        (true, true) => Verification::Path { trust, depth },
    };
    Ok(TlsPlan {
        name: TlsName::exactly(&String::from_utf8_lossy(name)),
        profile: ClientProfile {
            identity: identity(a, 7)?,
            verification,
            versions: d.tls.versions,
            alpn: Alpn::None,
            resume: false,
        },
    })
}

/// `handshake(id, session or nil, name or nil, verify, connect_ms, bind, certificates, key, trust)`: true and the
/// number of the session, and whether there was TLS already; or `nil, err`.
pub(super) fn handshake(a: &Args, r: &mut Ret) {
    let closed = |s: &Slot| s.read_closed.get() || s.write_closed.get();
    let Some((slot, conn)) = slot::open_any(a, r, closed) else {
        return;
    };
    if !slot::mine_or_error(&slot, r) || slot.busy(&[Part::Connect, Part::Read, Part::Write], r) {
        return;
    }
    if slot.kind.get() != Kind::Upstream {
        r.fail("not supported for downstream sockets");
        return;
    }
    let plan = match plan(a) {
        Ok(plan) => Arc::new(plan),
        Err(e) => {
            r.fail(e);
            return;
        }
    };
    let plugin = scope::with(|s| s.plugin.get()).unwrap_or_default();
    let mut reopen = false;
    let shaken = conn
        .shaken
        .borrow()
        .as_ref()
        .map(|s| (s.plan.clone(), session(s)));
    if let Some((known, session)) = shaken {
        if known == plan {
            r.bool(true).int(session).bool(true);
            return;
        }
        if conn.reused.get() == 0 {
            // the handler shook hands itself and asks another question now
            r.bool(true).int(session).bool(true);
            return;
        }
        reopen = true;
        let name = slot.pool.borrow().clone();
        if let Some(other) = pool::same(
            &name,
            &Wanted::Shaken {
                plugin,
                plan: plan.clone(),
            },
        ) {
            give_back(&name, &slot, conn);
            let session = other.shaken.borrow().as_ref().map(self::session);
            slot.adopt(other);
            r.bool(true).int(session.unwrap_or_default()).bool(true);
            return;
        }
    }
    let given = cdata::object::<Session>(a, 2).filter(|s| s.plan == plan);
    let sessions = given.map_or_else(Arc::default, |s| s.sessions.clone());
    let config = match config(&plan, &sessions) {
        Ok(config) => config,
        Err(_) => {
            r.fail("failed to create ssl connection");
            return;
        }
    };
    let limit = ms(a, 5, sockets::defaults().of_settings.connect_timeout);
    let bind = bind_address(a.str(6));
    let busy = Busy::new(&slot, Part::Connect);
    r.wait(async move {
        let shaking = async {
            let conn = if reopen {
                anew(&slot, conn, bind).await?
            } else {
                conn
            };
            let name = plan.name.server_name();
            let plain = conn.take_plain().ok_or("closed")?;
            let tls = wire::shake(plain, config, name).await;
            let tls = tls.map_err(|e| words(&e, &plan, &slot.peer.borrow()))?;
            let shaken = Shaken { plan, sessions };
            let session = session(&shaken);
            conn.plugin.set(plugin);
            conn.put_tls(tls, shaken);
            Ok::<_, String>(session)
        };
        let mut out = Out::new();
        match timeout(limit, shaking).await {
            Ok(Ok(session)) => {
                out.bool(true).int(session);
            }
            Ok(Err(e)) => {
                slot.end();
                out.fail(e);
            }
            Err(_) => {
                slot.end();
                out.fail("timeout");
            }
        }
        busy.done();
        out
    });
}

/// `trusts(id)`: true where it may still be said whom the handshake trusts; or `nil, err`.
pub(super) fn trusts(a: &Args, r: &mut Ret) {
    let closed = |s: &Slot| s.read_closed.get() || s.write_closed.get();
    let Some((slot, conn)) = slot::open_any(a, r, closed) else {
        return;
    };
    if !slot::mine_or_error(&slot, r) {
        return;
    }
    if conn.shaken.borrow().is_some() {
        r.fail(
            "ssl handshake already done; trusted store cannot be changed on an established TLS connection",
        );
        return;
    }
    r.bool(true);
}

/// `session(id)`: the number of the connection's session; or `nil, err`.
pub(super) fn session_of(a: &Args, r: &mut Ret) {
    let closed = |s: &Slot| s.read_closed.get() && s.write_closed.get();
    let Some((_, conn)) = slot::open_any(a, r, closed) else {
        return;
    };
    match &*conn.shaken.borrow() {
        Some(shaken) => r.int(session(shaken)),
        None => r.fail("not ssl"),
    };
}

fn session(shaken: &Shaken) -> i64 {
    cdata::keep(Session {
        plan: shaken.plan.clone(),
        sessions: shaken.sessions.clone(),
    })
}

fn config(plan: &TlsPlan, sessions: &Arc<PlaceSessions>) -> Result<Arc<ClientConfig>, rustls::Error> {
    let base = CLIENTS.with(|clients| clients.config(plan, &plan.profile))?;
    Ok(with_sessions(&base, sessions.clone()))
}

/// Gives a pooled connection back as it came.
fn give_back(pool: &str, slot: &Slot, conn: Rc<Conn>) {
    drop(slot.conn.take());
    let d = sockets::defaults();
    conn.reused.set(conn.reused.get() - 1);
    pool::keep(
        pool,
        conn,
        d.of_settings.pool_size,
        d.of_settings.keepalive_timeout,
    );
}

/// A connection of its own in the place of a pooled one that answered another question.
async fn anew(
    slot: &Rc<Slot>,
    old: Rc<Conn>,
    bind: Option<std::net::SocketAddr>,
) -> Result<Rc<Conn>, String> {
    let place = old.place.clone().ok_or("closed")?;
    let name = slot.pool.borrow().clone();
    give_back(&name, slot, old);
    let conn = Rc::new(Conn::open(place, bind, &slot.peer).await?);
    slot.adopt(conn.clone());
    Ok(conn)
}

/// OpenResty's words for a handshake that failed, which is logged.
fn words(e: &io::Error, plan: &TlsPlan, peer: &Peer) -> String {
    let tls = e
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match tls.and_then(refusal) {
        Some(why) if matches!(why.code, 62 | 64) => {
            sockets::log_error(|| {
                let name = plan.name.server_name();
                format!(
                    "lua ssl certificate does not match host \"{}\"{peer}",
                    name.to_str()
                )
            });
            return "certificate host mismatch".to_owned();
        }
        Some(why) => {
            let text = format!("{}: {}", why.code, why.reason);
            sockets::log_error(|| format!("lua ssl certificate verify error: ({text}){peer}"));
            return text;
        }
        None => {}
    }
    if let Some(rustls::Error::InvalidCertificate(rustls::CertificateError::BadSignature)) = tls {
        return "7: certificate signature failure".to_owned();
    }
    // nginx's own, whatever `lua_socket_log_errors` says
    match tls {
        Some(tls) => {
            let (number, words) = openssl::describe(tls);
            let code = 0x0a00_0000 | u32::from(number);
            let text =
                format!("SSL_do_handshake() failed (SSL: error:{code:08X}:SSL routines::{words}){peer}");
            log::emit(Level::ERR, text.as_bytes());
        }
        None => {
            let system = e.raw_os_error().map(|_| format!(" ({})", sockets::numbered(e)));
            let text = format!(
                "peer closed connection in SSL handshake{}{peer}",
                system.unwrap_or_default()
            );
            log::emit(Level::ERR, text.as_bytes());
        }
    }
    "handshake failed".to_owned()
}
