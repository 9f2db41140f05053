//! Records, and answers made of them.
//!
//! Must not: ask or cache.

use std::cell::{Cell, OnceCell, RefCell};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::rc::Rc;
use std::time::{Duration, Instant};

use super::pick::{Smooth, Weighted};

/// Numbers of record types.
///
/// # Source
/// RFC 1035, 3596, 2782
pub mod kind {
    /// An IPv4 address.
    pub const A: u16 = 1;
    /// A name server.
    pub const NS: u16 = 2;
    /// Another name.
    pub const CNAME: u16 = 5;
    /// A zone's authority.
    pub const SOA: u16 = 6;
    /// A pointer.
    pub const PTR: u16 = 12;
    /// A mail exchange.
    pub const MX: u16 = 15;
    /// Text.
    pub const TXT: u16 = 16;
    /// An IPv6 address.
    pub const AAAA: u16 = 28;
    /// A service.
    pub const SRV: u16 = 33;
}

/// How long an entry of the hosts file, or an address, is good for.
pub const TEN_YEARS: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);

/// What a record says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Data {
    /// An IPv4 address.
    A(Ipv4Addr),
    /// An IPv6 address.
    Aaaa(Ipv6Addr),
    /// Another name.
    Cname(Rc<str>),
    /// A service's place.
    Srv {
        /// The lowest is used.
        priority: u16,
        /// The share among those of one priority.
        weight: u16,
        /// The port; 0 for the asker's own.
        port: u16,
        /// A name or an address.
        target: Rc<str>,
    },
    /// A mail exchange.
    Mx {
        /// The lowest is preferred.
        preference: u16,
        /// Its name.
        exchange: Rc<str>,
    },
    /// A name server.
    Ns(Rc<str>),
    /// A pointer.
    Ptr(Rc<str>),
    /// Texts.
    Txt(Vec<Box<[u8]>>),
    /// Anything else.
    Other(u16),
}

/// One record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Whose it is, in lower case and without the last dot.
    pub name: Rc<str>,
    /// Time to live, seconds, as the cache took it.
    pub ttl: u32,
    /// What it says.
    pub data: Data,
}

// === impl Record ===

impl Record {
    /// The number of its type.
    pub fn kind(&self) -> u16 {
        match &self.data {
            Data::A(_) => kind::A,
            Data::Aaaa(_) => kind::AAAA,
            Data::Cname(_) => kind::CNAME,
            Data::Srv { .. } => kind::SRV,
            Data::Mx { .. } => kind::MX,
            Data::Ns(_) => kind::NS,
            Data::Ptr(_) => kind::PTR,
            Data::Txt(_) => kind::TXT,
            Data::Other(kind) => *kind,
        }
    }

    /// The address, if it is one.
    pub fn ip(&self) -> Option<IpAddr> {
        match &self.data {
            Data::A(ip) => Some((*ip).into()),
            Data::Aaaa(ip) => Some((*ip).into()),
            _ => None,
        }
    }
}

/// What a server says, before the cache gives it a time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reply {
    /// The response code; 0 for none.
    pub code: u16,
    /// The records in the server's order.
    pub records: Vec<Record>,
}

/// The words for a response code.
///
/// # Source
/// `lua-resty-dns`, `resolver_errstrs`
pub fn code_text(code: u16) -> &'static str {
    match code {
        1 => "format error",
        2 => "server failure",
        3 => "name error",
        4 => "not implemented",
        5 => "refused",
        _ => "unknown",
    }
}

/// What the cache keeps under one key: records, or why there are none.
#[derive(Debug)]
pub struct Answer {
    /// The response code; 0 for none.
    pub code: u16,
    /// The records; none where `code` says why, or where there was nothing.
    pub records: Vec<Record>,
    /// Time to live.
    pub ttl: Duration,
    /// When it goes stale.
    pub expire: Instant,
    /// Whether it stands in the hosts file.
    pub of_hosts: bool,
    /// When a refresh may be tried next.
    pub retry_at: Cell<Option<Instant>>,
    /// Which record was given last.
    cursor: Cell<usize>,
    addresses: Rc<[IpAddr]>,
    weighted: RefCell<Weighted>,
    smooth: OnceCell<RefCell<Smooth>>,
}

// === impl Answer ===

impl Answer {
    /// An answer that is good until `expire`.
    pub fn new(code: u16, records: Vec<Record>, ttl: Duration, expire: Instant) -> Self {
        let addresses = records.iter().filter_map(Record::ip).collect();
        Self {
            code,
            records,
            ttl,
            expire,
            of_hosts: false,
            retry_at: Cell::new(None),
            cursor: Cell::new(0),
            addresses,
            weighted: RefCell::default(),
            smooth: OnceCell::new(),
        }
    }

    /// The type of its records.
    pub fn kind(&self) -> Option<u16> {
        self.records.first().map(Record::kind)
    }

    /// Whether its time is over.
    pub fn stale(&self, now: Instant) -> bool {
        self.expire < now
    }

    /// Its addresses, in the server's order.
    pub fn addresses(&self) -> &Rc<[IpAddr]> {
        &self.addresses
    }

    /// The place of the address whose turn it is.
    ///
    /// # Source
    /// `kong/resty/dns/client.lua`, `roundRobin`: it begins with the server's first.
    pub fn turn(&self) -> usize {
        let at = self.cursor.get();
        let next = at + 1;
        self.cursor
            .set(if next >= self.addresses.len() { 0 } else { next });
        at
    }

    /// The place of the SRV record whose turn it is, by priority and weight; `random` gives a number below its
    /// argument.
    pub fn srv_turn(&self, modern: bool, random: &mut dyn FnMut(u64) -> u64) -> Option<usize> {
        if modern {
            let smooth = self
                .smooth
                .get_or_init(|| RefCell::new(Smooth::new(&self.records, random)));
            return smooth.borrow_mut().next();
        }
        self.weighted.borrow_mut().next(&self.records, random)
    }
}
