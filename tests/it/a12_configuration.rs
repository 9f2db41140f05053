//! Declarative configuration and settings: what is accepted, and how what is not is refused.

use serde_json::json;

use crate::support::{Origin, Setup, service, with};

/// The start must fail with 1, and name all of these.
fn refused(setup: Setup, names: &[&str]) {
    let (status, said) = setup.refused();
    assert_eq!(status.code(), Some(1), "{said}");
    for name in names {
        assert!(said.contains(name), "no {name:?} in:\n{said}");
    }
    assert!(!said.contains("panicked"), "{said}");
}

#[test]
fn a12_yaml_flat_and_nested_say_the_same() {
    let origin = Origin::echo();
    let nested = format!(
        "_format_version: '3.0'\nservices:\n- name: s\n  url: http://127.0.0.1:{}/base\n  routes:\n  - name: r\n    \
         paths: [ /r ]\n    plugins:\n    - name: mark\n      config: {{ tag: nested }}\n",
        origin.port
    );
    let flat = format!(
        "_format_version: '3.0'\nservices:\n- name: s\n  host: 127.0.0.1\n  port: {}\n  path: /base\n\
         routes:\n- name: r\n  service: s\n  paths: [ /r ]\nplugins:\n- name: mark\n  route: r\n  \
         config: {{ tag: nested }}\n",
        origin.port
    );
    let code = "local P = { PRIORITY = 1, VERSION = '1.0.0' }
        function P:access(conf) kong.response.set_header('X-Tag', conf.tag .. ' ' .. conf.route_id) end
        return P";
    let answers = [nested, flat].map(|text| {
        let gateway = Setup::text("kong.yml", &text).plugin("mark", code).start();
        let r = gateway.get("/r/x?q=1", &[]).is(200);
        (r.json()["path"].clone(), r.header("x-tag").unwrap().to_owned())
    });
    assert_eq!(answers[0].0, "/base/x");
    assert!(answers[0].1.starts_with("nested "));
    assert_eq!(answers[0], answers[1], "ids follow from names");
}

#[test]
fn a12_routes_by_path_host_method_and_header() {
    let origin = Origin::echo();
    let mut config = service(origin.port);
    config["services"][0]["routes"] = json!([
        { "name": "prefix", "paths": ["/api"], "strip_path": false },
        { "name": "regex", "paths": ["~/api/(?<id>\\d+)$"], "strip_path": false },
        { "name": "host", "hosts": ["a.test", "*.b.test"], "paths": ["/h"] },
        { "name": "method", "paths": ["/m"], "methods": ["PUT"] },
        { "name": "header", "paths": ["/x"], "headers": { "x-v": ["2", "3"] } },
        { "name": "kept", "paths": ["/kept"], "preserve_host": true },
    ]);
    let code = "local P = { PRIORITY = 1, VERSION = '1.0.0' }
        function P:access()
          kong.response.set_header('X-Route', kong.router.get_route().name)
          kong.response.set_header('X-Id', kong.request.get_uri_captures().named.id or '-')
        end
        return P";
    let config = with(config, "which", json!({}));
    let gateway = Setup::new(&config).plugin("which", code).start();
    let which = |path: &str, headers: &[(&str, &str)]| {
        gateway
            .get(path, headers)
            .header("x-route")
            .unwrap_or("none")
            .to_owned()
    };
    assert_eq!(which("/api/x", &[]), "prefix");
    let r = gateway.get("/api/12", &[]).is(200);
    assert_eq!(
        (r.header("x-route"), r.header("x-id")),
        (Some("regex"), Some("12"))
    );
    assert_eq!(which("/h", &[("Host", "a.test")]), "host");
    assert_eq!(which("/h", &[("Host", "x.b.test:8000")]), "host");
    assert_eq!(which("/h", &[("Host", "c.test")]), "none");
    assert_eq!(which("/m", &[]), "none");
    assert_eq!(
        gateway.connect().ask("PUT", "/m", &[], b"").header("x-route"),
        Some("method")
    );
    assert_eq!(which("/x", &[("X-V", "3")]), "header");
    assert_eq!(which("/x", &[("X-V", "4")]), "none");
    gateway.get("/kept", &[("Host", "mine.test")]).is(200);
    assert_eq!(origin.last().header("host"), Some("mine.test"));
}

#[test]
fn a12_targets_are_weighted() {
    let (light, heavy) = (Origin::echo(), Origin::echo());
    let mut config = service(1);
    config["services"][0]["host"] = json!("pool");
    config["upstreams"] = json!([{ "name": "pool", "targets": [
        { "target": format!("127.0.0.1:{}", light.port), "weight": 10 },
        { "target": format!("127.0.0.1:{}", heavy.port), "weight": 30 },
    ] }]);
    let gateway = Setup::new(&config).start();
    let mut client = gateway.connect();
    for _ in 0..80 {
        client.get("/").is(200);
    }
    let counts = (light.seen().len(), heavy.seen().len());
    assert!((18..=22).contains(&counts.0), "{counts:?}");
}

#[test]
fn a12_junk_configurations_name_the_place() {
    for (file, text, names) in [
        ("kong.json", "{ not json", &["kong.json"][..]),
        ("kong.yml", "services: [", &["kong.yml"]),
        ("kong.json", "[]", &["kong.json"]),
        ("kong.json", "{}", &["_format_version"]),
        ("kong.json", r#"{"_format_version":"9.9"}"#, &["_format_version"]),
        (
            "kong.json",
            r#"{"_format_version":"3.0","servces":[]}"#,
            &["servces", "unknown"],
        ),
        (
            "kong.json",
            r#"{"_format_version":"3.0","services":[{"name":"s"}]}"#,
            &["services", "host", "required field missing"],
        ),
        (
            "kong.json",
            r#"{"_format_version":"3.0","services":[{"name":"s","host":"h","port":"x"}]}"#,
            &["services", "port", "integer"],
        ),
        (
            "kong.json",
            r#"{"_format_version":"3.0","routes":[{"name":"r","paths":["x"]}]}"#,
            &["routes", "paths"],
        ),
        (
            "kong.json",
            r#"{"_format_version":"3.0","routes":[{"name":"r","paths":["~/("]}]}"#,
            &["routes", "paths"],
        ),
        (
            "kong.json",
            r#"{"_format_version":"3.0","routes":[{"name":"r","paths":["/"],"service":"none"}]}"#,
            &["none"],
        ),
        ("kong.json", "\0\u{1}\u{2}", &["kong.json"]),
    ] {
        refused(Setup::text(file, text), names);
    }
}

#[test]
fn a12_a_missing_plugin_is_named() {
    let config = with(service(1), "absent", json!({}));
    refused(Setup::new(&config).enable("absent"), &["absent", "not installed"]);
    refused(Setup::new(&config), &["absent"]);
}

#[test]
fn a12_broken_plugins_are_named_with_file_and_line() {
    let config = with(service(1), "broken", json!({}));
    for (code, names) in [
        (
            "local P = {\n\nfunction P:access( end",
            &["broken", "handler.lua:"][..],
        ),
        ("error('at load')", &["broken", "at load"]),
        (
            "local x = nil\n\nreturn x.y",
            &["broken", "handler.lua:3", "attempt to index"],
        ),
        ("return 1", &["broken"]),
        (
            "return { VERSION = '1.0.0', PRIORITY = 'high' }",
            &["broken", "PRIORITY"],
        ),
        (
            "return require 'not.there.at.all'",
            &["broken", "not.there.at.all"],
        ),
        (
            "return { VERSION = '1.0.0', PRIORITY = 1, response = function() end, body_filter = function() end }",
            &["broken", "response"],
        ),
    ] {
        refused(Setup::new(&config).plugin("broken", code), names);
    }
    let setup = Setup::new(&config)
        .lua("broken/handler.lua", "return { VERSION = '1.0.0', PRIORITY = 1 }")
        .lua("broken/schema.lua", "return { name = 'broken', fields = {\n")
        .enable("broken");
    refused(setup, &["broken", "schema.lua:"]);
}

#[test]
fn a12_what_is_not_there_yet_is_refused_by_name() {
    for (key, value) in [
        ("database", "postgres"),
        ("stream_listen", "127.0.0.1:9999"),
        ("role", "control_plane"),
        ("pluginserver_names", "go"),
        ("wasm", "on"),
    ] {
        refused(Setup::new(&service(1)).set(key, value), &[key]);
    }
}

#[test]
fn a12_unknown_nginx_settings_are_warned_about() {
    let origin = Origin::echo();
    let gateway = Setup::new(&service(origin.port))
        .set("nginx_http_gzip", "on")
        .start();
    gateway.get("/", &[]).is(200);
    gateway.logged("nginx_http_gzip");
}

#[test]
fn a12_shared_dictionaries_are_shared_by_workers() {
    let gateway = Setup::probe(1)
        .set("nginx_http_lua_shared_dict", "mine 1m")
        .set("nginx_worker_processes", "2")
        .start();
    for i in 1..=20 {
        let r = gateway.access("kong.response.exit(200, ngx.shared.mine:incr('n', 1, 0) .. '')");
        assert_eq!(r.is(200).text(), i.to_string());
    }
}

#[test]
fn a12_settings_by_their_precedence() {
    let mut config = with(service(1), "probe", json!({}));
    config["_gateway"] = json!({ "log_level": "warn", "real_ip_header": "X-Forwarded-For" });
    let gateway = Setup::new(&config)
        .plugin("probe", crate::support::gateway::PROBE)
        .set("log_level", "info")
        .start();
    let r = gateway.access(
        "kong.response.exit(200, { kong.configuration.log_level, kong.configuration.real_ip_header })",
    );
    assert_eq!(
        r.is(200).json(),
        json!(["info", "X-Forwarded-For"]),
        "the environment wins"
    );
}

#[test]
fn a12_no_configuration_at_all_answers_404() {
    let gateway = Setup::new(&json!({ "_format_version": "3.0" })).start();
    let r = gateway.get("/", &[]).is(404);
    assert_eq!(r.json()["message"], "no Route matched with those values");
}
