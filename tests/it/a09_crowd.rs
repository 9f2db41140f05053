//! A thousand requests at once that wait many times each: nobody sees another's context, nothing stays behind.

use std::time::Duration;

use serde_json::json;

use crate::support::{Client, Gateway, Origin, Setup, eventually, service, with};

const CROWD: usize = 1000;

const MIXER: &str = r#"
local P = { PRIORITY = 10, VERSION = "1.0.0" }

local function check(where)
  local id = kong.request.get_header("x-id")
  local same = ngx.ctx.id == id and kong.ctx.shared.id == id and kong.ctx.plugin.id == id
    and ngx.var.http_x_id == id and ngx.var.arg_id == id
  if not same then
    kong.log.err("MIXED in ", where, " of ", id)
    kong.response.exit(599)
  end
end

local function waits(port, id)
  for i = 1, 10 do
    ngx.sleep(math.random() * 0.01)
    check("sleep " .. i)
  end
  local sock = ngx.socket.tcp()
  sock:settimeout(20000)
  assert(sock:connect("127.0.0.1", port))
  for i = 1, 3 do
    assert(sock:send(id .. "\n"))
    local line = assert(sock:receive("*l"))
    assert(line == id, "another's answer")
    check("socket " .. i)
  end
  sock:close()
end

-- threads that wait for one another by sleeps, a socket and a semaphore, one of them killed, one left behind
local function threads(port, id)
  local semaphore = require "ngx.semaphore"
  local sem, seen = semaphore.new(), 0
  local function waiter(n)
    check("thread " .. n)
    assert(sem:wait(20))
    check("semaphore " .. n)
    seen = seen + 1
    return id, n
  end
  local a, b = ngx.thread.spawn(waiter, "a"), ngx.thread.spawn(waiter, "b")
  local poster = ngx.thread.spawn(function()
    ngx.sleep(math.random() * 0.01)
    check("poster")
    sem:post()
    local inner = ngx.thread.spawn(function()
      local sock = ngx.socket.tcp()
      sock:settimeout(20000)
      assert(sock:connect("127.0.0.1", port))
      assert(sock:send(id .. "\n"))
      local line = assert(sock:receive("*l"))
      check("socket in a thread")
      return line
    end)
    local ok, line = ngx.thread.wait(inner)
    assert(ok and line == id, line)
    sem:post()
    return id
  end)
  local never = ngx.thread.spawn(function() ngx.sleep(60) kong.log.err("MIXED: not killed") end)
  for _ = 1, 2 do
    local ok, got, n = ngx.thread.wait(a, b)
    assert(ok and got == id, got)
    check("waited")
    if n == "a" then a = b else b = a end
  end
  local ok, got = ngx.thread.wait(poster)
  assert(ok and got == id and seen == 2, got)
  assert(ngx.thread.kill(never) == 1)
  -- the phase ends with it, not before
  ngx.thread.spawn(function()
    ngx.sleep(0.001)
    check("left behind")
    ngx.ctx.left = id
  end)
end

function P:access(conf)
  local id = kong.request.get_header("x-id")
  if not id then return end
  ngx.ctx.id, kong.ctx.shared.id, kong.ctx.plugin.id = id, id, id
  local lines = coroutine.wrap(function()
    for i = 1, 5 do
      ngx.sleep(0.001)
      check("generator " .. i)
      coroutine.yield(id)
    end
  end)
  for got in lines do
    assert(got == id)
    check("loop")
  end
  assert(pcall(waits, conf.n, id))
  threads(conf.n, id)
  kong.service.request.set_header("X-Checked", id)
end

function P:header_filter()
  if not ngx.ctx.id then return end
  check("header_filter")
  kong.response.set_header("X-Id", ngx.ctx.id)
end

function P:body_filter()
  if ngx.ctx.id then check("body_filter") end
end

function P:log()
  if not ngx.ctx.id then return end
  check("log")
  if ngx.ctx.left ~= ngx.ctx.id then kong.log.err("MIXED: a thread was cut short") end
  -- nginx runs 256 timers at once at most
  if ngx.ctx.id:sub(-2) ~= "0e" then return end
  ngx.timer.at(0, function(_, id)
    ngx.sleep(0.001)
    ngx.log(ngx.ERR, "timer of ", id, ".")
  end, ngx.ctx.id)
end

return P
"#;

/// A line server: what comes in goes out.
fn lines() -> Origin {
    Origin::raw(|mut conn| {
        use std::io::{Read, Write};
        let mut piece = [0; 256];
        while let Ok(n @ 1..) = conn.stream.read(&mut piece) {
            let _ = conn.stream.write_all(&piece[..n]);
        }
    })
}

fn gauges(gateway: &Gateway) -> (usize, f64) {
    let code = "collectgarbage() collectgarbage() kong.response.exit(200, collectgarbage('count') .. '')";
    let lua = gateway.access(code).is(200).text().parse().unwrap();
    (gateway.descriptors(), lua)
}

/// What is under way, by SIGUSR2: exchanges, coroutines, slots, registry references, threads, waits, timers.
fn under_way(gateway: &Gateway) -> String {
    let lines = || gateway.errors().matches("gauges: ").count();
    let before = lines();
    gateway.signal("USR2");
    assert!(
        eventually(Duration::from_secs(5), || lines() > before),
        "no gauges"
    );
    let errors = gateway.errors();
    let line = errors.rsplit("gauges: ").next().unwrap().lines().next().unwrap();
    let of_connections = |part: &&str| !part.contains("connections") && !part.contains("upstream");
    line.split(' ')
        .filter(of_connections)
        .collect::<Vec<_>>()
        .join(" ")
}

#[test]
fn a09_a_thousand_waiting_requests_keep_apart() {
    let (line_server, echo) = (lines(), crate::support::free_port());
    let config = with(
        with(service(echo), "mixer", json!({ "n": line_server.port })),
        "probe",
        json!({}),
    );
    let gateway = Setup::new(&config)
        .plugin("mixer", MIXER)
        .plugin("probe", crate::support::gateway::PROBE)
        .set("moongate_echo_listen", &format!("127.0.0.1:{echo}"))
        .start();
    gateway.get("/", &[]).is(200);
    let before = gauges(&gateway);
    let at_rest = under_way(&gateway);
    assert!(
        at_rest.starts_with("exchanges=0 handshakes=0 generations=1 coroutines=0 slots=0")
            && at_rest.contains("threads=0 semaphore_waits=0 sockets=0 ")
            && at_rest.ends_with("timers=0"),
        "{at_rest}"
    );
    let mut clients: Vec<Client> = (0..CROWD).map(|_| gateway.connect()).collect();
    for (i, client) in clients.iter_mut().enumerate() {
        client.send(format!(
            "GET /?id=c{i}e HTTP/1.1\r\nHost: a\r\nX-Id: c{i}e\r\n\r\n"
        ));
    }
    for (i, client) in clients.iter_mut().enumerate() {
        let r = client.answer(false).is(200);
        let id = format!("c{i}e");
        assert_eq!(r.header("x-id"), Some(id.as_str()));
        assert_eq!(r.seen("x-checked"), Some(id));
    }
    drop(clients);
    let timers = || gateway.errors().matches("timer of ").count();
    assert!(
        eventually(Duration::from_secs(10), || timers() == CROWD / 10),
        "{} timers",
        timers()
    );
    // the pool of coroutines has grown, and each idle one is a reference; nothing else may be left
    let left = |text: String| {
        text.split(' ')
            .filter(|p| !p.starts_with("registry_refs"))
            .collect::<String>()
    };
    assert!(
        eventually(Duration::from_secs(5), || left(under_way(&gateway))
            == left(at_rest.clone())),
        "{} after {at_rest}",
        under_way(&gateway)
    );
    assert!(!gateway.errors().contains("MIXED"), "{}", gateway.logged("MIXED"));
    // Idle upstream connections may stay pooled, each with its two ends here (the echo is in the same process).
    let pooled = 2 * 512;
    let back = eventually(Duration::from_secs(10), || {
        gauges(&gateway).0 <= before.0 + pooled
    });
    let after = gauges(&gateway);
    assert!(back, "{} descriptors, {} before", after.0, before.0);
    assert!(
        after.1 < before.1 + 2048.0,
        "Lua holds {} KiB, {} before",
        after.1,
        before.1
    );
}

#[test]
fn a09_lua_memory_stays_level_over_many_requests() {
    let echo = crate::support::free_port();
    let gateway = Setup::probe(1)
        .set("moongate_echo_listen", &format!("127.0.0.1:{echo}"))
        .start();
    let mut client = gateway.connect();
    let code = "ngx.ctx.t = { kong.request.get_headers() } ngx.sleep(0) kong.ctx.shared.x = {}
        kong.response.exit(200, { a = 1 })";
    let code = crate::support::gateway::one_line(code);
    let mut rounds = Vec::new();
    for _ in 0..4 {
        for _ in 0..500 {
            client.ask("GET", "/", &[("x-access", &code)], b"").is(200);
        }
        rounds.push(gauges(&gateway).1);
    }
    assert!(rounds[3] < rounds[0] + 64.0, "{rounds:?}");
}
