//! A DNS server of the test's own: scripted answers over real UDP and TCP sockets, and a record of what was asked.
//!
//! It knows nothing but `std`, so that the resolver's unit tests stand on it too.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

pub const A: u16 = 1;
pub const CNAME: u16 = 5;
pub const TXT: u16 = 16;
pub const AAAA: u16 = 28;
pub const SRV: u16 = 33;

/// A record.
#[derive(Clone, Debug)]
pub struct Rr {
    name: String,
    ttl: u32,
    kind: u16,
    data: Vec<u8>,
}

pub fn a(name: &str, ttl: u32, ip: &str) -> Rr {
    let data = ip.parse::<Ipv4Addr>().unwrap().octets().to_vec();
    rr(name, ttl, A, data)
}

pub fn aaaa(name: &str, ttl: u32, ip: &str) -> Rr {
    let data = ip.parse::<Ipv6Addr>().unwrap().octets().to_vec();
    rr(name, ttl, AAAA, data)
}

pub fn cname(name: &str, ttl: u32, other: &str) -> Rr {
    rr(name, ttl, CNAME, wire_name(other))
}

/// `place` is priority, weight and port.
pub fn srv(name: &str, ttl: u32, place: (u16, u16, u16), target: &str) -> Rr {
    let (priority, weight, port) = place;
    let mut data: Vec<u8> = [priority, weight, port]
        .into_iter()
        .flat_map(u16::to_be_bytes)
        .collect();
    data.extend(wire_name(target));
    rr(name, ttl, SRV, data)
}

pub fn rr(name: &str, ttl: u32, kind: u16, data: Vec<u8>) -> Rr {
    Rr {
        name: name.into(),
        ttl,
        kind,
        data,
    }
}

fn wire_name(name: &str) -> Vec<u8> {
    let mut out = Vec::new();
    for label in name.split('.').filter(|l| !l.is_empty()) {
        out.push(label.len() as u8);
        out.extend_from_slice(label.as_bytes());
    }
    out.push(0);
    out
}

/// What the server does about a question.
#[derive(Clone, Debug)]
pub enum Say {
    /// These records. Where they are too many for a datagram it says so, and gives them by TCP.
    Records(Vec<Rr>),
    /// A response code and nothing else.
    Code(u8),
    /// Nothing.
    Silence,
    /// First a reply with another number, then this.
    AfterWrongId(Vec<Rr>),
    /// First a reply to another question, then this.
    AfterOtherQuestion(Vec<Rr>),
    /// First a forged reply (10.6.6.6) from another address, then this.
    AfterForgery(Vec<Rr>),
    /// The number, a response's flags, then these bytes.
    Junk(Vec<u8>),
    /// After a while.
    Late(Duration, Vec<Rr>),
    /// By UDP only that it is cut; by TCP half a message.
    CutOff,
}

#[derive(Default)]
struct Script {
    says: HashMap<(String, u16), Say>,
    dead: bool,
    asked: Vec<(String, u16, bool)>,
}

/// The server; it ends with its value.
pub struct Dns {
    pub addr: SocketAddr,
    script: Arc<Mutex<Script>>,
    over: Arc<AtomicBool>,
}

impl Dns {
    /// A server that knows no name.
    pub fn new() -> Self {
        let (tcp, udp) = (0..50)
            .find_map(|_| {
                let tcp = TcpListener::bind("127.0.0.1:0").ok()?;
                let udp = UdpSocket::bind(tcp.local_addr().ok()?).ok()?;
                Some((tcp, udp))
            })
            .expect("a port for both");
        let addr = tcp.local_addr().unwrap();
        let script: Arc<Mutex<Script>> = Arc::default();
        let over: Arc<AtomicBool> = Arc::default();
        udp.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        std::thread::spawn({
            let (script, over) = (script.clone(), over.clone());
            move || by_udp(&udp, &script, &over)
        });
        std::thread::spawn({
            let (script, over) = (script.clone(), over.clone());
            move || by_tcp(&tcp, &script, &over)
        });
        Self { addr, script, over }
    }

    /// What it says from now on.
    pub fn set(&self, name: &str, kind: u16, say: Say) -> &Self {
        let key = (name.to_ascii_lowercase(), kind);
        self.script.lock().unwrap().says.insert(key, say);
        self
    }

    /// A name with these IPv4 addresses, and no service.
    pub fn host(&self, name: &str, ttl: u32, ips: &[&str]) -> &Self {
        let records = ips.iter().map(|ip| a(name, ttl, ip)).collect();
        self.set(name, SRV, Say::Records(Vec::new()));
        self.set(name, A, Say::Records(records))
    }

    /// From now on silent, or not any more.
    pub fn dead(&self, dead: bool) {
        self.script.lock().unwrap().dead = dead;
    }

    /// How often this was asked.
    pub fn count(&self, name: &str, kind: u16) -> usize {
        let script = self.script.lock().unwrap();
        script
            .asked
            .iter()
            .filter(|(n, k, _)| n == name && *k == kind)
            .count()
    }

    /// What was asked: name, type, and whether by TCP.
    pub fn asked(&self) -> Vec<(String, u16, bool)> {
        self.script.lock().unwrap().asked.clone()
    }
}

impl Drop for Dns {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(self.addr);
    }
}

struct Question {
    id: [u8; 2],
    name: String,
    kind: u16,
    raw: Vec<u8>,
}

fn question(bytes: &[u8]) -> Option<Question> {
    let mut at = 12;
    let mut labels = Vec::new();
    loop {
        let len = usize::from(*bytes.get(at)?);
        at += 1;
        if len == 0 {
            break;
        }
        labels.push(String::from_utf8_lossy(bytes.get(at..at + len)?).into_owned());
        at += len;
    }
    Some(Question {
        id: [*bytes.first()?, *bytes.get(1)?],
        name: labels.join(".").to_ascii_lowercase(),
        kind: u16::from_be_bytes([*bytes.get(at)?, *bytes.get(at + 1)?]),
        raw: bytes.get(12..at + 4)?.to_vec(),
    })
}

fn reply(q: &Question, flags: u16, records: &[Rr]) -> Vec<u8> {
    let mut out = q.id.to_vec();
    out.extend(flags.to_be_bytes());
    out.extend([0, 1]);
    out.extend((records.len() as u16).to_be_bytes());
    out.extend([0; 4]);
    out.extend(&q.raw);
    for r in records {
        out.extend(wire_name(&r.name));
        out.extend(r.kind.to_be_bytes());
        out.extend([0, 1]);
        out.extend(r.ttl.to_be_bytes());
        out.extend((r.data.len() as u16).to_be_bytes());
        out.extend(&r.data);
    }
    out
}

/// A response that recursion was done for.
const OK: u16 = 0x8180;
const CUT: u16 = 0x8380;

fn heard(script: &Mutex<Script>, q: &Question, tcp: bool) -> Say {
    let mut script = script.lock().unwrap();
    script.asked.push((q.name.clone(), q.kind, tcp));
    if script.dead {
        return Say::Silence;
    }
    let key = (q.name.clone(), q.kind);
    script.says.get(&key).cloned().unwrap_or(Say::Code(3))
}

fn by_udp(socket: &UdpSocket, script: &Mutex<Script>, over: &AtomicBool) {
    let mut buffer = [0; 1500];
    while !over.load(Ordering::Relaxed) {
        let Ok((len, from)) = socket.recv_from(&mut buffer) else {
            continue;
        };
        let Some(q) = question(&buffer[..len]) else {
            continue;
        };
        let send = |bytes: &[u8]| drop(socket.send_to(bytes, from));
        let records = |records: &[Rr]| {
            let whole = reply(&q, OK, records);
            send(&if whole.len() > 512 {
                reply(&q, CUT, &[])
            } else {
                whole
            });
        };
        match heard(script, &q, false) {
            Say::Records(list) => records(&list),
            Say::Code(code) => send(&reply(&q, OK | u16::from(code), &[])),
            Say::Silence => {}
            Say::AfterWrongId(list) => {
                let mut wrong = reply(&q, OK, &[a(&q.name, 60, "10.6.6.6")]);
                wrong[1] ^= 1;
                (0..20).for_each(|_| send(&wrong));
                records(&list);
            }
            Say::AfterOtherQuestion(list) => {
                let other = Question {
                    id: q.id,
                    name: "other.test".into(),
                    kind: q.kind,
                    raw: [wire_name("other.test"), q.raw[q.raw.len() - 4..].to_vec()].concat(),
                };
                send(&reply(&other, OK, &[a(&q.name, 60, "10.6.6.6")]));
                records(&list);
            }
            Say::AfterForgery(list) => {
                let forger = UdpSocket::bind("127.0.0.1:0").unwrap();
                let forged = reply(&q, OK, &[a(&q.name, 60, "10.6.6.6")]);
                let _ = forger.send_to(&forged, from);
                std::thread::sleep(Duration::from_millis(30));
                records(&list);
            }
            Say::Junk(bytes) => send(&[&q.id[..], &OK.to_be_bytes(), &bytes].concat()),
            Say::Late(after, list) => {
                let socket = socket.try_clone().unwrap();
                let whole = reply(&q, OK, &list);
                std::thread::spawn(move || {
                    std::thread::sleep(after);
                    let _ = socket.send_to(&whole, from);
                });
            }
            Say::CutOff => send(&reply(&q, CUT, &[])),
        }
    }
}

fn by_tcp(listener: &TcpListener, script: &Mutex<Script>, over: &AtomicBool) {
    while let Ok((mut stream, _)) = listener.accept() {
        if over.load(Ordering::Relaxed) {
            return;
        }
        let _ = stream.set_read_timeout(Some(Duration::from_secs(1)));
        let mut len = [0; 2];
        if stream.read_exact(&mut len).is_err() {
            continue;
        }
        let mut message = vec![0; usize::from(u16::from_be_bytes(len))];
        if stream.read_exact(&mut message).is_err() {
            continue;
        }
        let Some(q) = question(&message) else {
            continue;
        };
        let whole = match heard(script, &q, true) {
            Say::Records(list) => reply(&q, OK, &list),
            Say::Code(code) => reply(&q, OK | u16::from(code), &[]),
            Say::CutOff => {
                let _ = stream.write_all(&[1, 0, 9, 9]);
                continue;
            }
            _ => continue,
        };
        let mut out = (whole.len() as u16).to_be_bytes().to_vec();
        out.extend(whole);
        let _ = stream.write_all(&out);
    }
}
