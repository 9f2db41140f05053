//! Light threads, `ngx.on_abort`, timers and worker threads over real requests: what ends with a request, and when.

use std::time::{Duration, Instant};

use crate::support::gateway::one_line;
use crate::support::{Gateway, Setup, eventually, free_port};

const TEN: Duration = Duration::from_secs(10);

fn gateway(more: &[(&str, &str)]) -> Gateway {
    let echo = free_port();
    let mut setup = Setup::probe(echo).set("moongate_echo_listen", &format!("127.0.0.1:{echo}"));
    for (key, value) in more {
        setup = setup.set(key, value);
    }
    setup.start()
}

/// What a gauge says now.
fn gauge(gateway: &Gateway, name: &str) -> i64 {
    let lines = || gateway.errors().matches("gauges: ").count();
    let before = lines();
    gateway.signal("USR2");
    assert!(eventually(TEN, || lines() > before), "no gauges");
    let errors = gateway.errors();
    let line = errors.rsplit("gauges: ").next().unwrap();
    let value = line.split(&format!("{name}=")).nth(1).unwrap();
    let digits: String = value.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().unwrap()
}

fn at_rest(gateway: &Gateway) {
    for name in ["coroutines", "threads", "semaphore_waits", "sockets", "slots"] {
        assert!(
            eventually(TEN, || gauge(gateway, name) == 0),
            "{name} = {}",
            gauge(gateway, name)
        );
    }
}

/// Threads that wait in every way, for a minute.
const WAITERS: &str = "local sem = require('ngx.semaphore').new()
    local s = ngx.socket.tcp() s:settimeout(60000)
    assert(s:connect('127.0.0.1', tonumber(ngx.var.server_port)))
    for _, f in ipairs({ function() ngx.sleep(60) end, function() sem:wait(60) end, function() s:receive() end,
      function() ngx.thread.wait(ngx.thread.spawn(function() ngx.sleep(60) end)) end,
      function() coroutine.wrap(function() pcall(ngx.sleep, 60) end)() end }) do
      ngx.thread.spawn(function() f() ngx.log(ngx.ERR, 'LATE') end)
    end ";

#[test]
fn d03_an_exit_in_a_thread_ends_the_request() {
    let gateway = gateway(&[]);
    let start = Instant::now();
    let code = format!(
        "{WAITERS} ngx.thread.spawn(function() ngx.sleep(0.02) kong.response.exit(207, 'out') end) ngx.sleep(60)"
    );
    assert_eq!(gateway.access(&code).is(207).text(), "out");
    gateway
        .access(&format!(
            "{WAITERS} ngx.thread.spawn(function() ngx.sleep(0.01) ngx.exit(418) end)"
        ))
        .is(418);
    assert!(start.elapsed() < TEN);
    at_rest(&gateway);
    assert!(!gateway.errors().contains("LATE"));
}

#[test]
fn d03_a_failed_handler_ends_its_threads() {
    let gateway = gateway(&[]);
    gateway
        .access(&format!("{WAITERS} ngx.sleep(0.01) error('the entry fails')"))
        .is(500);
    at_rest(&gateway);
    assert!(!gateway.errors().contains("LATE"));
    // a thread's failure is its own
    let r = gateway.access(
        "local t = ngx.thread.spawn(function() ngx.sleep(0) error('only this', 0) end)
         local ok, err = ngx.thread.wait(t) kong.response.exit(200, tostring(ok) .. ' ' .. err)",
    );
    assert_eq!(r.is(200).text(), "false only this");
    let line = gateway.logged("only this");
    assert!(
        line.contains("lua user thread aborted: runtime error: only this"),
        "{line}"
    );
    at_rest(&gateway);
}

#[test]
fn d03_a_request_waits_for_its_threads() {
    let gateway = gateway(&[]);
    let start = Instant::now();
    gateway
        .access(
            "ngx.thread.spawn(function() ngx.sleep(0.2) kong.service.request.set_header('X-Late', '1') end)",
        )
        .is(200);
    assert!(start.elapsed() >= Duration::from_millis(200));
    at_rest(&gateway);
}

#[test]
fn d03_threads_end_with_a_client_that_goes() {
    let gateway = gateway(&[("nginx_proxy_lua_check_client_abort", "on")]);
    let mut clients: Vec<_> = (0..50).map(|_| gateway.connect()).collect();
    for client in &mut clients {
        client.send(format!(
            "GET / HTTP/1.1\r\nHost: a\r\nX-Access: {} ngx.sleep(60)\r\n\r\n",
            one_line(WAITERS)
        ));
    }
    assert!(
        eventually(TEN, || gauge(&gateway, "threads") == 50 * 6),
        "{} threads",
        gauge(&gateway, "threads")
    );
    assert_eq!(gauge(&gateway, "semaphore_waits"), 50);
    assert_eq!(gauge(&gateway, "sockets"), 50);
    drop(clients);
    at_rest(&gateway);
    assert!(!gateway.errors().contains("LATE"));
}

#[test]
fn d03_on_abort_is_called_when_the_client_goes() {
    let on = ("nginx_proxy_lua_check_client_abort", "on");
    let gateway = gateway(&[on]);
    let leave = |code: &str| {
        let mut client = gateway.connect();
        client.send(format!(
            "GET / HTTP/1.1\r\nHost: a\r\nX-Access: {}\r\nX-Log: kong.log.err('LOGGED ', ngx.status, ' ', ngx.ctx.n)\r\n\r\n",
            one_line(code)
        ));
        assert!(eventually(TEN, || gauge(&gateway, "coroutines") == 1));
        drop(client);
    };
    leave(
        "assert(ngx.on_abort(function() ngx.sleep(0.05) kong.log.err('GONE ', ngx.ctx.n) ngx.ctx.n = 2 ngx.exit(499) end) == 1)
         local ok, err = ngx.on_abort(function() end) assert(ok == nil and err == 'duplicate call')
         ngx.ctx.n = 1 ngx.sleep(60) kong.log.err('LATE')",
    );
    assert!(eventually(TEN, || gateway.errors().contains("LOGGED")));
    let errors = gateway.errors();
    let (gone, logged) = (
        errors.find("GONE 1").unwrap(),
        errors.find("LOGGED 499 2").unwrap(),
    );
    assert!(gone < logged && !errors.contains("LATE"), "{errors}");
    // without an exit the handler goes on to its end
    leave("ngx.on_abort(function() ngx.ctx.n = 3 end) ngx.sleep(0.3) kong.log.err('THROUGH ', ngx.ctx.n)");
    assert!(eventually(TEN, || gateway.errors().contains("THROUGH 3")));
    assert!(eventually(TEN, || gateway.errors().contains("LOGGED 499 3")));
    at_rest(&gateway);
    let r = gateway
        .access("local ok, err = pcall(ngx.on_abort, print and string.rep) kong.response.exit(200, err)");
    assert_eq!(r.is(200).text(), "bad argument #1 to '?' (Lua function expected)");
}

#[test]
fn d03_on_abort_is_off_by_default() {
    let r = gateway(&[]).access("kong.response.exit(200, select(2, ngx.on_abort(function() end)))");
    assert_eq!(r.is(200).text(), "lua_check_client_abort is off");
}

#[test]
fn d03_timers_have_their_limits() {
    let gateway = gateway(&[
        ("nginx_http_lua_max_pending_timers", "2"),
        ("nginx_http_lua_max_running_timers", "1"),
    ]);
    let r = gateway.access(
        "local function sleep() ngx.sleep(0.2) end
         assert(ngx.timer.at(0, sleep)) assert(ngx.timer.at(0, sleep))
         local ok, err = ngx.timer.at(0, sleep) ngx.sleep(0.05)
         kong.response.exit(200, tostring(ok) .. ' ' .. err .. ' ' .. ngx.timer.running_count()
           .. ' ' .. ngx.timer.pending_count())",
    );
    assert_eq!(r.is(200).text(), "nil too many pending timers 1 0");
    let line = gateway.logged("lua_max_running_timers");
    assert!(line.contains("[alert]") && line.contains("1 lua_max_running_timers are not enough"));
}

#[test]
fn d03_a_timer_waits_for_its_threads_and_is_told_of_the_end() {
    let mut gateway = gateway(&[]);
    gateway
        .access(
            "ngx.timer.at(0, function() ngx.thread.spawn(function() ngx.sleep(0.01) ngx.log(ngx.ERR, 'IN TIMER') end) end)
             ngx.timer.at(1000, function(premature)
               ngx.log(ngx.ERR, 'PREMATURE ', premature, ' ', ngx.worker.exiting()) end)",
        )
        .is(200);
    assert!(eventually(TEN, || gateway.errors().contains("IN TIMER")));
    gateway.signal("QUIT");
    assert!(gateway.wait(TEN).is_some());
    assert!(
        gateway.errors().contains("PREMATURE true true"),
        "{}",
        gateway.errors()
    );
}

const MODULE: &str = r#"
local M = { value = 1 }
function M.add(a, b, t) return a + (b or 0), nil, t and { t, n = t.n } or false end
function M.fail() error("it fails") end
function M.spin() while true do end end
function M.api()
  local names = {}
  for k in pairs(ngx) do names[#names + 1] = k end
  return ngx.md5("x"), ngx.encode_base64("a"), ngx.sleep == nil and ngx.req == nil and kong == nil,
    (ngx.shared.kong:set("from_a_thread", 7))
end
function M.closure() return function() end end
function M.slow() local t = os.clock() while os.clock() - t < 0.3 do end return true end
return M
"#;

#[test]
fn d03_worker_threads_run_functions_of_modules() {
    let echo = free_port();
    let gateway = Setup::probe(echo)
        .set("moongate_echo_listen", &format!("127.0.0.1:{echo}"))
        .set("moongate_handler_timeout", "100ms")
        .set("nginx_http_lua_worker_thread_vm_pool_size", "2")
        .lua("there.lua", MODULE)
        .start();
    let say = |code: &str| {
        let lua = format!(
            "local function run(...) return ngx.run_worker_thread('default', 'there', ...) end
             local function p(...) local t = {{}} for i = 1, select('#', ...) do t[i] = tostring((select(i, ...))) end
             return table.concat(t, '|') end kong.response.exit(200, {code})"
        );
        gateway.access(&lua).is(200).text()
    };
    assert_eq!(say("p(run('add', 1, 2))"), "true|3|nil|false");
    assert_eq!(
        say(
            "(function() local ok, sum, _, t = run('add', 1, nil, { n = 'x', { true } }) return p(ok, sum, t.n, t[1][1][1]) end)()"
        ),
        "true|1|x|true"
    );
    assert!(say("p(run('fail'))").ends_with("there.lua:4: it fails"));
    assert_eq!(
        say("p(run('api'))"),
        "true|9dd4e461268c8034f5c8564e155c67a6|YQ==|true|true"
    );
    assert_eq!(say("p(ngx.shared.kong:get('from_a_thread'))"), "7");
    assert_eq!(
        say("p(run('closure'))"),
        "false|unsupported Lua type: LUA_TFUNCTION in the return value"
    );
    assert_eq!(
        say("p(run('add', print))"),
        "false|unsupported Lua type: LUA_TFUNCTION in the argument"
    );
    assert_eq!(
        say("(function() local t = {} t.t = t return p(run('add', 1, 2, t)) end)()"),
        "false|suspicious circular references, table depth exceed max depth: 100 in the argument"
    );
    assert_eq!(say("p(run('none'))"), "false|invalid function");
    assert_eq!(
        say("p(ngx.run_worker_thread('x', 'there', 'add'))"),
        "false|thread pool x not found"
    );
    assert_eq!(
        say("p(ngx.run_worker_thread('default', 'there'))"),
        "false|expecting at least 3 arguments"
    );
    assert!(
        say("p(ngx.run_worker_thread('default', 'no.such', 'f'))").contains("module 'no.such' not found")
    );
    // two at once, the third has no state
    assert_eq!(
        say("(function() local a, b = ngx.thread.spawn(run, 'slow'), ngx.thread.spawn(run, 'slow')
              local third = p(run('slow')) return third .. ' ' .. p(ngx.thread.wait(a)) .. ' ' .. p(ngx.thread.wait(b)) end)()"),
        "false|no available Lua vm true|true|true true|true|true"
    );
    // one that never ends is stopped, and its caller does not hold the worker up meanwhile
    let start = Instant::now();
    let stopped = say("p(run('spin'))");
    assert!(stopped.contains("handler ran longer than"), "{stopped}");
    assert!(start.elapsed() < TEN);
    assert_eq!(say("p(run('add', 2, 2))"), "true|4|nil|false");
    at_rest(&gateway);
}

#[test]
fn d03_workers_know_one_another() {
    let gateway = gateway(&[("nginx_worker_processes", "2")]);
    let r = gateway.access(
        "local pids, mine = ngx.worker.pids(), false
         for _, pid in ipairs(pids) do mine = mine or pid == ngx.worker.pid() end
         kong.response.exit(200, #pids .. ' ' .. tostring(mine) .. ' ' .. ngx.worker.count() .. ' '
           .. tostring(ngx.worker.id() < 2) .. ' ' .. tostring(ngx.worker.exiting()))",
    );
    assert_eq!(r.is(200).text(), "2 true 2 true false");
}

#[test]
fn d03_what_yields_for_ever_or_multiplies_is_stopped_and_delays_nobody() {
    let gateway = gateway(&[
        ("moongate_handler_timeout", "1s"),
        ("nginx_worker_processes", "1"),
    ]);
    let bad = [
        "while true do coroutine.yield() end",
        "ngx.thread.spawn(function() while true do coroutine.yield() end end) ngx.sleep(100)",
        "local function bomb() coroutine.yield() ngx.thread.spawn(bomb) ngx.thread.spawn(bomb) end bomb()",
    ];
    for lua in bad {
        let mut stuck = gateway.connect();
        stuck.send(format!(
            "GET / HTTP/1.1\r\nHost: test.local\r\nX-Access: {lua}\r\n\r\n"
        ));
        // meanwhile
        let mut served = 0;
        while !stuck.hears(Duration::from_millis(1)) {
            let began = Instant::now();
            assert_eq!(gateway.access("kong.response.exit(200, 'here')").text(), "here");
            assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
            served += 1;
        }
        stuck.answer(false).is(500);
        assert!(served > 1, "{lua}: {served} requests were served meanwhile");
    }
    gateway.logged("handler ran longer than moongate_handler_timeout allows");
    at_rest(&gateway);
}
