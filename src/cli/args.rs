//! The shape of the command line.

use std::path::PathBuf;

use clap::{Args, CommandFactory, Parser, Subcommand};

const EXAMPLES: &str = "\
Examples:
  moongate run config.json                 run in the foreground; ^C stops
  moongate start -c kong.conf              run in the background with Kong's settings file
  moongate reload                          take in a changed configuration, losing no request
  moongate quit -t 30                      finish open requests, for 30 seconds at most, then stop
  moongate config parse config.json        check a declarative configuration
  moongate spec spec/                      run plugin specs

A first config.json:
  {
    \"_format_version\": \"3.0\",
    \"_gateway\": { \"prefix\": \"./run\", \"proxy_listen\": \"127.0.0.1:8000\", \"admin_listen\": \"off\" },
    \"services\": [ { \"name\": \"hello\", \"url\": \"http://127.0.0.1:9000\",
                    \"routes\": [ { \"name\": \"all\", \"paths\": [\"/\"] } ] } ]
  }

Settings come from, strongest first: -p, the environment (KONG_LOG_LEVEL=debug sets log_level), the kong.conf
named by -c, the _gateway key of the declarative configuration, /etc/kong/kong.conf, the defaults.";

/// Runs Kong-style Lua plugins in front of your HTTP services.
#[derive(Debug, Parser)]
#[command(
    name = "moongate",
    version = concat!(env!("CARGO_PKG_VERSION"), " (Kong ", "3.10.0", ")"),
    after_help = EXAMPLES,
    arg_required_else_help = true,
    max_term_width = 110
)]
pub(super) struct Line {
    #[command(subcommand)]
    pub command: Command,
}

/// The whole program's help text.
pub(super) fn help() -> String {
    Line::command().render_help().to_string()
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Run the gateway in the foreground
    #[command(
        after_help = "Examples:\n  moongate run config.json\n  moongate run -c kong.conf -p ./run\n  \
                            KONG_LOG_LEVEL=debug KONG_PROXY_ERROR_LOG=/dev/stderr moongate run config.json\n\n\
                            Signals: TERM and INT stop, QUIT stops gracefully, HUP reloads."
    )]
    Run(RunArgs),
    /// Start the gateway in the background (in the foreground with nginx_daemon = off)
    Start(RunArgs),
    /// Stop a running gateway at once (SIGTERM)
    Stop(PlaceArgs),
    /// Stop a running gateway once its open requests are done (SIGQUIT)
    Quit(QuitArgs),
    /// Stop, then start with the settings given now
    Restart(RunArgs),
    /// Have a running gateway take in its configuration anew (SIGHUP)
    Reload(RunArgs),
    /// Tell whether a gateway runs at the prefix
    Health(PlaceArgs),
    /// Check a kong.conf
    Check(CheckArgs),
    /// Make the prefix directory ready without starting
    Prepare(RunArgs),
    /// Work with declarative configuration files
    Config(ConfigArgs),
    /// Run busted-style specs in the gateway's own Lua
    #[command(disable_help_flag = true)]
    Spec(SpecArgs),
    /// Print the version of Kong this gateway is compatible with
    Version(VersionArgs),
    #[command(hide = true, disable_help_flag = true)]
    Migrations(Anything),
    #[command(hide = true, disable_help_flag = true)]
    Hybrid(Anything),
    /// Look up secrets
    Vault(VaultArgs),
    #[command(hide = true, disable_help_flag = true)]
    Drain(Anything),
}

/// How much is said.
#[derive(Debug, Clone, Copy, Default, Args)]
pub(super) struct Verbosity {
    /// Say more
    #[arg(long = "v")]
    pub v: bool,
    /// Say everything, the settings included
    #[arg(long = "vv")]
    pub vv: bool,
}

/// Which gateway is meant.
#[derive(Debug, Clone, Default, Args)]
pub(super) struct Place {
    /// The prefix directory: pids, logs and the settings in use
    #[arg(short = 'p', long, value_name = "DIR")]
    pub prefix: Option<PathBuf>,
    #[command(flatten)]
    pub verbosity: Verbosity,
}

#[derive(Debug, Args)]
pub(super) struct PlaceArgs {
    #[command(flatten)]
    pub place: Place,
}

#[derive(Debug, Clone, Default, Args)]
pub(super) struct RunArgs {
    /// A declarative configuration, JSON or YAML; its _gateway key holds settings
    #[arg(value_name = "CONFIG", conflicts_with = "config")]
    pub declared: Option<PathBuf>,
    /// The same, as an option
    #[arg(long, value_name = "CONFIG")]
    pub config: Option<PathBuf>,
    /// A settings file [default: /etc/kong/kong.conf or /etc/kong.conf, where there is one]
    #[arg(short = 'c', long, value_name = "FILE")]
    pub conf: Option<PathBuf>,
    #[command(flatten)]
    pub place: Place,
    // Kong's, taken so that scripts run; none has a meaning without nginx and a database.
    #[arg(long, hide = true, value_name = "FILE")]
    pub nginx_conf: Option<PathBuf>,
    #[arg(long, hide = true)]
    pub nginx_conf_flags: Option<String>,
    #[arg(long, hide = true)]
    pub run_migrations: bool,
    #[arg(long, hide = true)]
    pub db_timeout: Option<f64>,
    #[arg(long, hide = true)]
    pub lock_timeout: Option<f64>,
    /// Set by `start`: lead a session of one's own, and say in this file why one could not start.
    #[arg(long, hide = true, value_name = "FILE")]
    pub daemon_report: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct QuitArgs {
    #[command(flatten)]
    pub place: Place,
    /// Seconds to wait for open requests before stopping by force
    #[arg(short = 't', long, default_value_t = 10.0, value_name = "SECONDS")]
    pub timeout: f64,
    /// Seconds to wait before beginning
    #[arg(short = 'w', long, default_value_t = 0.0, value_name = "SECONDS")]
    pub wait: f64,
}

#[derive(Debug, Args)]
pub(super) struct CheckArgs {
    /// The settings file
    #[arg(default_value = "/etc/kong/kong.conf", value_name = "CONF")]
    pub conf: PathBuf,
    #[command(flatten)]
    pub verbosity: Verbosity,
}

#[derive(Debug, Args)]
pub(super) struct ConfigArgs {
    #[command(subcommand)]
    pub command: ConfigCommand,
}

#[derive(Debug, Subcommand)]
pub(super) enum ConfigCommand {
    /// Check a declarative configuration without loading it
    Parse(ConfigFileArgs),
    /// Write an example declarative configuration [default: ./kong.yml]
    Init(ConfigFileArgs),
    #[command(hide = true, alias = "db-import", name = "db_import")]
    DbImport(ConfigFileArgs),
    #[command(hide = true, alias = "db-export", name = "db_export")]
    DbExport(ConfigFileArgs),
}

#[derive(Debug, Args)]
pub(super) struct ConfigFileArgs {
    /// The declarative file, JSON or YAML
    pub file: Option<PathBuf>,
    /// A settings file
    #[arg(short = 'c', long, value_name = "FILE")]
    pub conf: Option<PathBuf>,
    #[command(flatten)]
    pub place: Place,
}

#[derive(Debug, Args)]
pub(super) struct VaultArgs {
    #[command(subcommand)]
    pub command: VaultCommand,
}

#[derive(Debug, Subcommand)]
pub(super) enum VaultCommand {
    /// Print the secret that a reference stands for
    Get(VaultGetArgs),
}

#[derive(Debug, Args)]
pub(super) struct VaultGetArgs {
    /// `{vault://name/resource/key}`, or short: name/resource/key
    pub reference: Option<String>,
    /// A settings file
    #[arg(short = 'c', long, value_name = "FILE")]
    pub conf: Option<PathBuf>,
    #[command(flatten)]
    pub place: Place,
}

#[derive(Debug, Args)]
pub(super) struct VersionArgs {
    /// The versions of all parts
    #[arg(short = 'a', long)]
    pub all: bool,
    #[command(flatten)]
    pub verbosity: Verbosity,
}

#[derive(Debug, Args)]
pub(super) struct SpecArgs {
    /// busted's options, and the files or folders to run
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGS")]
    pub args: Vec<String>,
}

#[derive(Debug, Args)]
pub(super) struct Anything {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, hide = true)]
    pub args: Vec<String>,
}

// === impl RunArgs ===

impl RunArgs {
    /// The declarative file, however it was given.
    pub fn declared(&self) -> Option<&PathBuf> {
        self.declared.as_ref().or(self.config.as_ref())
    }
}

// === impl Command ===

impl Command {
    /// How much the command is to say.
    pub fn verbosity(&self) -> Verbosity {
        match self {
            Self::Run(a) | Self::Start(a) | Self::Restart(a) | Self::Reload(a) | Self::Prepare(a) => {
                a.place.verbosity
            }
            Self::Stop(a) | Self::Health(a) => a.place.verbosity,
            Self::Quit(a) => a.place.verbosity,
            Self::Check(a) => a.verbosity,
            Self::Version(a) => a.verbosity,
            Self::Config(a) => match &a.command {
                ConfigCommand::Parse(a)
                | ConfigCommand::Init(a)
                | ConfigCommand::DbImport(a)
                | ConfigCommand::DbExport(a) => a.place.verbosity,
            },
            Self::Vault(a) => match &a.command {
                VaultCommand::Get(a) => a.place.verbosity,
            },
            Self::Spec(_) | Self::Migrations(_) | Self::Hybrid(_) | Self::Drain(_) => Verbosity::default(),
        }
    }
}
