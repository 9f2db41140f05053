//! Lines of the error log that Lua causes: whose they are, what a failed handler leaves, what sockets say.

use std::net::TcpListener;

use crate::support::{Gateway, Setup, free_port};

fn gateway(more: &[(&str, &str)]) -> Gateway {
    let echo = free_port();
    let mut setup = Setup::probe(echo).set("moongate_echo_listen", &format!("127.0.0.1:{echo}"));
    for (key, value) in more {
        setup = setup.set(key, value);
    }
    setup
        .plugin(
            "beginner",
            "return { PRIORITY = 1, VERSION = '1', init_worker = function()
               ngx.log(ngx.ERR, 'begins')
               ngx.timer.at(0, function() ngx.log(ngx.ERR, 'of the beginning') end)
               ngx.log(ngx.ERR, 'say: ', select(2, pcall(ngx.say, 1)))
               ngx.log(ngx.ERR, 'spawn: ', select(2, pcall(ngx.thread.spawn, function() end)))
               error('begins badly')
             end }",
        )
        .start()
}

#[test]
fn d03_lines_say_whose_they_are() {
    let gateway = gateway(&[]);
    let begin = gateway.logged("begins, context");
    assert!(
        begin.contains("#0: *")
            && begin.contains("[lua] handler.lua:2: ")
            && begin.ends_with(", context: init_worker_by_lua*"),
        "{begin}"
    );
    assert!(
        gateway
            .logged("of the beginning")
            .ends_with(", context: ngx.timer")
    );
    for name in ["say", "spawn"] {
        let line = gateway.logged(&format!("{name}: "));
        assert!(
            line.contains("API disabled in the context of init_worker_by_lua*"),
            "{line}"
        );
    }
    gateway
        .logged("[kong] [beginner] failed to execute the \"init_worker\" handler for plugin \"beginner\": ");

    gateway
        .access(
            "local function named() ngx.log(ngx.ERR, 'of the request') end named()
             ngx.timer.at(0, function()
               ngx.log(ngx.ERR, 'of the timer')
               ngx.timer.at(0, function() ngx.log(ngx.ERR, 'of its timer') end)
             end)",
        )
        .is(200);
    let line = gateway.logged("of the request");
    assert!(
        line.contains(
            "[lua] probe_access:1: named(): of the request, client: 127.0.0.1, server: kong, \
             request: \"GET / HTTP/1.1\", host: \""
        ),
        "{line}"
    );
    for text in ["of the timer", "of its timer"] {
        let line = gateway.logged(text);
        let context = format!("{text}, context: ngx.timer, client: 127.0.0.1, server: 127.0.0.1:");
        assert!(line.contains(&context) && line.contains("#0: *"), "{line}");
    }
    let lua = "ngx.log(ngx.ERR, 'in ' .. ngx.get_phase())";
    let phases = [("x-header_filter", lua), ("x-body_filter", lua), ("x-log", lua)];
    gateway.get("/", &phases).is(200);
    for (phase, action) in [
        ("header_filter", "reading response header from upstream"),
        ("body_filter", "reading upstream"),
        ("log", "logging request"),
    ] {
        let line = gateway.logged(&format!("in {phase}"));
        let said = format!("in {phase} while {action}, client: 127.0.0.1, server: kong, request: ");
        assert!(
            line.contains(&said) && line.contains(", upstream: \"http://127.0.0.1:"),
            "{line}"
        );
    }
}

#[test]
fn d03_a_traceback_goes_from_coroutine_to_coroutine() {
    let gateway = gateway(&[]);
    gateway
        .access(
            "local inner = coroutine.wrap(function() local function deep() error('from within') end deep() end)
             local outer = coroutine.wrap(function() inner() end)
             outer()",
        )
        .is(500);
    gateway.logged("lua entry thread aborted: runtime error: probe_access:1: from within");
    let all = gateway.errors();
    let trace = all.split("from within\nstack traceback:\n").nth(1).unwrap();
    let heads: Vec<&str> = [
        "coroutine 0:",
        "in function 'deep'",
        "coroutine 1:",
        "coroutine 2:",
    ]
    .into_iter()
    .filter(|head| trace.contains(head))
    .collect();
    assert_eq!(heads.len(), 4, "{trace}");
    let place = |text: &str| trace.find(text).unwrap();
    assert!(place("coroutine 0:") < place("in function 'deep'"));
    assert!(place("in function 'deep'") < place("coroutine 1:"));

    // an error that was caught leaves nothing to the next
    gateway
        .access("pcall(coroutine.wrap(function() error('caught', 0) end)) error({})")
        .is(500);
    gateway.logged("lua entry thread aborted: runtime error: unknown reason");
    let all = gateway.errors();
    let trace = all.split("unknown reason\n").nth(1).unwrap();
    assert!(!trace.contains("coroutine 1:"), "{trace}");

    gateway
        .access(
            "local t = ngx.thread.spawn(function() ngx.sleep(0) error('of a thread') end)
             ngx.thread.wait(t)",
        )
        .is(200);
    gateway.logged("lua user thread aborted: runtime error: probe_access:1: of a thread");
    let all = gateway.errors();
    let trace = all.split("of a thread\nstack traceback:\n").nth(1).unwrap();
    assert!(
        trace.starts_with("coroutine 0:\n\t[C]: in function 'error'"),
        "{trace}"
    );
    // its parent waits for it
    assert!(
        trace.contains("coroutine 1:\n\t[C]: in function 'wait"),
        "{trace}"
    );
}

/// Lua that connects and says how that went, for sockets of both kinds.
fn talk(port: u16) -> String {
    format!(
        "local out = {{}}
         local s = ngx.socket.tcp() s:settimeout(30)
         out[1] = select(2, s:connect('localhost', {port}))
         s = ngx.socket.tcp() s:settimeout(30)
         assert(s:connect('127.0.0.1', tonumber(ngx.var.server_port)))
         out[2] = select(2, s:receive())
         s:close() out[3] = select(2, s:send('x'))
         out[4] = select(2, ngx.socket.tcp():connect('unix:/nowhere/at/all.sock'))
         local u = ngx.socket.udp() u:settimeout(30) assert(u:setpeername('localhost', {port})) u:send('x')
         out[5] = select(2, u:receive())
         s = ngx.socket.tcp() s:bind('192.0.2.1') out[6] = select(2, s:connect('127.0.0.1', {port}))
         kong.response.exit(200, table.concat(out, ', '))"
    )
}

const SAID: &str = "connection refused, timeout, closed, no such file or directory, connection refused, \
                    cannot assign requested address";

#[test]
fn d03_sockets_log_what_nginx_logs() {
    let port = free_port();
    let quiet = gateway(&[]);
    assert_eq!(quiet.access(&talk(port)).is(200).text(), SAID);
    // nginx's core says these whatever the Lua module is told
    let always = [
        (
            "[crit]",
            "connect() to unix:/nowhere/at/all.sock failed (2: No such file or directory), upstream: \
             unix:/nowhere/at/all.sock(unix:/nowhere/at/all.sock), client: 127.0.0.1, server: kong"
                .to_owned(),
        ),
        (
            "[error]",
            format!(
                "recv() failed (111: Connection refused), upstream: localhost:{port}(127.0.0.1), client: "
            ),
        ),
        (
            "[crit]",
            format!(
                "bind(192.0.2.1) failed (99: Cannot assign requested address), upstream: \
                 127.0.0.1:{port}(127.0.0.1), client: "
            ),
        ),
    ];
    for (level, text) in &always {
        let line = quiet.logged(text);
        assert!(line.contains(level), "{line}");
    }
    // Kong has `lua_socket_log_errors off`
    for text in ["connect() failed", "timed out", "closed socket"] {
        assert!(!quiet.errors().contains(text), "{text}");
    }
    drop(quiet);

    let loud = gateway(&[("nginx_http_lua_socket_log_errors", "on")]);
    assert_eq!(loud.access(&talk(port)).is(200).text(), SAID);
    for (_, text) in &always {
        loud.logged(text);
    }
    let line = loud.logged("connect() failed (111: Connection refused)");
    assert!(
        line.contains(&format!(", upstream: localhost:{port}(127.0.0.1), client: ")),
        "{line}"
    );
    loud.logged(&format!(
        "lua tcp socket read timed out, upstream: 127.0.0.1:{}(127.0.0.1)",
        loud.port
    ));
    loud.logged("attempt to send data on a closed socket: u:");
}

#[test]
fn d03_a_silent_address_times_out_by_name() {
    // a queue that is full answers nobody
    let full = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = full.local_addr().unwrap().port();
    socket2::SockRef::from(&full).listen(0).unwrap();
    let _held: Vec<_> = (0..3)
        .filter_map(|_| {
            let s = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).ok()?;
            s.set_nonblocking(true).ok()?;
            let _ = s.connect(&full.local_addr().unwrap().into());
            Some(s)
        })
        .collect();
    let gateway = gateway(&[("nginx_http_lua_socket_log_errors", "on")]);
    let said = gateway.access(&format!(
        "local s = ngx.socket.tcp() s:settimeouts(50, 1000, 1000)
         local t = ngx.thread.spawn(function() return select(2, s:connect('127.0.0.1', {port})) end)
         local _, e = s:send('x') local _, f = s:setkeepalive() local n = s:getreusedtimes()
         local _, timeout = ngx.thread.wait(t)
         kong.response.exit(200, table.concat({{ e, f, n, timeout }}, ', '))"
    ));
    assert_eq!(
        said.is(200).text(),
        "socket busy connecting, socket busy connecting, 0, timeout"
    );
    gateway.logged(&format!(
        "lua tcp socket connect timed out, upstream: 127.0.0.1:{port}(127.0.0.1), client: "
    ));
}
