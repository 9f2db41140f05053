//! `kong.cache` and `kong.worker_events` across the workers of a gateway.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use crate::support::{Client, Gateway, Setup, eventually};

const WORKERS: usize = 4;

fn gateway() -> Gateway {
    Setup::probe(1)
        .set("nginx_worker_processes", &WORKERS.to_string())
        .start()
}

fn ask(client: &mut Client, lua: &str) -> String {
    client.ask("GET", "/", &[("x-access", lua)], b"").is(200).text()
}

/// A connection to each worker: the system spreads new ones over the workers' listeners.
fn one_each(gateway: &Gateway) -> Vec<Client> {
    let mut by_worker = HashMap::new();
    for _ in 0..400 {
        let mut client = gateway.connect();
        let id = ask(&mut client, "kong.response.exit(200, tostring(ngx.worker.id()))");
        by_worker.entry(id).or_insert(client);
        if by_worker.len() == WORKERS {
            break;
        }
    }
    assert_eq!(by_worker.len(), WORKERS, "a worker gets no connections");
    by_worker.into_values().collect()
}

#[test]
fn b06_a_callback_runs_once_across_workers() {
    let gateway = gateway();
    let clients: Vec<Client> = one_each(&gateway)
        .into_iter()
        .chain((0..12).map(|_| gateway.connect()))
        .collect();
    let lua = "local v, err, level = kong.cache:get('slow', nil, function() ngx.sleep(0.3) \
        return { ran = ngx.shared.kong:incr('ran', 1, 0) } end) \
        kong.response.exit(200, (err or v.ran) .. ' ' .. level)";
    let answers: Vec<String> = std::thread::scope(|s| {
        let asking: Vec<_> = clients
            .into_iter()
            .map(|mut c| s.spawn(move || ask(&mut c, lua)))
            .collect();
        asking.into_iter().map(|a| a.join().unwrap()).collect()
    });
    assert!(answers.iter().all(|a| a.starts_with("1 ")), "{answers:?}");
    assert_eq!(answers.iter().filter(|a| *a == "1 3").count(), 1, "{answers:?}");
}

#[test]
fn b06_what_one_worker_forgets_all_do_at_their_next_get() {
    let gateway = gateway();
    let mut clients = one_each(&gateway);
    let get = |value: &str| {
        format!(
            "local v, _, level = kong.cache:get('k', nil, function() return '{value}' end) \
             kong.response.exit(200, v .. ' ' .. level)"
        )
    };
    for (n, forget) in [
        "kong.cache:invalidate('k')",
        "kong.cache:invalidate_local('k')",
        "kong.cache:purge()",
        "kong.cache:renew('k', nil, function() return 'v1' end)",
    ]
    .iter()
    .enumerate()
    {
        let levels: Vec<String> = clients.iter_mut().map(|c| ask(c, &get("v0"))).collect();
        assert_eq!(levels.iter().filter(|l| *l == "v0 3").count(), 1, "{levels:?}");
        assert!(clients.iter_mut().all(|c| ask(c, &get("v0")) == "v0 1"));
        ask(
            &mut clients[n],
            &format!("{forget} kong.response.exit(200, 'ok')"),
        );
        for c in &mut clients {
            assert!(ask(c, &get("v1")).starts_with("v1 "), "{forget}");
        }
        ask(
            &mut clients[0],
            "kong.cache:invalidate('k') kong.response.exit(200, 'ok')",
        );
    }
}

#[test]
fn b06_where_waiting_is_not_possible_nobody_is_waited_for() {
    let gateway = gateway();
    let mut clients = one_each(&gateway);
    let (mut slow, mut quick) = (clients.remove(0), clients.remove(0));
    std::thread::scope(|s| {
        let busy = s.spawn(move || {
            ask(
                &mut slow,
                "kong.response.exit(200, (kong.cache:get('k', nil, function() \
                 ngx.shared.kong:set('busy', true) ngx.sleep(1) return 'slow' end)))",
            )
        });
        assert!(eventually(Duration::from_secs(5), || ask(
            &mut quick,
            "kong.response.exit(200, tostring(ngx.shared.kong:get('busy')))"
        ) == "true"));
        let get = |name: &str| {
            format!(
                "local v, err = kong.cache:get('k', nil, function() return '{name}' end) kong.log.err(v or err)"
            )
        };
        let (head, log) = (get("in header_filter"), get("in log"));
        let headers = [
            ("x-access", "kong.response.exit(200, 'x')"),
            ("x-header-filter", head.as_str()),
            ("x-log", log.as_str()),
        ];
        quick.ask("GET", "/", &headers, b"").is(200);
        gateway.logged("in header_filter");
        assert_eq!(busy.join().unwrap(), "slow");
    });
    assert!(
        !gateway.errors().contains("attempt to yield"),
        "{}",
        gateway.errors()
    );
}

#[test]
fn b06_an_abandoned_callback_holds_nobody_up_for_long() {
    let gateway = gateway();
    let mut clients = one_each(&gateway);
    let dropped = "kong.cache:get('k', nil, function() ngx.exit(204) end)";
    let mut first = clients.remove(0);
    first.ask("GET", "/", &[("x-access", dropped)], b"").is(204);
    // its turn is given back with the coroutine, by the collector; LuaJIT keeps the coroutine that used FFI last
    let collect = "kong.cache:get('x', nil, function() end) collectgarbage() collectgarbage() \
        kong.response.exit(200, 'ok')";
    ask(&mut first, collect);
    let asked = std::time::Instant::now();
    let lua = "kong.response.exit(200, (kong.cache:get('k', nil, function() return 'made' end)))";
    assert_eq!(ask(&mut clients[0], lua), "made");
    assert!(
        asked.elapsed() < Duration::from_secs(4),
        "it waited for the turn's end"
    );
}

#[test]
fn b06_worker_events_reach_every_worker() {
    let listener = "local P = { PRIORITY = 1, VERSION = '1' } \
        function P:init_worker() kong.worker_events.register(function(data, event, source, wid) \
          ngx.sleep(0.001) \
          ngx.shared.kong:set(data .. ngx.worker.id(), source .. '.' .. event .. '.' .. wid) end, 'mine', 'e') end \
        function P:access() end return P";
    let config = crate::support::with(
        crate::support::with(crate::support::service(1), "probe", serde_json::json!({})),
        "listener",
        serde_json::json!({}),
    );
    let gateway = Setup::new(&config)
        .plugin("probe", crate::support::gateway::PROBE)
        .plugin("listener", listener)
        .set("nginx_worker_processes", &WORKERS.to_string())
        .start();
    // the first worker may answer before the last one listens
    gateway.logged("started");
    let mut client = gateway.connect();
    let id = ask(
        &mut client,
        "kong.worker_events.post('mine', 'e', 'heard') kong.response.exit(200, tostring(ngx.worker.id()))",
    );
    let heard = |client: &mut Client| -> HashSet<String> {
        let each = (0..WORKERS).map(|n| {
            let lua = format!("kong.response.exit(200, tostring(ngx.shared.kong:get('heard{n}')))");
            ask(client, &lua)
        });
        each.collect()
    };
    let want = HashSet::from([format!("mine.e.{id}")]);
    let all = eventually(Duration::from_secs(5), || heard(&mut client) == want);
    assert!(all, "{:?} is not {want:?}", heard(&mut client));
}

#[test]
fn b06_a_handler_that_is_stopped_takes_only_its_event_along() {
    let listener = "local P = { PRIORITY = 1, VERSION = '1' } \
        function P:init_worker() kong.worker_events.register(function(data) \
          if data == 'loop' then while true do end elseif data == 'exit' then ngx.exit(500) end \
          ngx.shared.kong:set(data, true) end, 'mine') end \
        function P:access() end return P";
    let config = crate::support::with(
        crate::support::with(crate::support::service(1), "probe", serde_json::json!({})),
        "listener",
        serde_json::json!({}),
    );
    let gateway = Setup::new(&config)
        .plugin("probe", crate::support::gateway::PROBE)
        .plugin("listener", listener)
        .set("nginx_worker_processes", "1")
        .set("moongate_handler_timeout", "200ms")
        .start();
    let post = "for _, data in ipairs({ 'loop', 'one', 'exit', 'two' }) do kong.worker_events.post('mine', 'e', data) end
        kong.response.exit(200)";
    gateway.access(&crate::support::gateway::one_line(post)).is(200);
    let heard = |data: &str| {
        let ask = format!("kong.response.exit(200, tostring(ngx.shared.kong:get('{data}')))");
        gateway.access(&ask).text() == "true"
    };
    for data in ["one", "two"] {
        assert!(eventually(Duration::from_secs(10), || heard(data)), "{data}");
    }
    gateway
        .access("kong.worker_events.post('mine', 'e', 'later') kong.response.exit(200)")
        .is(200);
    assert!(eventually(Duration::from_secs(10), || heard("later")));
    gateway.logged("handler ran longer than moongate_handler_timeout allows");
}
