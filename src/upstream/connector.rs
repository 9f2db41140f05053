//! From a plan to a connection: TCP, TLS where the plan has it, HTTP/1.
//!
//! Must not: keep connections (the pool does) or choose plans.

use std::cell::Cell;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use rustls::HandshakeKind;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tower::Service;

use super::handshake;
use super::plan::{TlsName, TlsPlan};
use super::stream::{Socket, Stream};
use super::{AttemptError, Conn, ConnectPlan};
use crate::tls::client::Clients;
use crate::tls::verify::Verification;

/// What the connector did so far.
#[derive(Debug, Default)]
pub struct Handshakes {
    /// TLS handshakes from the beginning.
    pub full: Cell<u64>,
    /// TLS handshakes that took up a session.
    pub resumed: Cell<u64>,
    /// TLS handshakes that failed.
    pub failed: Cell<u64>,
}

/// What all of a worker's connecting shares.
#[derive(Debug, Default)]
pub struct Shared {
    /// TLS configurations and sessions, by the whole plan.
    pub clients: Clients<ConnectPlan>,
    /// Counters.
    pub handshakes: Handshakes,
}

/// Connects as a plan says, within a limit.
#[derive(Debug, Clone)]
pub struct Connector {
    shared: Rc<Shared>,
    limit: Duration,
}

impl Connector {
    /// With what the worker shares; the limit is for TCP and TLS together, as nginx's `proxy_connect_timeout`.
    pub fn new(shared: Rc<Shared>, limit: Duration) -> Self {
        Self { shared, limit }
    }

    /// Connects.
    ///
    /// # Errors
    /// [`AttemptError::Connect`], [`AttemptError::ConnectTimeout`], [`AttemptError::Handshake`],
    /// [`AttemptError::HandshakeTimeout`].
    pub async fn connect(self, plan: ConnectPlan) -> Result<Conn, AttemptError> {
        let until = tokio::time::Instant::now() + self.limit;
        let tcp = match tokio::time::timeout_at(until, TcpStream::connect(plan.addr)).await {
            Err(_) => return Err(AttemptError::ConnectTimeout(self.limit)),
            Ok(Err(e)) => return Err(AttemptError::Connect(e)),
            Ok(Ok(tcp)) => tcp,
        };
        tcp.set_nodelay(true).map_err(AttemptError::Connect)?;
        let (socket, writing) = Socket::new(tcp);
        let stream = match &plan.tls {
            None => Stream::Plain(socket),
            Some(tls) => {
                let shaking = self.shake(&plan, tls, socket);
                match tokio::time::timeout_at(until, shaking).await {
                    Ok(Ok(stream)) => stream,
                    Ok(Err(e)) => {
                        add(&self.shared.handshakes.failed);
                        return Err(e);
                    }
                    Err(_) => {
                        add(&self.shared.handshakes.failed);
                        return Err(AttemptError::HandshakeTimeout(self.limit));
                    }
                }
            }
        };
        Conn::new(plan, stream, writing).await
    }

    async fn shake(&self, plan: &ConnectPlan, tls: &TlsPlan, socket: Socket) -> Result<Stream, AttemptError> {
        if let (TlsName::Odd(name), Verification::On { .. }) = (&tls.name, &tls.profile.verification) {
            return Err(AttemptError::Handshake(handshake::does_not_match(name)));
        }
        let config = self
            .shared
            .clients
            .config(plan, &tls.profile)
            .map_err(|e| AttemptError::Handshake(format!("TLS configuration: {e}")))?;
        let connecting = TlsConnector::from(config).connect(tls.name.server_name(), socket);
        let stream = connecting
            .await
            .map_err(|e| AttemptError::Handshake(handshake::reason(&e, &tls.name)))?;
        add(match stream.get_ref().1.handshake_kind() {
            Some(HandshakeKind::Resumed) => &self.shared.handshakes.resumed,
            _ => &self.shared.handshakes.full,
        });
        Ok(Stream::Tls(Box::new(stream)))
    }
}

fn add(counter: &Cell<u64>) {
    counter.set(counter.get() + 1);
}

impl Service<ConnectPlan> for Connector {
    type Response = Conn;
    type Error = AttemptError;
    type Future = Pin<Box<dyn Future<Output = Result<Conn, AttemptError>>>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), AttemptError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, plan: ConnectPlan) -> Self::Future {
        Box::pin(self.clone().connect(plan))
    }
}
