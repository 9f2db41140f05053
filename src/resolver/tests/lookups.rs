//! What names lead to.

use super::*;

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
