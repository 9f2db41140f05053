//! Opening the listening sockets.
//!
//! Must not: accept.

use std::net::{SocketAddr, TcpListener};

use super::Error;
use crate::net::listen::{self, ListenOptions};
use crate::settings::{Listen, Settings};

/// A socket that listens.
pub struct Bound {
    /// The socket.
    pub socket: TcpListener,
    /// Its address, as configured.
    pub configured: SocketAddr,
    /// Whether clients are to speak TLS.
    pub tls: bool,
}

fn open(l: &Listen, count: usize, options: &ListenOptions) -> Result<Vec<Bound>, Error> {
    let bound = |socket| Bound {
        socket,
        configured: l.addr,
        tls: l.ssl,
    };
    let sockets = listen::listen(l.addr, count, options)?;
    Ok(sockets.into_iter().map(bound).collect())
}

/// `proxy_listen`, by worker.
///
/// # Errors
/// An address cannot be listened on, or not as wished.
pub(super) fn proxy(settings: &Settings, workers: usize) -> Result<Vec<Vec<Bound>>, Error> {
    let mut by_worker: Vec<Vec<Bound>> = (0..workers).map(|_| Vec::new()).collect();
    for l in &settings.proxy_listen {
        if l.proxy_protocol {
            return Err(Error::NotSupported(format!(
                "proxy_listen {} with proxy_protocol",
                l.addr
            )));
        }
        let options = ListenOptions {
            backlog: l.backlog.map_or(511, |b| i32::try_from(b).unwrap_or(i32::MAX)),
            ipv6_only: l.ipv6only.unwrap_or(true),
            ..ListenOptions::default()
        };
        for (mine, bound) in by_worker.iter_mut().zip(open(l, workers, &options)?) {
            mine.push(bound);
        }
    }
    Ok(by_worker)
}

/// `moongate_echo_listen`, each with whether it speaks TLS.
///
/// # Errors
/// As [`proxy`].
pub(super) fn echo(settings: &Settings) -> Result<Vec<(TcpListener, bool)>, Error> {
    let mut all = Vec::new();
    for l in &settings.moongate_echo_listen {
        let sockets = listen::listen(l.addr, 1, &ListenOptions::default())?;
        all.extend(sockets.into_iter().map(|socket| (socket, l.ssl)));
    }
    Ok(all)
}

/// `admin_listen`
///
/// # Errors
/// As [`proxy`].
pub(super) fn admin(settings: &Settings) -> Result<Vec<Bound>, Error> {
    let mut all = Vec::new();
    for l in &settings.admin_listen {
        all.extend(open(l, 1, &ListenOptions::default())?);
    }
    Ok(all)
}
