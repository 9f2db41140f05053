//! From a choice to a connection: its addresses in turn, a kept connection or a new one.
//!
//! Must not: choose hosts, or send anything of the request.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::Generation;
use super::choose::Choice;
use crate::exchange::Exchange;
use crate::upstream::{AttemptError, Conn, ConnectPlan};

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
    to_any(generation, cell, choice, &addrs, limit).await
}

/// A kept connection to any of the addresses, else a new one to the first that answers.
async fn to_any(
    generation: &Generation,
    cell: &RefCell<Exchange>,
    choice: &Choice,
    addrs: &[SocketAddr],
    limit: Duration,
) -> Result<(Conn, Option<Duration>), AttemptError> {
    let pool = &generation.worker.pool;
    for addr in addrs {
        if let Some(conn) = pool.kept(&ConnectPlan { addr: *addr }) {
            return Ok((conn, None));
        }
    }
    let mut last = None;
    for addr in addrs {
        let began = Instant::now();
        match pool.connect(ConnectPlan { addr: *addr }, limit).await {
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
