//! Timers, workers and cosockets.

use std::io::{Read as _, Write as _};
use std::rc::Rc;
use std::time::Duration;

use super::{EQ, exchange, fails, vm};
use crate::exchange::Phase;
use crate::ngx::{sockets, timer, worker};
use crate::vm::{Flow, Scope, Vm};

/// Runs `src` in access, then lets the worker go on for `after`.
fn run(vm: &Rc<Vm>, src: &str, after: Duration) -> Flow {
    let src = format!("{EQ}{src}");
    let f = vm.keep(vm.lua().load(src).into_function().unwrap()).unwrap();
    let rt = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let local = tokio::task::LocalSet::new();
    local.block_on(&rt, async {
        let flow = {
            let scope = Scope::new(vm, Phase::Access, Some(exchange()));
            vm.run(&scope, f, &[]).await
        };
        tokio::time::sleep(after).await;
        flow
    })
}

#[test]
fn a11_ngx_timers_run_later() {
    let vm = vm();
    let flow = run(
        &vm,
        "seen = {}
        eq(ngx.timer.at(0, function(premature, a, b, c)
            assert(premature == false and a == 1 and b == nil and c == 3 and ngx.get_phase() == 'timer')
            ngx.ctx.mine = true ngx.sleep(0.005) assert(ngx.ctx.mine) seen.at = true end, 1, nil, 3), 1)
        ngx.timer.every(0.01, function() seen.every = (seen.every or 0) + 1 end)
        ngx.timer.at(0, function() error('in a timer') end)
        ngx.timer.at(0, function() seen.exit = true ngx.exit(0) seen.beyond = true end)
        ngx.timer.at(1000, function(premature) seen.premature = premature end)
        eq(ngx.timer.pending_count(), 5)",
        Duration::from_millis(60),
    );
    assert!(matches!(flow, Flow::Done), "{flow:?}");
    vm.lua()
        .load(
            "assert(seen.at and seen.every >= 3 and seen.exit and not seen.beyond and seen.premature == nil)",
        )
        .exec()
        .unwrap();
    assert_eq!(vm.live_slots(), 0);
}

#[test]
fn a11_ngx_timers_end_prematurely() {
    let vm = vm();
    let rt = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let local = tokio::task::LocalSet::new();
    let load = |src: &str| vm.keep(vm.lua().load(src).into_function().unwrap()).unwrap();
    let f = load(
        "ngx.timer.at(1000, function(premature) seen = premature end)
         ngx.timer.every(1000, function(premature) every = (every or 0) + (premature and 1 or 100) end)",
    );
    let late = load("late = select(2, ngx.timer.at(1, print))");
    local.block_on(&rt, async {
        let scope = Scope::new(&vm, Phase::Access, Some(exchange()));
        assert!(matches!(vm.run(&scope, f, &[]).await, Flow::Done));
        tokio::task::yield_now().await;
        assert_eq!(timer::counts(&vm), (2, 0));
        timer::shutdown(&vm);
        tokio::time::sleep(Duration::from_millis(10)).await;
        assert_eq!(timer::counts(&vm), (0, 0));
        assert!(matches!(vm.run(&scope, late, &[]).await, Flow::Done));
    });
    vm.lua()
        .load("assert(seen == true and every == 1 and late == 'process exiting')")
        .exec()
        .unwrap();
}

#[test]
fn a11_ngx_timers_are_capped() {
    let flow = run(
        &vm(),
        "for i = 1, 1024 do assert(ngx.timer.at(1000, print)) end
        eq(select(2, ngx.timer.at(1000, print)), 'too many pending timers')",
        Duration::ZERO,
    );
    assert!(matches!(flow, Flow::Done), "{flow:?}");
    let e = fails(Phase::Access, "ngx.timer.at(0, 5)");
    assert!(
        e.contains("bad argument #2 to 'at' (Lua function expected)"),
        "{e}"
    );
    let e = fails(Phase::Access, "ngx.timer.every(0, print)");
    assert!(e.contains("delay cannot be zero"), "{e}");
}

#[test]
fn a11_ngx_worker_and_config() {
    worker::set(1, 4711, 4);
    let flow = run(
        &vm(),
        "eq(ngx.worker.id(), 1) eq(ngx.worker.pid(), 4711) eq(ngx.worker.count(), 4) eq(ngx.worker.exiting(), false)
        eq(ngx.config.subsystem, 'http') eq(ngx.config.debug, false) eq(type(ngx.config.prefix()), 'string')
        eq(ngx.config.nginx_configure(), '') eq(ngx.get_phase(), 'access') eq(ngx.is_subrequest, false)
        eq(type(ngx.null), 'userdata') eq(ngx.HTTP_POST, 8)",
        Duration::ZERO,
    );
    assert!(matches!(flow, Flow::Done), "{flow:?}");
}

/// A server for `n` connections: each answers lines, then what a line "more" asks for.
fn server(n: usize) -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for _ in 0..n {
            let (mut s, _) = listener.accept().unwrap();
            std::thread::spawn(move || {
                let mut buf = [0u8; 1024];
                while let Ok(k) = s.read(&mut buf) {
                    match &buf[..k] {
                        b"" | b"bye\n" => return,
                        b"slow\n" => std::thread::sleep(Duration::from_millis(200)),
                        b"half\n" => {
                            s.write_all(b"ha").unwrap();
                            return;
                        }
                        text => s.write_all(text).unwrap(),
                    }
                }
            });
        }
    });
    port
}

#[test]
fn a09_tcp_cosocket() {
    let port = server(4);
    let vm = vm();
    let nobody = crate::resolver::Options {
        servers: vec![([127, 0, 0, 1], 1).into()],
        ..Default::default()
    };
    crate::resolver::Names::new(nobody).set_of_thread();
    let flow = run(
        &vm,
        &format!(
            "local s = ngx.socket.tcp() s:settimeout(2000) eq(s:connect('127.0.0.1', {port}), 1)
            eq(s:getreusedtimes(), 0)
            eq(s:send({{ 'one\\r\\n', {{ 2, '\\n' }}, 'tail' }}), 11)
            eq(s:receive(), 'one') eq(s:receive('*l'), '2') eq(s:receive(4), 'tail')
            s:send('a--b') eq(s:receiveuntil('--')(), 'a') eq(s:receiveany(10), 'b')
            eq(s:setkeepalive(1000, 5), 1) eq(select(2, s:send('x')), 'closed')
            s = ngx.socket.connect('127.0.0.1', {port}) eq(s:getreusedtimes(), 1)
            s:settimeouts(100, 100, 20) s:send('slow\\n') local d, e, p = s:receive() eq(d, nil) eq(e, 'timeout') eq(p, '')
            eq(s:close(), 1) eq(select(2, s:close()), 'closed')
            s = ngx.socket.connect('127.0.0.1', {port}) s:send('half\\n') d, e, p = s:receive(5)
            eq(d, nil) eq(e, 'closed') eq(p, 'ha') eq(select(2, s:receive()), 'closed')
            eq(select(2, s:receive()), 'closed') eq(s:close(), 1)
            s = ngx.socket.connect('localhost', {port}) s:send('half\\n') eq(s:receive('*a'), 'ha')
            eq(select(2, ngx.socket.tcp():connect('127.0.0.1', 1)), 'connection refused')
            e = select(2, ngx.socket.tcp():connect('no.such.host.invalid', 1))
            assert(e:find('[cosocket] DNS resolution failed: failed to ', 1, true) == 1, e)
            assert(e:find('127.0.0.1:1: connection refused. Tried: [\"(short)no.such.host.invalid:(na)', 1, true), e)
            eq(select(2, ngx.socket.tcp():connect('unix:/nowhere/sock')), 'no such file or directory')
            coroutine.wrap(function() local c = ngx.socket.connect('127.0.0.1', {port}) eq(c:send('left open'), 9) end)()"
        ),
        Duration::ZERO,
    );
    assert!(matches!(flow, Flow::Done), "{flow:?}");
    assert_eq!(sockets::counts(), (0, 0), "the handler's sockets end with it");
    let e = fails(Phase::Log, "ngx.socket.tcp()");
    assert!(e.contains("API disabled in the context of log_by_lua*"), "{e}");
    let e = fails(Phase::Access, "ngx.socket.tcp():connect('a.b', 1, {pool = {}})");
    assert!(e.contains("bad \"pool\" option type: table"), "{e}");
}

#[test]
fn a09_abandoned_cosocket_closes() {
    let port = server(1);
    let vm = vm();
    let f = vm
        .keep(
            vm.lua()
                .load(format!(
                    "local s = ngx.socket.connect('127.0.0.1', {port}) s:receive()"
                ))
                .into_function()
                .unwrap(),
        )
        .unwrap();
    let rt = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let local = tokio::task::LocalSet::new();
    local.block_on(&rt, async {
        let scope = Scope::new(&vm, Phase::Access, Some(exchange()));
        let run = vm.run(&scope, f, &[]);
        assert!(
            tokio::time::timeout(Duration::from_millis(50), run)
                .await
                .is_err()
        );
        drop(scope);
        assert_eq!(sockets::counts(), (0, 0));
    });
    assert_eq!((vm.live_coroutines(), vm.live_slots()), (0, 0));
}

#[test]
fn d02_what_a_failed_capture_prepared_is_nobody_elses() {
    let vm = vm();
    let slots = vm.live_slots();
    let failing = "local bad = setmetatable({}, { __index = function() error('while it is read') end })
        local ok, e = pcall(ngx.location.capture_multi, { { '/mine' }, { '/b', bad } })
        assert(not ok and e:find('while it is read'), e)";
    for _ in 0..3 {
        assert!(matches!(run(&vm, failing, Duration::ZERO), Flow::Done));
    }
    // an own call, and another request's, begin with nothing prepared
    let flow = run(
        &vm,
        &format!(
            "{failing} local ok, e = pcall(ngx.location.capture, '/x') assert(not ok and e:find('no gateway'), e)"
        ),
        Duration::from_millis(5),
    );
    assert!(matches!(flow, Flow::Done), "{flow:?}");
    assert_eq!(vm.live_slots(), slots);
}
