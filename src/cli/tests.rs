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
    for command in ["migrations", "hybrid", "vault", "drain"] {
        let command = parse(&[command, "bootstrap", "-y", "--force"]).unwrap();
        assert_eq!(super::execute(command), 1);
    }
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
