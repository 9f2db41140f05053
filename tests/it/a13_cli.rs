//! The command line, as scripts that start Kong use it.

use std::process::{Command, Output};
use std::time::Duration;

use crate::support::{Origin, TempDir, eventually, free_port, get, service};

struct Place {
    dir: TempDir,
    port: u16,
    _origin: Origin,
}

impl Place {
    fn new() -> Self {
        let (dir, port, origin) = (TempDir::new(), free_port(), Origin::echo());
        dir.write("kong.json", &service(origin.port).to_string());
        let root = dir.path().display();
        let conf = format!(
            "# a comment\nproxy_listen = 127.0.0.1:{port}\nadmin_listen = off\nstatus_listen = off\n\
             admin_gui_listen = off\ndatabase = off\ndeclarative_config = {root}/kong.json\nplugins = off\n\
             nginx_worker_processes = 1\nprefix = {root}/prefix\n"
        );
        dir.write("kong.conf", &conf);
        Self {
            dir,
            port,
            _origin: origin,
        }
    }

    fn run(&self, args: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_moongate"))
            .args(args)
            .current_dir(self.dir.path())
            .env_clear()
            .env("PATH", std::env::var("PATH").unwrap())
            .output()
            .unwrap()
    }

    /// Runs a command that must succeed, and say this.
    fn says(&self, args: &[&str], words: &str) -> String {
        let out = self.run(args);
        let text = text(&out);
        assert!(
            out.status.success() && text.contains(words),
            "{args:?}: {}\n{text}",
            out.status
        );
        text
    }

    /// Runs a command that must fail, and say this.
    fn fails(&self, args: &[&str], words: &str) {
        let out = self.run(args);
        let text = text(&out);
        assert_eq!(out.status.code(), Some(1), "{args:?}: {text}");
        assert!(text.contains(words), "{args:?}: no {words:?} in {text}");
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let prefix = self.dir.path().join("prefix");
        if prefix.join("pids/nginx.pid").exists() {
            self.run(&["stop", "-p", &prefix.display().to_string()]);
        }
    }
}

fn text(out: &Output) -> String {
    String::from_utf8_lossy(&out.stdout).into_owned() + &String::from_utf8_lossy(&out.stderr)
}

#[test]
fn a13_a_life_from_start_to_stop() {
    let place = Place::new();
    place.says(&["check", "kong.conf"], "is valid");
    place.says(&["config", "parse", "kong.json"], "parse successful");
    place.says(&["start", "-c", "kong.conf"], "Kong started");
    get(place.port, "/", &[]).is(200);
    place.says(&["health", "-p", "prefix"], "Kong is healthy at");
    place.fails(&["start", "-c", "kong.conf"], "Kong is already running in");
    place.says(&["reload", "-c", "kong.conf"], "Kong reloaded");
    get(place.port, "/", &[]).is(200);
    place.says(&["restart", "-c", "kong.conf"], "Kong started");
    get(place.port, "/", &[]).is(200);
    place.says(&["quit", "-p", "prefix"], "Kong stopped (gracefully)");
    assert!(std::net::TcpStream::connect(("127.0.0.1", place.port)).is_err());
    place.fails(&["health", "-p", "prefix"], "Kong is not running at");
    place.fails(&["stop", "-p", "prefix"], "not running in prefix");
    place.says(&["start", "-c", "kong.conf"], "Kong started");
    place.says(&["stop", "-p", "prefix"], "Kong stopped");
    assert!(std::net::TcpStream::connect(("127.0.0.1", place.port)).is_err());
}

#[test]
fn a13_start_in_the_foreground() {
    let place = Place::new();
    let mut child = Command::new(env!("CARGO_BIN_EXE_moongate"))
        .args(["start", "-c", "kong.conf"])
        .current_dir(place.dir.path())
        .env("KONG_NGINX_DAEMON", "off")
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let up = eventually(Duration::from_secs(10), || {
        std::net::TcpStream::connect(("127.0.0.1", place.port)).is_ok()
    });
    assert!(
        up && child.try_wait().unwrap().is_none(),
        "it left the foreground"
    );
    get(place.port, "/", &[]).is(200);
    place.says(&["stop", "-p", "prefix"], "Kong stopped");
    assert!(eventually(Duration::from_secs(5), || child
        .try_wait()
        .unwrap()
        .is_some()));
}

#[test]
fn a13_a_start_that_fails_says_why() {
    let place = Place::new();
    let taken = std::net::TcpListener::bind(("127.0.0.1", place.port)).unwrap();
    place.fails(&["start", "-c", "kong.conf"], &place.port.to_string());
    drop(taken);
    place.dir.write("kong.json", "{ nonsense");
    place.fails(&["start", "-c", "kong.conf"], "kong.json");
    place.fails(&["config", "parse", "kong.json"], "Failed parsing");
    place.fails(&["start", "-c", "missing.conf"], "missing.conf");
    place
        .dir
        .write("bad.conf", "log_level = loud\nproxy_listen = nowhere\n");
    place.fails(&["check", "bad.conf"], "log_level");
}

#[test]
fn a13_help_and_version() {
    let place = Place::new();
    let help = place.says(&["--help"], "run");
    for command in [
        "run", "start", "stop", "quit", "reload", "restart", "health", "check", "config", "version", "spec",
    ] {
        assert!(help.contains(command), "{command} is not in {help}");
        place.says(&[command, "--help"], "Usage");
    }
    place.says(&["version"], "3.10.0");
    place.fails(&["nonsense"], "nonsense");
    place.fails(&["start", "--nonsense"], "--nonsense");
}
