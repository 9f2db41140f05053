//! The access log and the error log, as users know them.

use crate::support::{Origin, Setup, eventually, service};

fn digits(word: &str) -> bool {
    !word.is_empty() && word.chars().all(|c| c.is_ascii_digit())
}

#[test]
fn a07_access_log_lines() {
    let origin = Origin::answering("HTTP/1.1 201 Created\r\nContent-Length: 5\r\n\r\nhello");
    let gateway = Setup::new(&service(origin.port)).start();
    let r = gateway.get(
        "/p?q=1",
        &[
            ("Referer", "http://ref"),
            ("User-Agent", "it \"quoted\""),
            ("Authorization", "Basic dXNlcjpwYXNz"),
        ],
    );
    let id = r.is(201).header("x-kong-request-id").unwrap().to_owned();
    let line = gateway.access_logged("/p?q=1");
    assert!(line.starts_with("127.0.0.1 - user ["), "{line}");
    let time = &line[line.find('[').unwrap()..=line.find(']').unwrap()];
    assert_eq!(time.len(), "[23/Nov/2026:09:18:08 +0000]".len(), "{time}");
    let rest = &line[line.find(']').unwrap() + 2..];
    assert_eq!(
        rest,
        format!(
            "\"GET /p?q=1 HTTP/1.1\" 201 5 \"http://ref\" \"it \\x22quoted\\x22\" kong_request_id: \"{id}\""
        )
    );
}

#[test]
fn a07_error_log_lines_of_plugins() {
    let gateway = Setup::probe(1).start();
    let r = gateway.get(
        "/e?x=1",
        &[
            ("Host", "shop.test"),
            ("x-access", "kong.log.err('it broke') kong.response.exit(200)"),
        ],
    );
    let id = r.is(200).header("x-kong-request-id").unwrap().to_owned();
    let line = gateway.logged("it broke");
    let mut words = line.split(' ');
    let (date, time) = (words.next().unwrap(), words.next().unwrap());
    assert!(
        date.split('/').count() == 3 && date.split('/').all(digits),
        "{line}"
    );
    assert!(
        time.split(':').count() == 3 && time.split(':').all(digits),
        "{line}"
    );
    assert_eq!(words.next(), Some("[error]"), "{line}");
    let process = words.next().unwrap();
    let pids: Vec<&str> = process.trim_end_matches(':').split('#').collect();
    assert!(pids.len() == 2 && pids.iter().all(|p| digits(p)), "{line}");
    assert!(words.next().unwrap().starts_with('*'), "{line}");
    for part in [
        "[kong] ",
        " [probe] it broke",
        ", client: 127.0.0.1",
        ", request: \"GET /e?x=1 HTTP/1.1\"",
        ", host: \"shop.test\"",
        &format!(", request_id: \"{id}\""),
    ] {
        assert!(line.contains(part), "no {part:?} in {line}");
    }
}

#[test]
fn a07_plugin_lines_name_file_and_line() {
    let gateway = Setup::probe(1)
        .plugin(
            "said",
            "local P = { PRIORITY = 1, VERSION = '1.0.0' }\n\nfunction P:access()\n  kong.log.warn('from line four')\nend\nreturn P",
        )
        .set("declarative_config_string", "")
        .start();
    gateway.reconfigure(&crate::support::with(service(1), "said", serde_json::json!({})));
    gateway.signal("HUP");
    assert!(eventually(std::time::Duration::from_secs(5), || {
        gateway.get("/", &[]);
        gateway.errors().contains("from line four")
    }));
    let line = gateway.logged("from line four");
    assert!(
        line.contains("[warn]") && line.contains("handler.lua:4 [said] from line four"),
        "{line}"
    );
}

#[test]
fn a07_levels_are_kept_back() {
    let code = "kong.log.debug('at debug') kong.log.info('at info') kong.log.notice('at notice')
        kong.log.warn('at warn') ngx.log(ngx.ERR, 'by ngx') kong.log.crit('at crit') kong.response.exit(200)";
    for (level, from) in [("debug", 0), ("notice", 2), ("warn", 3), ("crit", 4)] {
        let gateway = Setup::probe(1).set("log_level", level).start();
        gateway.access(code).is(200);
        gateway.logged("at crit");
        let all = gateway.errors();
        for (i, name) in ["debug", "info", "notice", "warn", "crit"].iter().enumerate() {
            assert_eq!(
                all.contains(&format!("at {name}")),
                i >= from,
                "{name} with log_level {level}"
            );
        }
        assert_eq!(all.contains("by ngx"), level != "crit");
    }
}

#[test]
fn a07_logs_may_be_off_or_go_to_the_terminal() {
    let gateway = Setup::probe(1)
        .set("proxy_access_log", "/dev/stdout")
        .set("proxy_error_log", "/dev/stderr")
        .start();
    gateway
        .access("kong.log.err('to the terminal') kong.response.exit(204)")
        .is(204);
    let read = |name: &str| std::fs::read_to_string(gateway.dir().join(name)).unwrap();
    let limit = std::time::Duration::from_secs(5);
    assert!(eventually(limit, || read("stdout").contains("\"GET / HTTP/1.1\" 204")));
    assert!(eventually(limit, || read("stderr").contains("to the terminal")));

    let gateway = Setup::probe(1).set("proxy_access_log", "off").start();
    gateway.access("kong.response.exit(204)").is(204);
    gateway
        .access("kong.log.err('done') kong.response.exit(204)")
        .is(204);
    gateway.logged("done");
    assert!(!gateway.dir().join("off").exists() && !gateway.prefix().join("off").exists());
    assert_eq!(gateway.accesses(), "");
}

#[test]
fn a07_strange_bytes_are_escaped() {
    let gateway = Setup::probe(1).start();
    let mut client = gateway.connect();
    client.send(b"GET /raw HTTP/1.1\r\nHost: a\r\nUser-Agent: \xff\x80\t\"\\\r\n\r\n");
    client.answer(false);
    let line = gateway.access_logged("/raw");
    assert!(line.contains("\"\\xFF\\x80\\x09\\x22\\x5C\""), "{line}");
}
