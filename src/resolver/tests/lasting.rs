//! For how long answers hold.

use super::*;

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
