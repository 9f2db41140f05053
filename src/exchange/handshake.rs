//! A TLS handshake that waits for its certificate: what the client said, and what is wished.
//!
//! Must not: outlive the handshake; what requests may know of it stands in the [`Connection`](super::Connection).

use std::cell::RefCell;
use std::net::SocketAddr;
use std::sync::Arc;

use crate::store::Snapshot;
use crate::tls::server::hello::{TLS12, TLS13};
use crate::tls::server::{Hello, Server, Wishes};

/// See the module.
#[derive(Debug)]
pub struct Handshake {
    /// `$connection`
    pub serial: u64,
    /// The address the client's packets come from.
    pub peer: SocketAddr,
    /// The address the client connected to.
    pub local: SocketAddr,
    /// The address of the listener, as configured.
    pub listener: SocketAddr,
    /// The configuration it is made with.
    pub snapshot: Arc<Snapshot>,
    /// How the listener speaks TLS.
    pub server: Arc<Server>,
    /// What the client said.
    pub hello: Hello,
    /// What comes of it. Writers: the certificate entities, then Lua.
    pub wishes: RefCell<Wishes>,
}

impl Handshake {
    /// The protocol that will be spoken, as on the wire; None if there is none in common.
    pub fn version(&self) -> Option<u16> {
        let mine = self.server.versions(&self.wishes.borrow());
        if mine.tls13 && self.hello.can(TLS13) {
            Some(TLS13)
        } else {
            (mine.tls12 && self.hello.can(TLS12)).then_some(TLS12)
        }
    }
}
