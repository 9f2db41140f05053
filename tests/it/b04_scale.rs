//! B4 at size: 10,000 services, 50,000 routes, 10,000 consumers with credentials, swapped under an open-loop load.
//!
//! Figures are printed, not asserted; what is asserted is that nothing is lost. By default a hundredth of the size;
//! `MOONGATE_TEST_SCALE=1 MOONGATE_BIN=target/release/moongate cargo test --test it -- b04_scale --nocapture` is the
//! whole of it.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

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
    fn new(port: u16) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self(stream)
    }

    /// The status of an answer that has no body.
    fn ask(&mut self, i: usize) -> u16 {
        let request = format!(
            "GET /s{i}/r{} HTTP/1.1\r\nHost: h{}.example.com\r\napikey: key-{i}\r\n\r\n",
            i % 5,
            i % 100
        );
        if self.0.write_all(request.as_bytes()).is_err() {
            return 0;
        }
        let (mut bytes, mut piece) = (Vec::new(), [0; 2048]);
        while !bytes.windows(4).any(|w| w == b"\r\n\r\n") {
            match self.0.read(&mut piece) {
                Ok(n) if n > 0 => bytes.extend_from_slice(&piece[..n]),
                _ => return 0,
            }
        }
        let status = bytes.get(9..12).and_then(|s| std::str::from_utf8(s).ok());
        status.and_then(|s| s.parse().ok()).unwrap_or(0)
    }
}

/// Requests a second that `callers` connections get through when each asks as soon as it was answered.
fn most(port: u16, n: usize, callers: usize, time: Duration) -> f64 {
    let total = Arc::new(AtomicU64::new(0));
    let threads: Vec<_> = (0..callers)
        .map(|c| {
            let total = total.clone();
            thread::spawn(move || {
                let (mut caller, end, mut i) = (Caller::new(port), Instant::now() + time, c * 7919);
                while Instant::now() < end {
                    i += 1;
                    assert_eq!(caller.ask(i % n), 200);
                    total.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    threads.into_iter().for_each(|t| t.join().unwrap());
    total.load(Ordering::Relaxed) as f64 / time.as_secs_f64()
}

/// An open-loop load: requests fall due at fixed times, and are late from then on.
struct Load {
    stop: Arc<AtomicBool>,
    failed: Arc<AtomicU64>,
    late: Arc<Mutex<Vec<Duration>>>,
    threads: Vec<thread::JoinHandle<()>>,
}

impl Load {
    fn start(port: u16, n: usize, callers: usize, per_second: f64) -> Self {
        let load = Self {
            stop: Arc::default(),
            failed: Arc::default(),
            late: Arc::default(),
            threads: Vec::new(),
        };
        let begin = Instant::now();
        let threads = (0..callers).map(|c| {
            let (stop, failed, late) = (load.stop.clone(), load.failed.clone(), load.late.clone());
            thread::spawn(move || {
                let (mut caller, mut mine, mut turn) = (Caller::new(port), Vec::new(), c);
                while !stop.load(Ordering::Relaxed) {
                    let due = begin + Duration::from_secs_f64(turn as f64 / per_second);
                    if let Some(wait) = due.checked_duration_since(Instant::now()) {
                        thread::sleep(wait);
                    }
                    if caller.ask(turn * 31 % n) != 200 {
                        failed.fetch_add(1, Ordering::Relaxed);
                        caller = Caller::new(port);
                    }
                    mine.push(due.elapsed());
                    turn += callers;
                }
                late.lock().unwrap().extend(mine);
            })
        });
        Self {
            threads: threads.collect(),
            ..load
        }
    }

    /// Requests, failures, latencies from when each fell due: median, 99.9 %, longest.
    fn stop(self) -> (usize, u64, [Duration; 3]) {
        self.stop.store(true, Ordering::Relaxed);
        self.threads.into_iter().for_each(|t| t.join().unwrap());
        let mut all = std::mem::take(&mut *self.late.lock().unwrap());
        all.sort_unstable();
        let at = |share: f64| all[((all.len() - 1) as f64 * share) as usize];
        (
            all.len(),
            self.failed.load(Ordering::Relaxed),
            [at(0.5), at(0.999), at(1.0)],
        )
    }
}

/// Posts a configuration; how long until all workers ran it.
fn post(port: u16, kind: &str, text: &str) -> Duration {
    let begun = Instant::now();
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
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
    let before = gateway.memory_kib("VmHWM");
    let most = most(gateway.port, n, 16, seconds);
    let load = Load::start(gateway.port, n, 16, most / 2.0);
    thread::sleep(Duration::from_millis(300));
    let json: Vec<String> = ["json", "again"]
        .iter()
        .map(|salt| document(n, salt).to_string())
        .collect();
    let yaml = serde_norway::to_string(&document(n, "yaml")).unwrap();
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
         {} MiB, {} MiB after the start",
        n * 5,
        json[0].len() / 1000,
        yaml.len() / 1000,
        times[0],
        times[1],
        times[2],
        gateway.memory_kib("VmHWM") / 1024,
        before / 1024,
    );
    assert_eq!(failed, 0, "{}", gateway.errors());
}
