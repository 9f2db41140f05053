//! The phases: their order, whose configuration counts, what errors and early ends lead to.

use serde_json::{Value, json};

use crate::support::gateway::PROBE;
use crate::support::{Origin, Setup, service, with};

/// A plugin that writes down each of its phases.
fn tracer(name: &str, priority: i64) -> String {
    format!(
        "local P = {{ PRIORITY = {priority}, VERSION = '1.0.0' }}
         local function note(phase)
           ngx.ctx.trace = (ngx.ctx.trace or '') .. ' {name}.' .. phase
         end
         function P:rewrite() note('rewrite') end
         function P:access() note('access') end
         function P:header_filter()
           note('header_filter')
           kong.response.set_header('X-Trace', ngx.ctx.trace)
         end
         function P:body_filter()
           note('body_filter' .. (ngx.arg[2] and '!' or ''))
         end
         function P:log() note('log') kong.log.err('{name} trace:', ngx.ctx.trace, '.') end
         return P"
    )
}

#[test]
fn a10_phases_run_in_order_of_priority() {
    let origin = Origin::answering("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    let mut config = service(origin.port);
    for name in ["low", "tie-a", "tie-b", "high"] {
        config = with(config, name, json!({}));
    }
    let gateway = Setup::new(&config)
        .plugin("low", &tracer("low", 1))
        .plugin("tie-a", &tracer("tie-a", 5))
        .plugin("tie-b", &tracer("tie-b", 5))
        .plugin("high", &tracer("high", 1000))
        .start();
    gateway.get("/", &[]).is(200);
    let line = gateway.logged("low trace:");
    let order = ["high", "tie-b", "tie-a", "low"];
    let phase = |p: &str| order.map(|n| format!(" {n}.{p}")).concat();
    // The chunk, then the end as a call of its own.
    let want = [
        "rewrite",
        "access",
        "header_filter",
        "body_filter",
        "body_filter!",
        "log",
    ]
    .map(phase)
    .concat();
    assert!(line.contains(&want), "{line}\nwanted{want}");
}

#[test]
fn a10_rewrite_is_for_global_plugins() {
    let origin = Origin::echo();
    let mut config = with(service(origin.port), "global", json!({}));
    config["services"][0]["plugins"] = json!([{ "name": "local" }]);
    let gateway = Setup::new(&config)
        .plugin("global", &tracer("global", 2))
        .plugin("local", &tracer("local", 1))
        .start();
    let r = gateway.get("/", &[]).is(200);
    let trace = r.header("x-trace").unwrap();
    assert!(
        trace.contains("global.rewrite") && !trace.contains("local.rewrite"),
        "{trace}"
    );
    assert!(trace.contains("local.access"), "{trace}");
}

const WHOSE: &str = "local P = { PRIORITY = 1, VERSION = '1.0.0' }
    function P:access(conf) kong.response.set_header('X-Whose', conf.tag) end
    return P";

/// Names the consumer that a header asks for.
const AUTH: &str = "local P = { PRIORITY = 900, VERSION = '1.0.0' }
    function P:access()
      local name = kong.request.get_header('x-user')
      if name then
        kong.client.authenticate({ id = name, username = 'u' }, { id = 'c' })
      end
    end
    return P";

#[test]
fn a10_the_most_specific_configuration_counts() {
    let consumer = "aaaaaaaa-1111-4111-8111-111111111111";
    let origin = Origin::echo();
    // From the least to the most specific.
    let scopes = [
        json!({}),
        json!({ "service": "s" }),
        json!({ "route": "r" }),
        json!({ "consumer": "u" }),
        json!({ "service": "s", "route": "r" }),
        json!({ "consumer": "u", "service": "s" }),
        json!({ "consumer": "u", "route": "r" }),
        json!({ "consumer": "u", "route": "r", "service": "s" }),
    ];
    for n in 1..=scopes.len() {
        let mut config = with(service(origin.port), "auth", json!({}));
        config["consumers"] = json!([{ "id": consumer, "username": "u" }]);
        for (i, scope) in scopes[..n].iter().enumerate() {
            let mut plugin = scope.clone();
            plugin["name"] = json!("whose");
            plugin["config"] = json!({ "tag": i.to_string() });
            config["plugins"].as_array_mut().unwrap().push(plugin);
        }
        let gateway = Setup::new(&config)
            .plugin("auth", AUTH)
            .plugin("whose", WHOSE)
            .start();
        let r = gateway.get("/", &[("x-user", consumer)]).is(200);
        assert_eq!(
            r.header("x-whose"),
            Some((n - 1).to_string().as_str()),
            "{}",
            scopes[n - 1]
        );
        // Without a consumer, the best of those that need none.
        let best = (0..n).rfind(|i| scopes[*i].get("consumer").is_none()).unwrap();
        let r = gateway.get("/", &[]).is(200);
        assert_eq!(r.header("x-whose"), Some(best.to_string().as_str()));
    }
}

#[test]
fn a10_disabled_plugins_do_not_run() {
    let origin = Origin::echo();
    let mut config = with(service(origin.port), "whose", json!({ "tag": "on" }));
    config["plugins"][0]["enabled"] = json!(false);
    let gateway = Setup::new(&config).plugin("whose", WHOSE).start();
    assert_eq!(gateway.get("/", &[]).is(200).header("x-whose"), None);
}

#[test]
fn a10_an_exit_in_access_skips_the_rest_but_not_its_later_phases() {
    let origin = Origin::echo();
    let config = with(with(service(origin.port), "probe", json!({})), "after", json!({}));
    let gateway = Setup::new(&config)
        .plugin("probe", PROBE)
        .plugin("after", &tracer("after", 1))
        .start();
    for (code, status) in [
        ("kong.response.exit(203)", 203),
        ("error('x')", 500),
        ("ngx.exit(403)", 403),
    ] {
        let r = gateway.access(code).is(status);
        let trace = r.header("x-trace").unwrap_or_default();
        assert!(
            !trace.contains("after.access") && trace.contains("after.header_filter"),
            "{code}: {trace}"
        );
    }
    assert!(origin.seen().is_empty());
}

#[test]
fn a10_early_ends_run_global_plugins_later_phases() {
    let origin = Origin::echo();
    let mut config = with(with(service(origin.port), "probe", json!({})), "trace", json!({}));
    config["services"][0]["routes"][0]["paths"] = json!(["/there"]);
    let gateway = Setup::new(&config)
        .plugin("probe", PROBE)
        .plugin("trace", &tracer("trace", 1))
        .start();
    let r = gateway.get("/missing", &[]).is(404);
    let trace = r.header("x-trace").unwrap();
    assert!(
        trace.contains("header_filter") && !trace.contains("access"),
        "{trace}"
    );
    gateway.logged("trace.body_filter! trace.log");
    let r = gateway
        .get("/there", &[("x-rewrite", "kong.response.exit(202)")])
        .is(202);
    assert!(!r.header("x-trace").unwrap().contains("access"));
}

#[test]
fn a10_each_log_handler_is_isolated() {
    let origin = Origin::echo();
    let config = with(with(service(origin.port), "probe", json!({})), "after", json!({}));
    let gateway = Setup::new(&config)
        .plugin("probe", PROBE)
        .plugin("after", &tracer("after", 1))
        .start();
    gateway.get("/", &[("x-log", "error('log broke')")]).is(200);
    gateway.logged("log broke");
    gateway.logged("after trace:");
}

#[test]
fn a10_body_filter_sees_chunks_and_changes_them() {
    let origin =
        Origin::answering("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n");
    let gateway = Setup::probe(origin.port).start();
    let filter = |code: &str| {
        let r = gateway.get(
            "/",
            &[
                ("x-body-filter", code),
                ("x-header-filter", "kong.response.clear_header('content-length')"),
            ],
        );
        r.is(200).text()
    };
    assert_eq!(filter("ngx.arg[1] = ngx.arg[1]:upper()"), "ABC");
    assert_eq!(
        filter("if ngx.arg[2] then ngx.arg[1] = ngx.arg[1] .. 'end' end"),
        "abcend"
    );
    assert_eq!(filter("ngx.arg[1] = nil"), "");
    assert_eq!(
        filter(
            "local b = kong.response.get_raw_body() if b then kong.response.set_raw_body('<' .. b .. '>') end"
        ),
        "<abc>"
    );
}

#[test]
fn a10_response_handlers_see_the_whole_body() {
    let origin = Origin::answering("HTTP/1.1 201 Created\r\nX-Up: 1\r\nContent-Length: 5\r\n\r\nhello");
    let code = "local P = { PRIORITY = 1, VERSION = '1.0.0' }
        function P:response(conf)
          local body = kong.service.response.get_raw_body()
          kong.response.set_header('X-Length', #body)
          kong.response.set_header('X-Status', kong.service.response.get_status())
          if kong.request.get_header('x-swap') then
            kong.response.exit(202, 'swapped ' .. body, { ['X-Swap'] = '1' })
          end
        end
        return P";
    let gateway = Setup::new(&with(service(origin.port), "whole", json!({})))
        .plugin("whole", code)
        .start();
    let r = gateway.get("/", &[]).is(201);
    assert_eq!(
        (r.text().as_str(), r.header("x-length"), r.header("x-status")),
        ("hello", Some("5"), Some("201"))
    );
    let r = gateway.get("/", &[("x-swap", "1")]).is(202);
    assert_eq!(
        (r.text().as_str(), r.header("x-swap")),
        ("swapped hello", Some("1"))
    );
}

#[test]
fn a10_configure_and_init_worker() {
    let code = "local P = { PRIORITY = 1, VERSION = '1.0.0' } local tags, inits = 'never', 0
        function P:init_worker() inits = inits + 1 end
        function P:configure(configs)
          local t = {}
          for _, c in ipairs(configs or {}) do t[#t + 1] = c.tag end
          table.sort(t)
          tags = configs and table.concat(t, ',') or 'nil'
        end
        function P:access() kong.response.exit(200, inits .. ' ' .. tags) end
        return P";
    let mut config: Value = with(service(1), "conf", json!({ "tag": "a" }));
    config["services"][0]["plugins"] = json!([{ "name": "conf", "config": { "tag": "b" } }]);
    let gateway = Setup::new(&config).plugin("conf", code).start();
    assert_eq!(gateway.get("/", &[]).is(200).text(), "1 a,b");
}
