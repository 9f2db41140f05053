//! `kong.client`, `kong.ctx`, `kong.log`, `kong.router` and the small faces.

use std::sync::Arc;

use super::Bench;
use crate::db::testing::snapshot;
use crate::entity::{RouteIdx, ServiceIdx};
use crate::exchange::{Matched, Phase, testing};

const HEAD: &str = "GET /x?y=1 HTTP/1.1\nHost: a\nAuthorization: secret";

#[test]
fn a11_versions_and_modules() {
    Bench::get(HEAD).ok(
        Phase::Access,
        "eq(kong.version, '3.10.0') eq(kong.version_num, 30010000)
         local meta = require 'kong.meta'
         eq(meta._VERSION, '3.10.0') eq(tostring(meta._VERSION_TABLE), '3.10.0') eq(meta._VERSION_TABLE.minor, 10)
         assert(meta._SERVER_TOKENS:find('^moongate/%d'))
         local other = require('kong.pdk').new({ x = 1 })
         eq(other.configuration.x, 1) eq(other.request.get_method(), 'GET') assert(other ~= kong)
         assert(require('kong.pdk.service.request').new().set_path)
         eq(kong.nginx.get_subsystem(), 'http') assert(#kong.node.get_id() == 36) assert(#kong.cluster.get_id() == 36)
         eq(kong.node.get_id(), kong.node.get_id()) assert(kong.node.get_hostname() ~= '')
         raises('not supported: kong.nginx.get_statistics', kong.nginx.get_statistics)
          eq(kong.vault.is_reference('{vault://env/x}'), true) eq(kong.vault.try(tostring, 1), '1')
         local span = kong.tracing.start_span('s') span:set_attribute('a', 1) span:finish() eq(span.is_recording, false)
         local ok, err = kong.telemetry.log('p', {}, 't') eq(ok, nil) assert(err:find('^Telemetry logging is disabled'))
         local t = kong.table.merge({ a = 1, b = 1 }, { b = 2 }) eq(t.a + t.b, 3)
         kong.table.clear(t) eq(next(t), nil)",
    );
}

#[test]
fn a11_client() {
    let bench = Bench::get("GET / HTTP/1.1\nHost: a\nX-Forwarded-Proto: https");
    bench.with(|x| x.client.addr = "9.8.7.6:1234".parse().unwrap());
    bench.ok(
        Phase::Access,
        "local c = kong.client
         eq(c.get_ip(), '127.0.0.1') eq(c.get_port(), 51000)
         eq(c.get_forwarded_ip(), '9.8.7.6') eq(c.get_forwarded_port(), 1234)
         eq(c.get_consumer(), nil) eq(c.get_credential(), nil)
         local consumer, credential = { id = 'c1' }, { id = 'k' }
         c.authenticate(consumer, credential)
         eq(c.get_consumer(), consumer) eq(c.get_credential(), credential)
         raises('consumer must be a table or nil', c.authenticate, 1)
         raises('credential must be a table or nil', c.authenticate, nil, 1)
         raises('either credential or consumer must be provided', c.authenticate)
         raises('consumer_id must be a string', c.load_consumer)
         raises('cannot load a consumer with an id that is not a uuid', c.load_consumer, 'bob')
         eq(c.load_consumer('bob', true), nil)
         eq(c.load_consumer('12345678-1234-1234-1234-1234567890ab'), nil)
         local p, err = c.get_protocol() eq(p, nil) eq(err, 'No active route found')
         require('moongate.scope').ctx().route = { protocols = { 'http', 'https' } }
         eq(c.get_protocol(), 'http') eq(c.get_protocol(true), 'http')
         raises('function cannot be called in access phase (only in: certificate)', c.tls.disable_session_reuse)",
    );
    bench.with(|x| x.client.trusted = true);
    bench.ok(
        Phase::Access,
        "eq(kong.client.get_protocol(true), 'https') eq(kong.client.get_protocol(), 'http')",
    );
    bench.ok(
        Phase::Log,
        "eq(kong.client.get_consumer().id, 'c1')
         raises('function cannot be called in log phase (only in: access)', kong.client.authenticate, {})",
    );
}

#[test]
fn a11_ctx_tables() {
    let bench = Bench::get(HEAD);
    bench
        .vm
        .lua()
        .load("package.loaded['moongate.plugins'] = { [0] = { name = 'one' }, { name = 'two' } }")
        .exec()
        .unwrap();
    bench.ok(
        Phase::Access,
        "eq(kong.ctx.plugin, nil) kong.ctx.shared.a = 1 eq(kong.ctx.other, nil)",
    );
    bench.scope.plugin.set(0);
    bench.ok(
        Phase::Access,
        "kong.ctx.plugin.x = 'one' eq(kong.ctx.shared.a, 1) kong.log.err('a', 1, nil)",
    );
    bench.scope.plugin.set(1);
    bench.ok(
        Phase::Log,
        "eq(kong.ctx.plugin.x, nil) eq(kong.ctx.shared.a, 1)\nkong.log('b')",
    );
    bench.scope.plugin.set(0);
    bench.ok(Phase::Log, "eq(kong.ctx.plugin.x, 'one')");
    let lines = bench.lines.borrow();
    assert_eq!(lines[0], (4, "[kong] plugin.lua:1 [one] a1nil".to_owned()));
    assert_eq!(lines[1], (6, "[kong] plugin.lua:2 [two] b".to_owned()));
}

#[test]
fn a11_log_formats_and_levels() {
    let bench = Bench::get(HEAD);
    bench.ok(
        Phase::Access,
        "kong.log.debug('below the level') kong.log.trace('never')
         kong.log.warn('w ', true, ' ', 1.5)
         local log = kong.log.new('name%space') log.crit('c')
         log.set_format('<%namespace> %%message %message') log.alert('x')
         local function named() log.set_format('%func_name: %message') log.emerg('y') end named()
         log.set_format() log.err('z')
         raises('namespace must be a string', kong.log.new)
         raises('namespace cannot be an empty string', kong.log.new, '')
         raises('format must be a string if specified', kong.log.new, 'x', 1)
         raises('format must be a string', log.set_format, 1)
         kong.log.deprecation('old thing', { after = '1.0', removal = '2.0' })
         kong.log.inspect({ 1, a = 'b' })
         kong.log.inspect.off() kong.log.inspect('silent')",
    );
    let lines = bench.lines.borrow();
    let text: Vec<&str> = lines.iter().map(|(_, line)| line.as_str()).collect();
    assert_eq!(lines[0], (5, "[kong] plugin.lua:2 w true 1.5".to_owned()));
    assert_eq!(text[1], "[kong] plugin.lua:3 [name%space] c");
    assert_eq!(text[2], "[kong] <name%space> %%message x");
    assert_eq!(text[3], "[kong] named: y");
    assert_eq!(text[4], "[kong] plugin.lua:6 [name%space] z");
    assert_eq!(
        text[5],
        "[kong] plugin.lua:11 old thing (deprecated after 1.0, scheduled for removal in 2.0)"
    );
    assert!(
        text[6].starts_with("[kong] plugin.lua:?:12 [core]---") || text[6].contains("[core]---"),
        "{}",
        text[6]
    );
    assert_eq!(text[7].trim_end_matches([' ', '|']), "|{");
    assert_eq!(text[8].trim_end_matches([' ', '|']), "|  1,");
    assert_eq!(text[9].trim_end_matches([' ', '|']), "|  a = \"b\"");
    assert_eq!(text.len(), 12);
}

fn matched_bench() -> Bench {
    let snapshot = snapshot(
        r#"{ "_format_version": "3.0",
             "services": [{ "name": "svc", "url": "http://up.example:81/",
                            "routes": [{ "name": "route", "paths": ["/"], "protocols": ["http"] }] }],
             "consumers": [{ "username": "ann", "id": "12345678-1234-1234-1234-1234567890ab" }] }"#,
    );
    let mut exchange = testing::exchange(HEAD);
    exchange.snapshot = Arc::new(snapshot);
    exchange.matched = Some(Matched {
        route: RouteIdx(0),
        service: Some(ServiceIdx(0)),
        captures: None,
        prefix: None,
    });
    Bench::new(exchange)
}

#[test]
fn a11_routes_keep_their_identity() {
    let bench = matched_bench();
    bench.ok(
        Phase::Access,
        "local r = kong.router.get_route()
         local s = kong.router.get_service()
         eq(r.name, 'route') eq(r.protocols[1], 'http') eq(r.strip_path, true) eq(r.tags, nil)
         eq(r.service.id, s.id) eq(s.host, 'up.example') eq(s.port, 81)
         eq(kong.router.get_route(), r) eq(kong.router.get_service(), s)
         eq(kong.client.get_protocol(), 'http')
         kong.ctx.shared.route = r",
    );
    bench.ok(Phase::Log, "eq(kong.router.get_route(), kong.ctx.shared.route)");
    bench.ok(
        Phase::Rewrite,
        "raises('function cannot be called in rewrite phase (only in: access, response, header_filter, body_filter, log)',
           kong.router.get_route)",
    );
}

#[test]
fn a11_an_authenticated_consumer_is_the_exchanges() {
    let bench = matched_bench();
    bench.ok(
        Phase::Access,
        "local c = kong.client.load_consumer('12345678-1234-1234-1234-1234567890ab')
         eq(c.username, 'ann') eq(kong.client.load_consumer('ann', true), c)
         kong.client.authenticate(c, nil)",
    );
    bench.with(|x| assert_eq!(x.client.consumer.map(|c| c.0), Some(0)));
    bench.ok(
        Phase::Access,
        "kong.client.authenticate(nil, { id = 'anonymous' })",
    );
    bench.with(|x| assert!(x.client.consumer.is_none()));
}

#[test]
fn a11_serialize() {
    let bench = matched_bench();
    bench.ok(
        Phase::Access,
        "local set = kong.log.set_serialize_value
         set('a.b', 1) set('request.method', 'X', { mode = 'add' }) set('gone.x', 1, { mode = 'replace' })
         set('request.headers.host', 'h', { mode = 'replace' }) set('dots\\\\.in', true)
         raises('key must be a string', set, 1)
         raises([[mode must be 'set', 'add' or 'replace']], set, 'x', 1, { mode = 'y' })
         raises('function cannot be called in access phase (only in: log)', kong.log.serialize)",
    );
    bench.with(|x| {
        x.response.status = 200;
        x.request.length = 40;
        x.outbound.uri = "/up".into();
    });
    bench.ok(
        Phase::Log,
        "local s = kong.log.serialize()
         eq(s.request.uri, '/x?y=1') eq(s.request.url, 'http://a:8000/x?y=1') eq(s.request.method, 'GET')
         eq(s.request.querystring.y, '1') eq(s.request.headers.authorization, 'REDACTED') eq(s.request.size, 40)
         eq(s.request.id, '0123456789abcdef0123456789abcdef') eq(s.response.status, 200)
         eq(s.upstream_uri, '/up?y=1') eq(s.client_ip, '127.0.0.1') eq(s.source, 'kong') eq(s.route.name, 'route') eq(s.service.name, 'svc')
         eq(s.latencies.proxy, -1) assert(s.latencies.kong >= 0) eq(#s.tries, 0) assert(s.started_at > 1.6e12)
         eq(s.a.b, 1) eq(s.gone, nil) eq(s.request.headers.host, 'h') eq(s['dots.in'], true)
         assert(s.route ~= kong.router.get_route())",
    );
    bench.ok(
        Phase::Log,
        "kong.log.set_serialize_value('x', print)
         raises('value must be nil, a number, string, boolean or a non-self-referencial table containing numbers, string and booleans',
           kong.log.serialize)",
    );
}
