//! Worker threads, accepting, signals, reload; the embedded echo upstream.
//!
//! `run` is the control thread: it judges configurations in a state of its own, hands them to the workers and
//! waits for signals. Must not: serve requests itself.

mod accept;
mod config;
mod control;
mod crowd;
mod deep;
mod default_certificate;
mod echo;
mod judge;
mod listeners;
mod rooms;
mod secret;
mod secure;
mod tls;
mod tls_error;
mod worker;

pub mod memory;
pub mod pidfile;
pub mod process;

use std::path::{Path, PathBuf};

pub use config::ConfigError;
pub use control::run;
pub use secret::{load_settings, vault_get};

use crate::settings::Settings;

/// Where the declarative configuration comes from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Source {
    /// A JSON or YAML file.
    pub file: Option<PathBuf>,
    /// The text itself.
    pub text: Option<std::sync::Arc<str>>,
    /// Whether a refusal lists its errors by entity.
    pub flatten_errors: bool,
}

/// Why the gateway did not run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An address could not be listened on.
    #[error(transparent)]
    Listen(#[from] crate::net::listen::ListenError),
    /// A log could not be opened.
    #[error("could not open a log: {0}")]
    Log(#[from] crate::logs::LogError),
    /// The configuration was refused.
    #[error("{0}")]
    Refused(String),
    /// Something that isn't there.
    #[error("not supported: {0}")]
    NotSupported(String),
    /// The system.
    #[error("{0}: {1}")]
    System(&'static str, std::io::Error),
    /// The certificates of the embedded TLS upstream.
    #[error(transparent)]
    Material(#[from] echo::material::MaterialError),
    /// The embedded TLS upstream.
    #[error(transparent)]
    Acceptor(#[from] echo::tls::AcceptorError),
    /// A worker did not start.
    #[error("worker {0} did not start: {1}")]
    Worker(usize, String),
}

/// Checks a declarative file against the entities' and the plugins' schemas.
///
/// # Errors
/// What is wrong with it, as text for the user.
pub fn parse_config(settings: Settings, path: &Path) -> Result<(), String> {
    let source = Source {
        file: Some(path.to_owned()),
        ..Source::default()
    };
    let judge = || match config::prepare(settings, &source, &[]) {
        Ok(_) => Ok(()),
        Err(ConfigError::Document(_, refused)) => Err(refused.text),
        Err(other) => Err(other.to_string()),
    };
    deep::deep("judge", judge)?
}

/// Runs specs; gives the exit code.
///
/// # Errors
/// What kept the runner from starting.
pub fn spec(settings: Settings, args: Vec<String>) -> Result<i32, String> {
    deep::deep("specs", || run_specs(settings, &args))?
}

fn run_specs(mut settings: Settings, args: &[String]) -> Result<i32, String> {
    // a whole run is one handler to the watchdog, and specs may be large
    settings.moongate_handler_timeout = std::time::Duration::from_secs(3600);
    settings.moongate_lua_memory_limit = 0;
    control::shared_dictionaries(&settings);
    crate::pdk::nginx::set_statistics(worker::statistics);
    crate::ngx::worker::set_prefix(&settings.prefix.to_string_lossy());
    crate::ngx::worker_thread::set(rooms::worker_threads(&settings));
    let vm = rooms::state(&settings).map_err(|e| e.to_string())?;
    crate::ngx::timer::count_program(&vm);
    let program = crate::busted::Program::new(vm.lua(), args).map_err(|e| e.to_string())?;
    let function = vm.keep(program.function.clone()).map_err(|e| e.to_string())?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| e.to_string())?;
    let local = tokio::task::LocalSet::new();
    let scope = crate::vm::Scope::new(&vm, crate::exchange::Phase::Timer, None);
    match local.block_on(&runtime, vm.run(&scope, function, &[])) {
        crate::vm::Flow::Failed(fault) => Err(format!("{}\n{}", fault.message, fault.traceback)),
        _ => program.exit_code().map_err(|e| e.to_string()),
    }
}
