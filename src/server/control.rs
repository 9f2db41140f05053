//! The control thread: listeners, workers, signals.
//!
//! Must not: run plugins on traffic.

use std::net::TcpListener;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, oneshot};

use super::config::{self, ConfigError, Prepared, Refusal};
use super::echo::material::Material;
use super::echo::tls::Acceptor;
use super::judge::Judge;
use super::listeners::{self, Bound};
use super::worker::{self, Order, Start};
use super::{Error, Source, pidfile, tls};
use crate::admin::{self, Api, Ask, Loaded, Places};
use crate::logs::Level;
use crate::logs::LogWriter;
use crate::logs::Target;
use crate::logs::{AccessBuffer, AccessFormat};
use crate::logs::{ErrorContext, ErrorLog, SharedLevel};
use crate::net::listen;
use crate::proxy::handshake::Secured;
use crate::settings::{LogTarget, Settings, Sources};

/// How long SIGTERM waits for the workers.
const STOP_LIMIT: Duration = Duration::from_millis(700);

struct Running {
    settings: Settings,
    declared: Source,
    /// The text of the configuration that the Admin API brought last.
    posted: Option<Arc<str>>,
    current: Prepared,
    preparing: Option<Preparing>,
    judge: Judge,
    /// SIGHUP came while a configuration was being judged.
    reload_again: bool,
    orders: Vec<mpsc::UnboundedSender<Order>>,
    threads: Vec<std::thread::JoinHandle<()>>,
    logs: LogWriter,
    errors: ErrorLog,
}

/// A configuration that is being judged on a thread of its own, and what for.
struct Preparing {
    judged: oneshot::Receiver<Result<Prepared, Refusal>>,
    purpose: Purpose,
}

enum Purpose {
    /// SIGHUP: fresh Lua states.
    Reload,
    /// The Admin API: the living states take it in.
    Swap(Arc<str>, oneshot::Sender<Loaded>),
}

/// The signals that control takes.
struct Signals {
    ends: Ends,
    hup: Signal,
    usr1: Signal,
    usr2: Signal,
}

impl Signals {
    fn new() -> Result<Self, Error> {
        let on = |kind: SignalKind| signal(kind).map_err(|e| Error::System("signal", e));
        let ends = Ends {
            term: on(SignalKind::terminate())?,
            int: on(SignalKind::interrupt())?,
            quit: on(SignalKind::quit())?,
        };
        Ok(Self {
            ends,
            hup: on(SignalKind::hangup())?,
            usr1: on(SignalKind::user_defined1())?,
            usr2: on(SignalKind::user_defined2())?,
        })
    }
}

/// How the gateway is to end.
#[derive(Clone, Copy)]
enum End {
    Now,
    Gracefully,
}

/// The signals that end the gateway.
struct Ends {
    term: Signal,
    int: Signal,
    quit: Signal,
}

impl Ends {
    /// The first of them to come.
    async fn recv(&mut self) -> End {
        tokio::select! {
            _ = self.term.recv() => End::Now,
            _ = self.int.recv() => End::Now,
            _ = self.quit.recv() => End::Gracefully,
        }
    }
}

/// Runs the gateway until it is told to stop.
///
/// # Errors
/// What kept it from starting.
pub fn run(settings: Settings, declared: Source) -> Result<(), Error> {
    super::memory::without_huge_pages();
    let logs = LogWriter::start()?;
    let level = SharedLevel::new(level_of(&settings));
    let error_sink = logs.open(&target(&settings.proxy_error_log))?;
    let access_sink = logs.open(&target(&settings.proxy_access_log.target))?;
    let format = AccessFormat::named(settings.proxy_access_log.format.as_deref());
    let errors = ErrorLog::new(error_sink.clone(), level.clone(), std::process::id());
    shared_dictionaries(&settings);
    let kept = crate::pdk::node::init_id(&settings.prefix, settings.node_id.as_deref());
    // before the configuration is judged: it may speak of what lies there
    let acceptor = echo_acceptor(&settings)?;
    let judge = Judge::start().map_err(|e| Error::System("judge thread", e))?;
    let first = (settings.clone(), declared.clone());
    let judged = judge.run(move || prepare(first.0, &first.1, &[], None).map_err(|e| e.to_string()));
    let (prepared, warnings) = judged
        .blocking_recv()
        .unwrap_or_else(|_| Err("the configuration could not be judged".to_owned()))
        .map_err(Error::Refused)?;
    let count = settings.nginx_worker_processes.max(1);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| Error::System("control runtime", e))?;
    // before anything listens, since who can connect may signal: a signal must never meet the system's default
    let mut signals = {
        let _context = runtime.enter();
        Signals::new()?
    };
    // the proxy's last: who can connect there can connect to all of them
    let echoes = listeners::echo(&settings)?;
    let admins = listeners::admin(&settings)?;
    let admin_tls = tls::admin(&settings).map_err(Error::Refused)?;
    let mut listeners = listeners::proxy(&settings, count)?;
    let (ready_tx, mut ready) = mpsc::unbounded_channel();
    let mut running = Running {
        settings,
        declared,
        posted: None,
        current: prepared,
        preparing: None,
        judge,
        reload_again: false,
        orders: Vec::new(),
        threads: Vec::new(),
        logs,
        errors,
    };
    for id in 0..count {
        let (tx, rx) = mpsc::unbounded_channel();
        let start = Start {
            id,
            count,
            listeners: listeners.pop().unwrap_or_default(),
            prepared: running.current.clone(),
            errors: error_sink.clone(),
            level: level.clone(),
            access: AccessBuffer::new(access_sink.clone(), format),
            orders: rx,
            ready: ready_tx.clone(),
        };
        let thread = std::thread::Builder::new()
            .name(format!("worker-{id}"))
            .stack_size(crate::vm::STACK)
            .spawn(move || worker::main(start))
            .map_err(|e| Error::System("worker thread", e))?;
        running.orders.push(tx);
        running.threads.push(thread);
    }
    drop(ready_tx);
    for _ in 0..count {
        let told = runtime.block_on(async {
            tokio::select! {
                told = ready.recv() => Some(told),
                _ = signals.ends.recv() => None,
            }
        });
        match told {
            Some(Some((_, Ok(())))) => {}
            Some(Some((id, Err(e)))) => return Err(Error::Worker(id, e)),
            Some(None) => return Err(Error::Worker(0, "its thread ended".into())),
            None => return Ok(()),
        }
    }
    start_echoes(echoes, acceptor)?;
    let pid_path = running.settings.nginx_pid();
    let _pid = pidfile::PidFile::write(&pid_path).map_err(|e| Error::System("pid file", e))?;
    running.log(
        Level::Notice,
        &format!("moongate/{} started", env!("CARGO_PKG_VERSION")),
    );
    if let Err(e) = kept {
        running.log(Level::Warn, &format!("failed to persist node_id: {e}"));
    }
    warnings
        .iter()
        .for_each(|warning| running.log(Level::Warn, warning));
    running.tell_unserved();
    running.tell_unchecked();
    let (asks, mut asked) = mpsc::channel(8);
    let api = Api {
        asks,
        max_body: running.settings.admin_client_max_body_size,
        places: Places::new(running.settings.admin_limit_conn),
    };
    let result = runtime.block_on(async {
        for Bound { socket, tls, .. } in admins {
            let listener = listen::into_tokio(socket).map_err(|e| Error::System("admin_listen", e))?;
            let tls = admin_tls.clone().filter(|_| tls);
            tokio::spawn(admin::serve(listener, tls, api.clone()));
        }
        running.serve(&mut signals, &mut asked).await
    });
    running.logs.flush(Duration::from_millis(200));
    result
}

fn level_of(settings: &Settings) -> Level {
    settings.log_level.as_str().parse().unwrap_or(Level::Notice)
}

fn target(t: &LogTarget) -> Target {
    match t {
        LogTarget::Off => Target::Off,
        LogTarget::Stdout => Target::Stdout,
        LogTarget::Stderr => Target::Stderr,
        LogTarget::File(p) => Target::File(p.clone()),
    }
}

/// For the echo upstreams that speak TLS, with certificates made now; None when no one does.
fn echo_acceptor(settings: &Settings) -> Result<Option<Acceptor>, Error> {
    if !settings.moongate_echo_listen.iter().any(|l| l.ssl) {
        return Ok(None);
    }
    let material = Material::make(&settings.prefix.join("ssl").join("demo"))?;
    Ok(Some(Acceptor::new(&material)?))
}

fn start_echoes(listeners: Vec<(TcpListener, bool)>, acceptor: Option<Acceptor>) -> Result<(), Error> {
    if listeners.is_empty() {
        return Ok(());
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| Error::System("echo runtime", e))?;
    let echo = move || {
        tokio::task::LocalSet::new().block_on(&runtime, async move {
            for (l, ssl) in listeners {
                let acceptor = acceptor.clone().filter(|_| ssl);
                match listen::into_tokio(l) {
                    Ok(l) => drop(tokio::task::spawn_local(super::echo::serve(l, acceptor))),
                    Err(e) => eprintln!("moongate: echo listener: {e}"),
                }
            }
            std::future::pending::<()>().await;
        });
    };
    std::thread::Builder::new()
        .name("echo".into())
        .spawn(echo)
        .map(drop)
        .map_err(|e| Error::System("echo thread", e))
}

/// A whole configuration, TLS of listeners included, and what is to be said about it.
fn prepare(
    settings: Settings,
    source: &Source,
    loaded: &[String],
    before: Option<&Secured>,
) -> Result<(Prepared, Vec<String>), ConfigError> {
    let mut warnings = Vec::new();
    let upstream = tls::upstream(&settings).map_err(ConfigError::Tls)?;
    let secured = tls::proxy(&settings, before, &mut warnings).map_err(ConfigError::Tls)?;
    let mut prepared = config::prepare(settings, source, loaded)?;
    prepared.secured = secured.map(Arc::new);
    prepared.tls = Arc::new(upstream);
    Ok((prepared, warnings))
}

/// Declares the shared dictionaries; before the first Lua state, which finds them by name.
pub(super) fn shared_dictionaries(settings: &Settings) {
    let wanted = settings.lua_shared_dicts.iter();
    crate::shared::dict::configure(wanted.map(|d| (d.name.clone(), d.size)).collect());
}

/// The configuration under judgement, once it is judged.
async fn judged(preparing: &mut Option<Preparing>) -> (Result<Prepared, Refusal>, Purpose) {
    let result = match preparing {
        Some(p) => (&mut p.judged).await,
        None => std::future::pending().await,
    };
    let result = result.unwrap_or_else(|e| {
        let text = format!("the configuration could not be judged: {e}");
        let json = crate::db::Refused::whole(text.clone()).error;
        Err(Refusal { text, json })
    });
    match preparing.take() {
        Some(p) => (result, p.purpose),
        None => std::future::pending().await,
    }
}

impl Running {
    fn log(&self, level: Level, message: &str) {
        self.errors
            .log(level, message.as_bytes(), &ErrorContext::default());
    }

    /// Says which configured listeners nothing answers on yet.
    fn tell_unserved(&self) {
        let s = &self.settings;
        for (name, list) in [
            ("status_listen", &s.status_listen),
            ("admin_gui_listen", &s.admin_gui_listen),
        ] {
            if !list.is_empty() {
                let at: Vec<String> = list.iter().map(|l| l.addr.to_string()).collect();
                self.log(
                    Level::Warn,
                    &format!("not supported yet, nothing listens: {name} = {}", at.join(", ")),
                );
            }
        }
    }

    /// Says whose targets are to be checked for health: nobody does that yet.
    fn tell_unchecked(&self) {
        let upstreams = self.current.snapshot.upstreams.iter();
        let names: Vec<&str> = upstreams
            .filter(|u| u.health_checked)
            .map(|u| u.name.as_str())
            .collect();
        if let Some(first) = names.first() {
            let more = match names.len() - 1 {
                0 => String::new(),
                n => format!(" and {n} more"),
            };
            self.log(
                Level::Warn,
                &format!("not supported yet, healthchecks have no effect: upstream '{first}'{more}"),
            );
        }
    }

    async fn serve(&mut self, signals: &mut Signals, asked: &mut mpsc::Receiver<Ask>) -> Result<(), Error> {
        // the Admin API, exports of a whole configuration above all, lets requests go first
        super::process::be_nice(super::process::TELLS);
        let Signals {
            ends,
            hup,
            usr1,
            usr2,
        } = signals;
        let end = loop {
            let judged = tokio::select! {
                end = ends.recv() => break end,
                _ = hup.recv() => { self.reload(); continue }
                _ = usr1.recv() => { self.logs.reopen(); continue }
                _ = usr2.recv() => { self.tell(|| Order::Gauges); continue }
                Some(ask) = asked.recv() => { self.answer(ask); continue }
                judged = judged(&mut self.preparing) => judged,
            };
            // how long the workers take to take it in is up to the plugins
            tokio::select! {
                end = ends.recv() => break end,
                () = self.apply(judged) => {}
            }
        };
        match end {
            End::Now => {
                self.log(Level::Notice, "signal 15 (SIGTERM) received, exiting");
                self.tell(|| Order::Stop);
                self.join(STOP_LIMIT).await;
            }
            End::Gracefully => {
                self.log(Level::Notice, "signal 3 (SIGQUIT) received, shutting down");
                self.tell(|| Order::Drain);
                let limit = self.settings.moongate_drain_timeout + Duration::from_secs(1);
                tokio::select! {
                    () = self.join(limit) => {}
                    _ = ends.term.recv() => {}
                }
            }
        }
        Ok(())
    }

    fn tell(&self, order: impl Fn() -> Order) {
        for o in &self.orders {
            let _ = o.send(order());
        }
    }

    async fn join(&self, limit: Duration) {
        let end = Instant::now() + limit;
        while Instant::now() < end && !self.threads.iter().all(std::thread::JoinHandle::is_finished) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// SIGHUP: a refused configuration changes nothing.
    fn reload(&mut self) {
        self.log(Level::Notice, "signal 1 (SIGHUP) received, reconfiguring");
        if self.preparing.is_some() {
            self.reload_again = true;
            return;
        }
        let settings = match self.settings_again() {
            Ok(s) => s,
            Err(e) => return self.log(Level::Error, &format!("reload refused: {e}")),
        };
        let mut source = self.declared.clone();
        let declares = settings.declarative_config.is_some() || settings.declarative_config_string.is_some();
        if source.file.is_none() && source.text.is_none() && !declares {
            source.text.clone_from(&self.posted);
        }
        self.prepare(settings, source, Purpose::Reload);
    }

    /// Judges on a thread of its own: a slow configuration does not hold signals up.
    fn prepare(&mut self, settings: Settings, source: Source, purpose: Purpose) {
        // fresh Lua states load everything; living ones have what they run with
        let loaded = match purpose {
            Purpose::Reload => Vec::new(),
            Purpose::Swap(..) => self.current.plugins.clone(),
        };
        // only settings change what listeners have, and those come with a reload
        let keeps = matches!(purpose, Purpose::Swap(..));
        let before = self.current.secured.clone();
        let judge = move || {
            super::process::be_nice(super::process::JUDGES);
            if keeps {
                let mut prepared = config::prepare(settings, &source, &loaded)?;
                prepared.secured = before;
                return Ok(prepared);
            }
            let prepared = prepare(settings, &source, &loaded, before.as_deref());
            prepared.map(|(prepared, _)| prepared).map_err(Refusal::from)
        };
        self.preparing = Some(Preparing {
            judged: self.judge.run(judge),
            purpose,
        });
    }

    fn answer(&mut self, ask: Ask) {
        match ask {
            Ask::Export(tell) => {
                let snapshot = self.current.snapshot.clone();
                drop(self.judge.run(move || drop(tell.send(snapshot.to_yaml()))));
            }
            Ask::Load(_, tell) if self.preparing.is_some() => drop(tell.send(Loaded::Busy)),
            Ask::Load(load, tell) => {
                if load.check_hash && crate::db::hash(&load.text) == self.current.snapshot.hash {
                    drop(tell.send(Loaded::Unchanged));
                    return;
                }
                let source = Source {
                    text: Some(load.text.clone()),
                    flatten_errors: load.flatten_errors,
                    ..Source::default()
                };
                self.prepare(self.settings.clone(), source, Purpose::Swap(load.text, tell));
            }
        }
    }

    async fn apply(&mut self, judged: (Result<Prepared, Refusal>, Purpose)) {
        let (result, purpose) = judged;
        match (result, purpose) {
            (Ok(prepared), Purpose::Reload) => {
                if let Err(e) = self.hand_out(prepared).await {
                    self.log(Level::Error, &format!("reload failed: {e}"));
                }
            }
            (Err(e), Purpose::Reload) => self.log(Level::Error, &format!("reload refused: {}", e.text)),
            (Ok(prepared), Purpose::Swap(text, tell)) => match self.swap(prepared).await {
                Ok(()) => {
                    self.posted = Some(text);
                    drop(tell.send(Loaded::Done(self.current.snapshot.clone())));
                }
                Err(e) => {
                    self.log(Level::Error, &format!("configuration not loaded: {e}"));
                    drop(tell.send(Loaded::Failed(e)));
                }
            },
            (Err(e), Purpose::Swap(_, tell)) => {
                self.log(Level::Error, &format!("configuration refused: {}", e.text));
                drop(tell.send(Loaded::Refused(e.json)));
            }
        }
        if std::mem::take(&mut self.reload_again) {
            self.reload();
        }
    }

    /// Lets every worker's living state take in a configuration; one whose plugins are not loaded there is reloaded.
    async fn swap(&mut self, prepared: Prepared) -> Result<(), String> {
        let mut waiting = Vec::new();
        for o in &self.orders {
            let (tx, rx) = oneshot::channel();
            let _ = o.send(Order::Swap(Box::new(prepared.clone()), tx));
            waiting.push(rx);
        }
        let mut all = true;
        for w in waiting {
            all &= w.await.unwrap_or(false);
        }
        if !all {
            return self.hand_out(prepared).await;
        }
        // last, since a worker that had not swapped yet may have kept an old row
        crate::shared::cache::purge_all();
        self.replaced(prepared);
        self.log(Level::Notice, "declarative configuration loaded");
        Ok(())
    }

    /// The workers have let go of the configuration before, or will soon: it is freed where nobody waits.
    fn replaced(&mut self, prepared: Prepared) {
        let old = std::mem::replace(&mut self.current, prepared);
        self.judge.let_go(old);
        self.tell_unchecked();
    }

    fn settings_again(&self) -> Result<Settings, String> {
        let path = self.settings.kong_env();
        let Ok(text) = std::fs::read_to_string(path) else {
            return Ok(self.settings.clone());
        };
        let env = std::env::vars().collect();
        super::load_settings(&Sources::of_kong_env(&text, env))
            .map(|l| l.settings)
            .map_err(|e| e.to_string())
    }

    /// Gives every worker fresh Lua states for a configuration.
    async fn hand_out(&mut self, prepared: Prepared) -> Result<(), String> {
        self.errors.level().set(level_of(&prepared.settings));
        let mut waiting = Vec::new();
        for o in &self.orders {
            let (tx, rx) = oneshot::channel();
            let _ = o.send(Order::Reload(Box::new(prepared.clone()), tx));
            waiting.push(rx);
        }
        let mut failed = None;
        for (id, w) in waiting.into_iter().enumerate() {
            match w.await {
                Ok(Ok(())) => {}
                Ok(Err(e)) => failed = Some(format!("worker {id}: {e}")),
                Err(_) => failed = Some(format!("worker {id} is gone")),
            }
        }
        if let Some(e) = failed {
            return Err(e);
        }
        crate::shared::cache::purge_all();
        self.settings = (*prepared.settings).clone();
        self.replaced(prepared);
        self.log(Level::Notice, "reloaded");
        Ok(())
    }
}
