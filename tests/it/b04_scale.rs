//! B4 at size: 10,000 services, 50,000 routes, 10,000 consumers with credentials, swapped under an open-loop load.
//!
//! Figures are printed, not asserted; what is asserted is that nothing is lost. By default a hundredth of the size;
//! `MOONGATE_TEST_SCALE=1 MOONGATE_BIN=target/release/moongate cargo test --test it -- b04_scale --nocapture` is the
//! whole of it.

use std::io::{Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::support::{Setup, free_port};

const SCHEMA: &str = r#"local typedefs = require "kong.db.schema.typedefs"
return { name = "keys", fields = { { protocols = typedefs.protocols_http },
  { config = { type = "record", fields = { { header = { type = "string", default = "apikey" } } } } } } }"#;

const DAOS: &str = r#"local typedefs = require "kong.db.schema.typedefs"
return { { name = "scale_credentials", primary_key = { "id" }, endpoint_key = "key", cache_key = { "key" },
  workspaceable = true, admin_api_name = "scale-keys", fields = { { id = typedefs.uuid },
    { created_at = typedefs.auto_timestamp_s },
    { consumer = { type = "foreign", reference = "consumers", required = true, on_delete = "cascade" } },
    { key = { type = "string", required = true, unique = true, auto = true } }, { tags = typedefs.tags } } } }"#;

const HANDLER: &str = r#"local P = { PRIORITY = 1000, VERSION = "1.0.0" }
local function load(key) return kong.db.scale_credentials:select_by_key(key) end
function P:access(conf)
  local key = kong.request.get_header(conf.header)
  local db = kong.db.scale_credentials
  local found, err = kong.cache:get(db:cache_key(key), nil, load, key)
  if err then error(err) end
  if not found then return kong.response.exit(401) end
  kong.response.exit(200, nil, { ["X-Consumer"] = found.consumer.id })
end
return P"#;

/// A document of `n` services with five routes each, and `n` consumers with a key each.
fn document(n: usize, salt: &str) -> Value {
    let services: Vec<Value> = (0..n)
        .map(|i| {
            let routes: Vec<Value> = (0..5)
                .map(|k| {
                    json!({ "name": format!("route-{i}-{k}"), "paths": [format!("/s{i}/r{k}")], "methods": ["GET", "POST"],
                            "hosts": [format!("h{}.example.com", i % 100)], "strip_path": false, "tags": [format!("k{k}")] })
                })
                .collect();
            json!({ "name": format!("service-{i}"), "url": format!("http://127.0.0.1:9/{salt}"), "retries": 3,
                    "tags": [salt], "routes": routes })
        })
        .collect();
    let consumers: Vec<Value> = (0..n)
        .map(|i| {
            json!({ "username": format!("user-{i}"), "custom_id": format!("c-{i}"),
                    "scale_credentials": [{ "key": format!("key-{i}") }] })
        })
        .collect();
    json!({ "_format_version": "3.0", "services": services, "consumers": consumers,
            "plugins": [{ "name": "keys" }] })
}

/// One connection that asks and reads whole answers.
struct Caller(TcpStream);

impl Caller {
    async fn new(port: u16) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self(stream)
    }

    /// The status of an answer that has no body; 0 if there is none.
    async fn ask(&mut self, i: usize) -> u16 {
        let request = format!(
            "GET /s{i}/r{} HTTP/1.1\r\nHost: h{}.example.com\r\napikey: key-{i}\r\n\r\n",
            i % 5,
            i % 100
        );
        if self.0.write_all(request.as_bytes()).await.is_err() {
            return 0;
        }
        let (mut bytes, mut piece) = (Vec::new(), [0; 2048]);
        while !bytes.windows(4).any(|w| w == b"\r\n\r\n") {
            match self.0.read(&mut piece).await {
                Ok(n) if n > 0 => bytes.extend_from_slice(&piece[..n]),
                _ => return 0,
            }
        }
        let status = bytes.get(9..12).and_then(|s| std::str::from_utf8(s).ok());
        status.and_then(|s| s.parse().ok()).unwrap_or(0)
    }
}

const CALLERS: usize = 64;

/// Runs one task for each caller on a thread of their own.
fn on_one_thread<T: Send + 'static, F: Future<Output = T> + 'static>(
    task: impl Fn(usize) -> F + Send + 'static,
) -> thread::JoinHandle<Vec<T>> {
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        tokio::task::LocalSet::new().block_on(&runtime, async {
            let tasks: Vec<_> = (0..CALLERS).map(|c| tokio::task::spawn_local(task(c))).collect();
            let mut all = Vec::new();
            for task in tasks {
                all.push(task.await.unwrap());
            }
            all
        })
    })
}

/// Requests a second that the callers get through when each asks as soon as it was answered.
fn most(port: u16, n: usize, time: Duration) -> f64 {
    let end = Instant::now() + time;
    let each = on_one_thread(move |c| async move {
        let (mut caller, mut i, mut done) = (Caller::new(port).await, c * 7919, 0u64);
        while Instant::now() < end {
            i += 1;
            assert_eq!(caller.ask(i % n).await, 200);
            done += 1;
        }
        done
    });
    each.join().unwrap().iter().sum::<u64>() as f64 / time.as_secs_f64()
}

/// An open-loop load: requests fall due at fixed times, and are late from then on.
struct Load {
    stop: Arc<AtomicBool>,
    callers: thread::JoinHandle<Vec<(Vec<Duration>, u64)>>,
}

impl Load {
    fn start(port: u16, n: usize, per_second: f64) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (begin, stopped) = (Instant::now(), stop.clone());
        let callers = on_one_thread(move |c| {
            let stopped = stopped.clone();
            async move {
                let (mut caller, mut late, mut failed, mut turn) =
                    (Caller::new(port).await, Vec::new(), 0, c);
                while !stopped.load(Ordering::Relaxed) {
                    let due = begin + Duration::from_secs_f64(turn as f64 / per_second);
                    tokio::time::sleep_until(due.into()).await;
                    if caller.ask(turn * 31 % n).await != 200 {
                        failed += 1;
                        caller = Caller::new(port).await;
                    }
                    late.push(due.elapsed());
                    turn += CALLERS;
                }
                (late, failed)
            }
        });
        Self { stop, callers }
    }

    /// Requests, failures, latencies from when each fell due: median, 99.9 %, longest.
    fn stop(self) -> (usize, u64, [Duration; 3]) {
        self.stop.store(true, Ordering::Relaxed);
        let each = self.callers.join().unwrap();
        let failed = each.iter().map(|(_, failed)| failed).sum();
        let mut all: Vec<Duration> = each.into_iter().flat_map(|(late, _)| late).collect();
        all.sort_unstable();
        let at = |share: f64| all[((all.len() - 1) as f64 * share) as usize];
        (all.len(), failed, [at(0.5), at(0.999), at(1.0)])
    }
}

/// Posts a configuration; how long until all workers ran it.
fn post(port: u16, kind: &str, text: &str) -> Duration {
    let begun = Instant::now();
    let mut stream = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
    let head = format!(
        "POST /config HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\r\n",
        text.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(text.as_bytes()).unwrap();
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).unwrap();
    let took = begun.elapsed();
    let mut rest = Vec::new();
    let _ = stream.read_to_end(&mut rest);
    let told = String::from_utf8_lossy(&rest[..rest.len().min(2000)]).into_owned();
    assert_eq!(&answer, b"HTTP/1.1 201", "{told}");
    took
}

/// Computes in a process of niceness 3, as a swap is made; the share of a core that it had.
fn compute(time: Duration) -> f64 {
    let mut shell = std::process::Command::new("nice")
        .args(["-n", "3", "sh", "-c", "while :; do :; done"])
        .spawn()
        .unwrap();
    thread::sleep(time);
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", shell.id())).unwrap();
    shell.kill().unwrap();
    shell.wait().unwrap();
    // after the name in parentheses: state is field 3, utime 14, in hundredths of a second
    let ticks = stat
        .rsplit(") ")
        .next()
        .and_then(|rest| rest.split(' ').nth(11)?.parse().ok());
    ticks.unwrap_or(0.0) / 100.0 / time.as_secs_f64()
}

#[test]
fn b04_scale_swaps_lose_nothing() {
    let whole = std::env::var_os("MOONGATE_TEST_SCALE").is_some();
    let n = if whole { 10_000 } else { 100 };
    let seconds = Duration::from_secs(if whole { 4 } else { 1 });
    let admin = free_port();
    let gateway = Setup::new(&document(n, "first"))
        .lua("kong/plugins/keys/schema.lua", SCHEMA)
        .lua("kong/plugins/keys/daos.lua", DAOS)
        .lua("kong/plugins/keys/handler.lua", HANDLER)
        .enable("keys")
        .set("nginx_worker_processes", "2")
        .set("admin_listen", &format!("127.0.0.1:{admin}"))
        .set("nginx_admin_client_max_body_size", "64m")
        .set("proxy_access_log", "off")
        .start();
    let json: Vec<String> = ["json", "again"]
        .iter()
        .map(|salt| document(n, salt).to_string())
        .collect();
    let yaml = serde_norway::to_string(&document(n, "yaml")).unwrap();
    let before = gateway.memory_kib("VmHWM");
    let most = most(gateway.port, n, seconds);
    // the same load with nothing else to do, and beside a thread that computes at a swap's niceness: what the machine does
    let still = Load::start(gateway.port, n, most / 2.0);
    thread::sleep(seconds);
    let (_, _, [_, still_high, still_longest]) = still.stop();
    let busy = Load::start(gateway.port, n, most / 2.0);
    let share = compute(seconds);
    let (_, _, [_, busy_high, busy_longest]) = busy.stop();
    let load = Load::start(gateway.port, n, most / 2.0);
    thread::sleep(Duration::from_millis(300));
    let times = [
        post(admin, "application/json", &json[0]),
        post(admin, "text/yaml", &yaml),
        post(admin, "application/json", &json[1]),
    ];
    thread::sleep(Duration::from_millis(300));
    let (requests, failed, [median, high, longest]) = load.stop();
    println!(
        "{n} services, {} routes, {n} consumers with keys; JSON {} kB, YAML {} kB\n\
         loaded in {:.2?} (JSON), {:.2?} (YAML), {:.2?} (JSON); most {most:.0}/s; {requests} requests at half of it, \
         {failed} failed; late by {median:.2?} (median), {high:.2?} (99.9 %), {longest:.2?} (longest); peak memory \
         {} MiB, {} MiB after the start\n\
         late without a swap by {still_high:.2?} (99.9 %), {still_longest:.2?} (longest); beside another process that \
         computes, niceness 3, by {busy_high:.2?} and {busy_longest:.2?}, of a core it had {:.0} %",
        n * 5,
        json[0].len() / 1000,
        yaml.len() / 1000,
        times[0],
        times[1],
        times[2],
        gateway.memory_kib("VmHWM") / 1024,
        before / 1024,
        share * 100.0,
    );
    assert_eq!(failed, 0, "{}", gateway.errors());
}
