//! D2: `ngx.location.capture(_multi)` against the gateway's own routes, `ngx.exec`, jumps of `ngx.req.set_uri`.

use serde_json::json;

use crate::support::{Gateway, Origin, Setup, service, with};

/// Handlers by path: a global plugin whose access (or rewrite) runs what the table has for `$uri`; what it lacks goes
/// to the origin.
fn gateway(port: u16, rewrite: &str, access: &str) -> Gateway {
    setup(port, rewrite, access).start()
}

fn setup(port: u16, rewrite: &str, access: &str) -> Setup {
    let plugin = format!(
        "local P = {{ PRIORITY = 1, VERSION = '1.0.0' }}
         local function same(a, b) if a ~= b then error(tostring(a) .. ' is not ' .. tostring(b), 2) end end
         local rewrite, access = {{ {rewrite} }}, {{ {access} }}
         local seen = 0
         function P:rewrite()
           local f = rewrite[ngx.var.uri]
           if f then f(same) end
         end
         function P:access()
           local f = access[ngx.var.uri]
           if f then f(same) end
         end
         function P:header_filter() ngx.header['X-Filtered'] = ngx.var.uri end
         function P:body_filter()
           if ngx.var.uri == '/filtered' and ngx.arg[1] ~= '' then ngx.arg[1] = ngx.arg[1]:upper() end
         end
         function P:log() kong.log.err('logged ', ngx.var.uri, '.') end
         return P"
    );
    Setup::new(&with(service(port), "by-path", json!({}))).plugin("by-path", &plugin)
}

fn origin() -> Origin {
    Origin::replying(|seen| {
        let body = format!("{}\n{}", seen.line(), String::from_utf8_lossy(&seen.body));
        let extra = match seen.header("x-two") {
            Some(_) => "X-Two: 1\r\nX-Two: 2\r\nETag: abc\r\n",
            None => "",
        };
        format!(
            "HTTP/1.1 203 OK\r\n{extra}Content-Length: {}\r\n\r\n{body}",
            body.len()
        )
        .into_bytes()
    })
}

#[test]
fn d02_a_capture_goes_through_router_plugins_and_upstream() {
    let origin = origin();
    let gateway = gateway(
        origin.port,
        "",
        "['/go'] = function(same)
           ngx.req.set_header('X-Two', 'yes')
           ngx.ctx.mine = 1
           local res = ngx.location.capture('/up?a=1', { args = { b = 'x y' } })
           same(ngx.ctx.mine, 1)
           same(res.status, 203) same(res.truncated, false)
           same(res.body, 'GET /up?a=1&b=x%20y HTTP/1.1\\n')
           same(table.concat(res.header['X-Two'], '+'), '1+2')
           same(res.header.ETag, 'abc') same(res.header['x-filtered'], '/up')
           same(ngx.is_subrequest, false) same(ngx.req.is_internal(), false)
           res = ngx.location.capture('/own', { method = ngx.HTTP_POST, body = 'hello', ctx = { given = 7 },
             headers = { ['X-Extra'] = 'e' } })
           same(res.status, 202)
           same(res.body, 'POST /own /go?q true true hello 7 e 5 yes')
           res = ngx.location.capture('/filtered')
           same(res.body, 'LOUD\\n')
           res = ngx.location.capture('/own', { method = ngx.HTTP_HEAD })
           same(res.body, '') same(res.status, 202)
           ngx.say('done')
         end,
         ['/own'] = function()
           ngx.req.read_body()
           ngx.status = 202
           ngx.print(ngx.req.get_method(), ' ', ngx.var.uri, ' ', ngx.var.request_uri, ' ',
             tostring(ngx.is_subrequest), ' ', tostring(ngx.req.is_internal()), ' ',
             ngx.req.get_body_data(), ' ', ngx.ctx.given, ' ', ngx.var.http_x_extra, ' ',
             ngx.var.http_content_length, ' ', ngx.var.http_x_two)
         end,
         ['/filtered'] = function() ngx.say('loud') end,",
    );
    let r = gateway.get("/go?q", &[]);
    assert_eq!(r.text(), "done\n", "{}", gateway.errors());
    // only what clients ask is logged, once
    gateway.logged("logged /go.");
    assert!(!gateway.errors().contains("logged /own"), "{}", gateway.errors());
    gateway.access_logged("GET /go");
    assert_eq!(gateway.accesses().lines().count(), 1);
}

#[test]
fn d02_captures_run_side_by_side_and_nest() {
    let gateway = gateway(
        1,
        "",
        "['/go'] = function(same)
           local before = ngx.now()
           local list = {}
           for i = 1, 8 do list[i] = { '/slow', { args = { n = i }, ctx = { n = i } } } end
           local all = { ngx.location.capture_multi(list) }
           same(#all, 8)
           for i = 1, 8 do same(all[i].body, i .. ' ' .. i) end
           ngx.update_time()
           same(ngx.now() - before < 1.5, true)
           local res = ngx.location.capture('/deep', { args = 'n=0' })
           same(res.body, 'deepest')
           res = ngx.location.capture('/ring')
           same(res.body:match('failed to issue subrequest: %-1'), 'failed to issue subrequest: -1')
           ngx.say('done')
         end,
         ['/slow'] = function()
           ngx.sleep(0.3)
           ngx.print(ngx.var.arg_n, ' ', ngx.ctx.n)
         end,
         ['/deep'] = function()
           local n = tonumber(ngx.var.arg_n)
           if n == 40 then return ngx.print('deepest') end
           ngx.print(ngx.location.capture('/deep', { args = { n = n + 1 } }).body)
         end,
         ['/ring'] = function()
           local ok, res = pcall(ngx.location.capture, '/ring')
           ngx.print(ok and res.body or res)
         end,",
    );
    let r = gateway.get("/go", &[]);
    assert_eq!(r.text(), "done\n", "{}", gateway.errors());
    gateway.logged("lua subrequests cycle while processing \"/ring\"");
}

#[test]
fn d02_captures_that_double_come_to_an_end() {
    let gateway = gateway(
        1,
        "",
        "['/twice'] = function()
           ngx.location.capture_multi({ { '/twice' }, { '/twice' } })
           ngx.say('twice')
         end,
         ['/well'] = function() ngx.say('well') end,",
    );
    let mut client = gateway.connect();
    client.patience(120);
    assert_eq!(client.get("/twice").text(), "twice\n");
    gateway.logged("lua subrequests cycle while processing \"/twice\"");
    assert_eq!(client.get("/well").text(), "well\n");
}

#[test]
fn d02_paths_are_bytes_and_are_decoded_once() {
    let origin = origin();
    let gateway = gateway(
        origin.port,
        "",
        "['/go'] = function(same)
           local capture = ngx.location.capture
           same(capture('/up%ff%fe').body, 'GET /up%FF%FE HTTP/1.1\\n')
           same(capture('/up\\255?a=\\254').body, 'GET /up%FF?a=%FE HTTP/1.1\\n')
           same(capture('/up%2541').body, 'GET /up%2541 HTTP/1.1\\n')
           same(capture('/up%3Fa=1').body, 'GET /up%3Fa=1 HTTP/1.1\\n')
           same(capture('/up%252e%252e/x').body, 'GET /up%252e%252e/x HTTP/1.1\\n')
           ngx.say('done')
         end,
         ['/\\255\\254'] = function() ngx.print('bytes') end,",
    );
    assert_eq!(gateway.get("/go", &[]).text(), "done\n", "{}", gateway.errors());
    assert_eq!(gateway.get("/%ff%FE", &[]).text(), "bytes");
}

#[test]
fn d02_a_capture_carries_bodies_and_statuses() {
    let origin = origin();
    let gateway = gateway(
        origin.port,
        "",
        "['/go'] = function(same)
           ngx.req.read_body()
           local capture = ngx.location.capture
           same(capture('/up', { method = ngx.HTTP_PUT }).body, 'PUT /up HTTP/1.1\\nthe body')
           same(capture('/up').body, 'GET /up HTTP/1.1\\n')
           same(capture('/up', { always_forward_body = true }).body, 'GET /up HTTP/1.1\\nthe body')
           same(capture('/up', { body = 'mine' }).body, 'GET /up HTTP/1.1\\nmine')
           same(capture('/up', { method = ngx.HTTP_POST, body = '' }).body, 'POST /up HTTP/1.1\\n')
           local res = capture('/forbidden')
           same(res.status, 403) same(res.body, '')
           res = capture('/kongs')
           same(res.status, 418) same(res.body, '{\"message\":\"teapot\"}')
           same(res.header['Content-Type'], 'application/json; charset=utf-8')
           res = capture('/fails')
           same(res.status, 500)
           res = capture('/moved')
           same(res.status, 302) same(res.header.Location, '/there')
           res = capture('/exec')
           same(res.status, 203) same(res.body, 'GET /up?x=1 HTTP/1.1\\n')
           ngx.say('done')
         end,
         ['/forbidden'] = function() ngx.exit(403) end,
         ['/kongs'] = function() kong.response.exit(418, { message = 'teapot' }) end,
         ['/fails'] = function() error('it fails') end,
         ['/moved'] = function() ngx.redirect('/there') end,
         ['/exec'] = function() ngx.exec('/up', { x = 1 }) end,",
    );
    let r = gateway.connect().ask("POST", "/go", &[], b"the body");
    assert_eq!(r.text(), "done\n", "{}", gateway.errors());
}

#[test]
fn d02_captures_refuse_what_is_wrong() {
    let gateway = gateway(
        1,
        "",
        "['/go'] = function(same)
           local c, m = ngx.location.capture, ngx.location.capture_multi
           local function says(text, f, ...)
             local ok, err = pcall(f, ...)
             same(ok, false)
             if not err:find(text, 1, true) then error(err .. ' lacks ' .. text, 2) end
           end
           says('expecting one or two arguments', c)
           says('expecting one or two arguments', c, 1, 2, 3)
           says('expecting table as the 2nd argument for subrequest 0, but got string', c, '/', 'x')
           says('unsafe uri in argument #1: /../x', c, '/../x')
           says('Bad args option value', c, '/', { args = true })
           says('Bad vars option value', c, '/', { vars = 1 })
           says('Bad http request method', c, '/', { method = 'GET' })
           says('Bad http request body', c, '/', { body = {} })
           says('Bad ctx option value type number, expected a Lua table', c, '/', { ctx = 1 })
           says('Bad share_all_vars option value', c, '/', { share_all_vars = 1 })
           says('Bad copy_all_vars option value', c, '/', { copy_all_vars = 1 })
           says('attempt to use bad variable value type table', c, '/', { vars = { a = {} } })
           says('attempt to use a non-string key in the \"vars\" option table', c, '/', { vars = { 'a' } })
           says('attempt to use a non-string key in the \"args\" option table', c, '/', { args = { 'a' } })
           says('failed to adjust the subrequest: -1', c, '/', { method = 3 })
           says('failed to adjust the subrequest: -1', c, '/', { vars = { nobody = '1' } })
           says('failed to adjust the subrequest: 500', c, '/', { vars = { uri = '/x' } })
           says('only one argument is expected, but got 0', m)
           says('at least one subrequest should be specified', m, {})
           says('the query argument 0 is not a table, but a string', m, { 'a' })
           says('query argument 1 expecting one or two arguments', m, { { '/' }, {} })
           says('table expected, got number', m, 1)
           says('expecting one or two arguments, but got 0', ngx.exec)
           says('The uri argument is empty', ngx.exec, '')
           says('unsafe uri', ngx.exec, '/a/../b')
           says('string, number, or table expected, but got boolean', ngx.exec, '/a', true)
           ngx.print('done')
           says('attempt to call ngx.exec after sending out response headers', ngx.exec, '/a')
         end,",
    );
    let r = gateway.get("/go", &[]);
    assert_eq!(r.text(), "done", "{}", gateway.errors());
}

#[test]
fn d02_exec_routes_anew_with_a_fresh_context() {
    let origin = origin();
    let gateway = gateway(
        origin.port,
        "['/jump'] = function()
           ngx.ctx.jumped = true
           ngx.req.set_uri('/landed', true)
         end,
         ['/round'] = function() ngx.req.set_uri('/round', true) end,",
        "['/go'] = function(same)
           ngx.ctx.before = true
           ngx.header['X-Kept'] = 'kept'
           ngx.exec('/up?a=1', 'b=2')
         end,
         ['/fresh'] = function() ngx.ctx.before = true ngx.exec('/sees') end,
         ['/sees'] = function()
           ngx.say(tostring(ngx.ctx.before), ' ', ngx.var.uri, ' ', ngx.var.request_uri, ' ',
             tostring(ngx.req.is_internal()), ' ', tostring(ngx.is_subrequest))
         end,
         ['/landed'] = function() ngx.say('landed ', tostring(ngx.ctx.jumped)) end,
         ['/loop'] = function() ngx.exec('/loop') end,
         ['/named'] = function() ngx.exec('@nowhere') end,",
    );
    let mut client = gateway.connect();
    let r = client.ask("POST", "/go?first=1", &[], b"the body").is(203);
    assert_eq!(
        r.text(),
        "POST /up?a=1&b=2 HTTP/1.1\nthe body",
        "{}",
        gateway.errors()
    );
    assert_eq!(r.header("x-kept"), Some("kept"));
    assert_eq!(client.get("/fresh").text(), "nil /sees /fresh true false\n");
    assert_eq!(client.get("/jump").text(), "landed true\n");
    client.get("/loop").is(500);
    gateway.logged("rewrite or internal redirection cycle while internally redirecting to \"/loop\"");
    client.get("/round").is(500);
    gateway.logged("rewrite or internal redirection cycle while processing \"/round\"");
    client.get("/named").is(500);
    gateway.logged("could not find named location \"@nowhere\"");
}

#[test]
fn d02_a_client_that_leaves_ends_its_captures() {
    let gateway = setup(
        1,
        "",
        "['/go'] = function()
           ngx.location.capture_multi({ { '/slow' }, { '/slow' }, { '/slow' } })
           kong.log.err('went on')
         end,
         ['/slow'] = function() ngx.sleep(3) kong.log.err('slept on') end,",
    )
    .set("nginx_proxy_lua_check_client_abort", "on")
    .start();
    let mut client = gateway.connect();
    client.send("GET /go HTTP/1.1\r\nHost: a\r\n\r\n");
    std::thread::sleep(std::time::Duration::from_millis(300));
    drop(client);
    gateway.logged("logged /go.");
    gateway.signal("USR2");
    let line = gateway.logged("gauges:");
    for nothing in ["exchanges=0", "coroutines=0", "slots=0"] {
        assert!(line.contains(nothing), "{line}");
    }
    assert!(!gateway.errors().contains("slept on"));
}

#[test]
fn d02_a_request_is_not_left_while_a_subrequest_of_it_runs() {
    let origin = origin();
    let gateway = gateway(
        origin.port,
        "",
        "['/slow'] = function() ngx.sleep(0.1) ngx.print('slow') ngx.exit(200) end,
         ['/go'] = function(same)
           local function refused(f, ...)
             local ok, err = pcall(f, ...)
             same(ok, false)
             same(err:match('attempt.*'), 'attempt to abort with pending subrequests')
           end
           local body
           local t = ngx.thread.spawn(function() body = ngx.location.capture('/slow').body end)
           refused(ngx.exit, 200) refused(ngx.exit, 0) refused(ngx.exec, '/slow') refused(ngx.redirect, '/slow')
           local ok, err = ngx.thread.kill(t)
           same(ok, nil) same(err, 'pending subrequests')
           assert(ngx.thread.wait(t))
           same(body, 'slow')
           -- another's waits are no reason
           t = ngx.thread.spawn(function() ngx.sleep(60) end)
           local sub = ngx.thread.spawn(function() ngx.location.capture('/slow') end)
           same(ngx.thread.kill(t), 1)
           assert(ngx.thread.wait(sub))
           ngx.print('left') ngx.exit(200)
         end,
         ['/close'] = function(same)
           ngx.thread.spawn(function() ngx.location.capture('/slow') end)
           ngx.exit(499)
         end",
    );
    assert_eq!(gateway.get("/go", &[]).is(200).text(), "left");
    let mut client = gateway.connect();
    client.send("GET /close HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(client.try_answer(false).is_none());
}

#[test]
fn d02_a_subrequest_that_closes_the_connection_closes_it() {
    let origin = Origin::echo();
    let gateway = Setup::probe(origin.port).start();
    let code = "if not ngx.is_subrequest then local r = ngx.location.capture('/sub') \
                ngx.say(r.status, ' ', r.body, ' ', r.truncated) ngx.exit(200) end ";
    for end in [
        "ngx.exit(444)",
        "ngx.exit(499)",
        "ngx.exit(408)",
        "ngx.print('a') ngx.exit(444)",
    ] {
        let mut client = gateway.connect();
        client.send(format!(
            "GET / HTTP/1.1\r\nHost: a\r\nX-Access: {code} {end}\r\n\r\n"
        ));
        assert!(client.try_answer(false).is_none(), "{end}");
    }
    for (end, told) in [
        ("ngx.exit(101)", "101  true"),
        ("ngx.exit(204)", "204  true"),
        ("ngx.exit(302)", "302  true"),
        ("ngx.exit(600)", "600  true"),
        ("ngx.exit(ngx.ERROR)", "500  true"),
        ("ngx.print('a') ngx.exit(200)", "200 a false"),
        ("ngx.print('a') error('oh')", "200 a true"),
        ("ngx.print('a') ngx.flush(true) error('oh')", "200 a true"),
    ] {
        let r = gateway
            .get("/", &[("X-Access", &format!("{code} {end}"))])
            .is(200);
        assert_eq!(r.text(), format!("{told}\n"), "{end}");
    }
}

#[test]
fn d02_variables_are_copied_or_shared() {
    let origin = Origin::echo();
    let gateway = Setup::probe(origin.port).start();
    for (options, seen, after) in [
        ("{}", "", "parent"),
        ("{ copy_all_vars = true }", "parent", "parent"),
        ("{ share_all_vars = true }", "parent", "sub"),
        ("{ share_all_vars = true, copy_all_vars = true }", "parent", "sub"),
        (
            "{ copy_all_vars = true, vars = { upstream_te = 'given' } }",
            "given",
            "parent",
        ),
    ] {
        let code = format!(
            "if ngx.is_subrequest then local v = ngx.var.upstream_te ngx.var.upstream_te = 'sub' ngx.print(v) \
             else ngx.var.upstream_te = 'parent' local r = ngx.location.capture('/', {options}) \
             ngx.print(r.body, ',', ngx.var.upstream_te) end ngx.exit(200)"
        );
        let r = gateway.get("/", &[("X-Access", &code)]).is(200);
        assert_eq!(r.text(), format!("{seen},{after}"), "{options}");
    }
    // shared ones are the same all the while
    let code = "if ngx.is_subrequest then ngx.sleep(0.05) ngx.var.upstream_te = 'sub' ngx.sleep(0.15) \
                  ngx.print(ngx.var.upstream_te) \
                else ngx.var.upstream_te = 'parent' \
                  local t = ngx.thread.spawn(function() ngx.sleep(0.1) local v = ngx.var.upstream_te \
                    ngx.var.upstream_te = 'thread' return v end) \
                  local r = ngx.location.capture('/', { share_all_vars = true }) \
                  ngx.print(select(2, ngx.thread.wait(t)), ',', r.body) \
                end ngx.exit(200)";
    assert_eq!(gateway.get("/", &[("X-Access", code)]).text(), "sub,thread");
    // without a Host it is the server's name, for the subrequest, too
    let code = "if ngx.is_subrequest then ngx.print('[', ngx.var.host, ']') else ngx.req.clear_header('Host') \
                local r = ngx.location.capture('/') ngx.print('[', ngx.var.host, ']', r.body) end ngx.exit(200)";
    assert_eq!(gateway.get("/", &[("X-Access", code)]).text(), "[kong][kong]");
}

#[test]
fn d02_a_subrequest_has_no_part_in_what_the_client_sends() {
    let gateway = gateway(
        1,
        "",
        "['/go'] = function(same)
           local r = ngx.location.capture('/in', { method = ngx.HTTP_POST })
           same(r.body, 'attempt to read the request body in a subrequest nil nil')
           ngx.req.read_body()
           r = ngx.location.capture('/in', { method = ngx.HTTP_POST })
           same(r.body, 'attempt to read the request body in a subrequest 8 the body')
           ngx.print('done')
         end,
         ['/in'] = function()
           local _, err = pcall(ngx.req.socket)
           ngx.req.read_body()
           ngx.print(err, ' ', ngx.var.content_length, ' ', ngx.req.get_body_data())
         end,",
    );
    let mut client = gateway.connect();
    let r = client.ask("POST", "/go", &[], b"the body").is(200);
    assert_eq!(r.text(), "done", "{}", gateway.errors());
}
