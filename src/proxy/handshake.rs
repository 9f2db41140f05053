//! Which certificate a TLS client is shown: by the name it asks for, then as plugins' handlers have it.
//!
//! Must not: read or write the connection (the server does).

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use rustls::ServerConfig;

use super::Generation;
use super::log::handler_failed;
use crate::exchange::{Handshake, Phase};
use crate::logs::Level;
use crate::store::Snapshot;
use crate::tls::server::{Hello, Server, ServerError, ServerIdentity, Wishes};
use crate::vm::{Flow, Scope};

/// What the listeners with TLS of one kind work with.
#[derive(Debug, Clone)]
pub struct Secured {
    /// How they speak TLS.
    pub server: Arc<Server>,
    /// What is shown where no other certificate is found for a name.
    pub default: Vec<Arc<ServerIdentity>>,
}

/// A client that has begun to speak TLS.
pub struct Caller {
    /// `$connection`
    pub serial: u64,
    /// The address the client's packets come from.
    pub peer: SocketAddr,
    /// The address the client connected to.
    pub local: SocketAddr,
    /// The address of the listener, as configured.
    pub listener: SocketAddr,
}

/// Why a handshake ends before it begins.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// A handler failed (and its line is written), or wants no handshake.
    #[error("callback failed")]
    Handler,
    /// There is nothing to go on with.
    #[error(transparent)]
    Config(#[from] ServerError),
}

/// The certificates that the entities have for a name.
///
/// # Source
/// Kong 3.10 `runloop/certificate.lua` (`find_certificate`)
fn found(snapshot: &Snapshot, name: Option<&[u8]>) -> Option<Result<Vec<Arc<ServerIdentity>>, String>> {
    let name = std::str::from_utf8(name?).ok()?;
    let certificate = snapshot.certificate_of_server(&name.to_ascii_lowercase())?;
    Some(snapshot.identities_of(certificate))
}

/// Decides with what the handshake goes on; what was wished goes with it.
///
/// # Errors
/// When it does not go on.
pub async fn decide(
    g: &Rc<Generation>,
    secured: &Secured,
    caller: Caller,
    hello: Hello,
) -> Result<(Arc<ServerConfig>, Rc<Handshake>), Refused> {
    let found = match found(&g.snapshot, hello.server_name()) {
        Some(Ok(found)) => found,
        Some(Err(why)) => {
            let text = format!(
                "[ssl] could not parse PEM certificate: {why}, client: {}, server: {}",
                caller.peer.ip(),
                caller.listener
            );
            g.worker.error(Level::Error, &text, None);
            return Err(Refused::Handler);
        }
        None => secured.default.clone(),
    };
    let handshake = Rc::new(Handshake {
        serial: caller.serial,
        peer: caller.peer,
        local: caller.local,
        listener: caller.listener,
        snapshot: g.snapshot.clone(),
        server: secured.server.clone(),
        hello,
        wishes: Wishes::new(found).into(),
    });
    let wanted = Phase::ClientHello as u32 | Phase::Certificate as u32;
    if g.plan.handled_globally & wanted != 0 {
        let scope = Scope::of_handshake(&g.vm, Phase::ClientHello, handshake.clone());
        for phase in [Phase::ClientHello, Phase::Certificate] {
            run(g, &scope, phase).await?;
        }
    }
    let config = secured.server.config(&handshake.wishes.borrow())?;
    Ok((config, handshake))
}

async fn run(g: &Rc<Generation>, scope: &Rc<Scope>, phase: Phase) -> Result<(), Refused> {
    let Some(run) = g.phases.run(&g.vm, scope, phase) else {
        return Ok(());
    };
    match run.await {
        Flow::Done => Ok(()),
        Flow::Exit(code) if (0..300).contains(&code) => Ok(()),
        Flow::Exit(_) => Err(Refused::Handler),
        Flow::Failed(fault) => {
            handler_failed(g, scope, phase, &fault);
            Err(Refused::Handler)
        }
    }
}
