//! `POST /config` and `GET /config`: a configuration is swapped in the living Lua states, or refused whole.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use crate::a05_workers::load;
use crate::support::gateway::PROBE;
use crate::support::{Admin, Gateway, Origin, Setup, eventually, service, with};

/// Counts what happens to its module and to its configurations.
const SEEN: &str = r#"
local P = { PRIORITY = 20, VERSION = "1.0.0", state = { requests = 0, configured = {}, confs = 0 } }
local state, known = P.state, setmetatable({}, { __mode = "k" })
function P:configure(configs)
  local tags = {}
  for i, conf in ipairs(configs or {}) do tags[i] = conf.tag end
  state.configured[#state.configured + 1] = configs and table.concat(tags, ",") or "nil"
end
function P:access(conf)
  state.requests = state.requests + 1
  if not known[conf] then
    known[conf] = true
    state.confs = state.confs + 1
  end
  kong.response.set_header("X-Tag", conf.tag)
end
return P
"#;

/// Tells the state of `seen`, what is cached and what the DAO finds.
const TELL: &str = r#"
local P = { PRIORITY = 10, VERSION = "1.0.0" }
function P:access(conf)
  if kong.request.get_path() ~= "/tell" then return end
  local s = require("kong.plugins.seen.handler").state
  local service = kong.db.services:select_by_name(conf.tag)
  kong.response.exit(200, {
    requests = s.requests, configured = s.configured, confs = s.confs,
    cached = kong.cache:get("k", nil, function() return conf.mode end),
    retries = service and service.retries,
  })
end
return P
"#;

fn start(config: &Value) -> (Gateway, Admin) {
    let (setup, admin) = Setup::new(config)
        .plugin("seen", SEEN)
        .plugin("tell", TELL)
        .plugin("probe", PROBE)
        .admin();
    (setup.start(), admin)
}

/// One service `s`; `seen` with `tag`, `tell` with what it would cache.
fn config(port: u16, tag: &str, retries: u32) -> Value {
    let mut config = with(service(port), "seen", json!({ "tag": tag }));
    config["services"][0]["retries"] = json!(retries);
    with(config, "tell", json!({ "tag": "s", "mode": tag }))
}

fn tell(gateway: &Gateway) -> Value {
    gateway.get("/tell", &[]).is(200).json()
}

#[test]
fn b04_a_swap_keeps_lua_states_and_renews_what_depends_on_the_configuration() {
    let origin = Origin::echo();
    let (gateway, admin) = start(&config(origin.port, "one", 1));
    for _ in 0..3 {
        assert_eq!(gateway.get("/", &[]).is(200).header("x-tag"), Some("one"));
    }
    assert_eq!(
        tell(&gateway),
        json!({ "requests": 4, "configured": ["one"], "confs": 1, "cached": "one", "retries": 1 })
    );
    admin.accept(&config(origin.port, "two", 2));
    assert_eq!(gateway.get("/", &[]).is(200).header("x-tag"), Some("two"));
    assert_eq!(
        tell(&gateway),
        json!({ "requests": 6, "configured": ["one", "two"], "confs": 2, "cached": "two", "retries": 2 }),
        "the module counts on; configure, conf table, cache and rows are new"
    );
    let mut without = config(origin.port, "three", 3);
    without["plugins"].as_array_mut().unwrap().remove(0);
    admin.accept(&without);
    assert_eq!(gateway.get("/", &[]).is(200).header("x-tag"), None);
    assert_eq!(
        tell(&gateway),
        json!({ "requests": 6, "configured": ["one", "two", "nil"], "confs": 2, "cached": "three", "retries": 3 })
    );
    let twice = with(config(origin.port, "four", 4), "seen", json!({ "tag": "five" }));
    let mut twice = twice;
    twice["plugins"][2]["service"] = json!("s");
    twice["plugins"][2]["id"] = json!("ffffffff-0000-4000-8000-000000000001");
    admin.accept(&twice);
    let configured = tell(&gateway)["configured"][3].as_str().unwrap().to_owned();
    let mut tags: Vec<&str> = configured.split(',').collect();
    tags.sort_unstable();
    assert_eq!(
        tags,
        ["five", "four"],
        "all configurations, whatever they are for"
    );
}

#[test]
fn b04_every_worker_takes_a_swap_in() {
    let (setup, admin) = Setup::new(&config(1, "one", 1))
        .plugin("seen", SEEN)
        .plugin("tell", TELL)
        .set("nginx_worker_processes", "4")
        .admin();
    let gateway = setup.start();
    for i in 0..5 {
        admin.accept(&config(1, &format!("swap{i}"), i));
        for _ in 0..24 {
            let told = tell(&gateway);
            assert_eq!(told["cached"], format!("swap{i}"));
            assert_eq!(told["retries"], i);
        }
    }
}

#[test]
fn b04_a_request_under_way_ends_with_the_configuration_it_began_with() {
    let origin = Origin::echo();
    let waits = r#"
        local P = { PRIORITY = 30, VERSION = "1.0.0" }
        function P:access(conf)
          if kong.request.get_path() == "/slow" then
            ngx.shared.kong:set("waiting", true)
            while not ngx.shared.kong:get("go") do ngx.sleep(0.01) end
            kong.response.set_header("X-Retries", kong.db.services:select_by_name("s").retries)
          end
        end
        function P:header_filter(conf)
          kong.response.set_header("X-Late", conf.tag)
        end
        function P:log(conf)
          kong.log.err("logged with ", conf.tag)
        end
        return P"#;
    let with_waits =
        |tag: &str, retries| with(config(origin.port, tag, retries), "waits", json!({ "tag": tag }));
    let (setup, admin) = Setup::new(&with(with_waits("old", 1), "probe", json!({})))
        .plugin("seen", SEEN)
        .plugin("tell", TELL)
        .plugin("waits", waits)
        .plugin("probe", PROBE)
        .admin();
    let gateway = setup.start();
    let mut slow = gateway.connect();
    slow.send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n");
    let waiting = "kong.response.exit(200, tostring(ngx.shared.kong:get('waiting')))";
    assert!(eventually(Duration::from_secs(5), || gateway
        .access(waiting)
        .text()
        == "true"));
    // where nothing but another plugin is left, the old plugins still end their request
    admin.accept(&with(with_waits("new", 2), "probe", json!({})));
    assert_eq!(gateway.get("/", &[]).is(200).header("x-late"), Some("new"));
    gateway
        .access("ngx.shared.kong:set('go', true) kong.response.exit(200)")
        .is(200);
    let answer = slow.answer(false).is(200);
    assert_eq!(
        (answer.header("x-tag"), answer.header("x-late")),
        (Some("old"), Some("old")),
        "plugins whose turn came after the swap, too"
    );
    assert_eq!(
        answer.header("x-retries"),
        Some("2"),
        "rows are always the current ones"
    );
    gateway.logged("logged with old");
}

#[test]
fn b04_a_configuration_is_sent_in_any_of_kongs_ways() {
    let (gateway, admin) = start(&service(1));
    let yaml = |tag: &str| {
        format!("_format_version: '3.0'\nservices:\n- {{ name: {tag}, url: 'http://127.0.0.1:1' }}\n")
    };
    let encode = |text: &str| {
        percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
    };
    let part = |text: &str| {
        format!("--b\r\nContent-Disposition: form-data; name=\"config\"\r\n\r\n{text}\r\n--b--\r\n")
    };
    let json_text = r#"{ "_format_version": "3.0", "services": [{ "name": "g", "host": "h" }] }"#;
    for (kind, body, name) in [
        (
            "application/json",
            r#"{"_format_version":"3.0","services":[{"name":"a","host":"h"}]}"#.to_owned(),
            "a",
        ),
        (
            "application/json",
            json!({ "config": yaml("b") }).to_string(),
            "b",
        ),
        ("text/yaml", yaml("c"), "c"),
        ("application/yaml", yaml("d"), "d"),
        (
            "application/x-www-form-urlencoded",
            format!("config={}", encode(&yaml("e"))),
            "e",
        ),
        ("multipart/form-data; boundary=b", part(&yaml("f")), "f"),
        (
            "application/json",
            json!({ "config": json_text }).to_string(),
            "g",
        ),
    ] {
        let answer = admin.post("", kind, &body).is(201);
        assert_eq!(
            answer.header("content-type"),
            Some("application/json; charset=utf-8")
        );
        let entities = answer.json();
        let services = entities["services"].as_object().unwrap();
        assert_eq!(services.len(), 1, "{kind}");
        let (id, entity) = services.iter().next().unwrap();
        assert_eq!(
            (&entity["id"], &entity["name"]),
            (&json!(id), &json!(name)),
            "{kind}"
        );
    }
    for (kind, body) in [
        ("application/x-www-form-urlencoded", "a=b"),
        ("multipart/form-data; boundary=b", ""),
        ("text/yaml", " \n"),
    ] {
        let answer = admin.post("", kind, body).is(400).json();
        assert_eq!(
            answer,
            json!({ "message": "expected a declarative configuration" }),
            "{kind}"
        );
    }
    admin.post("", "image/png", "x").is(415);
    for body in ["{", ""] {
        let broken = admin.post("", "application/json", body).is(400).json();
        assert_eq!(broken, json!({ "message": "Cannot parse JSON body" }));
    }
    let nothing = admin.ask("POST", "/config", &[], b"").is(400).json();
    assert_eq!(
        nothing,
        json!({ "message": "expected a declarative configuration" })
    );
    gateway.get("/", &[]).is(404);
}

#[test]
fn b04_the_same_configuration_is_not_loaded_twice() {
    let (gateway, admin) = start(&config(1, "one", 1));
    let text = config(1, "two", 2).to_string();
    let before = tell(&gateway)["configured"].clone();
    assert_eq!(before, json!(["one"]));
    admin.post("?check_hash=1", "application/json", &text).is(201);
    let again = admin.post("?check_hash=1", "application/json", &text).is(304);
    assert!(again.body.is_empty());
    assert_eq!(tell(&gateway)["configured"], json!(["one", "two"]));
    admin.post("", "application/json", &text).is(201);
    assert_eq!(
        tell(&gateway)["configured"],
        json!(["one", "two", "two"]),
        "without the check it is"
    );
    let wrapped = json!({ "config": text, "check_hash": 1 }).to_string();
    admin.post("", "application/json", &wrapped).is(304);
}

#[test]
fn b04_a_refused_configuration_changes_nothing_and_says_why() {
    let origin = Origin::echo();
    let (gateway, admin) = start(&config(origin.port, "one", 1));
    let answer = admin.refuse(
        "",
        &json!({ "_format_version": "1.1", "services": [{ "port": -12 }] }),
    );
    assert_eq!(
        answer,
        json!({
            "code": 14,
            "name": "invalid declarative configuration",
            "fields": { "services": [{
                "host": "required field missing", "port": "value should be between 0 and 65535",
            }] },
            "message": "declarative config is invalid: {services={{host=\"required field missing\",\
                port=\"value should be between 0 and 65535\"}}}",
        })
    );
    let text = admin
        .post("", "application/json", r#"{"config":"bobby tables"}"#)
        .is(400)
        .json();
    let error = "failed parsing declarative configuration: expected an object";
    assert_eq!(text["fields"], json!({ "error": error }));
    assert_eq!(
        text["message"],
        format!("declarative config is invalid: {{error=\"{error}\"}}")
    );
    let id = "0855b320-0dd2-547d-891d-601e9b38647f";
    let twice = json!({ "_format_version": "3.0", "services": [
        { "id": id, "name": "foo", "host": "h" }, { "id": id, "name": "bar", "host": "h" },
    ] });
    let violation =
        format!("uniqueness violation: 'services' entity with primary key set to '{id}' already declared");
    assert_eq!(
        admin.refuse("", &twice)["fields"],
        json!({ "services": [null, violation] })
    );
    let conflict = json!({ "_format_version": "3.0", "consumers": [
        { "username": "foo", "custom_id": "conflict" }, { "username": "bar", "custom_id": "conflict" },
    ] });
    assert_eq!(
        admin.refuse("", &conflict)["fields"]["consumers"]["bar"],
        "uniqueness violation: 'consumers' entity with custom_id set to 'conflict' already declared"
    );
    assert_eq!(gateway.get("/", &[]).is(200).header("x-tag"), Some("one"));
    assert_eq!(
        tell(&gateway)["configured"],
        json!(["one"]),
        "configure is not called"
    );
}

#[test]
fn b04_errors_are_flattened_by_entity_on_demand() {
    let (_gateway, admin) = start(&service(1));
    let config = json!({ "_format_version": "3.0", "_transform": true, "services": [{
        "name": "bad", "host": "h", "port": 99999, "tags": ["t1", "t2"],
        "id": "0855b320-0dd2-547d-891d-601e9b38647f",
        "routes": [{ "name": "fine", "paths": ["/x"] }, { "name": "worse", "paths": ["no-slash"] }],
        "plugins": [{ "name": "seen", "config": { "tag": 1, "nope": true } }],
    }], "consumers": [{ "username": "ok" }] });
    let plain = admin.refuse("", &config);
    assert!(plain.get("flattened_errors").is_none());
    let answer = admin.refuse("?flatten_errors=1", &config);
    assert_eq!(
        (&answer["code"], &answer["name"]),
        (&json!(14), &json!("invalid declarative configuration"))
    );
    let flattened = answer["flattened_errors"].as_array().unwrap();
    let of = |kind: &str| {
        let found: Vec<&Value> = flattened.iter().filter(|e| e["entity_type"] == kind).collect();
        assert_eq!(found.len(), 1, "{answer:#}");
        found[0].clone()
    };
    assert_eq!(flattened.len(), 3, "{answer:#}");
    let service = of("service");
    assert_eq!(service["entity_name"], "bad");
    assert_eq!(service["entity_id"], "0855b320-0dd2-547d-891d-601e9b38647f");
    assert_eq!(service["entity_tags"], json!(["t1", "t2"]));
    assert_eq!(service["entity"]["port"], 99999);
    assert!(
        service["entity"].get("routes").is_none(),
        "children are not repeated"
    );
    assert_eq!(
        service["errors"],
        json!([{ "type": "field", "field": "port", "message": "value should be between 0 and 65535" }])
    );
    let route = of("route");
    assert_eq!(route["entity_name"], "worse");
    assert_eq!(
        route["errors"],
        json!([{ "type": "field", "field": "paths.1",
            "message": "should start with: / (fixed path) or ~/ (regex path)" }])
    );
    let mut plugin: Vec<Value> = of("plugin")["errors"].as_array().unwrap().clone();
    plugin.sort_by_key(|e| e["field"].to_string());
    assert_eq!(
        plugin,
        [
            json!({ "type": "field", "field": "config.nope", "message": "unknown field" }),
            json!({ "type": "field", "field": "config.tag", "message": "expected a string" }),
        ]
    );
    assert!(
        answer["fields"].as_object().unwrap().is_empty(),
        "what was flattened is not said twice: {answer:#}"
    );
}

#[test]
fn b04_while_one_is_being_loaded_others_are_told_to_come_again() {
    let (gateway, admin) = start(&config(1, "one", 1));
    let mut big = config(1, "big", 7);
    let consumers = (0..4000).map(|i| json!({ "username": format!("c{i}") }));
    big["consumers"] = consumers.collect();
    let text = big.to_string();
    let statuses: Vec<u16> = std::thread::scope(|s| {
        let posts: Vec<_> = (0..4)
            .map(|_| {
                s.spawn(|| {
                    let r = admin.post("", "application/json", &text);
                    if r.status == 429 {
                        assert_eq!(r.header("retry-after"), Some("1"));
                        assert_eq!(
                            r.json(),
                            json!({ "message": "Currently loading previous configuration" })
                        );
                    }
                    r.status
                })
            })
            .collect();
        posts.into_iter().map(|p| p.join().unwrap()).collect()
    });
    let count = |status| statuses.iter().filter(|s| **s == status).count();
    assert_eq!(count(201) + count(429), 4, "{statuses:?}");
    assert!(count(201) >= 1 && count(429) >= 1, "{statuses:?}");
    assert_eq!(tell(&gateway)["retries"], 7);
    admin.accept(&config(1, "after", 8));
    assert_eq!(tell(&gateway)["retries"], 8);
}

#[test]
fn b04_what_is_exported_makes_the_same_entities() {
    let (_gateway, admin) = start(&service(1));
    let mut all = config(1, "one", 1);
    all["services"][0]["plugins"] = json!([{ "name": "seen", "config": {
        "tag": "with: 'quotes' \"and\" # marks\nand a second line", "n": 0.5, "list": ["yes", "1", "null", " "],
        "map": { "on": "off", "a b": "~" },
    } }]);
    all["consumers"] =
        json!([{ "username": "bob", "custom_id": "007", "tags": ["x", "y"] }, { "username": "1e3" }]);
    all["upstreams"] = json!([{ "name": "pool", "targets": [{ "target": "127.0.0.1:81", "weight": 5 }] }]);
    let first = admin.accept(&all);
    assert!(
        first.get("workspaces").is_none(),
        "the workspace is nobody's business"
    );
    assert!(
        first["services"]
            .as_object()
            .unwrap()
            .values()
            .all(|s| s.get("ws_id").is_none())
    );
    assert_eq!(
        first["routes"].as_object().unwrap().values().next().unwrap()["service"]["id"],
        *first["services"].as_object().unwrap().keys().next().unwrap()
    );
    let yaml = admin.export();
    assert!(
        yaml.contains("_format_version: \"3.0\"") && yaml.contains("_transform: false"),
        "{yaml}"
    );
    assert!(!yaml.contains("ws_id") && !yaml.contains("workspaces"), "{yaml}");
    let second = admin.post("", "text/yaml", &yaml).is(201).json();
    for (kind, entities) in first.as_object().unwrap() {
        for (id, entity) in entities.as_object().unwrap() {
            let mut same = second[kind][id].clone();
            same["updated_at"] = entity["updated_at"].clone();
            if entity.get("updated_at").is_none() {
                same.as_object_mut().unwrap().remove("updated_at");
            }
            assert_eq!(*entity, same, "{kind}");
        }
        assert_eq!(
            entities.as_object().unwrap().len(),
            second[kind].as_object().unwrap().len()
        );
    }
    let timeless = |yaml: &str| {
        let lines = yaml.lines().filter(|line| !line.contains("updated_at:"));
        lines.map(|line| format!("{line}\n")).collect::<String>()
    };
    assert_eq!(timeless(&admin.export()), timeless(&yaml));
}

#[test]
fn b04_what_the_api_has_not_it_says() {
    let (setup, admin) = Setup::new(&service(1))
        .set("nginx_admin_client_max_body_size", "1k")
        .admin();
    let _gateway = setup.start();
    let message = |r: crate::support::Response| r.json()["message"].as_str().unwrap().to_owned();
    assert_eq!(
        message(admin.ask("GET", "/nothing", &[], b"").is(404)),
        "Not found"
    );
    for method in ["PUT", "DELETE", "PATCH"] {
        let r = admin.ask(method, "/config", &[("Content-Type", "application/json")], b"{}");
        assert_eq!(message(r.is(405)), "Method not allowed");
    }
    let head = admin.ask("HEAD", "/config", &[], b"").is(200);
    assert!(head.body.is_empty());
    let options = admin.ask("OPTIONS", "/config", &[], b"").is(204);
    assert_eq!(options.header("allow"), Some("GET, HEAD, OPTIONS, POST"));
    admin.post("", "text/yaml", &"#".repeat(2000)).is(413);
    let r = admin
        .ask("GET", "/config/", &[("Origin", "http://gui.test")], b"")
        .is(200);
    assert_eq!(r.header("access-control-allow-origin"), Some("http://gui.test"));
    assert!(r.header("server").unwrap().starts_with("moongate/"));
    assert!(r.header("x-kong-admin-latency").is_some());
}

#[test]
fn b04_swaps_under_load_lose_no_request() {
    let origin = Origin::answering("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    let slow = "local P = { PRIORITY = 5, VERSION = '1.0.0' }
        function P:access(conf) ngx.sleep(0.002) assert(kong.db.services:select_by_name('s')) assert(conf.tag) end
        return P";
    let config = |i: usize| {
        with(
            config(origin.port, &i.to_string(), 1),
            "slow",
            json!({ "tag": "t" }),
        )
    };
    let (setup, admin) = Setup::new(&config(0))
        .plugin("seen", SEEN)
        .plugin("tell", TELL)
        .plugin("slow", slow)
        .set("nginx_worker_processes", "2")
        .admin();
    let gateway = setup.start();
    let stop = Arc::new(AtomicBool::new(false));
    let loads: Vec<_> = [false, false, true]
        .map(|fresh| {
            let (stop, port) = (stop.clone(), gateway.port);
            std::thread::spawn(move || load(port, &stop, fresh))
        })
        .into_iter()
        .collect();
    for i in 1..=20 {
        admin.accept(&config(i));
        let tag = gateway.get("/", &[]).is(200).header("x-tag").unwrap().to_owned();
        assert_eq!(tag, i.to_string(), "all workers run it when the answer comes");
    }
    stop.store(true, Ordering::Relaxed);
    for load in loads {
        let (n, failed) = load.join().unwrap();
        assert!(n > 40, "too little load: {n}");
        assert!(failed.is_empty(), "{} of {n}: {}", failed.len(), failed[0]);
    }
    assert!(!gateway.errors().contains("[error]"), "{}", gateway.errors());
}

#[test]
fn b04_a_reload_keeps_what_was_posted_unless_a_file_is_declared() {
    let (setup, admin) = Setup::bare().plugin("seen", SEEN).plugin("tell", TELL).admin();
    let gateway = setup.start();
    gateway.get("/", &[]).is(404);
    admin.accept(&config(1, "posted", 1));
    assert_eq!(tell(&gateway)["cached"], "posted");
    gateway.signal("HUP");
    gateway.logged("reloaded");
    let fresh = eventually(Duration::from_secs(10), || {
        tell(&gateway)["requests"].as_u64() < Some(3)
    });
    assert!(fresh, "fresh Lua states");
    assert_eq!(tell(&gateway)["configured"], json!(["posted"]));

    let (gateway, admin) = start(&config(1, "file", 1));
    admin.accept(&config(1, "posted", 1));
    assert_eq!(tell(&gateway)["cached"], "posted");
    gateway.signal("HUP");
    let back = eventually(Duration::from_secs(10), || tell(&gateway)["cached"] == "file");
    assert!(back, "the file is the law");
}

#[test]
fn b04_a_plugin_that_is_new_to_the_lua_states_gets_fresh_ones() {
    let origin = Origin::echo();
    let (setup, admin) = Setup::new(&config(origin.port, "one", 1))
        .plugin("seen", SEEN)
        .plugin("tell", TELL)
        .plugin(
            "late",
            "local P = { PRIORITY = 1, VERSION = '1.0.0' }
            local started = 'no'
            function P:init_worker() started = 'yes' end
            function P:header_filter(conf) kong.response.set_header('X-Late', started .. conf.tag) end
            return P",
        )
        .set("plugins", "bundled")
        .admin();
    let gateway = setup.start();
    tell(&gateway);
    let first = admin.accept(&with(
        config(origin.port, "two", 2),
        "late",
        json!({ "tag": "!" }),
    ));
    assert_eq!(first["plugins"].as_object().unwrap().len(), 3);
    assert_eq!(gateway.get("/", &[]).is(200).header("x-late"), Some("yes!"));
    assert_eq!(
        tell(&gateway)["configured"],
        json!(["two"]),
        "a module of a fresh state"
    );
    admin.accept(&with(
        config(origin.port, "three", 3),
        "late",
        json!({ "tag": "?" }),
    ));
    assert_eq!(gateway.get("/", &[]).is(200).header("x-late"), Some("yes?"));
    assert_eq!(tell(&gateway)["configured"], json!(["two", "three"]));
    let error = admin.refuse("", &with(config(1, "four", 4), "absent", json!({})));
    assert_eq!(
        error["fields"]["plugins"][2]["name"],
        "plugin 'absent' not enabled; add it to the 'plugins' configuration property"
    );
}

#[test]
fn b04_a_plugin_whose_code_is_broken_refuses_the_configuration() {
    let (setup, admin) = Setup::new(&config(1, "one", 1))
        .plugin("seen", SEEN)
        .plugin("tell", TELL)
        .plugin("broken", "error('at load')")
        .set("plugins", "bundled")
        .admin();
    let gateway = setup.start();
    tell(&gateway);
    let error = admin.refuse("", &with(config(1, "two", 2), "broken", json!({})));
    assert_eq!(
        (&error["code"], &error["name"]),
        (&json!(14), &json!("invalid declarative configuration"))
    );
    let message = error["fields"]["error"].as_str().unwrap();
    assert!(
        message.contains("'broken'") && message.contains("at load"),
        "{error}"
    );
    let told = tell(&gateway);
    assert_eq!(
        (&told["cached"], &told["configured"]),
        (&json!("one"), &json!(["one"]))
    );
}

#[test]
fn b04_a_replaced_configuration_is_let_go_of() {
    let origin = Origin::echo();
    let (gateway, admin) = start(&config(origin.port, "one", 1));
    gateway.get("/", &[]).is(200);
    for tag in ["two", "three"] {
        admin.accept(&config(origin.port, tag, 2));
        assert_eq!(gateway.get("/", &[]).is(200).header("x-tag"), Some(tag));
    }
    let one_is_kept = || {
        gateway.signal("USR2");
        std::thread::sleep(Duration::from_millis(100));
        let errors = gateway.errors();
        errors
            .rsplit("gauges: ")
            .next()
            .is_some_and(|line| line.contains(" generations=1 "))
    };
    assert!(
        eventually(Duration::from_secs(5), one_is_kept),
        "{}",
        gateway.errors()
    );
}
