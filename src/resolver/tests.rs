//! The whole of it against a server of our own over real sockets.
#![allow(clippy::unwrap_used)]

#[path = "../../tests/it/support/dns.rs"]
#[allow(dead_code, missing_docs, clippy::expect_used)]
mod dns;

use std::future::Future;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use self::dns::{A, AAAA, CNAME, Dns, SRV, Say, a, aaaa, cname, rr, srv};
use super::options::{Client, Step};
use super::*;

/// A folder for one test's files.
struct Dir(PathBuf);

impl Dir {
    fn new(test: &str) -> Self {
        let dir = std::env::temp_dir().join(format!("moongate-names-{}-{test}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        Self(dir)
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, text).unwrap();
        path
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Options that ask `dns` only, and give up soon.
fn options(dns: &Dns) -> Options {
    Options {
        servers: vec![dns.addr],
        hosts_file: "/nonexistent".into(),
        resolv_conf: "/nonexistent".into(),
        res_options: "timeout:1 attempts:2".into(),
        ..Options::default()
    }
}

fn names(dns: &Dns, change: impl FnOnce(&mut Options)) -> Names {
    let mut options = options(dns);
    change(&mut options);
    Names::new(options)
}

fn order(kinds: &[u16]) -> Client {
    Client::Classic {
        order: kinds.iter().map(|k| Step::Kind(*k)).collect(),
        no_sync: false,
    }
}

const MODERN: Client = Client::Modern {
    srv: true,
    a: true,
    aaaa: true,
};

fn on_worker<R>(f: impl Future<Output = R>) -> R {
    let rt = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    tokio::task::LocalSet::new().block_on(&rt, f)
}

async fn sleep(ms: u64) {
    tokio::time::sleep(Duration::from_millis(ms)).await;
}

async fn eventually(mut yes: impl FnMut() -> bool) {
    for _ in 0..300 {
        if yes() {
            return;
        }
        sleep(10).await;
    }
    panic!("never");
}

async fn first(names: &Names, host: &str) -> String {
    match names.resolve(host, 80).await {
        Ok(found) => found.first().to_string(),
        Err(e) => e.reason,
    }
}

async fn all(names: &Names, host: &str) -> Vec<String> {
    let found = names.resolve(host, 80).await.unwrap();
    found.iter().map(|a| a.to_string()).collect()
}

const NAME_ERROR: &str = "dns server error: 3 name error";
const EMPTY: &str = "dns client error: 101 empty record received";

#[test]
fn c05_addresses_take_turns_and_are_asked_for_once() {
    let dns = Dns::new();
    dns.host("a.test", 60, &["10.0.0.1", "10.0.0.2", "10.0.0.3"]);
    on_worker(async {
        let names = names(&dns, |_| {});
        assert_eq!(
            all(&names, "a.test").await,
            ["10.0.0.1:80", "10.0.0.2:80", "10.0.0.3:80"]
        );
        assert_eq!(
            all(&names, "A.Test").await,
            ["10.0.0.2:80", "10.0.0.3:80", "10.0.0.1:80"]
        );
        assert!(names.cached("a.test", 1).is_some());
        assert_eq!(first(&names, "a.test").await, "10.0.0.1:80");
        assert_eq!((dns.count("a.test", SRV), dns.count("a.test", A)), (1, 1));
        assert_eq!(names.counted(|c, _| c.hits.get()), 3);
    });
}

#[test]
fn c05_an_address_is_never_asked_for() {
    let dns = Dns::new();
    on_worker(async {
        let names = names(&dns, |_| {});
        assert_eq!(first(&names, "127.0.0.9").await, "127.0.0.9:80");
        assert_eq!(first(&names, "[::1]").await, "[::1]:80");
        assert_eq!(first(&names, "::1").await, "[::1]:80");
        assert_eq!(
            first(&names, "1.2.3").await,
            "dns client error: 102 invalid name, bad IPv4"
        );
        assert_eq!(
            first(&names, "some::thing").await,
            "dns client error: 103 invalid name, bad IPv6"
        );
        let mut tries = names.tries();
        let found = names.records("10.0.0.1", Some(AAAA), false, &mut tries).await;
        assert_eq!(found.unwrap_err(), "dns client error: 102 invalid name, bad IPv4");
        assert_eq!(dns.asked(), []);
        assert_eq!(names.counted(|_, len| len), 0);
    });
}

#[test]
fn c05_types_are_tried_in_order_and_the_last_found_first() {
    let dns = Dns::new();
    dns.host("a.test", 0, &["10.0.0.1"]);
    on_worker(async {
        let names = names(&dns, |o| o.stale_ttl = Duration::ZERO);
        assert_eq!(first(&names, "a.test").await, "10.0.0.1:80");
        assert_eq!(first(&names, "a.test").await, "10.0.0.1:80");
        let kinds: Vec<u16> = dns.asked().iter().map(|(_, kind, _)| *kind).collect();
        assert_eq!(
            kinds,
            [SRV, A, A],
            "time to live 0 without stale answers: asked each time, the last type first"
        );
    });
    let dns = Dns::new();
    dns.set(
        "six.test",
        AAAA,
        Say::Records(vec![aaaa("six.test", 60, "fd00::1")]),
    );
    on_worker(async {
        let default = names(&dns, |_| {});
        assert_eq!(
            first(&default, "six.test").await,
            NAME_ERROR,
            "Kong's default asks for no AAAA"
        );
        assert_eq!(dns.count("six.test", AAAA), 0);
        let six = names(&dns, |o| o.client = order(&[AAAA, A]));
        assert_eq!(first(&six, "six.test").await, "[fd00::1]:80");
    });
}

#[test]
fn c05_aliases_are_followed_and_loops_end() {
    let dns = Dns::new();
    let chain = |to: &str| {
        vec![
            cname("www.test", 60, "mid.test"),
            cname("mid.test", 60, "end.test"),
            a("end.test", 60, to),
            a("stranger.test", 60, "10.6.6.6"),
        ]
    };
    dns.set("www.test", A, Say::Records(chain("10.0.0.1")));
    dns.set("www.test", SRV, Say::Records(chain("10.0.0.1")[..2].to_vec()));
    dns.set(
        "one.test",
        CNAME,
        Say::Records(vec![cname("one.test", 60, "two.test")]),
    );
    dns.set(
        "two.test",
        CNAME,
        Say::Records(vec![cname("two.test", 60, "one.test")]),
    );
    dns.set(
        "self.test",
        A,
        Say::Records(vec![cname("self.test", 60, "self.test")]),
    );
    for i in 0..200 {
        let (this, next) = (format!("deep{i}.test"), format!("deep{}.test", i + 1));
        dns.set(&this, CNAME, Say::Records(vec![cname(&this, 60, &next)]));
    }
    on_worker(async {
        let names = names(&dns, |_| {});
        assert_eq!(first(&names, "www.test").await, "10.0.0.1:80");
        assert!(names.cached("www.test", 80).is_some(), "through all its aliases");
        assert_eq!(
            dns.count("end.test", A) + dns.count("mid.test", A),
            0,
            "they came along"
        );
        assert_eq!(
            first(&names, "stranger.test").await,
            NAME_ERROR,
            "what was not asked for is not believed"
        );
        assert_eq!(first(&names, "one.test").await, "recursion detected");
        assert_eq!(first(&names, "self.test").await, "recursion detected");
        let before = dns.asked().len();
        let deep = first(&names, "deep0.test").await;
        assert_eq!(deep, "recursion detected");
        assert!(dns.asked().len() - before < 200, "{}", dns.asked().len());
    });
}

#[test]
fn c05_services_give_ports_and_weights() {
    let dns = Dns::new();
    let place = |p, w, port, target: &str| srv("_s._tcp.test", 60, (p, w, port), target);
    dns.set(
        "_s._tcp.test",
        SRV,
        Say::Records(vec![
            place(10, 1, 7000, "10.0.0.9"),
            place(5, 3, 8001, "a.test"),
            place(5, 1, 0, "10.0.0.2"),
        ]),
    );
    dns.host("a.test", 60, &["10.0.0.1"]);
    dns.set(
        "k8s.test",
        SRV,
        Say::Records(vec![srv("k8s.test", 60, (1, 1, 9), "k8s.test")]),
    );
    dns.set("k8s.test", A, Say::Records(vec![a("k8s.test", 60, "10.0.0.3")]));
    for (n, client) in [Options::default().client, MODERN].into_iter().enumerate() {
        on_worker(async {
            let names = names(&dns, |o| o.client = client);
            let mut counts = [0; 2];
            let firsts = ["10.0.0.1:8001", "10.0.0.2:80"];
            for i in 0..40 {
                let found = names.resolve("_s._tcp.test", 80).await.unwrap();
                let at = firsts
                    .iter()
                    .position(|f| *f == found.first().to_string())
                    .unwrap();
                counts[at] += 1;
                assert_eq!(&**found.service().unwrap(), ["a.test", "10.0.0.2"][at]);
                let rest: Vec<String> = found.iter().skip(1).map(|a| a.to_string()).collect();
                if i > 10 {
                    assert_eq!(
                        rest,
                        [firsts[1 - at], "10.0.0.9:7000"],
                        "the others in case of need"
                    );
                }
            }
            assert_eq!(counts, [30, 10]);
            assert_eq!(names.weight("_s._tcp.test", 100), 4);
            assert_eq!(names.weight("unknown.test", 100), 100);
            if n == 0 {
                assert_eq!(
                    first(&names, "k8s.test").await,
                    "10.0.0.3:80",
                    "a service that is itself is none"
                );
            }
        });
    }
}

#[test]
fn c05_there_is_no_such_name() {
    let dns = Dns::new();
    dns.set("fail.test", SRV, Say::Code(2))
        .set("fail.test", A, Say::Code(2));
    for kind in [SRV, A, CNAME] {
        dns.set("empty.test", kind, Say::Records(Vec::new()));
        dns.set("refused.test", kind, Say::Code(5));
    }
    on_worker(async {
        let names = names(&dns, |o| {
            o.not_found_ttl = Duration::from_millis(300);
            o.error_ttl = Duration::from_millis(100);
        });
        let e = names.resolve("none.test", 80).await.unwrap_err();
        assert!(e.not_found());
        assert_eq!(
            e.to_string(),
            "DNS resolution failed: dns server error: 3 name error. Tried: [\"(short)none.test:(na) - cache-miss\",\
             \"none.test:33 - cache-miss/querying/dns server error: 3 name error\",\
             \"none.test:1 - cache-miss/querying/dns server error: 3 name error\",\
             \"none.test:5 - cache-miss/querying/dns server error: 3 name error\"]"
        );
        assert_eq!(first(&names, "none.test").await, NAME_ERROR);
        assert_eq!(dns.count("none.test", A), 1, "that there is none is remembered");
        let e = names.resolve("empty.test", 80).await.unwrap_err();
        assert!(e.not_found() && e.reason == EMPTY);
        let e = names.resolve("refused.test", 80).await.unwrap_err();
        assert!(!e.not_found() && e.reason == "dns server error: 5 refused");
        assert_eq!(first(&names, "refused.test").await, "dns server error: 5 refused");
        assert_eq!(dns.count("refused.test", A), 1);
        dns.host("none.test", 60, &["10.0.0.1"]);
        dns.host("refused.test", 60, &["10.0.0.2"]);
        sleep(120).await;
        eventually(|| names.counted(|c, _| c.queries.get()) > 0).await;
        let _ = first(&names, "refused.test").await;
        sleep(50).await;
        assert_eq!(
            first(&names, "refused.test").await,
            "10.0.0.2:80",
            "errors are forgotten sooner"
        );
        assert_eq!(first(&names, "none.test").await, NAME_ERROR);
        sleep(250).await;
        let _ = first(&names, "none.test").await;
        sleep(50).await;
        assert_eq!(first(&names, "none.test").await, "10.0.0.1:80");
    });
}

#[test]
fn c05_a_changed_name_leads_elsewhere_once_its_time_is_over() {
    let dns = Dns::new();
    dns.host("a.test", 1, &["10.0.0.1"]);
    on_worker(async {
        let names = names(&dns, |_| {});
        assert_eq!(first(&names, "a.test").await, "10.0.0.1:80");
        dns.host("a.test", 60, &["10.0.0.2"]);
        sleep(500).await;
        assert_eq!(first(&names, "a.test").await, "10.0.0.1:80");
        sleep(600).await;
        assert_eq!(
            first(&names, "a.test").await,
            "10.0.0.1:80",
            "stale, while it is asked for"
        );
        eventually(|| dns.count("a.test", A) == 2).await;
        sleep(50).await;
        assert_eq!(first(&names, "a.test").await, "10.0.0.2:80");
    });
}

#[test]
fn c05_stale_answers_outlive_a_dead_server() {
    for client in [Options::default().client, MODERN] {
        let dns = Dns::new();
        dns.host("a.test", 1, &["10.0.0.1"]);
        on_worker(async {
            let names = names(&dns, |o| {
                o.client = client.clone();
                o.error_ttl = Duration::from_millis(200);
            });
            assert_eq!(first(&names, "a.test").await, "10.0.0.1:80");
            sleep(1100).await;
            dns.dead(true);
            let began = Instant::now();
            for _ in 0..200 {
                assert_eq!(first(&names, "a.test").await, "10.0.0.1:80");
            }
            assert!(
                began.elapsed() < Duration::from_millis(500),
                "nobody waits for it"
            );
            sleep(100).await;
            assert!(
                dns.count("a.test", A) <= 3,
                "one question at a time: {:?}",
                dns.asked()
            );
            sleep(2300).await;
            for kind in [SRV, A] {
                dns.set("a.test", kind, Say::Code(2));
            }
            dns.dead(false);
            assert_eq!(first(&names, "a.test").await, "10.0.0.1:80");
            sleep(300).await;
            assert_eq!(
                first(&names, "a.test").await,
                "10.0.0.1:80",
                "an error takes no data's place"
            );
            dns.host("a.test", 60, &["10.0.0.2"]);
            if client != MODERN {
                for _ in 0..100 {
                    if first(&names, "a.test").await == "10.0.0.2:80" {
                        return;
                    }
                    sleep(20).await;
                }
                panic!("never refreshed");
            }
        });
    }
}

#[test]
fn c05_stale_answers_end() {
    let dns = Dns::new();
    dns.host("a.test", 1, &["10.0.0.1"]);
    on_worker(async {
        let names = names(&dns, |o| o.stale_ttl = Duration::from_millis(300));
        assert_eq!(first(&names, "a.test").await, "10.0.0.1:80");
        sleep(1400).await;
        dns.dead(true);
        let e = names.resolve("a.test", 80).await.unwrap_err();
        assert_eq!(
            e.reason,
            format!("failed to receive reply from UDP server {}: timeout", dns.addr)
        );
        assert!(!e.not_found());
    });
}

#[test]
fn c05_the_servers_time_to_live_can_be_overruled() {
    let dns = Dns::new();
    dns.host("a.test", 3600, &["10.0.0.1"]);
    for client in [Options::default().client, MODERN] {
        on_worker(async {
            let names = names(&dns, |o| {
                o.client = client;
                o.valid_ttl = Some(Duration::from_secs(1));
                o.stale_ttl = Duration::ZERO;
            });
            let mut tries = names.tries();
            let answer = names.records("a.test", Some(A), false, &mut tries).await.unwrap();
            assert_eq!((answer.ttl, answer.records[0].ttl), (Duration::from_secs(1), 1));
            let before = dns.count("a.test", A);
            sleep(1100).await;
            assert_eq!(first(&names, "a.test").await, "10.0.0.1:80");
            assert_eq!(dns.count("a.test", A), before + 1);
        });
    }
}

#[test]
fn c05_replies_that_are_none_are_passed_over() {
    let dns = Dns::new();
    let good = |name: &str| vec![a(name, 60, "10.0.0.1")];
    dns.set("id.test", A, Say::AfterWrongId(good("id.test")));
    dns.set("question.test", A, Say::AfterOtherQuestion(good("question.test")));
    dns.set("forged.test", A, Say::AfterForgery(good("forged.test")));
    dns.set(
        "late.test",
        A,
        Say::Late(Duration::from_millis(1300), good("late.test")),
    );
    dns.set("junk.test", A, Say::Junk(vec![0xff; 40]));
    dns.set("short.test", A, Say::Junk(vec![0; 3]));
    dns.set("half.test", A, Say::CutOff);
    dns.set("silent.test", A, Say::Silence);
    on_worker(async {
        let names = names(&dns, |o| o.client = order(&[A]));
        for name in ["id.test", "question.test", "forged.test", "late.test"] {
            assert_eq!(first(&names, name).await, "10.0.0.1:80", "{name}");
        }
        assert_eq!(
            dns.count("late.test", A),
            2,
            "the first attempt's reply came in the second"
        );
        for (name, error) in [
            (
                "junk.test",
                "bad number of questions in DNS response: 65535".to_owned(),
            ),
            ("short.test", "truncated".into()),
            (
                "half.test",
                format!(
                    "failed to receive the reply message body from TCP server {}: closed",
                    dns.addr
                ),
            ),
            (
                "silent.test",
                format!("failed to receive reply from UDP server {}: timeout", dns.addr),
            ),
            ("a..test", "bad name".into()),
        ] {
            assert_eq!(first(&names, name).await, error, "{name}");
        }
        assert_eq!(dns.count("junk.test", A), 2, "attempts");
        assert_eq!(names.counted(|_, len| len), 8, "what failed is not kept");
    });
    on_worker(async {
        let none = Names::new(Options {
            servers: Vec::new(),
            ..options(&dns)
        });
        assert_eq!(
            first(&none, "a.test").await,
            "failed to create a resolver: no nameservers specified"
        );
    });
}

#[test]
fn c05_long_replies_come_by_tcp_and_huge_ones_are_cut() {
    let dns = Dns::new();
    let many = |n: u32| {
        let ip = |i: u32| format!("10.{}.{}.{}", i >> 16, i >> 8 & 255, i & 255);
        (0..n).map(|i| a("many.test", 60, &ip(i))).collect::<Vec<_>>()
    };
    dns.set("many.test", A, Say::Records(many(100)));
    dns.set(
        "huge.test",
        A,
        Say::Records(
            many(2500)
                .into_iter()
                .map(|_| a("huge.test", 60, "10.1.1.1"))
                .collect(),
        ),
    );
    on_worker(async {
        let names = names(&dns, |o| o.client = order(&[A]));
        let found = names.resolve("many.test", 80).await.unwrap();
        assert_eq!(found.iter().count(), 8, "no try goes on for ever");
        assert_eq!(
            dns.asked(),
            [
                ("many.test".to_owned(), A, false),
                ("many.test".to_owned(), A, true)
            ]
        );
        for i in 1..100 {
            assert_eq!(first(&names, "many.test").await, format!("10.0.0.{i}:80"));
        }
        let mut tries = names.tries();
        let huge = names.records("huge.test", None, false, &mut tries).await.unwrap();
        assert_eq!(huge.records.len(), 1024);
    });
}

#[test]
fn c05_short_names_are_looked_up_in_the_search_domains() {
    let dns = Dns::new();
    dns.host("app.two.test", 60, &["10.0.0.1"]);
    dns.host("a.b", 60, &["10.0.0.2"]);
    dns.host("c.d.two.test", 60, &["10.0.0.3"]);
    on_worker(async {
        let classic = names(&dns, |o| o.localdomain = "one.test two.test".into());
        assert_eq!(first(&classic, "app").await, "10.0.0.1:80");
        assert!(classic.cached("app", 80).is_some());
        assert_eq!(first(&classic, "a.b").await, "10.0.0.2:80");
        assert_eq!(
            dns.count("a.b.one.test", A),
            0,
            "a whole name comes first as it is"
        );
        assert_eq!(first(&classic, "c.d").await, "10.0.0.3:80");
        assert_eq!(
            first(&classic, "app.").await,
            NAME_ERROR,
            "the dot says it is whole"
        );
        let modern = names(&dns, |o| {
            o.client = MODERN;
            o.localdomain = "one.test two.test".into();
        });
        assert_eq!(first(&modern, "app").await, "10.0.0.1:80");
        assert_eq!(
            first(&modern, "c.d").await,
            NAME_ERROR,
            "the newer client does not go on"
        );
    });
}

#[test]
fn c05_one_question_at_a_time_for_one_name() {
    let dns = Dns::new();
    let late = |name: &str| Say::Late(Duration::from_millis(150), vec![a(name, 60, "10.0.0.1")]);
    dns.set("a.test", A, late("a.test"))
        .set("b.test", A, late("b.test"));
    dns.set("c.test", A, late("c.test"));
    on_worker(async {
        let names = names(&dns, |o| o.client = order(&[A]));
        let tasks: Vec<_> = (0..100)
            .map(|_| {
                let names = names.clone();
                tokio::task::spawn_local(async move { first(&names, "a.test").await })
            })
            .collect();
        for task in tasks {
            assert_eq!(task.await.unwrap(), "10.0.0.1:80");
        }
        assert_eq!(dns.count("a.test", A), 1);
        // the one who asked first gives up; who waits with him gets his answer
        let waiting = tokio::task::spawn_local({
            let names = names.clone();
            async move {
                sleep(60).await;
                first(&names, "b.test").await
            }
        });
        let gave_up = tokio::time::timeout(Duration::from_millis(100), first(&names, "b.test")).await;
        assert!(gave_up.is_err());
        assert_eq!(waiting.await.unwrap(), "10.0.0.1:80");
        assert_eq!(dns.count("b.test", A), 1);
    });
    on_worker(async {
        let names = names(&dns, |o| {
            o.client = Client::Classic {
                order: vec![Step::Kind(A)],
                no_sync: true,
            }
        });
        let both = tokio::join!(first(&names, "c.test"), first(&names, "c.test"));
        assert_eq!(both, ("10.0.0.1:80".into(), "10.0.0.1:80".into()));
        assert_eq!(dns.count("c.test", A), 2, "dns_no_sync");
    });
}

#[test]
fn c05_the_worker_is_never_blocked() {
    let dns = Dns::new();
    dns.dead(true);
    on_worker(async {
        let names = names(&dns, |_| {});
        let lookup = tokio::task::spawn_local({
            let names = names.clone();
            async move { first(&names, "a.test").await }
        });
        let mut longest = Duration::ZERO;
        while !lookup.is_finished() {
            let began = Instant::now();
            sleep(5).await;
            longest = longest.max(began.elapsed());
        }
        assert!(longest < Duration::from_millis(500), "{longest:?}");
    });
}

#[test]
fn c05_the_hosts_file_is_read_again_when_it_changes() {
    let dns = Dns::new();
    dns.host("other.test", 60, &["10.0.0.7"]);
    for client in [Options::default().client, MODERN] {
        let dir = Dir::new(if client == MODERN { "modern" } else { "classic" });
        let path = dir.write("hosts", "10.0.0.1 my.test MY2.test\n::1 my.test\n");
        on_worker(async {
            let names = names(&dns, |o| {
                o.client = client;
                o.hosts_file = path;
            });
            assert_eq!(first(&names, "my.test").await, "10.0.0.1:80");
            assert_eq!(first(&names, "my2.test").await, "10.0.0.1:80");
            assert_eq!(first(&names, "localhost").await, "127.0.0.1:80");
            assert_eq!(first(&names, "other.test").await, "10.0.0.7:80");
            dir.write("hosts", "10.0.0.22 my.test other.test\n");
            for (name, now) in [
                ("my.test", "10.0.0.22:80"),
                ("other.test", "10.0.0.22:80"),
                ("my2.test", NAME_ERROR),
                ("localhost", "127.0.0.1:80"),
            ] {
                let mut seen = String::new();
                for _ in 0..300 {
                    seen = first(&names, name).await;
                    if seen == now {
                        break;
                    }
                    sleep(10).await;
                }
                assert_eq!(seen, now, "{name}");
            }
            assert_eq!(dns.count("my.test", A), 0);
        });
    }
}

#[test]
fn c05_the_newer_client_asks_for_services_by_their_names_only() {
    let dns = Dns::new();
    dns.set(
        "www.test",
        A,
        Say::Records(vec![
            cname("www.test", 60, "end.test"),
            a("end.test", 60, "10.0.0.1"),
        ]),
    );
    dns.set("six.test", A, Say::Records(Vec::new()));
    dns.set(
        "six.test",
        AAAA,
        Say::Records(vec![aaaa("six.test", 60, "fd00::1")]),
    );
    on_worker(async {
        let names = names(&dns, |o| o.client = MODERN);
        assert_eq!(first(&names, "www.test").await, "10.0.0.1:80");
        assert_eq!(first(&names, "six.test").await, "[fd00::1]:80");
        assert_eq!(first(&names, "none.test").await, NAME_ERROR);
        assert_eq!(first(&names, "_none._tcp.test").await, NAME_ERROR);
        assert_eq!(dns.count("www.test", SRV) + dns.count("none.test", SRV), 0);
        assert_eq!(dns.count("_none._tcp.test", SRV), 1);
        assert!(names.cached("www.test", 80).is_some());
        dns.dead(true);
        let e = names.resolve("dead.test", 80).await.unwrap_err();
        assert!(
            e.reason
                .starts_with("DNS server error: failed to receive reply from UDP server"),
            "{e}"
        );
        assert!(
            e.reason.contains(": timeout, took ") && e.reason.ends_with(" ms"),
            "{e}"
        );
        let tried: serde_json::Value = serde_json::from_str(&e.tried).unwrap();
        assert_eq!(tried[0]["qname"], "dead.test");
    });
}

#[test]
fn c05_a_flood_of_names_does_not_grow_the_cache() {
    let dns = Dns::new();
    on_worker(async {
        let names = names(&dns, |o| {
            o.client = order(&[A]);
            o.cache_size = 50;
        });
        for i in 0..500 {
            assert_eq!(first(&names, &format!("n{i}.test")).await, NAME_ERROR);
            assert!(names.counted(|_, len| len) <= 50);
        }
    });
}

#[test]
fn c05_records_of_other_types_are_given_as_they_are() {
    let dns = Dns::new();
    let text = b"\x05hello\x05world".to_vec();
    dns.set(
        "a.test",
        dns::TXT,
        Say::Records(vec![rr("a.test", 60, dns::TXT, text)]),
    );
    dns.set(
        "a.test",
        15,
        Say::Records(vec![rr("a.test", 60, 15, b"\x00\x0a\x02mx\x04test\x00".to_vec())]),
    );
    on_worker(async {
        let names = names(&dns, |_| {});
        let mut tries = names.tries();
        let found = names
            .records("a.test", Some(dns::TXT), false, &mut tries)
            .await
            .unwrap();
        assert_eq!(
            found.records[0].data,
            Data::Txt(vec![(*b"hello").into(), (*b"world").into()])
        );
        let mut tries = names.tries();
        let found = names
            .records("a.test", Some(15), false, &mut tries)
            .await
            .unwrap();
        let mx = Data::Mx {
            preference: 10,
            exchange: "mx.test".into(),
        };
        assert_eq!(found.records[0].data, mx);
        let mut tries = names.tries();
        let e = names.records("b.test", None, true, &mut tries).await.unwrap_err();
        assert_eq!(e, "dns server error: 100 cache only lookup failed");
    });
}

#[test]
fn c05_other_options_begin_with_an_empty_cache() {
    let dns = Dns::new();
    dns.host("a.test", 60, &["10.0.0.1"]);
    on_worker(async {
        let names = names(&dns, |_| {});
        let same = names.clone();
        assert_eq!(first(&names, "a.test").await, "10.0.0.1:80");
        names.configure(options(&dns));
        assert!(same.cached("a.test", 80).is_some());
        names.configure(Options {
            cache_size: 77,
            ..options(&dns)
        });
        assert!(same.cached("a.test", 80).is_none());
    });
}
