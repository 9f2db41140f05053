//! Every name of the contract (`tests/names/names.lua`) is there; what is not supported says so and stands in the
//! README; none of them can be brought by arguments or phases to raise anything but a string, to panic, or to leave
//! something behind.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::json;

use crate::support::{Client, Gateway, Setup, eventually, service, with};

const NAMES: &str = include_str!("../names/names.lua");
const HANDLERS: &str = include_str!("../names/handler.lua");
const README: &str = include_str!("../../README.md");

fn start() -> Gateway {
    let echo = crate::support::free_port();
    let config = with(with(service(echo), "walk", json!({})), "last", json!({}));
    Setup::new(&config)
        .lua("names.lua", NAMES)
        .lua("names_handlers.lua", HANDLERS)
        .plugin("walk", "return require('names_handlers').walk")
        .plugin("last", "return require('names_handlers').last")
        .set("moongate_echo_listen", &format!("127.0.0.1:{echo}"))
        .set("nginx_http_lua_shared_dict", "junk 1m")
        .set("nginx_worker_processes", "1")
        .set("log_level", "notice")
        .start()
}

#[test]
fn d01_every_name_is_there() {
    let gateway = start();
    let r = gateway
        .get("/", &[("x-walk", "*"), ("x-phase", "access")])
        .is(200);
    let wrong: Vec<String> = serde_json::from_str(r.header("x-report").unwrap()).unwrap();
    assert_eq!(wrong, Vec::<String>::new());
}

/// The README's rows of what is not supported.
fn rows() -> Vec<&'static str> {
    let (_, section) = README.split_once("### Not supported").unwrap();
    let section = section.split("\n## ").next().unwrap();
    section.lines().filter(|line| line.starts_with("| ")).collect()
}

/// Whether `a.b.name` stands in a row: under its own name, or in the row of `a.b`.
fn stands_in(rows: &[&str], name: &str) -> bool {
    let name = name.replace('#', ".");
    let (owner, last) = name.rsplit_once(['.', ':']).unwrap_or(("", &name));
    rows.iter().any(|row| {
        let listed = row.contains(&format!("`{last}`")) || row.contains(&format!(".{last}`"));
        row.contains(&format!("`{name}`")) || (listed && (owner.is_empty() || row.contains(owner)))
    })
}

/// Asks for `name` with junk `n` in `phase`: what was found wrong. None where no answer came: the call waits, or has
/// ended the connection.
fn call(
    client: &mut Option<Client>,
    gateway: &Gateway,
    name: &str,
    n: usize,
    phase: &str,
) -> Option<Vec<String>> {
    let conn = client.get_or_insert_with(|| gateway.connect());
    conn.send(format!(
        "GET /junk HTTP/1.1\r\nHost: a\r\nX-Walk: {name}\r\nX-Junk: {n}\r\nX-Phase: {phase}\r\n\r\n"
    ));
    let answer = conn
        .hears(Duration::from_millis(250))
        .then(|| conn.try_answer(false));
    let Some(Some(r)) = answer else {
        *client = None;
        return None;
    };
    if r.header("connection") == Some("close") {
        *client = None;
    }
    Some(
        r.header("x-report")
            .map_or_else(Vec::new, |text| serde_json::from_str(text).unwrap_or_default()),
    )
}

fn gauges(gateway: &Gateway) -> String {
    let lines = || gateway.errors().matches("gauges: ").count();
    let before = lines();
    gateway.signal("USR2");
    assert!(
        eventually(Duration::from_secs(5), || lines() > before),
        "no gauges"
    );
    let errors = gateway.errors();
    errors
        .rsplit("gauges: ")
        .next()
        .unwrap()
        .lines()
        .next()
        .unwrap()
        .to_owned()
}

#[test]
fn d02_junk_arguments_raise_strings_and_leave_nothing() {
    let gateway = start();
    let names: Vec<String> =
        serde_json::from_str(&gateway.get("/", &[("x-walk", "names")]).is(200).text()).unwrap();
    let count = gateway.get("/", &[("x-walk", "count"), ("x-phase", "access")]);
    let count: Vec<usize> = serde_json::from_str(count.is(200).header("x-report").unwrap()).unwrap();
    assert!(names.len() > 250 && count[0] > 10, "{} names", names.len());
    let (mut client, mut wrong, mut absent) = (None, BTreeSet::new(), BTreeSet::new());
    for name in &names {
        for phase in ["access", "header_filter", "log"] {
            let mut patience = 3;
            for n in 1..=count[0] {
                // one that waits with anything need not be waited for with everything
                if patience == 0 {
                    break;
                }
                let Some(report) = call(&mut client, &gateway, name, n, phase) else {
                    patience -= 1;
                    continue;
                };
                for found in report {
                    if found.starts_with("not supported: ") {
                        absent.insert(name.clone());
                    } else {
                        wrong.insert(format!("{name} in {phase} with junk {n}: {found}"));
                    }
                }
            }
        }
    }
    drop(client);
    let rows = rows();
    let unlisted: Vec<_> = absent.iter().filter(|name| !stands_in(&rows, name)).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(
        unlisted.is_empty(),
        "not supported, but not in the README: {unlisted:#?}"
    );
    let errors = gateway.errors();
    let bad: Vec<_> = errors
        .lines()
        .filter(|l| l.contains("panic") || (l.contains("report of") && !l.contains("report of count")))
        .collect();
    assert!(bad.iter().all(|l| l.contains("not supported: ")), "{bad:#?}");
    gateway.get("/", &[]).is(200);
    let rest = || gauges(&gateway);
    let idle = eventually(Duration::from_secs(10), || {
        rest().contains(" coroutines=0 slots=0 ")
    });
    assert!(idle, "{}", rest());
}
