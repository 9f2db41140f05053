//! What a stranger can make grow stays bounded, and idle connections go when they should.

use super::server::{Ca, Ledger, Server};
use super::*;
use crate::tls::client::{Alpn, ClientProfile, MAX_CONFIGS, Versions};
use crate::tls::identity::ClientIdentity;
use crate::tls::verify::Verification;
use crate::upstream::{TlsName, TlsPlan};

fn plan(server: &Server, identity: Option<Arc<ClientIdentity>>) -> ConnectPlan {
    ConnectPlan {
        addr: server.addr,
        tls: Some(Arc::new(TlsPlan {
            name: TlsName::of_host("a.test"),
            profile: ClientProfile {
                identity,
                verification: Verification::Off,
                versions: Versions::default(),
                alpn: Alpn::None,
                resume: true,
            },
        })),
    }
}

async fn one_server() -> (Ca, Server) {
    let ca = Ca::new("Root");
    let leaf = ca.leaf("a.test", &["a.test"], None);
    let server = Server::start(&[leaf.der], &leaf.key, &ca, &Rc::new(Ledger::default())).await;
    (ca, server)
}

async fn request(pool: &Rc<Pool>, plan: &ConnectPlan) -> String {
    let mut conn = take(pool, plan).await.unwrap();
    let response = ask(&mut conn).await.unwrap();
    let connection = response.headers()["x-connection"].to_str().unwrap().to_owned();
    give_back(pool, conn, response);
    connection
}

/// Resident memory, in KiB.
fn memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|l| l.starts_with("VmRSS")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn c04_ten_thousand_identities_stay_bounded() {
    on_a_worker(async {
        let (ca, server) = one_server().await;
        let limits = PoolLimits {
            plans: 64,
            ..PoolLimits::default()
        };
        let pool = Pool::new(limits);
        let key = rcgen::KeyPair::generate().unwrap();
        let mut after_1024 = 0;
        let before = memory();
        for n in 0..10_000 {
            let own = ca.leaf(&format!("client {n}"), &[], Some(&key));
            request(&pool, &plan(&server, Some(identity(&own)))).await;
            assert!(pool.plan_count() <= 64 && pool.idle_count() <= 64);
            assert!(pool.connecting().clients.len() <= MAX_CONFIGS);
            if n + 1 == MAX_CONFIGS {
                after_1024 = memory();
            }
        }
        let end = memory();
        let per_identity = (after_1024.saturating_sub(before)) * 1024 / MAX_CONFIGS as u64;
        println!(
            "memory: {before} KiB, {after_1024} KiB with {MAX_CONFIGS} identities ({per_identity} bytes each, 64 idle \
             connections and the server's side included), {end} KiB after 10000; {}",
            pool.report()
        );
        let clients = &pool.connecting().clients;
        assert_eq!(clients.counters.built.get(), 10_000);
        assert_eq!(clients.counters.evicted.get() as usize + clients.len(), 10_000);
    });
}

#[test]
fn c04_limits_per_plan_in_total_and_of_plans() {
    on_a_worker(async {
        let (ca, server) = one_server().await;
        let limits = PoolLimits {
            per_plan: 2,
            total: 5,
            plans: 3,
            ..PoolLimits::default()
        };
        let pool = Pool::new(limits);
        let key = rcgen::KeyPair::generate().unwrap();
        let plans: Vec<_> = (0..4)
            .map(|n| {
                plan(
                    &server,
                    Some(identity(&ca.leaf(&format!("c{n}"), &[], Some(&key)))),
                )
            })
            .collect();
        for plan in &plans {
            let mut taken = Vec::new();
            for _ in 0..3 {
                let mut conn = take(&pool, plan).await.unwrap();
                let response = ask(&mut conn).await.unwrap();
                taken.push((conn, response));
            }
            for (conn, response) in taken {
                give_back(&pool, conn, response);
            }
            assert!(
                pool.idle_count() <= 5 && pool.plan_count() <= 3,
                "{}",
                pool.report()
            );
        }
        assert_eq!(pool.counters.made.get(), 12);
        assert_eq!(pool.counters.evicted.get() as usize + pool.idle_count(), 12);
        assert!(pool.kept(&plans[0]).is_none(), "the plan used least is gone");
        assert!(pool.kept(&plans[3]).is_some());
        pool.set_limits(PoolLimits {
            per_plan: 0,
            ..limits
        });
        request(&pool, &plans[3]).await;
        assert!(pool.kept(&plans[3]).is_none(), "a pool of size 0 keeps none");
    });
}

#[test]
fn c04_idle_connections_go_by_requests_time_and_death() {
    on_a_worker(async {
        let (_, server) = one_server().await;
        let plan = plan(&server, None);
        let pool = Pool::new(PoolLimits {
            max_requests: 3,
            idle_timeout: Duration::from_millis(200),
            ..PoolLimits::default()
        });
        let mut connections = Vec::new();
        for _ in 0..4 {
            connections.push(request(&pool, &plan).await);
        }
        assert_eq!(connections[0], connections[2]);
        assert_ne!(connections[2], connections[3], "three requests and no more");
        tokio::time::sleep(Duration::from_millis(250)).await;
        assert!(pool.kept(&plan).is_none(), "past its time");
        request(&pool, &plan).await;
        tokio::time::sleep(Duration::from_millis(250)).await;
        pool.sweep();
        assert_eq!((pool.idle_count(), pool.plan_count()), (0, 0));
        // zero is no limit
        pool.set_limits(PoolLimits {
            idle_timeout: Duration::ZERO,
            max_requests: 0,
            ..PoolLimits::default()
        });
        let first = request(&pool, &plan).await;
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert_eq!(request(&pool, &plan).await, first);
        server.hang_up();
        tokio::time::sleep(Duration::from_millis(50)).await;
        let dead = pool.counters.dead.get();
        assert!(pool.kept(&plan).is_none(), "the server has closed it");
        assert_eq!(pool.counters.dead.get(), dead + 1);
        assert_ne!(request(&pool, &plan).await, first);
        assert!(
            pool.connecting().handshakes.resumed.get() >= 2,
            "{}",
            pool.report()
        );
    });
}

#[test]
fn c04_sessions_are_taken_up_only_where_that_is_wanted() {
    on_a_worker(async {
        let (_, server) = one_server().await;
        let pool = pool(0);
        let wanted = plan(&server, None);
        let mut tls = (**wanted.tls.as_ref().unwrap()).clone();
        tls.profile.resume = false;
        let unwanted = ConnectPlan {
            tls: Some(Arc::new(tls)),
            ..wanted.clone()
        };
        let counts = || {
            let h = &pool.connecting().handshakes;
            (h.full.get(), h.resumed.get())
        };
        for _ in 0..3 {
            request(&pool, &wanted).await;
        }
        assert_eq!(counts(), (1, 2));
        for _ in 0..3 {
            request(&pool, &unwanted).await;
        }
        assert_eq!(counts(), (4, 2));
    });
}
