//! Starts the gateway's binary in a prefix of its own, on ports of its own, and stops it by its pid.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{Client, Response, TempDir, eventually, free_port};

/// A declarative configuration with one service at `127.0.0.1:port` and one route for everything.
pub fn service(port: u16) -> Value {
    json!({
        "_format_version": "3.0",
        "services": [{
            "name": "s", "host": "127.0.0.1", "port": port, "retries": 0,
            "routes": [{ "name": "r", "paths": ["/"], "strip_path": false }],
        }],
        "plugins": [],
    })
}

/// Adds a global plugin.
pub fn with(mut config: Value, name: &str, conf: Value) -> Value {
    let plugins = config["plugins"].as_array_mut().unwrap();
    plugins.push(json!({ "name": name, "config": conf }));
    config
}

/// Fields that the tests' plugins may be configured with when they bring no schema of their own.
const FIELDS: &str = r#"{ tag = { type = "string" } }, { mode = { type = "string" } }, { n = { type = "number" } },
    { on = { type = "boolean", default = true } }, { list = { type = "array", elements = { type = "string" } } },
    { map = { type = "map", keys = { type = "string" }, values = { type = "string" } } }"#;

/// A plugin whose code comes with each request: header `x-PHASE` (`_` as `-`) is Lua, run in that phase.
/// Everything before `log` can use it, and so can the log phase.
pub const PROBE: &str = r#"
local P = { PRIORITY = 500, VERSION = "1.0.0" }
local compiled = {}
local function run(phase, conf)
  local src = ngx.var["http_x_" .. phase]
  if not src then return end
  local f = compiled[src]
  if not f then
    local err
    f, err = loadstring("local conf = ...; " .. src, "=probe_" .. phase)
    if not f then error(err) end
    compiled[src] = f
  end
  return f(conf)
end
for _, phase in ipairs { "rewrite", "access", "header_filter", "body_filter", "log" } do
  P[phase] = function(_, conf) return run(phase, conf) end
end
return P
"#;

/// The same for the `response` phase, which excludes header_filter and body_filter.
pub const PROBE_RESPONSE: &str = r#"
local P = { PRIORITY = 400, VERSION = "1.0.0" }
function P:response(conf)
  local src = ngx.var.http_x_response
  if src then
    local f, err = loadstring("local conf = ...; " .. src, "=probe_response")
    if not f then error(err) end
    return f(conf)
  end
end
return P
"#;

/// The gateway under test: this build's, or the one that `MOONGATE_BIN` names (a release build, to measure).
fn binary() -> PathBuf {
    std::env::var_os("MOONGATE_BIN").map_or_else(|| env!("CARGO_BIN_EXE_moongate").into(), PathBuf::from)
}

/// What a gateway is started with.
pub struct Setup {
    dir: TempDir,
    port: u16,
    env: Vec<(String, String)>,
    plugins: Vec<String>,
    args: Vec<String>,
}

impl Setup {
    pub fn new(config: &Value) -> Self {
        Self::text("kong.json", &config.to_string())
    }

    /// The configuration as text, in a file of this name.
    pub fn text(file: &str, config: &str) -> Self {
        let dir = TempDir::new();
        let file = dir.write(file, config).display().to_string();
        std::fs::create_dir_all(dir.path().join("lua")).unwrap();
        Self {
            dir,
            port: free_port(),
            env: Vec::new(),
            plugins: Vec::new(),
            args: vec!["run".into(), file],
        }
    }

    /// Without a declarative configuration.
    pub fn bare() -> Self {
        let mut setup = Self::text("unused.json", "{}");
        setup.args.truncate(1);
        setup
    }

    /// With the Admin API, on a port of its own.
    pub fn admin(self) -> (Self, Admin) {
        let port = free_port();
        let setup = self.set("admin_listen", &format!("127.0.0.1:{port}"));
        (setup, Admin { port })
    }

    /// One service, the probe as a global plugin.
    pub fn probe(upstream: u16) -> Self {
        Self::new(&with(service(upstream), "probe", json!({}))).plugin("probe", PROBE)
    }

    /// A setting; the key as in `kong.conf`.
    pub fn set(mut self, key: &str, value: &str) -> Self {
        self.env
            .push((format!("KONG_{}", key.to_uppercase()), value.into()));
        self
    }

    /// A variable of the environment.
    pub fn var(mut self, key: &str, value: &str) -> Self {
        self.env.push((key.into(), value.into()));
        self
    }

    /// A plugin in Kong's layout, with a schema of a few common fields.
    pub fn plugin(self, name: &str, handler: &str) -> Self {
        let schema = format!(
            r#"local typedefs = require "kong.db.schema.typedefs"
return {{ name = "{name}", fields = {{ {{ protocols = typedefs.protocols_http }},
  {{ config = {{ type = "record", fields = {{ {FIELDS} }} }} }} }} }}"#
        );
        self.lua(&format!("kong/plugins/{name}/schema.lua"), &schema)
            .lua(&format!("kong/plugins/{name}/handler.lua"), handler)
            .enable(name)
    }

    /// Puts `name` into the `plugins` setting.
    pub fn enable(mut self, name: &str) -> Self {
        self.plugins.push(name.into());
        self
    }

    /// A file below the drop-in folder.
    pub fn lua(self, file: &str, text: &str) -> Self {
        self.dir.write(&format!("lua/{file}"), text);
        self
    }

    /// A plugin's folder of somebody else's, copied as it is.
    pub fn plugin_folder(self, from: &Path) -> Self {
        let name = from.file_name().unwrap().to_str().unwrap().to_owned();
        copy(from, &self.dir.path().join("lua/kong/plugins").join(&name));
        self.enable(&name)
    }

    /// The directory of everything, before it is started.
    pub fn dir(&self) -> PathBuf {
        self.dir.path().to_path_buf()
    }

    pub fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    fn command(&self) -> Command {
        let dir = self.dir.path();
        let mut command = Command::new(binary());
        let plugins = if self.plugins.is_empty() {
            "off".into()
        } else {
            self.plugins.join(",")
        };
        command
            .args(&self.args)
            .env_clear()
            .envs(std::env::vars().filter(|(k, _)| !k.starts_with("KONG_") && !k.starts_with("LUA_")))
            .env("KONG_PREFIX", dir.join("prefix"))
            .env("KONG_PROXY_LISTEN", format!("127.0.0.1:{}", self.port))
            .env("KONG_ADMIN_LISTEN", "off")
            .env("KONG_STATUS_LISTEN", "off")
            .env("KONG_ADMIN_GUI_LISTEN", "off")
            .env("KONG_DATABASE", "off")
            .env("KONG_NGINX_WORKER_PROCESSES", "1")
            .env("KONG_MOONGATE_LUA_DIR", dir.join("lua"))
            .env("KONG_PROXY_ACCESS_LOG", dir.join("access.log"))
            .env("KONG_PROXY_ERROR_LOG", dir.join("error.log"))
            .env("KONG_PLUGINS", plugins)
            .envs(self.env.iter().map(|(k, v)| (k, v)))
            .stdin(Stdio::null())
            .stdout(File::create(dir.join("stdout")).unwrap())
            .stderr(File::create(dir.join("stderr")).unwrap());
        command
    }

    /// Starts it and waits until it accepts.
    pub fn start(self) -> Gateway {
        let child = self.command().spawn().unwrap();
        let mut gateway = Gateway {
            port: self.port,
            setup: self,
            child: Some(child),
        };
        let port = gateway.port;
        let ready = eventually(Duration::from_secs(20), || {
            gateway.ended().is_some() || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()
        });
        assert!(
            ready && gateway.ended().is_none(),
            "no gateway: {}",
            gateway.output()
        );
        gateway
    }

    /// For a start that must fail: its exit status, and everything it said.
    pub fn refused(self) -> (ExitStatus, String) {
        let child = self.command().spawn().unwrap();
        let mut gateway = Gateway {
            port: self.port,
            setup: self,
            child: Some(child),
        };
        let ended = eventually(Duration::from_secs(20), || gateway.ended().is_some());
        assert!(ended, "it runs: {}", gateway.output());
        (gateway.ended().unwrap(), gateway.output())
    }
}

/// A gateway's Admin API.
#[derive(Debug, Clone, Copy)]
pub struct Admin {
    pub port: u16,
}

impl Admin {
    pub fn ask(self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Response {
        Client::connect(self.port).ask(method, path, headers, body)
    }

    /// `POST /config`.
    pub fn post(self, query: &str, kind: &str, body: &str) -> Response {
        self.ask(
            "POST",
            &format!("/config{query}"),
            &[("Content-Type", kind)],
            body.as_bytes(),
        )
    }

    /// Takes in a configuration, which must be accepted; the answer.
    #[track_caller]
    pub fn accept(self, config: &Value) -> Value {
        self.post("", "application/json", &config.to_string())
            .is(201)
            .json()
    }

    /// The error object of a configuration that must be refused.
    #[track_caller]
    pub fn refuse(self, query: &str, config: &Value) -> Value {
        self.post(query, "application/json", &config.to_string())
            .is(400)
            .json()
    }

    /// `GET /config`: the YAML.
    #[track_caller]
    pub fn export(self) -> String {
        let answer = self.ask("GET", "/config", &[], b"").is(200).json();
        answer["config"].as_str().unwrap().to_owned()
    }
}

/// A running gateway; dropping it kills it.
pub struct Gateway {
    pub port: u16,
    setup: Setup,
    child: Option<Child>,
}

impl Gateway {
    pub fn pid(&self) -> i32 {
        self.child.as_ref().unwrap().id() as i32
    }

    /// The exit status once it has ended.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.as_mut().unwrap().try_wait().unwrap()
    }

    pub fn dir(&self) -> PathBuf {
        self.setup.dir()
    }

    pub fn prefix(&self) -> PathBuf {
        self.setup.dir().join("prefix")
    }

    pub fn connect(&self) -> Client {
        Client::connect(self.port)
    }

    pub fn get(&self, path: &str, headers: &[(&str, &str)]) -> Response {
        super::get(self.port, path, headers)
    }

    /// Runs Lua in the access phase of the probe and gives what it said.
    pub fn access(&self, lua: &str) -> Response {
        self.get("/", &[("x-access", &one_line(lua))])
    }

    pub fn signal(&self, signal: &str) {
        let status = Command::new("kill")
            .arg(format!("-{signal}"))
            .arg(self.pid().to_string())
            .status();
        assert!(status.unwrap().success());
    }

    /// Waits for its end; how long it took.
    pub fn wait(&mut self, limit: Duration) -> Option<Duration> {
        let start = Instant::now();
        eventually(limit, || self.ended().is_some()).then(|| start.elapsed())
    }

    /// Rewrites the configuration file that it was started with.
    pub fn reconfigure(&self, config: &Value) {
        std::fs::write(&self.setup.args[1], config.to_string()).unwrap();
    }

    /// The error log.
    pub fn errors(&self) -> String {
        lossy(&self.dir().join("error.log"))
    }

    /// The access log.
    pub fn accesses(&self) -> String {
        lossy(&self.dir().join("access.log"))
    }

    /// Everything it said anywhere.
    pub fn output(&self) -> String {
        let read = |name: &str| lossy(&self.dir().join(name));
        read("stdout") + &read("stderr") + &read("error.log")
    }

    /// Waits for a text in the error log, and gives its line.
    pub fn logged(&self, text: &str) -> String {
        let found = eventually(Duration::from_secs(5), || self.output().contains(text));
        let all = self.output();
        assert!(found, "not logged: {text}\n{all}");
        all.lines().find(|l| l.contains(text)).unwrap().to_owned()
    }

    /// Waits for a text in the access log, and gives its line.
    pub fn access_logged(&self, text: &str) -> String {
        let found = eventually(Duration::from_secs(5), || self.accesses().contains(text));
        let all = self.accesses();
        assert!(found, "not in the access log: {text}\n{all}");
        all.lines().find(|l| l.contains(text)).unwrap().to_owned()
    }

    /// Resident memory in KiB, now or (`VmHWM`) at its peak.
    pub fn memory_kib(&self, field: &str) -> u64 {
        let text = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = text.lines().find(|l| l.starts_with(field)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    /// How many sockets and files it holds open.
    pub fn descriptors(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.pid()))
            .unwrap()
            .count()
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            if std::thread::panicking() {
                let read = |name| lossy(&self.setup.dir().join(name));
                let said = read("stderr") + &read("error.log");
                let lines: Vec<&str> = said.lines().collect();
                let last = &lines[lines.len().saturating_sub(12)..];
                eprintln!("--- the gateway's last lines:\n{}", last.join("\n"));
            }
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap().path();
        let there = to.join(entry.file_name().unwrap());
        if entry.is_dir() {
            copy(&entry, &there);
        } else {
            std::fs::copy(&entry, &there).unwrap();
        }
    }
}

/// A log as text; what strangers sent may stand in it.
fn lossy(path: &std::path::Path) -> String {
    String::from_utf8_lossy(&std::fs::read(path).unwrap_or_default()).into_owned()
}

/// Lua on one line, as a header value.
pub fn one_line(lua: &str) -> String {
    lua.split_whitespace().collect::<Vec<_>>().join(" ")
}
