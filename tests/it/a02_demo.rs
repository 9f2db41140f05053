//! The demo: `config.json`, the plugins in `lua/`, the embedded echo upstreams.

use serde_json::{Value, json};

use crate::support::Gateway;
use crate::support::demo::Demo;

fn demo() -> (Gateway, u16, u16) {
    let demo = Demo::start();
    (demo.gateway, demo.one, demo.two)
}

#[test]
fn a02_echo_says_what_it_saw() {
    let (gateway, one, _) = demo();
    let mut client = gateway.connect();
    let r = client.ask(
        "POST",
        "/some/path?a=1&b=%20",
        &[("X-Second", "2"), ("x-first", "1")],
        b"hello",
    );
    let seen = r.is(200).json();
    assert_eq!(seen["method"], "POST");
    assert_eq!(seen["path"], "/some/path");
    assert_eq!(seen["query"], "a=1&b=%20");
    assert_eq!(seen["body"], "hello");
    assert_eq!(seen["port"], json!(one));
    let names: Vec<&str> = seen["headers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|h| h[0].as_str().unwrap())
        .collect();
    let at = |name: &str| names.iter().position(|n| n.eq_ignore_ascii_case(name)).unwrap();
    assert!(at("X-Second") < at("x-first"), "{names:?}");
}

#[test]
fn a02_a_plugin_picks_host_and_port() {
    let (gateway, one, two) = demo();
    for (value, port) in [("one", one), ("two", two)] {
        let r = gateway.get("/by-header/x", &[("x-target", value)]).is(200);
        assert_eq!(r.json()["port"], json!(port));
        assert_eq!(r.header("x-target"), Some(format!("127.0.0.1:{port}").as_str()));
    }
    let r = gateway.get("/by-header", &[("x-target", "three")]).is(400);
    assert_eq!(r.json(), json!({ "message": "no target for x-target: three" }));
}

#[test]
fn a02_a_plugin_picks_an_upstream() {
    let (gateway, one, two) = demo();
    for (region, port) in [("eu", one), ("us", two), ("elsewhere", one)] {
        let r = gateway.get("/by-upstream", &[("x-region", region)]).is(200);
        assert_eq!(r.json()["port"], json!(port), "{region}");
    }
}

#[test]
fn a02_make_run_starts_what_the_readme_says() {
    let root = env!("CARGO_MANIFEST_DIR");
    let read = |f: &str| std::fs::read_to_string(format!("{root}/{f}")).unwrap();
    let config: Value = serde_json::from_str(&read("config.json")).unwrap();
    assert_eq!(config["_gateway"]["proxy_listen"], "127.0.0.1:8000");
    assert!(read("Makefile").contains("moongate run config.json"));
    let readme = read("README.md");
    for text in ["make run", "make test", "127.0.0.1:8000", "x-target", "x-region"] {
        assert!(readme.contains(text), "the README does not mention {text}");
    }
    assert!(read(".ci/run").contains("make test"));
}
