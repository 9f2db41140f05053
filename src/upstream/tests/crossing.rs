//! No request travels on a connection, or a session, made with anything but its own plan.

use std::collections::HashMap;

use super::server::{Ca, Ledger, Made, Server, fingerprint};
use super::*;
use crate::tls::client::{Alpn, ClientProfile, Versions};
use crate::tls::verify::Verification;
use crate::upstream::{TlsName, TlsPlan};

const INTERLEAVINGS: usize = 5_000;
const NAMES: [&str; 2] = ["a.test", "b.test"];

/// One plan, by what it is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Way {
    server: usize,
    name: usize,
    /// 0: none.
    identity: usize,
    verification: usize,
    versions: usize,
}

/// How many there are of each.
const SIDES: [usize; 5] = [2, 2, 4, VERIFICATIONS.len(), 3];
/// Those that fail are seldom.
const VERIFICATIONS: [usize; 16] = [0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 2, 2, 2, 3, 4, 5];

impl Way {
    fn of(sides: [usize; 5]) -> Self {
        let [server, name, identity, verification, versions] = sides;
        Self {
            server,
            name,
            identity,
            verification: VERIFICATIONS[verification],
            versions,
        }
    }

    /// A few, each one step from one before it.
    fn neighbours(dice: &mut Dice) -> Vec<Self> {
        let mut sides = SIDES.map(|n| dice.roll(n));
        let mut ways = vec![Self::of(sides)];
        for _ in 0..1 + dice.roll(3) {
            let which = dice.roll(SIDES.len());
            sides[which] = dice.roll(SIDES[which]);
            ways.push(Self::of(sides));
        }
        ways
    }
}

struct World {
    root: Ca,
    other: Ca,
    clients: Vec<Made>,
    servers: Vec<Server>,
    ledger: Rc<Ledger>,
}

impl World {
    async fn new() -> Self {
        let (root, other, own) = (Ca::new("Root"), Ca::new("Other root"), Ca::new("Clients"));
        let between = root.below("Intermediate");
        let leaf = between.leaf("server", &NAMES, None);
        let chain = [leaf.der, between.der.to_vec()];
        // two of them with one key: only the certificate tells them apart
        let key = rcgen::KeyPair::generate().unwrap();
        let clients = vec![
            own.leaf("client 1", &[], Some(&key)),
            own.leaf("client 2", &[], Some(&key)),
            own.leaf("client 3", &[], None),
        ];
        let ledger = Rc::new(Ledger::default());
        let mut servers = Vec::new();
        for _ in 0..SIDES[0] {
            servers.push(Server::start(&chain, &leaf.key, &own, &ledger).await);
        }
        Self {
            root,
            other,
            clients,
            servers,
            ledger,
        }
    }

    /// A fresh value each time: what is equal is so by what it holds.
    fn plan(&self, way: Way) -> ConnectPlan {
        let on = |ca: &Ca, depth| Verification::On {
            trust: ca.store(),
            depth,
        };
        let verification = match way.verification {
            0 => Verification::Off,
            1 => on(&self.root, 1),
            2 => on(&self.root, 2),
            3 => on(&self.root, 0),
            4 => on(&self.other, 1),
            _ => Verification::On {
                trust: crate::tls::trust::TrustStore::empty(),
                depth: 1,
            },
        };
        let profile = ClientProfile {
            identity: way.identity.checked_sub(1).map(|i| identity(&self.clients[i])),
            verification,
            versions: Versions {
                tls12: way.versions != 1,
                tls13: way.versions != 2,
            },
            alpn: Alpn::None,
            resume: true,
        };
        ConnectPlan {
            addr: self.servers[way.server].addr,
            tls: Some(Arc::new(TlsPlan {
                name: TlsName::of_host(NAMES[way.name]),
                profile,
            })),
        }
    }

    fn client(&self, way: Way) -> String {
        match way.identity {
            0 => "none".into(),
            i => fingerprint(&self.clients[i - 1].der),
        }
    }
}

/// Why a way can't be gone; none where it can.
fn refusal(way: Way) -> Option<&'static str> {
    match way.verification {
        3 => Some("(22:certificate chain too long)"),
        4 => Some("(20:unable to get local issuer certificate)"),
        5 => Some("(20:unable to get local issuer certificate)"),
        _ => None,
    }
}

/// What the test has seen.
#[derive(Default)]
struct Seen {
    /// Each connection and each session with the way it was made for.
    made_for: HashMap<u64, Way>,
    requests: usize,
    refused: usize,
}

impl Seen {
    fn check(&mut self, world: &World, way: Way, response: &Response<Incoming>) {
        let said = |name: &str| response.headers()[name].to_str().unwrap().to_owned();
        let (connection, session): (u64, u64) = (
            said("x-connection").parse().unwrap(),
            said("x-session").parse().unwrap(),
        );
        assert_eq!(said("x-client"), world.client(way), "{way:?}");
        assert_eq!(said("x-sni"), NAMES[way.name], "{way:?}");
        assert_eq!(
            self.made_for.get(&connection),
            Some(&way),
            "connection {connection}"
        );
        assert_eq!(self.made_for.get(&session), Some(&way), "session of {session}");
        assert_eq!(refusal(way), None);
        self.requests += 1;
    }
}

async fn interleave(world: &World, pool: &Rc<Pool>, dice: &mut Dice, seen: &mut Seen) {
    let ways = Way::neighbours(dice);
    let mut held: Vec<(Way, Conn)> = Vec::new();
    for _ in 0..5 + dice.roll(9) {
        match dice.roll(12) {
            0..5 => {
                let way = *dice.one(&ways);
                let made = pool.counters.made.get();
                match (take(pool, &world.plan(way)).await, refusal(way)) {
                    (Ok(conn), None) => {
                        if pool.counters.made.get() > made {
                            seen.made_for.insert(world.ledger.accepted(), way);
                        }
                        held.push((way, conn));
                    }
                    (Err(AttemptError::Handshake(why)), Some(refusal)) => {
                        assert!(why.contains(refusal), "{way:?}: {why}");
                        seen.refused += 1;
                    }
                    (got, _) => panic!("{way:?}: {got:?}"),
                }
            }
            5..10 if !held.is_empty() => {
                let (way, mut conn) = held.swap_remove(dice.roll(held.len()));
                match ask(&mut conn).await {
                    Ok(response) => {
                        seen.check(world, way, &response);
                        give_back(pool, conn, response);
                    }
                    // the server hung up meanwhile
                    Err(AttemptError::Closed { .. }) => {}
                    Err(e) => panic!("{e}"),
                }
            }
            10 if dice.roll(4) == 0 => {
                dice.one(&world.servers).hang_up();
                tokio::task::yield_now().await;
            }
            11 if dice.roll(4) == 0 => pool.sweep(),
            _ => {}
        }
    }
    for (way, mut conn) in held {
        if let Ok(response) = ask(&mut conn).await {
            seen.check(world, way, &response);
            give_back(pool, conn, response);
        }
    }
}

fn never_cross(seed: u64) {
    on_a_worker(async {
        let world = World::new().await;
        let (mut dice, mut seen) = (Dice(seed), Seen::default());
        let (mut reused, mut resumed, mut full) = (0, 0, 0);
        for _ in 0..INTERLEAVINGS / 250 {
            let pool = pool(1 + dice.roll(3));
            for _ in 0..250 {
                interleave(&world, &pool, &mut dice, &mut seen).await;
            }
            reused += pool.counters.reused.get();
            resumed += pool.connecting().handshakes.resumed.get();
            full += pool.connecting().handshakes.full.get();
        }
        println!(
            "{INTERLEAVINGS} interleavings: {} requests, {reused} on kept connections; handshakes: {full} full, \
             {resumed} resumed, {} refused",
            seen.requests, seen.refused
        );
        assert!(seen.requests > INTERLEAVINGS && seen.refused > 100);
        assert!(reused > 1000 && resumed > 1000 && full > 1000);
        assert_eq!(resumed, world.ledger.resumed.get());
    });
}

#[test]
fn c04_plans_never_cross_odd_seed() {
    never_cross(0x9e37_79b9_7f4a_7c15);
}

#[test]
fn c04_plans_never_cross_even_seed() {
    never_cross(0x2545_f491_4f6c_dd1c);
}
