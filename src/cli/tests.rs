#![allow(clippy::unwrap_used)]

use super::args::{Command, ConfigCommand, Line};
use clap::{CommandFactory, Parser};

fn parse(words: &[&str]) -> Result<Command, clap::Error> {
    Line::try_parse_from([&["moongate"], words].concat()).map(|line| line.command)
}

#[test]
fn a13_command_line_is_well_formed() {
    Line::command().debug_assert();
}

#[test]
fn a13_kongs_flags() {
    let Command::Start(args) = parse(&[
        "start",
        "-c",
        "kong.conf",
        "-p",
        "run",
        "--vv",
        "--run-migrations",
    ])
    .unwrap() else {
        panic!("not start")
    };
    assert_eq!(args.conf.unwrap().to_str(), Some("kong.conf"));
    assert_eq!(args.place.prefix.unwrap().to_str(), Some("run"));
    assert!(args.place.verbosity.vv && !args.place.verbosity.v);
    let words = [
        "start",
        "--nginx-conf",
        "a.template",
        "--db-timeout",
        "5",
        "--lock-timeout",
        "60",
        "--nginx-conf-flags",
        "x",
    ];
    assert!(parse(&words).is_ok());
    let Command::Quit(args) = parse(&["quit", "-t", "3", "-w", "0.5", "--prefix", "p"]).unwrap() else {
        panic!("not quit")
    };
    assert_eq!((args.timeout, args.wait), (3.0, 0.5));
    let Command::Quit(args) = parse(&["quit"]).unwrap() else {
        panic!("not quit")
    };
    assert_eq!((args.timeout, args.wait), (10.0, 0.0));
    let Command::Check(args) = parse(&["check"]).unwrap() else {
        panic!("not check")
    };
    assert_eq!(args.conf.to_str(), Some("/etc/kong/kong.conf"));
}

#[test]
fn a13_run_takes_a_declarative_file() {
    for words in [
        ["run", "config.json", "--v"],
        ["run", "--config=config.json", "--v"],
    ] {
        let Command::Run(args) = parse(&words).unwrap() else {
            panic!("not run")
        };
        assert_eq!(args.declared().unwrap().to_str(), Some("config.json"));
        assert!(args.place.verbosity.v);
    }
    assert!(parse(&["run", "a.json", "--config", "b.json"]).is_err());
}

#[test]
fn a13_spec_passes_everything_on() {
    let words = [
        "spec",
        "-o",
        "TAP",
        "--helper=h.lua",
        "-c",
        "-p",
        "x",
        "--help",
        "--",
        "spec/a",
    ];
    let Command::Spec(args) = parse(&words).unwrap() else {
        panic!("not spec")
    };
    assert_eq!(args.args, words[1..]);
}

#[test]
fn a13_config_commands() {
    let Command::Config(args) = parse(&["config", "parse", "kong.yml", "-p", "x"]).unwrap() else {
        panic!("not config")
    };
    assert!(matches!(args.command, ConfigCommand::Parse(a) if a.file.is_some() && a.place.prefix.is_some()));
    for alias in ["db_import", "db-import"] {
        assert!(matches!(
            parse(&["config", alias, "f"]).unwrap(),
            Command::Config(_)
        ));
    }
}

#[test]
fn a13_kongs_other_commands_are_known_and_refused() {
    for command in ["migrations", "hybrid", "drain"] {
        let command = parse(&[command, "bootstrap", "-y", "--force"]).unwrap();
        assert_eq!(super::execute(command), 1);
    }
}

#[test]
fn b7_vault_get_takes_a_reference() {
    let Command::Vault(args) = parse(&["vault", "get", "env/x", "-p", "here"]).unwrap() else {
        panic!("not vault")
    };
    let super::args::VaultCommand::Get(get) = args.command;
    assert_eq!(get.reference.as_deref(), Some("env/x"));
    let none = parse(&["vault", "get"]).unwrap();
    assert_eq!(super::execute(none), 1);
}

#[test]
fn a13_help_shows_how_to_begin() {
    let help = super::args::help();
    for expected in [
        "moongate run config.json",
        "_gateway",
        "KONG_LOG_LEVEL",
        "Stop a running gateway",
    ] {
        assert!(help.contains(expected), "{expected} in {help}");
    }
    assert!(!help.contains("migrations"));
}

/// A prefix with a process in its pid file that stands in for a gateway.
struct Stand {
    prefix: std::path::PathBuf,
    pid: i32,
    reaper: Option<std::thread::JoinHandle<std::process::ExitStatus>>,
}

impl Stand {
    fn new(name: &str, script: &str) -> Self {
        let prefix = std::env::temp_dir().join(format!("moongate-cli-{}-{name}", std::process::id()));
        std::fs::create_dir_all(prefix.join("pids")).unwrap();
        // signals that were ignored stay so in a child, as HUP does under nohup and QUIT in the background
        let mut child = std::process::Command::new("env")
            .args(["--default-signal", "sh", "-c", script])
            .current_dir(&prefix)
            .spawn()
            .unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        std::fs::write(super::prefix::pid_file(&prefix), format!("{pid}\n")).unwrap();
        // Not before the script has set its traps.
        while !prefix.join("up").exists() {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        let reaper = Some(std::thread::spawn(move || child.wait().unwrap()));
        Self { prefix, pid, reaper }
    }

    fn place(&self) -> super::args::Place {
        super::args::Place {
            prefix: Some(self.prefix.clone()),
            ..Default::default()
        }
    }

    /// The signal that ended it.
    fn ended_by(&mut self) -> Option<i32> {
        std::os::unix::process::ExitStatusExt::signal(&self.reaper.take().unwrap().join().unwrap())
    }
}

impl Drop for Stand {
    fn drop(&mut self) {
        if self.reaper.is_some() {
            let _ = crate::server::process::send(self.pid, crate::server::process::Signal::Term);
        }
        let _ = std::fs::remove_dir_all(&self.prefix);
    }
}

fn say() -> super::Say {
    super::Say::new(super::args::Verbosity::default()).quiet()
}

fn message(outcome: super::Outcome) -> String {
    outcome.unwrap_err().to_string()
}

#[test]
fn a13_stop_sends_term_once() {
    let mut stand = Stand::new("stop", "touch up; exec sleep 60");
    assert_eq!(super::stop::stop(&say(), &stand.place()).unwrap(), 0);
    assert_eq!(stand.ended_by(), Some(libc::SIGTERM));
    let expected = format!("nginx not running in prefix: {}", stand.prefix.display());
    assert_eq!(message(super::stop::stop(&say(), &stand.place())), expected);
}

#[test]
fn a13_quit_is_graceful_then_forceful() {
    let quit = |stand: &Stand| super::args::QuitArgs {
        place: stand.place(),
        timeout: 0.0,
        wait: 0.0,
    };
    let mut stand = Stand::new("quit", "touch up; exec sleep 60");
    assert_eq!(super::stop::quit(&say(), &quit(&stand)).unwrap(), 0);
    assert_eq!(stand.ended_by(), Some(libc::SIGQUIT));
    // A signal that is ignored stays so across exec.
    let mut stand = Stand::new("quit-slow", "trap '' QUIT; touch up; exec sleep 60");
    let begun = std::time::Instant::now();
    assert_eq!(super::stop::quit(&say(), &quit(&stand)).unwrap(), 0);
    assert!(
        begun.elapsed() >= std::time::Duration::from_secs(1),
        "at least a second is given"
    );
    assert_eq!(stand.ended_by(), Some(libc::SIGTERM));
}

#[test]
fn a13_health_tells_running_from_not() {
    let mut stand = Stand::new("health", "touch up; exec sleep 60");
    let not_running = format!("Kong is not running at {}", stand.prefix.display());
    assert_eq!(
        message(super::health::health(&say(), &stand.place())),
        not_running,
        "no .kong_env"
    );
    std::fs::write(stand.prefix.join(".kong_env"), "").unwrap();
    assert_eq!(super::health::health(&say(), &stand.place()).unwrap(), 0);
    super::stop::stop(&say(), &stand.place()).unwrap();
    stand.ended_by();
    assert_eq!(
        message(super::health::health(&say(), &stand.place())),
        not_running
    );
    let nowhere = super::args::Place {
        prefix: Some("/nowhere/at/all".into()),
        ..Default::default()
    };
    assert_eq!(
        message(super::health::health(&say(), &nowhere)),
        "no such prefix: /nowhere/at/all"
    );
}

#[test]
fn a13_a_second_gateway_is_refused() {
    let stand = Stand::new("second", "touch up; exec sleep 60");
    let args = super::args::RunArgs {
        place: stand.place(),
        ..Default::default()
    };
    let expected = format!("Kong is already running in {}", stand.prefix.display());
    assert_eq!(message(super::start::start(&say(), &args)), expected);
    assert_eq!(message(super::start::run(&say(), &args)), expected);
}

#[test]
fn a13_reload_puts_new_settings_over_those_in_use() {
    let script = "trap 'touch hup' HUP; touch up; while [ ! -e hup ]; do sleep 0.05; done";
    let mut stand = Stand::new("reload", script);
    let conf = stand.prefix.join("new.conf");
    std::fs::write(
        stand.prefix.join(".kong_env"),
        "lua_max_uri_args = 7\nlua_max_post_args = 7\n",
    )
    .unwrap();
    std::fs::write(&conf, "lua_max_uri_args = nonsense\n").unwrap();
    let args = super::args::RunArgs {
        place: stand.place(),
        conf: Some(conf.clone()),
        ..Default::default()
    };
    assert_eq!(
        message(super::reload::reload(&say(), &args)),
        "lua_max_uri_args is not a number: 'nonsense'"
    );
    assert!(
        !stand.prefix.join("hup").exists(),
        "settings that are wrong are not signalled"
    );
    std::fs::write(&conf, "lua_max_uri_args = 8\n").unwrap();
    assert_eq!(super::reload::reload(&say(), &args).unwrap(), 0);
    assert_eq!(stand.ended_by(), None);
    assert!(stand.prefix.join("hup").exists());
    let text = std::fs::read_to_string(stand.prefix.join(".kong_env")).unwrap();
    let settings = crate::settings::Settings::load(&crate::settings::Sources::of_kong_env(&text, Vec::new()))
        .unwrap()
        .settings;
    assert_eq!((settings.lua_max_uri_args, settings.lua_max_post_args), (8, 7));
    assert_eq!(settings.prefix, stand.prefix);
}

#[test]
fn a13_prepare_makes_the_prefix() {
    let prefix = std::env::temp_dir().join(format!("moongate-cli-{}-prepare", std::process::id()));
    let place = super::args::Place {
        prefix: Some(prefix.clone()),
        ..Default::default()
    };
    let args = super::args::RunArgs {
        place,
        ..Default::default()
    };
    assert_eq!(super::start::prepare(&say(), &args).unwrap(), 0);
    assert!(prefix.join("logs").is_dir() && prefix.join("pids").is_dir());
    let mode = std::os::unix::fs::PermissionsExt::mode(
        &std::fs::metadata(prefix.join(".kong_env")).unwrap().permissions(),
    );
    assert_eq!(mode & 0o777, 0o640);
    std::fs::remove_dir_all(&prefix).unwrap();
    let args = super::args::RunArgs {
        conf: Some("/nowhere/kong.conf".into()),
        ..args
    };
    assert_eq!(
        message(super::start::prepare(&say(), &args)),
        "no file at: /nowhere/kong.conf"
    );
}

#[test]
fn a13_config_init_writes_once_and_check_reads() {
    let dir = std::env::temp_dir().join(format!("moongate-cli-{}-init", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let file = dir.join("kong.yml");
    let line = ["config", "init", file.to_str().unwrap()];
    assert_eq!(super::execute(parse(&line).unwrap()), 0);
    let text = std::fs::read_to_string(&file).unwrap();
    let value: serde_json::Value = serde_norway::from_str(&text).unwrap();
    assert_eq!(value["_format_version"], "3.0");
    assert_eq!(super::execute(parse(&line).unwrap()), 1);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), text);
    let conf = dir.join("kong.conf");
    for (content, code) in [("log_level = info\n", 0), ("log_level = loud\n", 1)] {
        std::fs::write(&conf, content).unwrap();
        assert_eq!(
            super::execute(parse(&["check", conf.to_str().unwrap()]).unwrap()),
            code
        );
    }
    std::fs::remove_dir_all(&dir).unwrap();
}
