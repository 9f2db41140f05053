//! Where plugins may lie, and what their files may look like.

use serde_json::json;

use crate::support::{Origin, Setup, TempDir, service, with};

fn schema(name: &str) -> String {
    format!(
        "return {{ name = '{name}', fields = {{ {{ config = {{ type = 'record', fields = {{
            {{ tag = {{ type = 'string', default = 'none' }} }} }} }} }} }} }}"
    )
}

fn handler(mark: &str) -> String {
    format!(
        "local P = {{ PRIORITY = 10, VERSION = '1.0.0' }}
         function P:access(conf) kong.response.exit(200, '{mark} ' .. conf.tag) end
         return P"
    )
}

#[test]
fn a10_the_three_drop_in_layouts() {
    for (name, dir) in [
        ("in-kong", "kong/plugins/in-kong"),
        ("short", "short"),
        ("cloned", "kong-plugin-cloned/kong/plugins/cloned"),
    ] {
        let gateway = Setup::new(&with(service(1), name, json!({ "tag": "t" })))
            .lua(&format!("{dir}/handler.lua"), &handler(name))
            .lua(&format!("{dir}/schema.lua"), &schema(name))
            .enable(name)
            .start();
        assert_eq!(gateway.get("/", &[]).is(200).text(), format!("{name} t"));
    }
}

#[test]
fn a10_the_package_path_comes_before_the_drop_in_folder() {
    let elsewhere = TempDir::new();
    elsewhere.write("kong/plugins/twice/handler.lua", &handler("path"));
    elsewhere.write("kong/plugins/twice/schema.lua", &schema("twice"));
    let gateway = Setup::new(&with(service(1), "twice", json!({})))
        .lua("twice/handler.lua", &handler("dropped"))
        .lua("twice/schema.lua", &schema("twice"))
        .enable("twice")
        .set(
            "lua_package_path",
            &format!("{}/?.lua;;", elsewhere.path().display()),
        )
        .start();
    assert_eq!(gateway.get("/", &[]).is(200).text(), "path none");
}

#[test]
fn a10_plugins_require_their_own_modules() {
    let origin = Origin::echo();
    let helper = "return { word = 'helped' }";
    for dir in ["kong/plugins/own", "own", "clone/kong/plugins/own"] {
        let gateway = Setup::new(&with(service(origin.port), "own", json!({})))
            .lua(
                &format!("{dir}/handler.lua"),
                "local helper = require 'kong.plugins.own.helper'
                 local P = { PRIORITY = 1, VERSION = '1.0.0' }
                 function P:access() kong.response.exit(200, helper.word) end
                 return P",
            )
            .lua(&format!("{dir}/helper.lua"), helper)
            .lua(&format!("{dir}/schema.lua"), &schema("own"))
            .enable("own")
            .start();
        assert_eq!(gateway.get("/", &[]).is(200).text(), "helped", "{dir}");
    }
}

#[test]
fn a10_classes_that_extend_base_plugin() {
    let origin = Origin::echo();
    let code = "local BasePlugin = require 'kong.plugins.base_plugin'
        local Old = BasePlugin:extend()
        Old.PRIORITY = 3
        Old.VERSION = '0.1.0'
        function Old:new() Old.super.new(self, 'old') end
        function Old:access(conf)
          Old.super.access(self)
          kong.service.request.set_header('X-Old', conf.tag)
        end
        function Old:header_filter(conf)
          Old.super.header_filter(self)
          kong.response.set_header('X-Old', conf.tag)
        end
        return Old";
    let gateway = Setup::new(&with(service(origin.port), "old", json!({ "tag": "class" })))
        .plugin("old", code)
        .start();
    let r = gateway.get("/", &[]).is(200);
    assert_eq!(r.seen("x-old").as_deref(), Some("class"));
    assert_eq!(r.header("x-old"), Some("class"));
}

#[test]
fn a10_schema_defaults_and_required_fields() {
    let code = "local P = { PRIORITY = 1, VERSION = '1.0.0' }
        local cjson = require 'cjson'
        function P:access(conf)
          kong.response.exit(200, cjson.encode { conf.text, conf.number, conf.on, conf.list,
            conf.inner.deep, conf.typed, type(conf.unset) })
        end
        return P";
    let fields = "local typedefs = require 'kong.db.schema.typedefs'
        return { name = 'full', fields = {
          { consumer = typedefs.no_consumer },
          { protocols = typedefs.protocols_http },
          { config = { type = 'record', fields = {
            { text = { type = 'string', required = true } },
            { number = { type = 'integer', default = 7, between = { 1, 10 } } },
            { on = { type = 'boolean', default = true } },
            { list = { type = 'array', elements = { type = 'string' }, default = { 'a', 'b' } } },
            { inner = { type = 'record', fields = { { deep = { type = 'string', default = 'd' } } } } },
            { typed = typedefs.port { default = 8080 } },
            { unset = { type = 'string' } },
          } } },
        } }";
    let setup = |conf| {
        Setup::new(&with(service(1), "full", conf))
            .lua("full/handler.lua", code)
            .lua("full/schema.lua", fields)
            .enable("full")
    };
    let gateway = setup(json!({ "text": "t" })).start();
    assert_eq!(
        gateway.get("/", &[]).is(200).json(),
        json!(["t", 7, true, ["a", "b"], "d", 8080, "nil"])
    );
    for (conf, names) in [
        (json!({}), ["text", "required field missing"]),
        (json!({ "text": 1 }), ["text", "expected a string"]),
        (
            json!({ "text": "t", "number": 11 }),
            ["number", "between 1 and 10"],
        ),
        (json!({ "text": "t", "wrong": 1 }), ["wrong", "unknown field"]),
    ] {
        let (status, said) = setup(conf).refused();
        assert_eq!(status.code(), Some(1));
        for name in names {
            assert!(said.contains(name), "no {name:?} in {said}");
        }
    }
}

#[test]
fn a10_one_chunk_of_code_per_worker() {
    let code = "local P = { PRIORITY = 1, VERSION = '1.0.0' } local n = 0
        function P:init_worker() n = n + 100 end
        function P:access() n = n + 1 kong.response.exit(200, tostring(n)) end
        return P";
    let gateway = Setup::new(&with(service(1), "count", json!({})))
        .plugin("count", code)
        .start();
    for want in ["101", "102", "103"] {
        assert_eq!(gateway.get("/", &[]).is(200).text(), want);
    }
}

#[test]
fn a10_conf_is_one_table_with_its_keys() {
    let code = "local P = { PRIORITY = 1, VERSION = '1.0.0' } local first
        function P:access(conf)
          first = first or conf
          kong.response.exit(200, { same = first == conf, id = conf.__plugin_id, key = conf.__key__,
            seq = type(conf.__seq__), route = conf.route_id, service = type(conf.service_id),
            consumer = type(conf.consumer_id), here = kong.plugin.get_id() })
        end
        return P";
    let mut config = service(1);
    config["services"][0]["plugins"] =
        json!([{ "name": "keys", "id": "11111111-2222-4333-8444-555555555555", "config": {} }]);
    let gateway = Setup::new(&config).plugin("keys", code).start();
    for _ in 0..3 {
        let seen = gateway.get("/", &[]).is(200).json();
        assert_eq!(seen["same"], true);
        assert_eq!(seen["id"], "11111111-2222-4333-8444-555555555555");
        assert_eq!(seen["here"], seen["id"]);
        assert!(
            seen["key"].as_str().unwrap().starts_with("plugins:keys:"),
            "{seen}"
        );
        assert_eq!(
            (&seen["seq"], &seen["service"], &seen["consumer"]),
            (&json!("number"), &json!("string"), &json!("nil"))
        );
        assert_eq!(seen.get("route"), None);
    }
}

#[test]
fn a10_a_clones_rockspec_says_where_its_modules_lie() {
    let rockspec = "package = 'kong-plugin-rocky'
        local name = 'kong.plugins.rocky.'
        build = { type = 'builtin', modules = {
            [name .. 'handler'] = 'src/handler.lua', [name .. 'schema'] = './src/schema.lua' } }";
    let gateway = Setup::new(&with(service(1), "rocky", json!({ "tag": "t" })))
        .lua("some-clone/kong-plugin-rocky-1.0-1.rockspec", rockspec)
        .lua("some-clone/src/handler.lua", &handler("rocky"))
        .lua("some-clone/src/schema.lua", &schema("rocky"))
        .lua("broken/broken-1.0-1.rockspec", "build = nil .. 'x'")
        .lua("broken/other-1.0-1.rockspec", "build = {")
        .enable("rocky")
        .start();
    assert_eq!(gateway.get("/", &[]).is(200).text(), "rocky t");
}

#[test]
fn a10_a_clone_with_its_handler_at_the_root_is_that_plugin_only() {
    let gateway = Setup::new(&with(service(1), "flat", json!({ "tag": "t" })))
        .lua("kong-plugin-flat/handler.lua", &handler("flat"))
        .lua("kong-plugin-flat/schema.lua", &schema("flat"))
        .lua("aaa/handler.lua", &handler("aaa"))
        .lua("aaa/schema.lua", &schema("aaa"))
        .lua("aaa/kong/plugins/aaa/handler.lua", &handler("aaa"))
        .enable("flat")
        .start();
    assert_eq!(gateway.get("/", &[]).is(200).text(), "flat t");
}
