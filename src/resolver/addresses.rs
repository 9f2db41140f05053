//! What a lookup gives: addresses in the order they are to be tried.
//!
//! Must not: look anything up.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::rc::Rc;

use super::record::Answer;

/// How many addresses of one list are tried.
pub const MAX_TRIED: usize = 8;

#[derive(Debug, Clone)]
enum List {
    One(IpAddr),
    Many(Rc<[IpAddr]>),
}

/// Addresses in the order they are to be tried. A clone is cheap.
#[derive(Debug, Clone)]
pub struct Addresses {
    list: List,
    start: usize,
    port: u16,
    service: Option<Rc<str>>,
    others: Option<Rc<[SocketAddr]>>,
}

// === impl Addresses ===

impl Addresses {
    /// An answer's, beginning with the one whose turn it is.
    pub(super) fn turned(answer: &Answer, port: u16) -> Self {
        let start = answer.turn();
        Self {
            list: List::Many(answer.addresses().clone()),
            start,
            port,
            service: None,
            others: None,
        }
    }

    /// The same with the service's name, and what else there is to try.
    pub(super) fn of_service(mut self, service: Rc<str>, others: Vec<SocketAddr>) -> Self {
        self.service = Some(service);
        self.others = (!others.is_empty()).then(|| others.into());
        self
    }

    /// A single one.
    pub fn one(ip: IpAddr, port: u16) -> Self {
        Self {
            list: List::One(ip),
            start: 0,
            port,
            service: None,
            others: None,
        }
    }

    /// The one whose turn it is.
    pub fn first(&self) -> SocketAddr {
        let ip = match &self.list {
            List::One(ip) => Some(*ip),
            List::Many(ips) => ips.get(self.start).copied(),
        };
        SocketAddr::new(ip.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)), self.port)
    }

    /// All that are worth a try, the one whose turn it is first; at most eight.
    pub fn iter(&self) -> impl Iterator<Item = SocketAddr> + '_ {
        let (one, many): (_, &[IpAddr]) = match &self.list {
            List::One(ip) => (Some(*ip), &[]),
            List::Many(ips) => (None, ips),
        };
        let start = self.start.min(many.len());
        let turned = many[start..].iter().chain(&many[..start]).copied();
        let all = one
            .into_iter()
            .chain(turned)
            .map(|ip| SocketAddr::new(ip, self.port));
        all.chain(self.others.iter().flat_map(|o| o.iter().copied()))
            .take(MAX_TRIED)
    }

    /// The port, which is a service's own where the name led to one.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The name that a service (SRV) led to (`use_srv_name`).
    pub fn service(&self) -> Option<&Rc<str>> {
        self.service.as_ref()
    }
}
