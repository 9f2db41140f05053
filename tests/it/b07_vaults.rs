//! Vault references: in plugins' configurations, in settings, on the command line.

use serde_json::{Value, json};

use crate::support::gateway::{PROBE, one_line};
use crate::support::{Client, Gateway, Origin, Setup, free_port, service, with};

const SCHEMA: &str = r#"
local secret = { type = "string", referenceable = true }
return { name = "keeper", fields = { { config = { type = "record", fields = {
  { secret = secret },
  { plain = { type = "string" } },
  { list = { type = "array", elements = secret } },
  { map = { type = "map", keys = { type = "string" }, values = secret } },
  { inner = { type = "record", fields = { { secret = secret } } } },
} } } } }
"#;

/// Shows its configuration to the client, and in log the secret alone to the error log.
const HANDLER: &str = r#"
local P = { PRIORITY = 1, VERSION = "1.0.0" }
local function show(conf)
  return require("cjson").encode({
    secret = conf.secret, plain = conf.plain, list = conf.list, map = conf.map,
    inner = conf.inner and conf.inner.secret, route_id = conf.route_id and "kept",
  })
end
function P:access(conf) kong.response.set_header("X-Conf", show(conf)) end
function P:log(conf) kong.log.err("logged: ", conf.secret) end
return P
"#;

/// Handles nothing before log.
const LATE: &str = r#"
local P = { PRIORITY = 1, VERSION = "1.0.0" }
function P:configure(configs) kong.log.err("configured: ", configs and configs[1].secret) end
function P:log(conf) kong.log.err("late: ", conf.secret) end
return P
"#;

/// Has to be waited for, counts, and may be away: as KONG_AWAY says when it is asked.
const VAULT: &str = r#"
local asked = 0
return {
  VERSION = "1.0.0",
  get = function(conf, resource)
    ngx.sleep(0.01)
    asked = asked + 1
    return conf.before .. resource .. asked
  end,
}
"#;

const VAULT_SCHEMA: &str = r#"
return { name = "far", fields = { { config = { type = "record", fields = {
  { before = { type = "string", required = true, default = "-" } },
  { ttl = { type = "number" } },
} } } } }
"#;

fn keeper(config: &Value) -> Setup {
    Setup::new(config)
        .lua("kong/plugins/keeper/schema.lua", SCHEMA)
        .lua("kong/plugins/keeper/handler.lua", HANDLER)
        .enable("keeper")
        .lua("kong/vaults/far/init.lua", VAULT)
        .lua("kong/vaults/far/schema.lua", VAULT_SCHEMA)
}

fn shown(gateway: &Gateway) -> Value {
    let response = gateway.get("/", &[]).is(200);
    serde_json::from_str(response.header("x-conf").unwrap()).unwrap()
}

#[test]
fn b7_handlers_get_secrets_for_references() {
    let origin = Origin::echo();
    let conf = json!({
        "secret": "{vault://env/kong-b7-secret}",
        "plain": "{vault://env/kong-b7-secret}",
        "list": ["as it is", "{vault://env/b7-json/user?prefix=kong_}"],
        "map": { "k": "{vault://env/kong-b7-none}", "j": "x" },
        "inner": { "secret": "{vault://env/kong-b7-secret#2}" },
    });
    let gateway = keeper(&with(service(origin.port), "keeper", conf))
        .set("b7_secret", "s3cret")
        .set("b7_secret_previous", "older")
        .set("b7_json", r#"{"user":"bob"}"#)
        .start();
    let expected = json!({
        "secret": "s3cret",
        // not `referenceable`: text like any other
        "plain": "{vault://env/kong-b7-secret}",
        "list": ["as it is", "bob"],
        "map": { "k": "", "j": "x" },
        "inner": "older",
    });
    assert_eq!(shown(&gateway), expected);
    assert_eq!(shown(&gateway), expected, "the second request as the first");
    gateway.logged("logged: s3cret");
    gateway.logged(
        "unable to resolve reference {vault://env/kong-b7-none} (could not get value from external vault \
         (no value found))",
    );
}

#[test]
fn b7_a_vault_that_has_to_be_waited_for() {
    let origin = Origin::echo();
    let config = with(
        service(origin.port),
        "keeper",
        json!({ "secret": "{vault://far/a?ttl=1000}" }),
    );
    let config = with(config, "late", json!({ "secret": "{vault://far/b?before=_}" }));
    let gateway = keeper(&config)
        .lua("kong/plugins/late/schema.lua", &SCHEMA.replace("keeper", "late"))
        .lua("kong/plugins/late/handler.lua", LATE)
        .enable("late")
        .set("vaults", "bundled,far")
        .set("vault_far_before", "+")
        .start();
    let secret = shown(&gateway)["secret"].as_str().unwrap().to_owned();
    assert!(secret.starts_with("+a"), "{secret}");
    for _ in 0..3 {
        assert_eq!(shown(&gateway)["secret"], secret, "asked once");
    }
    gateway.logged("late: _b");
    gateway.logged("configured: _b");
}

#[test]
fn b7_a_changed_secret_reaches_the_next_request() {
    let origin = Origin::echo();
    let config = with(
        service(origin.port),
        "keeper",
        json!({ "secret": "{vault://far/a?ttl=0.01}" }),
    );
    let config = with(config, "probe", json!({}));
    let gateway = keeper(&config)
        .plugin("probe", PROBE)
        .set("vaults", "far")
        .start();
    assert_eq!(shown(&gateway)["secret"], "-a1");
    gateway
        .access(&one_line("ngx.sleep(0.05) kong.vault.flush() ngx.sleep(0.1)"))
        .is(200);
    assert_eq!(shown(&gateway)["secret"], "-a2");
}

#[test]
fn b7_a_swap_brings_a_vault_and_what_refers_to_it() {
    let origin = Origin::echo();
    let admin = free_port();
    let gateway = keeper(&with(
        service(origin.port),
        "keeper",
        json!({ "secret": "{vault://mine/b7-later}" }),
    ))
    .set("admin_listen", &format!("127.0.0.1:{admin}"))
    .set("vault_env_prefix", "nothing_")
    .set("b7_later", "found")
    .set("b7_last", "last")
    .start();
    assert_eq!(shown(&gateway)["secret"], "", "there is no such vault");
    let load = |prefix: &str, reference: &str| {
        let mut config = with(service(origin.port), "keeper", json!({ "secret": reference }));
        config["_format_version"] = json!("3.0");
        config["vaults"] = json!([{ "name": "env", "prefix": prefix, "config": { "prefix": "kong_" } }]);
        Client::connect(admin)
            .ask(
                "POST",
                "/config",
                &[("Content-Type", "application/json")],
                config.to_string().as_bytes(),
            )
            .is(201);
    };
    load("mine", "{vault://mine/b7-later}");
    assert_eq!(shown(&gateway)["secret"], "found", "on the first request already");
    load("other", "{vault://other/b7-last}");
    assert_eq!(shown(&gateway)["secret"], "last");
    load("mine", "{vault://other/b7-last}");
    assert_eq!(shown(&gateway)["secret"], "", "the vault is gone");
}

#[test]
fn b7_settings_take_secrets() {
    let origin = Origin::echo();
    let gateway = Setup::probe(origin.port)
        .set("pg_password", "{vault://env/kong-b7-secret}")
        .set("trusted_ips", "10.0.0.1, {vault://env/kong-b7-json/net}")
        .set("b7_secret", "s3cret")
        .set("b7_json", r#"{"net":"10.2.0.0/16"}"#)
        .start();
    let seen = gateway.access(&one_line(
        "local c = kong.configuration
         kong.response.exit(200, { c.pg_password, c.trusted_ips, c['$refs'].pg_password,
           c.remove_sensitive().pg_password })",
    ));
    assert_eq!(
        seen.is(200).json(),
        json!([
            "s3cret",
            ["10.0.0.1", "10.2.0.0/16"],
            "{vault://env/kong-b7-secret}",
            "******"
        ])
    );
    let file = std::fs::read_to_string(gateway.prefix().join(".kong_env")).unwrap_or_default();
    assert!(!file.contains("s3cret"), "{file}");
}

#[test]
fn b7_settings_take_secrets_of_vaults_written_in_lua() {
    let origin = Origin::echo();
    let gateway = keeper(&with(service(origin.port), "probe", json!({})))
        .plugin("probe", PROBE)
        .set("vaults", "env,far")
        .set("vault_far_before", "{vault://env/kong-b7-before}")
        .set("b7_before", "<")
        .set("pg_password", "{vault://far/a}")
        .start();
    let seen = gateway.access("kong.response.exit(200, { kong.configuration.pg_password })");
    assert!(seen.is(200).json()[0].as_str().unwrap().starts_with("<a"));
}

#[test]
fn b7_settings_without_a_secret_are_refused() {
    let origin = Origin::echo();
    let (status, said) = Setup::probe(origin.port)
        .set("pg_password", "{vault://env/kong-b7-none}")
        .refused();
    assert_eq!(status.code(), Some(1), "{said}");
    assert!(
        said.contains(
            "failed to dereference '{vault://env/kong-b7-none}': could not get value from external vault (no \
             value found) for config option 'pg_password'"
        ),
        "{said}"
    );
}

#[test]
fn b7_vault_get_prints_a_secret() {
    let run = |args: &[&str]| {
        let out = std::process::Command::new(env!("CARGO_BIN_EXE_moongate"))
            .args(["vault", "get"])
            .args(args)
            .env_clear()
            .env("TEST", r#"{"a":"b"}"#)
            .output()
            .unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (out.status.code(), text(out.stdout), text(out.stderr))
    };
    assert_eq!(
        run(&["env/test"]),
        (Some(0), "{\"a\":\"b\"}\n".into(), String::new())
    );
    assert_eq!(
        run(&["{vault://env/test/a}"]),
        (Some(0), "b\n".into(), String::new())
    );
    for (reference, why) in [
        (
            "env/none",
            "could not get value from external vault (no value found)",
        ),
        ("env", "reference url is missing path [{vault://env}]"),
        ("none/x", "could not find vault (none)"),
    ] {
        let (code, out, err) = run(&[reference]);
        assert_eq!((code, out.as_str()), (Some(1), ""), "{reference}");
        assert!(err.starts_with(&format!("Error: {why}\n")), "{err}");
    }
}
