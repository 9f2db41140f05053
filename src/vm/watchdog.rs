//! Stops handlers that run away: a thread watches the CPU time of each worker's current resume and, past the
//! limit, signals the worker's thread, whose handler arms a Lua hook that yields to the driver, or raises an error where
//! a C function that calls Lua stands between.
//!
//! The hook is set on the worker's own thread (setting it from another races with the JIT), stays armed until
//! the driver has control again (so a `pcall` cannot swallow it), and checks a generation number, so that a late
//! one spares the next request. Needs LuaJIT built with CHECKHOOK; [`super::strings`] ask whether they may go on.
//! Must not: judge anything but CPU time.
#![allow(unsafe_code)]

use std::cell::Cell;
use std::ffi::c_int;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, Weak};
use std::time::Duration;

use mlua::ffi;

/// What the hook raises; the driver recognises a runaway by [`Watch::end`], not by this text.
pub const MESSAGE: &std::ffi::CStr = c"handler ran longer than moongate_handler_timeout allows";

/// One worker's state under watch.
#[derive(Debug)]
pub struct Watch {
    /// Odd while Lua runs; each run has its own number.
    run: AtomicU64,
    /// The run that is to be stopped.
    condemned: AtomicU64,
    hooked: AtomicBool,
    /// The run that was told where it was when it was stopped.
    told: AtomicU64,
    lua: AtomicPtr<ffi::lua_State>,
    thread: libc::pthread_t,
    clock: libc::clockid_t,
    /// CPU time that one resume, or several without a wait between them, may take.
    pub(super) limit: Duration,
}

thread_local! {
    /// The watch whose state runs on this thread now (read by the signal handler).
    static RUNNING: Cell<*const Watch> = const { Cell::new(std::ptr::null()) };
}

impl Watch {
    /// Watches the calling thread's runs of `lua`.
    pub(super) fn new(lua: *mut ffi::lua_State, limit: Duration) -> Arc<Self> {
        // SAFETY: both calls only ask about the calling thread.
        let (thread, clock) = unsafe {
            let thread = libc::pthread_self();
            let mut clock = 0;
            libc::pthread_getcpuclockid(thread, &raw mut clock);
            (thread, clock)
        };
        let watch = Arc::new(Self {
            run: AtomicU64::new(0),
            condemned: AtomicU64::new(u64::MAX),
            hooked: AtomicBool::new(false),
            told: AtomicU64::new(u64::MAX),
            lua: AtomicPtr::new(lua),
            thread,
            clock,
            limit,
        });
        register(&watch);
        watch
    }

    /// Lua is about to run.
    #[inline]
    pub(super) fn begin(&self) {
        let n = self.run.load(Ordering::Relaxed);
        RUNNING.set(self);
        self.run.store(n + 1, Ordering::Release);
    }

    /// Lua has returned; true if this run was stopped.
    #[inline]
    pub(super) fn end(&self) -> bool {
        let n = self.run.load(Ordering::Relaxed);
        self.run.store(n + 1, Ordering::Release);
        RUNNING.set(std::ptr::null());
        if !self.hooked.load(Ordering::Relaxed) {
            return false;
        }
        self.hooked.store(false, Ordering::Relaxed);
        // SAFETY: the state is live (its owner calls this) and not running; on its own thread.
        unsafe { ffi::lua_sethook(self.lua.load(Ordering::Relaxed), None, 0, 0) };
        // not merely condemned: a wait or an exit may have come before the first hook
        self.told.load(Ordering::Relaxed) == n
    }

    /// Whether Lua runs.
    #[inline]
    pub(super) fn is_running(&self) -> bool {
        !self.run.load(Ordering::Relaxed).is_multiple_of(2)
    }

    /// Whether what runs was stopped and is on its way out.
    pub(super) fn is_told(&self) -> bool {
        self.told.load(Ordering::Relaxed) == self.run.load(Ordering::Relaxed)
    }

    fn cpu(&self) -> Option<Duration> {
        let mut ts = libc::timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        // SAFETY: a read of a clock; fails cleanly when the thread is gone.
        (unsafe { libc::clock_gettime(self.clock, &raw mut ts) } == 0)
            .then(|| Duration::new(ts.tv_sec as u64, ts.tv_nsec as u32))
    }
}

/// What runs now on this thread counts as begun anew: its limit is for the next step.
pub(super) fn lap() {
    let watch = RUNNING.get();
    if !watch.is_null() {
        // SAFETY: as in `on_signal`.
        unsafe { (*watch).run.fetch_add(2, Ordering::Release) };
    }
}

/// Whether what runs now on this thread is watched.
pub(super) fn is_watching() -> bool {
    !RUNNING.get().is_null()
}

/// Whether what runs now on this thread may go on: false once its end is due as soon as Lua goes on.
pub(super) fn goes_on() -> bool {
    let watch = RUNNING.get();
    // SAFETY: as in `on_signal`.
    watch.is_null() || {
        let w = unsafe { &*watch };
        !w.hooked.load(Ordering::Relaxed)
            || w.run.load(Ordering::Relaxed) != w.condemned.load(Ordering::Relaxed)
    }
}

extern "C" fn on_signal(_: c_int) {
    let watch = RUNNING.get();
    if watch.is_null() {
        return;
    }
    // SAFETY: RUNNING points to a Watch that the running Vm owns; the handler runs on that same thread, where
    // LuaJIT allows lua_sethook from a signal handler.
    unsafe {
        let w = &*watch;
        if w.run.load(Ordering::Relaxed) == w.condemned.load(Ordering::Relaxed) {
            w.hooked.store(true, Ordering::Relaxed);
            ffi::lua_sethook(w.lua.load(Ordering::Relaxed), Some(hook), ffi::LUA_MASKCOUNT, 1);
        }
    }
}

unsafe extern "C-unwind" fn hook(lua: *mut ffi::lua_State, _: *mut ffi::lua_Debug) {
    let watch = RUNNING.get();
    // SAFETY: as in `on_signal`; raising from a hook is LuaJIT's own way to stop code, and nothing droppable
    // is alive here.
    unsafe {
        let late = watch.is_null() || {
            let w = &*watch;
            w.run.load(Ordering::Relaxed) != w.condemned.load(Ordering::Relaxed)
        };
        if late {
            ffi::lua_sethook(lua, None, 0, 0);
            return;
        }
        // each pcall on the way out is stopped again: what is told is where it was first
        let w = &*watch;
        let run = w.run.load(Ordering::Relaxed);
        let key = MESSAGE.as_ptr().cast::<std::ffi::c_void>();
        if w.told.load(Ordering::Relaxed) == run {
            ffi::lua_rawgetp(lua, ffi::LUA_REGISTRYINDEX, key);
        } else {
            ffi::luaL_where(lua, 0);
            ffi::lua_pushstring(lua, MESSAGE.as_ptr());
            ffi::lua_concat(lua, 2);
            ffi::lua_pushvalue(lua, -1);
            ffi::lua_rawsetp(lua, ffi::LUA_REGISTRYINDEX, key);
            w.told.store(run, Ordering::Relaxed);
        }
        // A yield leaves every pcall and, unlike an error, runs no handler of an xpcall: those run with hooks off, and
        // one that loops could not be stopped. Who resumed is stopped in turn. Only C that calls Lua needs an error, of
        // the kind that has no handler.
        if lua_isyieldable(lua) != 0 {
            ffi::lua_settop(lua, -2);
            ffi::lua_yield(lua, 0);
            return;
        }
        lj_err_mem(lua);
    }
}

unsafe extern "C-unwind" {
    fn lua_isyieldable(state: *mut ffi::lua_State) -> c_int;

    /// Raises as an allocation that fails does. LuaJIT's own; it is in the archive that is linked here.
    fn lj_err_mem(state: *mut ffi::lua_State) -> !;
}

/// What a coroutine that was stopped by a yield is told, [`MESSAGE`] with the place: left alone on its stack, as an
/// error would be.
pub(super) fn take_message(co: *mut ffi::lua_State) -> String {
    // SAFETY: the coroutine is at rest; its emptied stack has room for one value, which exists already: no allocation.
    unsafe {
        ffi::lua_settop(co, 0);
        ffi::lua_rawgetp(co, ffi::LUA_REGISTRYINDEX, MESSAGE.as_ptr().cast());
    }
    told(co)
}

/// [`MESSAGE`] with the place where the last run was that was stopped.
pub(super) fn told(state: *mut ffi::lua_State) -> String {
    // SAFETY: the state is at rest and has room for one value, which exists already: no allocation. It is taken away
    // again.
    unsafe {
        let top = ffi::lua_gettop(state);
        ffi::lua_rawgetp(state, ffi::LUA_REGISTRYINDEX, MESSAGE.as_ptr().cast());
        let mut text = MESSAGE.to_string_lossy().into_owned();
        if ffi::lua_type(state, -1) == ffi::LUA_TSTRING {
            let mut len = 0;
            let p = ffi::lua_tolstring(state, -1, &mut len);
            text = String::from_utf8_lossy(std::slice::from_raw_parts(p.cast::<u8>(), len)).into_owned();
        }
        ffi::lua_settop(state, top);
        text
    }
}

fn signal() -> c_int {
    libc::SIGRTMIN() + 5
}

static WATCHED: OnceLock<Mutex<Vec<Weak<Watch>>>> = OnceLock::new();

fn register(watch: &Arc<Watch>) {
    let list = WATCHED.get_or_init(|| {
        // SAFETY: installs an async-signal-safe handler for a real-time signal that nothing else uses.
        unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = on_signal as *const () as usize;
            action.sa_flags = libc::SA_RESTART;
            libc::sigaction(signal(), &raw const action, std::ptr::null_mut());
        }
        let spawned = std::thread::Builder::new()
            .name("watchdog".into())
            .spawn(watch_all);
        if let Err(e) = spawned {
            eprintln!("moongate: no watchdog thread: {e}");
        }
        Mutex::default()
    });
    if let Ok(mut list) = list.lock() {
        list.push(Arc::downgrade(watch));
    }
}

fn watch_all() {
    // (watch, its run, CPU time when that run was first seen)
    let mut seen: Vec<(*const Watch, u64, Duration)> = Vec::new();
    loop {
        let watches: Vec<Arc<Watch>> = match WATCHED.get().map(Mutex::lock) {
            Some(Ok(mut list)) => {
                list.retain(|w| w.strong_count() > 0);
                list.iter().filter_map(Weak::upgrade).collect()
            }
            _ => Vec::new(),
        };
        let shortest = watches
            .iter()
            .map(|w| w.limit)
            .min()
            .unwrap_or(Duration::from_secs(1));
        seen.retain(|(p, ..)| watches.iter().any(|w| Arc::as_ptr(w) == *p));
        for w in &watches {
            look_at(w, &mut seen);
        }
        drop(watches);
        std::thread::sleep((shortest / 20).clamp(Duration::from_millis(5), Duration::from_millis(250)));
    }
}

fn look_at(w: &Arc<Watch>, seen: &mut Vec<(*const Watch, u64, Duration)>) {
    let run = w.run.load(Ordering::Acquire);
    let at = seen.iter().position(|(p, ..)| *p == Arc::as_ptr(w));
    if run.is_multiple_of(2) {
        if let Some(i) = at {
            seen.swap_remove(i);
        }
        return;
    }
    let Some(cpu) = w.cpu() else { return };
    match at {
        Some(i) if seen[i].1 == run => {
            if cpu.saturating_sub(seen[i].2) >= w.limit {
                w.condemned.store(run, Ordering::Relaxed);
                // SAFETY: the thread lives as long as its Vm, which holds the other strong reference; a stale
                // signal finds another run number and does nothing.
                unsafe { libc::pthread_kill(w.thread, signal()) };
            }
        }
        Some(i) => seen[i] = (Arc::as_ptr(w), run, cpu),
        None => seen.push((Arc::as_ptr(w), run, cpu)),
    }
}
