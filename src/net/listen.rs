//! Listening sockets: one per worker and address, all on the same port by `SO_REUSEPORT`.
//!
//! With reuse-port a second gateway could take half of the first one's connections without either noticing, so
//! an address is probed without it first. The sockets returned outlive the worker's Lua states: closing one
//! resets the connections in its queue.
//!
//! Must not: accept.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};

/// The flags behind an address in `proxy_listen` and its like that concern the socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenOptions {
    /// Connections the kernel keeps for us until they are accepted.
    pub backlog: i32,
    /// Whether an IPv6 wildcard leaves IPv4 alone.
    pub ipv6_only: bool,
    /// `so_keepalive`; `None` leaves the system's default.
    pub keepalive: Option<Duration>,
}

/// Why an address could not be listened on.
#[derive(Debug, thiserror::Error)]
#[error("{step}() to {address} failed ({})", describe(source))]
pub struct ListenError {
    /// The system call, as nginx names it.
    pub step: &'static str,
    /// The address asked for.
    pub address: SocketAddr,
    /// What the system said.
    #[source]
    pub source: io::Error,
}

/// nginx's way to write a system error: `98: Address already in use`.
fn describe(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(code) => {
            let text = error.to_string();
            let text = text.split(" (os error").next().unwrap_or_default();
            format!("{code}: {text}")
        }
        None => error.to_string(),
    }
}

impl Default for ListenOptions {
    /// nginx's defaults.
    fn default() -> Self {
        Self {
            backlog: 511,
            ipv6_only: true,
            keepalive: None,
        }
    }
}

/// Finds out whether an address is free.
///
/// # Errors
/// The address is taken (also by sockets with reuse-port), not ours, or not allowed.
pub fn probe(address: SocketAddr, options: &ListenOptions) -> Result<(), ListenError> {
    if address.port() == 0 {
        return Ok(());
    }
    // Never listened on: a connection must not land in a queue that is closed again at once.
    socket(address, options, false).map(drop)
}

/// Opens `workers` listeners on one address, probing it first. With port 0 all share the one the first is given.
///
/// # Errors
/// As [`probe`].
pub fn listen(
    address: SocketAddr,
    workers: usize,
    options: &ListenOptions,
) -> Result<Vec<TcpListener>, ListenError> {
    probe(address, options)?;
    let mut address = address;
    let mut listeners = Vec::with_capacity(workers);
    for _ in 0..workers {
        let socket = socket(address, options, true)?;
        socket
            .listen(options.backlog)
            .and_then(|()| socket.set_nonblocking(true))
            .map_err(|source| ListenError {
                step: "listen",
                address,
                source,
            })?;
        let listener = TcpListener::from(socket);
        address = listener.local_addr().map_err(|source| ListenError {
            step: "getsockname",
            address,
            source,
        })?;
        listeners.push(listener);
    }
    Ok(listeners)
}

fn socket(address: SocketAddr, options: &ListenOptions, reuse_port: bool) -> Result<Socket, ListenError> {
    let socket =
        Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP)).map_err(|source| {
            ListenError {
                step: "socket",
                address,
                source,
            }
        })?;
    let set = || {
        socket.set_reuse_address(true)?;
        if reuse_port {
            socket.set_reuse_port(true)?;
        }
        if address.is_ipv6() {
            socket.set_only_v6(options.ipv6_only)?;
        }
        match options.keepalive {
            Some(idle) => socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(idle)),
            None => Ok(()),
        }
    };
    set().map_err(|source| ListenError {
        step: "setsockopt",
        address,
        source,
    })?;
    socket.bind(&address.into()).map_err(|source| ListenError {
        step: "bind",
        address,
        source,
    })?;
    Ok(socket)
}

/// Gives a listener to the current thread's runtime. The caller keeps a clone (`try_clone`) if the socket is to
/// live on.
///
/// # Errors
/// There is no runtime, or the system refuses to watch the socket.
pub fn into_tokio(listener: TcpListener) -> io::Result<tokio::net::TcpListener> {
    listener.set_nonblocking(true)?;
    tokio::net::TcpListener::from_std(listener)
}

/// Prepares an accepted connection: small answers leave at once.
///
/// # Errors
/// The connection is gone already.
pub fn prepare(stream: &tokio::net::TcpStream) -> io::Result<()> {
    SockRef::from(stream).set_tcp_nodelay(true)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a05_each_worker_has_its_own_listener_on_one_port() {
        let listeners = listen("127.0.0.1:0".parse().unwrap(), 3, &ListenOptions::default()).unwrap();
        let port = listeners[0].local_addr().unwrap().port();
        assert_eq!(listeners.len(), 3);
        assert!(
            listeners
                .iter()
                .all(|listener| listener.local_addr().unwrap().port() == port && port != 0)
        );
    }

    #[test]
    fn a05_a_second_start_on_a_taken_port_fails_and_names_it() {
        let options = ListenOptions::default();
        let first = listen("127.0.0.1:0".parse().unwrap(), 2, &options).unwrap();
        let address = first[0].local_addr().unwrap();
        let error = listen(address, 2, &options).unwrap_err().to_string();
        assert_eq!(
            error,
            format!("bind() to {address} failed (98: Address already in use)")
        );
        drop(first);
        assert!(listen(address, 2, &options).is_ok());
    }

    #[tokio::test]
    async fn a05_listeners_accept_on_the_runtime() {
        let mut listeners = listen("[::1]:0".parse().unwrap(), 1, &ListenOptions::default()).unwrap();
        let listener = into_tokio(listeners.remove(0)).unwrap();
        let address = listener.local_addr().unwrap();
        let (accepted, connected) = tokio::join!(listener.accept(), tokio::net::TcpStream::connect(address));
        connected.unwrap();
        let stream = accepted.unwrap().0;
        prepare(&stream).unwrap();
        assert!(stream.nodelay().unwrap());
    }
}
