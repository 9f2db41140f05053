//! One worker thread: its runtime, listeners, generation and the orders it takes.
//!
//! Must not: judge configurations (control did).

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::sync::{Mutex, mpsc, oneshot};
use tokio::task::{LocalSet, spawn_local};

use super::accept::{self, Listener, Shared};
use super::config::Prepared;
use super::crowd::Crowd;
use super::listeners::Bound;
use super::rooms;
use crate::exchange::Phase;
use crate::logs::AccessBuffer;
use crate::logs::Level;
use crate::logs::{ErrorLog, LogSink, SharedLevel};
use crate::net::listen;
use crate::net::real_ip::{RealIp, RealIpHeader, Trusted};
use crate::plugin::chain::Plan;
use crate::plugin::{Phases, Registry, references, run};
use crate::proxy::generation::Alive;
use crate::proxy::worker::with_origin;
use crate::proxy::{Generation, Worker, log};
use crate::resolver::Names;
use crate::settings::Settings;
use crate::store::{PluginIndex, PluginOrder};
use crate::upstream::pool::PoolLimits;
use crate::vm::{Flow, Scope, Vm};

/// What control tells a worker.
pub enum Order {
    /// Run a new configuration with fresh plugin code.
    Reload(Box<Prepared>, oneshot::Sender<Result<(), String>>),
    /// Run a new configuration in the living state; answers false if its plugins need a fresh one.
    Swap(Box<Prepared>, oneshot::Sender<bool>),
    /// Accept no more, finish what is under way, then end.
    Drain,
    /// Write what is under way into the error log.
    Gauges,
    /// End now.
    Stop,
}

/// What a worker starts with.
pub struct Start {
    /// 0, 1, ...
    pub id: usize,
    /// How many workers there are.
    pub count: usize,
    /// Its listeners.
    pub listeners: Vec<Bound>,
    /// Its first configuration.
    pub prepared: Prepared,
    /// Where error lines go.
    pub errors: LogSink,
    /// The level all workers share.
    pub level: SharedLevel,
    /// Its access log.
    pub access: AccessBuffer,
    /// Orders.
    pub orders: mpsc::UnboundedReceiver<Order>,
    /// Told when it accepts.
    pub ready: mpsc::UnboundedSender<(usize, Result<(), String>)>,
}

/// The thread's main function.
pub fn main(start: Start) {
    let id = start.id;
    let ready = start.ready.clone();
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(r) => r,
        Err(e) => {
            let _ = ready.send((id, Err(e.to_string())));
            return;
        }
    };
    let local = LocalSet::new();
    local.block_on(&runtime, async move {
        if let Err(e) = life(start).await {
            let _ = ready.send((id, Err(e)));
        }
    });
}

/// This thread's id in the system: `ngx.worker.pid()`.
pub fn thread_id() -> u32 {
    // SAFETY: gettid has no arguments and cannot fail.
    #[allow(unsafe_code)]
    unsafe {
        libc::gettid() as u32
    }
}

async fn life(start: Start) -> Result<(), String> {
    let Start {
        id,
        count,
        listeners,
        prepared,
        errors,
        level,
        access,
        mut orders,
        ready,
    } = start;
    let s = &prepared.settings;
    let names = Names::new(crate::resolver::Options::new(s));
    names.set_of_thread();
    let worker = Worker::new(
        id,
        limits(s),
        names,
        Rc::new(ErrorLog::new(errors, level, thread_id())),
        access,
    );
    hooks(&worker, count, s);
    let generation = build(&worker, prepared)?;
    let shared = Rc::new(Shared {
        worker: worker.clone(),
        current: RefCell::new(generation.clone()),
        open: RefCell::default(),
        clock: Cell::new(0),
        draining: Cell::new(false),
        crowd: Crowd::new(worker.handshakes.clone()),
        changing: Mutex::default(),
    });
    spawn_local(log::log_task(worker.clone()));
    spawn_local(housekeeping(shared.clone()));
    init_worker(&generation).await;
    // the one that is current may be another by tomorrow
    drop(generation);
    let mut accepting = Vec::new();
    for l in listeners {
        let at = Listener {
            configured: l.configured,
            local: l.configured,
            tls: l.tls,
        };
        let same = l.socket.try_clone().map_err(|e| e.to_string())?;
        let l = listen::into_tokio(l.socket).map_err(|e| e.to_string())?;
        accepting.push((spawn_local(accept_loop(shared.clone(), l, at)), same, at));
    }
    let _ = ready.send((id, Ok(())));
    while let Some(order) = orders.recv().await {
        match order {
            // tasks of their own, in the order they came: a plugin's init_worker that waits for ever holds up no Stop
            Order::Reload(prepared, done) => {
                let shared = shared.clone();
                spawn_local(async move {
                    let _ = done.send(reload(&shared, *prepared).await);
                });
            }
            Order::Swap(prepared, done) => {
                let shared = shared.clone();
                spawn_local(async move {
                    let _ = done.send(swap(&shared, *prepared).await);
                });
            }
            Order::Gauges => report(&shared),
            Order::Stop => {
                crate::ngx::worker::set_exiting(true);
                break;
            }
            Order::Drain => {
                for (task, socket, at) in accepting.drain(..) {
                    task.abort();
                    accept_rest(&shared, &socket, at);
                }
                // what was accepted last counts from its first turn on
                tokio::task::yield_now().await;
                drain(&shared, &mut orders).await;
                break;
            }
        }
    }
    // what is cut off now is still logged
    shared.cut();
    crate::ngx::timer::shutdown(&shared.current.borrow().vm);
    for _ in 0..16 {
        tokio::task::yield_now().await;
    }
    log::drain(&worker);
    worker.access.borrow_mut().flush();
    Ok(())
}

fn limits(s: &Settings) -> PoolLimits {
    PoolLimits {
        per_plan: s.upstream_keepalive_pool_size,
        max_requests: s.upstream_keepalive_max_requests,
        idle_timeout: s.upstream_keepalive_idle_timeout,
        ..PoolLimits::default()
    }
}

async fn drain(shared: &Rc<Shared>, orders: &mut mpsc::UnboundedReceiver<Order>) {
    crate::ngx::worker::set_exiting(true);
    shared.drain();
    let limit = shared.current.borrow().settings.moongate_drain_timeout;
    let vm = shared.current.borrow().vm.clone();
    crate::ngx::timer::shutdown(&vm);
    let idle = async {
        while shared.worker.connections.get() > 0
            || shared.worker.exchanges.get() > 0
            || crate::ngx::timer::counts(&vm) != (0, 0)
        {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::select! {
        () = idle => {}
        () = tokio::time::sleep(limit) => {}
        () = async { while let Some(o) = orders.recv().await { if matches!(o, Order::Stop) { break } } } => {}
    }
}

async fn reload(shared: &Rc<Shared>, prepared: Prepared) -> Result<(), String> {
    let _one = shared.changing.lock().await;
    take_over(shared, prepared).await
}

async fn take_over(shared: &Rc<Shared>, prepared: Prepared) -> Result<(), String> {
    let names = crate::resolver::Options::new(&prepared.settings);
    let generation = build(&shared.worker, prepared)?;
    generation.worker.names.configure(names);
    init_worker(&generation).await;
    if shared.draining.get() {
        crate::ngx::timer::shutdown(&generation.vm);
        return Err("shutting down".to_owned());
    }
    let old = shared.current.replace(generation);
    crate::ngx::timer::shutdown(&old.vm);
    Ok(())
}

/// Takes in a configuration without touching the Lua state: exchanges under way keep the one they began with.
/// Answers false where the state lacks a plugin's code, or the DAOs of one that may be configured.
async fn swap(shared: &Rc<Shared>, prepared: Prepared) -> bool {
    let _one = shared.changing.lock().await;
    let old = shared.current.borrow().clone();
    let loaded = |name: &String| old.plan.plugins.iter().any(|p| p.name == *name);
    if !prepared.plugins.iter().all(loaded) || prepared.enabled != old.enabled {
        return false;
    }
    let Prepared {
        snapshot,
        router,
        enabled,
        secured,
        ..
    } = prepared;
    let plugins = &old.plan.plugins;
    let order = PluginOrder::new(plugins.iter().map(|p| (p.name.clone(), p.priority)));
    let index = PluginIndex::build(&snapshot, &order);
    let plan = Rc::new(Plan::new(
        plugins.clone(),
        index,
        snapshot.clone(),
        Some(&old.plan),
    ));
    // the rows first: references may be to vaults that come with them. Where a vault has to be waited for, requests
    // meanwhile run the old plan
    drop(crate::db::set_current(snapshot.clone()));
    if let Err(message) = references::warm(&old.vm, &plan).await {
        let text = format!("[kong] vault references: {message}");
        old.worker.error(Level::Error, &text, None);
    }
    // from here on nothing waits: no request sees half of the swap
    old.vm.set_guest(plan.clone());
    let generation = Rc::new(Generation {
        settings: old.settings.clone(),
        worker: old.worker.clone(),
        vm: old.vm.clone(),
        phases: old.phases.clone(),
        balancing: old.balancing.clone(),
        plan,
        snapshot,
        router,
        enabled,
        secured,
        tls: old.tls.clone(),
        real_ip: old.real_ip.clone(),
        balancers: RefCell::default(),
        alive: Alive::new(&old.worker.generations),
    });
    if let Err(e) = run::forget(&generation.vm, &old.plan) {
        generation
            .worker
            .error(Level::Error, &format!("configurations: {e}"), None);
    }
    configure(&generation, &Scope::new(&generation.vm, Phase::InitWorker, None));
    shared.current.replace(generation);
    true
}

/// Lines with what is under way and what the pool did, for those who look for leaks (SIGUSR2).
fn report(shared: &Shared) {
    let g = shared.current.borrow().clone();
    let (pending, running) = crate::ngx::timer::counts(&g.vm);
    let (sockets, idle) = crate::ngx::sockets::counts();
    let line = format!(
        "gauges: {} threads={} semaphore_waits={} sockets={sockets} idle_sockets={idle} timers={}",
        g.worker.gauges(&g.vm),
        g.vm.live_threads(),
        crate::libs::semaphore::waiting(),
        pending + running
    );
    shared.worker.error(Level::Notice, &line, None);
    let line = format!("upstream connections: {}", g.worker.pool.report());
    shared.worker.error(Level::Notice, &line, None);
}

/// Builds a generation: Lua state, plugins, configuration.
fn build(worker: &Rc<Worker>, prepared: Prepared) -> Result<Rc<Generation>, String> {
    let Prepared {
        settings,
        snapshot,
        router,
        secured,
        tls,
        plugins,
        enabled,
    } = prepared;
    worker.pool.set_limits(limits(&settings));
    crate::ngx::timer::set_limits(settings.lua_max_pending_timers, settings.lua_max_running_timers);
    crate::ngx::worker_thread::set(rooms::worker_threads(&settings));
    crate::vm::check_client_abort(settings.lua_check_client_abort);
    crate::ngx::log::set_capture(worker.errors.capture(settings.lua_capture_error_log));
    crate::pdk::configuration::set(
        &settings.configuration_json(),
        &settings.configuration_without_secrets(),
    );
    let vm: Rc<Vm> = rooms::state(&settings).map_err(|e| e.to_string())?;
    crate::db::install_daos(&vm, &enabled).map_err(|e| e.to_string())?;
    let registry = vm
        .guarded(|lua| Registry::load(lua, &plugins))
        .map_err(|e| e.to_string())?;
    let index = PluginIndex::build(&snapshot, &registry.order);
    let plan = Rc::new(Plan::new(registry.plugins.clone(), index, snapshot.clone(), None));
    vm.set_guest(plan.clone());
    let phases = Phases::new(&vm).map_err(|e| e.to_string())?;
    let balancing = crate::pdk::balancer::Calls::new(&vm).map_err(|e| e.to_string())?;
    let real_ip = RealIp {
        trusted: Trusted::parse(settings.array("trusted_ips")).map_err(|e| e.to_string())?,
        header: RealIpHeader::parse(&settings.real_ip_header),
        recursive: settings.real_ip_recursive,
    };
    // last, as what fails changes nothing
    crate::ngx::sockets::configure(&settings.lua_sockets, &tls.cosockets);
    drop(crate::db::set_current(snapshot.clone()));
    Ok(Rc::new(Generation {
        settings,
        worker: worker.clone(),
        vm,
        phases,
        balancing,
        plan,
        snapshot,
        router,
        enabled,
        secured,
        tls,
        real_ip,
        balancers: RefCell::default(),
        alive: Alive::new(&worker.generations),
    }))
}

/// Runs init_worker and configure of every plugin; failures are logged and stop nothing.
async fn init_worker(g: &Rc<Generation>) {
    if let Err(message) = references::warm(&g.vm, &g.plan).await {
        g.worker
            .error(Level::Error, &format!("[kong] vault references: {message}"), None);
    }
    let scope = Scope::new(&g.vm, Phase::InitWorker, None);
    crate::cache::start(&g.vm);
    for (id, info) in g.plan.plugins.iter().enumerate() {
        if info.phases & Phase::InitWorker as u32 != 0
            && let Flow::Failed(fault) = g.phases.init_worker(&g.vm, &scope, id as u16).await
        {
            log::handler_failed(g, &scope, Phase::InitWorker, &fault);
        }
    }
    configure(g, &scope);
}

/// Runs configure of every plugin; failures are logged and stop nothing.
fn configure(g: &Rc<Generation>, scope: &Rc<Scope>) {
    for (plugin, message) in run::configure(&g.vm, &g.plan, scope) {
        g.worker.error(
            Level::Error,
            &format!("[kong] [{plugin}] configure handler failed: {message}"),
            None,
        );
    }
}

/// Takes in who has connected already: a listener that closes resets them.
fn accept_rest(shared: &Rc<Shared>, socket: &std::net::TcpListener, at: Listener) {
    let local = socket.local_addr().unwrap_or(at.local);
    while let Ok((stream, peer)) = socket.accept() {
        let stream = stream
            .set_nonblocking(true)
            .and_then(|()| TcpStream::from_std(stream));
        if let Ok(stream) = stream {
            admit(shared, stream, peer, Listener { local, ..at });
        }
    }
}

fn admit(shared: &Rc<Shared>, stream: TcpStream, peer: SocketAddr, at: Listener) {
    crate::shared::traffic::accepted();
    if listen::prepare(&stream).is_err() {
        return;
    }
    let local = match at.local.ip().is_unspecified() {
        true => stream.local_addr().unwrap_or(at.local),
        false => at.local,
    };
    let at = Listener { local, ..at };
    spawn_local(accept::connection(shared.clone(), stream, peer, at));
}

async fn accept_loop(shared: Rc<Shared>, listener: tokio::net::TcpListener, at: Listener) {
    let Ok(local) = listener.local_addr() else { return };
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => admit(&shared, stream, peer, Listener { local, ..at }),
            Err(e) => {
                // out of descriptors: pause instead of spinning
                shared
                    .worker
                    .error(Level::Crit, &format!("accept() failed ({e})"), None);
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn housekeeping(shared: Rc<Shared>) {
    let mut tick = tokio::time::interval(Duration::from_millis(100));
    let mut n = 0u64;
    loop {
        tick.tick().await;
        n += 1;
        shared.worker.access.borrow_mut().flush();
        if n.is_multiple_of(50) {
            let used = shared.current.borrow().vm.lua().used_memory();
            crate::pdk::node::note_memory(thread_id(), used as f64);
        }
        if n.is_multiple_of(10) {
            shared.sweep();
            shared.worker.pool.sweep();
            renew_if_retired(&shared).await;
        }
    }
}

/// A Lua state that could not win its memory back is replaced by a fresh one.
async fn renew_if_retired(shared: &Rc<Shared>) {
    // a configuration that is being taken in comes first: the new state is to have it, not the one before
    let Ok(_one) = shared.changing.try_lock() else {
        return;
    };
    let current = shared.current.borrow().clone();
    if !current.vm.retired() {
        return;
    }
    shared.worker.error(
        Level::Alert,
        "Lua state is out of memory: a new one takes over",
        None,
    );
    let prepared = Prepared {
        settings: current.settings.clone(),
        snapshot: current.snapshot.clone(),
        router: current.router.clone(),
        secured: current.secured.clone(),
        tls: current.tls.clone(),
        plugins: current.plan.plugins.iter().map(|p| p.name.clone()).collect(),
        enabled: current.enabled.clone(),
    };
    drop(current);
    if let Err(e) = take_over(shared, prepared).await {
        shared
            .worker
            .error(Level::Alert, &format!("no new Lua state: {e}"), None);
    }
}

/// Tells the ngx room who this worker is and where its log lines go.
fn hooks(worker: &Rc<Worker>, count: usize, settings: &Settings) {
    use crate::ngx::log;
    crate::ngx::worker::set(worker.id as u32, thread_id(), count as u32);
    crate::ngx::worker::set_prefix(&settings.prefix.to_string_lossy());
    crate::pdk::nginx::set_statistics(statistics);
    crate::ngx::re::configure(settings.regex_match_limit, settings.regex_cache_max_entries);
    log::set_level(log::Level(worker.errors.level().get() as u8));
    let errors = worker.errors.clone();
    log::set_sink(Box::new(move |level, text, origin| {
        let level = Level::from_number(i64::from(level.0)).unwrap_or(Level::Emerg);
        with_origin(origin, |c| errors.log(level, text, c));
    }));
}

/// What `kong.nginx.get_statistics()` says.
pub fn statistics() -> crate::pdk::nginx::Statistics {
    let now = crate::shared::traffic::totals();
    crate::pdk::nginx::Statistics {
        connections_active: now.reading + now.writing + now.waiting,
        connections_reading: now.reading,
        connections_writing: now.writing,
        connections_waiting: now.waiting,
        connections_accepted: now.accepted,
        connections_handled: now.handled,
        total_requests: now.requests,
    }
}
