//! What is no answer, too long an answer, or too many questions.

use super::*;

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
