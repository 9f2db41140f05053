#![allow(clippy::unwrap_used)]

use std::io::Write;

use serde_json::json;

use super::*;

fn env(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs
        .iter()
        .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
        .collect()
}

fn load_env(pairs: &[(&str, &str)]) -> Result<Loaded, Error> {
    Settings::load(&Sources {
        env: env(pairs),
        ..Sources::default()
    })
}

/// A file of its own for one test, gone with the value.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str, text: &str) -> Self {
        let dir = std::env::temp_dir().join(format!("moongate-settings-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let path = dir.join(name);
        std::fs::File::create(&path)
            .unwrap()
            .write_all(text.as_bytes())
            .unwrap();
        Self(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Some(dir) = self.0.parent() {
            let _ = std::fs::remove_dir_all(dir);
        }
    }
}

#[test]
fn a12_defaults_are_kongs() {
    let loaded = load_env(&[]).unwrap();
    let s = &loaded.settings;
    assert_eq!(loaded.warnings, Vec::<String>::new());
    assert_eq!(s.prefix, PathBuf::from("/usr/local/kong"));
    assert_eq!(s.log_level, LogLevel::Notice);
    assert_eq!(
        s.proxy_access_log.target,
        LogTarget::File("/usr/local/kong/logs/access.log".into())
    );
    assert_eq!(s.proxy_listen.len(), 2);
    assert!(s.proxy_listen[1].ssl && s.proxy_listen[1].http2);
    assert_eq!(s.admin_listen[0].addr, "127.0.0.1:8001".parse().unwrap());
    assert!(s.headers.via && s.headers.request_id && !s.headers.upstream_status);
    assert!(s.headers_upstream.request_id);
    assert_eq!(s.upstream_keepalive_pool_size, 512);
    assert_eq!(s.upstream_keepalive_idle_timeout, Duration::from_secs(60));
    assert!(s.nginx_daemon && s.plugins.bundled && s.nginx_worker_processes >= 1);
    assert_eq!((s.client_max_body_size, s.client_body_buffer_size), (0, 8192));
    assert_eq!(s.keepalive_requests, 10_000);
    assert_eq!(s.keepalive_timeout, Duration::from_secs(75));
    assert_eq!(
        s.large_client_header_buffers,
        HeaderBuffers { count: 4, size: 8192 }
    );
    assert_eq!(s.moongate_lua_memory_limit, 512 << 20);
    assert_eq!(s.moongate_handler_timeout, Duration::from_secs(10));
    assert!(s.moongate_echo_listen.is_empty() && s.moongate_lua_dir.is_absolute());
    assert_eq!(s.get("database"), Some("off"));
    assert_eq!(s.get("ssl_cert"), None);
    assert_eq!(s.router_flavor, RouterFlavor::TraditionalCompatible);
    assert_eq!(s.untrusted_lua, UntrustedLua::Sandbox);
    let sizes: Vec<_> = s
        .lua_shared_dicts
        .iter()
        .map(|d| (d.name.as_str(), d.size >> 20))
        .collect();
    assert!(sizes.contains(&("kong_db_cache", 128)) && sizes.contains(&("prometheus_metrics", 5)));
}

#[test]
fn a12_kong_conf_comments_and_escapes() {
    let conf = Scratch::new(
        "comments.conf",
        "# a comment\n\n  log_level = debug   # inline\n\
         error_template_html = /tmp/a\\#b.html\nheaders =\nproxy_listen = 127.0.0.1:1000, \\\n  127.0.0.1:1001\n\
         unknown_key = kept = so\nnonsense\n",
    );
    let loaded = Settings::load(&Sources {
        conf_file: Some(conf.0.clone()),
        ..Sources::default()
    })
    .unwrap();
    let s = &loaded.settings;
    assert_eq!(s.log_level, LogLevel::Debug);
    assert_eq!(s.error_templates.html, Some("/tmp/a#b.html".into()));
    assert_eq!(s.get("headers"), None, "an empty value unsets");
    assert_eq!(s.headers, HeaderFlags::default());
    assert_eq!(s.proxy_listen.len(), 2);
    assert_eq!(s.get("unknown_key"), Some("kept = so"));
    assert_eq!(loaded.conf_file.as_deref(), Some(conf.0.as_path()));
    assert_eq!(loaded.warnings.len(), 1);
    assert!(loaded.warnings[0].ends_with("comments.conf:9: not of the form key = value: nonsense"));
}

#[test]
fn a12_precedence_prefix_env_conf_gateway_default() {
    let conf = Scratch::new(
        "precedence.conf",
        "prefix = /conf\nlog_level = info\nheaders = via\nlua_max_uri_args = 7\n",
    );
    let mut sources = Sources {
        usual_files: vec![conf.0.clone()],
        gateway_json: Some(
            json!({"headers": ["server", "via"], "log_level": "crit", "lua_max_post_args": 9}),
        ),
        env: env(&[
            ("KONG_LOG_LEVEL", "error"),
            ("KONG_PREFIX", "/env"),
            ("LOG_LEVEL", "debug"),
        ]),
        prefix: Some("/arg/./x/../y/".into()),
        ..Sources::default()
    };
    let s = Settings::load(&sources).unwrap().settings;
    assert_eq!(s.prefix, PathBuf::from("/arg/y"));
    assert_eq!(s.log_level, LogLevel::Error);
    assert!(s.headers.server, "_gateway is above a file at its usual place");
    assert_eq!(
        (s.lua_max_uri_args, s.lua_max_post_args, s.lua_max_req_headers),
        (7, 9, 100)
    );

    sources.conf_file = Some(conf.0.clone());
    let s = Settings::load(&sources).unwrap().settings;
    assert!(
        !s.headers.server && s.headers.via,
        "a file that is named is above _gateway"
    );
    sources.prefix = None;
    assert_eq!(
        Settings::load(&sources).unwrap().settings.prefix,
        PathBuf::from("/env")
    );
}

#[test]
fn a12_missing_conf_is_an_error() {
    let error = Settings::load(&Sources {
        conf_file: Some("/nowhere/kong.conf".into()),
        ..Sources::default()
    });
    assert_eq!(error.unwrap_err().to_string(), "no file at: /nowhere/kong.conf");
}

#[test]
fn a12_gateway_key_found_in_the_declared_file() {
    for (name, text) in [
        (
            "gateway.json",
            r#"{"_format_version":"3.0","_gateway":{"log_level":"warn","nginx_daemon":false}}"#,
        ),
        (
            "gateway.yml",
            "_format_version: '3.0'\n_gateway:\n  log_level: warn\n  nginx_daemon: false\n",
        ),
    ] {
        let file = Scratch::new(name, text);
        let s = Settings::load(&Sources {
            config_json: Some(file.0.clone()),
            ..Sources::default()
        })
        .unwrap()
        .settings;
        assert_eq!((s.log_level, s.nginx_daemon), (LogLevel::Warn, false), "{name}");
        assert_eq!(s.declarative_config, Some(file.0.clone()));
        let s = load_env(&[("KONG_DECLARATIVE_CONFIG", file.0.to_str().unwrap())])
            .unwrap()
            .settings;
        assert_eq!(s.log_level, LogLevel::Warn, "{name}");
    }
    let s = load_env(&[(
        "KONG_DECLARATIVE_CONFIG_STRING",
        r#"{"_gateway":{"headers":"off"}}"#,
    )])
    .unwrap()
    .settings;
    assert_eq!(s.headers, HeaderFlags::default());
}

#[test]
fn a12_gateway_key_of_the_wrong_shape() {
    let wrong = Sources {
        gateway_json: Some(json!({"headers": {"a": 1}, "log_level": [["x"]]})),
        ..Sources::default()
    };
    let all = Settings::load(&wrong).unwrap_err().all();
    assert_eq!(all.len(), 2);
    assert!(all[0].starts_with("_gateway.headers: expected a string"));
    let wrong = Sources {
        gateway_json: Some(json!([1])),
        ..Sources::default()
    };
    assert_eq!(
        Settings::load(&wrong).unwrap_err().to_string(),
        "_gateway: expected an object"
    );
}

#[test]
fn a12_what_is_not_there_is_refused_by_name() {
    for (key, value) in [
        ("DATABASE", "postgres"),
        ("DATABASE", "cassandra"),
        ("STREAM_LISTEN", "127.0.0.1:5555"),
        ("ROLE", "data_plane"),
        ("ROLE", "control_plane"),
        ("WASM", "on"),
        ("PLUGINSERVER_NAMES", "go"),
        ("ROUTER_FLAVOR", "expressions"),
    ] {
        let error = load_env(&[(&format!("KONG_{key}"), value)])
            .unwrap_err()
            .to_string();
        let expected = format!("{} = {value} is not supported: ", key.to_ascii_lowercase());
        assert!(error.starts_with(&expected), "{error}");
    }
    load_env(&[
        ("KONG_DATABASE", "off"),
        ("KONG_STREAM_LISTEN", "off"),
        ("KONG_WASM", "false"),
    ])
    .unwrap();
}

#[test]
fn a12_wrong_values_are_named_all_of_them() {
    let error = load_env(&[
        ("KONG_LOG_LEVEL", "loud"),
        ("KONG_LUA_MAX_URI_ARGS", "1001"),
        ("KONG_LUA_MAX_POST_ARGS", "many"),
        ("KONG_PORT_MAPS", "80:8000, 80"),
        ("KONG_NODE_ID", "me"),
        ("KONG_NGINX_WORKER_PROCESSES", "0"),
        ("KONG_UPSTREAM_KEEPALIVE_POOL_SIZE", "-1"),
        ("KONG_NGINX_HTTP_CLIENT_MAX_BODY_SIZE", "big"),
        ("KONG_MEM_CACHE_SIZE", "9zz"),
    ])
    .unwrap_err();
    assert_eq!(
        error.to_string(),
        "log_level has an invalid value: 'loud' (debug, info, notice, warn, error, crit, alert, emerg)"
    );
    let all = error.all();
    for expected in [
        "lua_max_post_args is not a number: 'many'",
        "lua_max_uri_args must be an integer between 1 and 1000",
        "invalid port mapping (`port_maps`): 80",
        "node_id must be a valid UUID",
        "nginx_worker_processes has an invalid value: '0'",
        "upstream_keepalive_pool_size must be 0 or greater",
        "nginx_http_client_max_body_size has an invalid value: 'big'",
        "mem_cache_size has an invalid value: '9zz'",
    ] {
        assert!(all.iter().any(|e| e == expected), "{expected} in {all:#?}");
    }
    assert_eq!(all.len(), 9, "{all:#?}");
}

#[test]
fn a12_aliases_go_both_ways() {
    let s = load_env(&[
        ("KONG_NGINX_DAEMON", "off"),
        ("KONG_NGINX_MAIN_WORKER_PROCESSES", "3"),
    ])
    .unwrap()
    .settings;
    assert!(!s.nginx_daemon);
    assert_eq!(s.get("nginx_main_daemon"), Some("off"));
    assert_eq!(s.nginx_worker_processes, 3);
    let s = load_env(&[
        ("KONG_NGINX_MAIN_DAEMON", "off"),
        ("KONG_CLIENT_MAX_BODY_SIZE", "1m"),
    ])
    .unwrap()
    .settings;
    assert!(!s.nginx_daemon);
    assert_eq!(s.client_max_body_size, 1 << 20);
}

#[test]
fn a12_body_sizes_and_timeouts_by_nginx_directive() {
    let loaded = load_env(&[
        ("KONG_NGINX_HTTP_CLIENT_MAX_BODY_SIZE", "1m"),
        ("KONG_NGINX_PROXY_CLIENT_MAX_BODY_SIZE", "2m"),
        ("KONG_NGINX_HTTP_CLIENT_BODY_BUFFER_SIZE", "16k"),
        ("KONG_NGINX_HTTP_KEEPALIVE_TIMEOUT", "5s 10s"),
        ("KONG_MOONGATE_CLIENT_HEADER_TIMEOUT", "7s"),
        ("KONG_NGINX_HTTP_LARGE_CLIENT_HEADER_BUFFERS", "8 16k"),
        ("KONG_NGINX_HTTP_KEEPALIVE_REQUESTS", "3"),
    ])
    .unwrap();
    let s = loaded.settings;
    assert_eq!(
        (s.client_max_body_size, s.client_body_buffer_size),
        (2 << 20, 16 << 10)
    );
    assert_eq!(
        (s.keepalive_timeout, s.client_header_timeout),
        (Duration::from_secs(5), Duration::from_secs(7))
    );
    assert_eq!(
        s.large_client_header_buffers,
        HeaderBuffers {
            count: 8,
            size: 16 << 10
        }
    );
    assert_eq!(s.keepalive_requests, 3);
    assert_eq!(loaded.warnings, Vec::<String>::new());
}

#[test]
fn a12_shared_dicts_injected_the_kong_way() {
    let loaded = load_env(&[
        (
            "KONG_NGINX_HTTP_LUA_SHARED_DICT",
            "cache 12m; lua_shared_dict other 64k; lua_shared_dict prometheus_metrics 9m",
        ),
        ("KONG_MEM_CACHE_SIZE", "32m"),
    ])
    .unwrap();
    let size = |name: &str| {
        loaded
            .settings
            .lua_shared_dicts
            .iter()
            .find(|d| d.name == name)
            .map(|d| d.size)
    };
    assert_eq!(size("cache"), Some(12 << 20));
    assert_eq!(size("other"), Some(64 << 10));
    assert_eq!(size("prometheus_metrics"), Some(9 << 20));
    assert_eq!(size("kong_core_db_cache"), Some(32 << 20));
    assert_eq!(loaded.warnings, Vec::<String>::new());
    let json = Sources {
        gateway_json: Some(json!({"nginx_http_lua_shared_dict": ["a 1m", "b 2m"]})),
        ..Sources::default()
    };
    let dicts = Settings::load(&json).unwrap().settings.lua_shared_dicts;
    assert!(dicts.iter().any(|d| d.name == "a") && dicts.iter().any(|d| d.name == "b" && d.size == 2 << 20));
    for wrong in ["cache", "cache 1k", "cache 1m 2m", "cache many"] {
        let error = load_env(&[("KONG_NGINX_HTTP_LUA_SHARED_DICT", wrong)])
            .unwrap_err()
            .to_string();
        assert!(
            error.contains(&format!("invalid lua shared dict \"{wrong}\"")),
            "{error}"
        );
    }
}

#[test]
fn a12_unknown_nginx_directives_are_warned_about() {
    let loaded = load_env(&[
        ("KONG_NGINX_HTTP_FOO", "bar"),
        ("KONG_NGINX_USER", "root"),
        ("KONG_NGINX_HTTP_CHARSET", "UTF-8"),
        ("KONG_SSL_PROTOCOLS", "TLSv1.3"),
        ("KONG_SOMETHING_ELSE", "x"),
    ])
    .unwrap();
    assert_eq!(
        loaded.warnings,
        ["nginx_http_foo is not honoured", "nginx_user is not honoured"]
    );
    assert_eq!(loaded.settings.get("nginx_http_foo"), Some("bar"));
    assert_eq!(
        loaded.settings.get("something_else"),
        None,
        "the environment is full of other things"
    );
}

#[test]
fn a12_deprecated_keys_are_warned_about() {
    let loaded = load_env(&[("KONG_ROUTER_CONSISTENCY", "strict")]).unwrap();
    assert_eq!(
        loaded.warnings,
        ["the 'router_consistency' configuration property is deprecated, use 'worker_consistency' instead"]
    );
    assert_eq!(loaded.settings.get("worker_consistency"), Some("strict"));
    let text = loaded.settings.to_kong_env();
    let warnings = Settings::load(&Sources::of_kong_env(&text, Vec::new()))
        .unwrap()
        .warnings;
    assert_eq!(warnings, Vec::<String>::new(), "said once, when it was given");
}

#[test]
fn a12_vault_references_and_what_is_written_of_them() {
    let with = env(&[
        ("KONG_REQUEST_DEBUG_TOKEN", "{vault://env/my-token}"),
        ("MY_TOKEN", "s3cret"),
    ]);
    let loaded = Settings::load(&Sources {
        env: with.clone(),
        ..Sources::default()
    })
    .unwrap();
    assert_eq!(loaded.settings.get("request_debug_token"), Some("s3cret"));
    let text = loaded.settings.to_kong_env();
    assert!(text.contains("request_debug_token = {vault://env/my-token}\n") && !text.contains("s3cret"));
    let again = Settings::load(&Sources::of_kong_env(&text, with))
        .unwrap()
        .settings;
    assert_eq!(again.get("request_debug_token"), Some("s3cret"));

    let mut without = Sources {
        env: env(&[("KONG_NODE_ID", "{vault://env/none}")]),
        ..Sources::default()
    };
    let error = Settings::load(&without).unwrap_err().to_string();
    assert!(
        error.starts_with("failed to dereference '{vault://env/none}': "),
        "{error}"
    );
    assert!(error.ends_with("for config option 'node_id'"), "{error}");
    without.unresolved = Unresolved::Unset;
    assert_eq!(Settings::load(&without).unwrap().settings.node_id, None);
    let other = load_env(&[("KONG_REQUEST_DEBUG_TOKEN", "{vault://aws/x}")]).unwrap_err();
    assert_eq!(
        other.to_string(),
        "failed to dereference '{vault://aws/x}': unable to retrieve config from db for config option \
         'request_debug_token'"
    );
}

#[test]
fn b7_references_in_lists_and_what_lua_sees_of_them() {
    let mut sources = Sources {
        env: env(&[
            (
                "KONG_TRUSTED_IPS",
                "127.0.0.1, {vault://env/net}, {vault://env/none}",
            ),
            ("NET", "10.0.0.0/8"),
        ]),
        ..Sources::default()
    };
    let error = Settings::load(&sources).unwrap_err().to_string();
    assert_eq!(
        error,
        "failed to dereference '{vault://env/none}': could not get value from external vault (no value found) \
         for config option 'trusted_ips[3]'"
    );
    sources.unresolved = Unresolved::Unset;
    let settings = Settings::load(&sources).unwrap().settings;
    assert_eq!(settings.array("trusted_ips"), ["127.0.0.1", "10.0.0.0/8"]);
    let lua = settings.configuration_json();
    assert_eq!(lua["trusted_ips"], json!(["127.0.0.1", "10.0.0.0/8"]));
    let refs = json!([null, "{vault://env/net}", "{vault://env/none}"]);
    assert_eq!(lua["$refs"], json!({"trusted_ips": refs}));
    let shown = settings.configuration_without_secrets();
    assert_eq!((&shown["trusted_ips"], shown.get("$refs")), (&refs, None));
}

#[test]
fn b7_settings_that_are_only_looked_at() {
    let mut sources = Sources {
        env: env(&[("KONG_PG_PASSWORD", "{vault://env/none}"), ("KONG_PG_USER", "me")]),
        look_only: true,
        unresolved: Unresolved::Keep,
        ..Sources::default()
    };
    sources.override_with(
        &json!({"database": "postgres", "pg_user": "you", "plugins": ["a", "b"], "pg_ssl": true}),
    );
    let lua = Settings::load(&sources).unwrap().settings.configuration_json();
    assert_eq!(lua["database"], json!("postgres"));
    assert_eq!(lua["pg_user"], json!("you"));
    assert_eq!(lua["pg_ssl"], json!(true));
    assert_eq!(lua["pg_password"], json!("{vault://env/none}"));
    assert_eq!(lua["loaded_plugins"], json!({"a": true, "b": true}));
    sources.override_with(&json!({"log_level": "loud"}));
    assert_eq!(
        Settings::load(&sources).unwrap_err().to_string(),
        "log_level has an invalid value: 'loud' (debug, info, notice, warn, error, crit, alert, emerg)"
    );
}

#[test]
fn a12_kong_env_round_trip() {
    let yaml = "_format_version: '3.0' # a comment\nservices:\n- name: s\n";
    let first = load_env(&[
        ("KONG_PREFIX", "/tmp/somewhere"),
        ("KONG_DECLARATIVE_CONFIG_STRING", yaml),
        ("KONG_NGINX_DAEMON", "off"),
        ("KONG_REQUEST_DEBUG_TOKEN", "a#b"),
        ("KONG_NGINX_HTTP_FOO", "bar\\"),
        ("KONG_HEADERS", ""),
    ])
    .unwrap()
    .settings;
    let kong_env = env(&[("KONG_PREFIX", "/not/this")]);
    let second = Settings::load(&Sources::of_kong_env(&first.to_kong_env(), kong_env))
        .unwrap()
        .settings;
    assert_eq!(
        second.raw.get("declarative_config_string").map(|s| s.trim()),
        Some(yaml.trim())
    );
    let mut differing: Vec<_> = first
        .raw
        .iter()
        .filter(|(k, v)| second.raw.get(*k) != Some(v))
        .collect();
    differing.retain(|(k, _)| *k != "declarative_config_string");
    assert!(differing.is_empty(), "{differing:?}");
    assert_eq!(second.prefix, PathBuf::from("/tmp/somewhere"));
}

#[test]
fn a12_configuration_as_lua_sees_it() {
    let s = load_env(&[
        ("KONG_PREFIX", "/tmp/p"),
        ("KONG_PLUGINS", "bundled, mine"),
        (
            "KONG_PROXY_LISTEN",
            "127.0.0.1:8000 reuseport backlog=5, localhost:8443 ssl",
        ),
        ("KONG_PORT_MAPS", "80:8000"),
        ("KONG_SSL_CERT_KEY", "/tmp/secret.key"),
        ("KONG_NGINX_HTTP_FOO", "bar"),
    ])
    .unwrap()
    .settings;
    let c = s.configuration_json();
    assert_eq!(c["prefix"], "/tmp/p");
    assert_eq!(c["lua_max_uri_args"], 100);
    assert_eq!(c["tracing_sampling_rate"], 0.01);
    assert_eq!(
        (&c["anonymous_reports"], &c["nginx_daemon"]),
        (&json!(true), &json!("on"))
    );
    assert_eq!(
        c["headers"],
        json!(["server_tokens", "latency_tokens", "x-kong-request-id"])
    );
    assert_eq!(c["trusted_ips"], json!([]));
    assert!(c.get("node_id").is_none());
    assert_eq!(
        (&c["database"], &c["role"]),
        (&json!("off"), &json!("traditional"))
    );
    assert_eq!(c["enabled_headers"]["X-Kong-Proxy-Latency"], true);
    assert_eq!(c["enabled_headers"]["X-Kong-Upstream-Status"], false);
    assert_eq!(c["enabled_headers_upstream"]["X-Kong-Request-Id"], true);
    assert_eq!(
        (&c["loaded_plugins"]["mine"], &c["loaded_plugins"]["jwt"]),
        (&json!(true), &json!(true))
    );
    assert_eq!(c["loaded_vaults"], json!({"env": true}));
    assert_eq!(c["proxy_listeners"].as_array().unwrap().len(), 2);
    assert_eq!(
        c["proxy_listeners"][0]["listener"],
        "127.0.0.1:8000 reuseport backlog=5"
    );
    assert_eq!(c["proxy_listeners"][0]["backlog=5"], true);
    assert_eq!(
        (&c["proxy_listeners"][1]["ip"], &c["proxy_ssl_enabled"]),
        (&json!("localhost"), &json!(true))
    );
    assert_eq!(c["stream_listeners"], json!([]));
    assert_eq!(c["nginx_pid"], "/tmp/p/pids/nginx.pid");
    assert_eq!(c["host_ports"], json!({"8000": 80}));
    assert!(
        c["nginx_http_directives"]
            .as_array()
            .unwrap()
            .contains(&json!({"name": "foo", "value": "bar"}))
    );
    assert_eq!(c["ssl_cert_key"], json!(["/tmp/secret.key"]));
    assert_eq!(s.configuration_without_secrets()["ssl_cert_key"], "******");
}

#[test]
fn c05_settings_of_names_are_checked() {
    let errors = |key: &str, value: &str| match load_env(&[(key, value)]) {
        Ok(_) => String::new(),
        Err(e) => format!("{e}"),
    };
    for (key, value, error) in [
        (
            "KONG_DNS_RESOLVER",
            "1.1.1.1:53, dns.example",
            "dns_resolver must be a comma separated list in the form of IPv4/6 or IPv4/6:port, got 'dns.example'",
        ),
        (
            "KONG_RESOLVER_ADDRESS",
            "nope:1",
            "resolver_address must be a comma separated list in the form of IPv4/6 or IPv4/6:port, got 'nope:1'",
        ),
        ("KONG_DNS_ORDER", "A,CXAME", "dns_order: invalid entry 'CXAME'"),
        (
            "KONG_RESOLVER_FAMILY",
            "a,LAST",
            "resolver_family: invalid entry 'LAST'",
        ),
        (
            "KONG_DNS_HOSTSFILE",
            "/nonexistent",
            "dns_hostsfile: file does not exist",
        ),
        (
            "KONG_RESOLVER_HOSTS_FILE",
            "/nonexistent",
            "resolver_hosts_file: file does not exist",
        ),
        (
            "KONG_DNS_STALE_TTL",
            "long",
            "dns_stale_ttl is not a number: 'long'",
        ),
    ] {
        let said = errors(key, value);
        assert!(said.contains(error), "{key}: {said}");
    }
    for (key, value) in [
        (
            "KONG_DNS_RESOLVER",
            "1.1.1.1, 8.8.8.8:54, ::1, [::1], [fe80::1]:53",
        ),
        ("KONG_DNS_ORDER", "last,srv,a,aaaa,cname"),
        ("KONG_RESOLVER_FAMILY", "aaaa"),
    ] {
        assert_eq!(errors(key, value), "", "{key}");
    }
}

#[test]
fn a12_array_accessor() {
    let s = load_env(&[("KONG_DNS_RESOLVER", " 1.1.1.1, ,8.8.8.8:53 ")])
        .unwrap()
        .settings;
    assert_eq!(s.array("dns_resolver"), ["1.1.1.1", "8.8.8.8:53"]);
    assert_eq!(s.array("nothing"), Vec::<String>::new());
}
