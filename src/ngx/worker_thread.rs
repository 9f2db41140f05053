//! `ngx.run_worker_thread`: OS threads beside the workers, each with a Lua state of its own.
//!
//! Threads are made as they are needed, up to what the pool's setting says, and end when nothing came for a minute;
//! a worker has so many calls under way as `lua_worker_thread_vm_pool_size` says, counted until they are over even
//! where the caller is gone. A function that runs away is stopped like any handler, after
//! [`PATIENCE`] times as long. Must not: give a thread more of `ngx` than OpenResty does.

use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mlua::{Function, Table, Value};
use tokio::sync::oneshot;

use super::call::{self, WAIT};
use crate::vm::state::Install;
use crate::vm::{Args, Out, Registrar, Ret, Vm, VmOptions, op, scope};

/// How many times a handler's CPU time a call may take.
pub const PATIENCE: u32 = 10;
/// How long a thread without work stays.
const IDLE: Duration = Duration::from_secs(60);

/// How the states of threads are made, and how many there may be.
pub struct Plan {
    /// As a worker's own, but for the time.
    pub options: VmOptions,
    /// What they have.
    pub rooms: Vec<Install>,
    /// The pools by name, and how many threads each has at most.
    pub pools: Vec<(String, usize)>,
    /// How many calls of a worker may be under way.
    pub at_once: usize,
    /// `ngx.config.prefix()`
    pub prefix: String,
}

struct Mine {
    plan: Arc<Plan>,
    under_way: Arc<AtomicUsize>,
}

thread_local! {
    static MINE: RefCell<Option<Mine>> = const { RefCell::new(None) };
}

/// Sets what this worker's calls run in from now on.
pub fn set(plan: Plan) {
    MINE.with_borrow_mut(|mine| {
        let under_way = mine.take().map(|m| m.under_way).unwrap_or_default();
        *mine = Some(Mine {
            plan: Arc::new(plan),
            under_way,
        });
    });
}

pub(super) fn install(r: &Registrar) -> mlua::Result<()> {
    r.op("ngx_worker_thread", "disabled", op::raw(disabled))?;
    r.op("ngx_worker_thread", "known", op::raw(known))?;
    r.op("ngx_worker_thread", "run", op::raw(run))
}

/// `disabled()`: why not here, if so.
fn disabled(_: &Args, r: &mut Ret) {
    let phase = scope::phase();
    if phase as u32 & WAIT == 0 {
        r.str(format!("API disabled in the context of {}", call::context(phase)));
    }
}

/// `known(pool)`
fn known(a: &Args, r: &mut Ret) {
    let name = a.str(1).unwrap_or_default();
    let known = MINE.with_borrow(|m| {
        m.as_ref()
            .is_some_and(|m| m.plan.pools.iter().any(|(n, _)| n.as_bytes() == name))
    });
    r.bool(known);
}

type Answer = Result<(i64, Vec<u8>), Vec<u8>>;

/// A call on its way; counted as long as it is there.
struct Job {
    plan: Arc<Plan>,
    module: Vec<u8>,
    name: Vec<u8>,
    count: f64,
    arguments: Vec<u8>,
    answer: Option<oneshot::Sender<Answer>>,
    under_way: Arc<AtomicUsize>,
}

impl Drop for Job {
    fn drop(&mut self) {
        self.under_way.fetch_sub(1, Ordering::AcqRel);
    }
}

/// `run(pool, module, name, count, arguments)`: false and why not; else nothing, and the wait's results are true,
/// the number of values and these as text, or false and the error.
fn run(a: &Args, r: &mut Ret) {
    let text = |i| a.str(i).unwrap_or_default().to_vec();
    let job = MINE.with_borrow(|mine| {
        let mine = mine.as_ref()?;
        if mine.under_way.fetch_add(1, Ordering::AcqRel) >= mine.plan.at_once {
            mine.under_way.fetch_sub(1, Ordering::AcqRel);
            return None;
        }
        let (sender, receiver) = oneshot::channel();
        let job = Job {
            plan: mine.plan.clone(),
            module: text(2),
            name: text(3),
            count: a.num(4).unwrap_or(0.0),
            arguments: text(5),
            answer: Some(sender),
            under_way: mine.under_way.clone(),
        };
        Some((job, receiver))
    });
    let Some((job, receiver)) = job else {
        r.bool(false).lit("no available Lua vm");
        return;
    };
    let name = String::from_utf8_lossy(a.str(1).unwrap_or_default()).into_owned();
    let threads = job.plan.pools.iter().find(|(n, _)| *n == name);
    let most = threads.map_or(1, |(_, most)| *most);
    if !Pool::of(&name).give(job, most) {
        r.bool(false).lit("ngx_thread_task_post failed");
        return;
    }
    r.wait(async move {
        let mut out = Out::new();
        match receiver.await {
            Ok(Ok((n, values))) => out.bool(true).int(n).held(values.into()),
            Ok(Err(message)) => out.bool(false).str(message),
            Err(_) => out.bool(false).lit("the thread has ended"),
        };
        out
    });
}

#[derive(Default)]
struct Pool {
    state: Mutex<Queue>,
    bell: Condvar,
}

#[derive(Default)]
struct Queue {
    jobs: VecDeque<Job>,
    threads: usize,
    idle: usize,
}

/// A thread of a pool, counted while it lives.
struct Counted(Arc<Pool>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.state().threads -= 1;
    }
}

impl Pool {
    fn of(name: &str) -> Arc<Self> {
        static POOLS: Mutex<Option<HashMap<String, Arc<Pool>>>> = Mutex::new(None);
        let mut pools = POOLS.lock().unwrap_or_else(PoisonError::into_inner);
        let pools = pools.get_or_insert_default();
        pools.entry(name.to_owned()).or_default().clone()
    }

    fn state(&self) -> MutexGuard<'_, Queue> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues a call, with one more thread if none is free; false if there is no thread to be had.
    fn give(self: Arc<Self>, job: Job, most: usize) -> bool {
        let mut q = self.state();
        q.jobs.push_back(job);
        if q.jobs.len() <= q.idle || q.threads >= most {
            drop(q);
            self.bell.notify_one();
            return true;
        }
        q.threads += 1;
        drop(q);
        let counted = Counted(self.clone());
        let made = std::thread::Builder::new()
            .name("worker-thread".into())
            .stack_size(crate::vm::STACK)
            .spawn(move || work(&counted));
        if made.is_err() {
            let mut q = self.state();
            if q.threads == 0 {
                q.jobs.pop_back();
                return false;
            }
        }
        true
    }

    /// The next call; None if none came for long.
    fn take(&self) -> Option<Job> {
        let mut q = self.state();
        q.idle += 1;
        let job = loop {
            if let Some(job) = q.jobs.pop_front() {
                break Some(job);
            }
            let (back, waited) = self
                .bell
                .wait_timeout(q, IDLE)
                .unwrap_or_else(PoisonError::into_inner);
            q = back;
            if waited.timed_out() && q.jobs.is_empty() {
                break None;
            }
        };
        q.idle -= 1;
        job
    }
}

/// A thread's state, and the plan it was made by.
struct Held {
    plan: Arc<Plan>,
    vm: Rc<Vm>,
    call: Function,
}

impl Held {
    fn new(plan: &Arc<Plan>) -> mlua::Result<Self> {
        super::worker::set_prefix(&plan.prefix);
        let vm = Vm::new(&plan.options, &plan.rooms)?;
        let package: Table = vm.lua().globals().get("package")?;
        let there: Table = package
            .get::<Table>("loaded")?
            .get("moongate.ngx.worker_thread")?;
        vm.guarded(|_| there.get::<Function>("confine")?.call::<()>(()))?;
        let call = there.get("call")?;
        Ok(Self {
            plan: plan.clone(),
            vm,
            call,
        })
    }

    fn run(&self, job: &Job) -> mlua::Result<Answer> {
        let lua = self.vm.lua();
        let arguments = (
            lua.create_string(&job.module)?,
            lua.create_string(&job.name)?,
            job.count,
            lua.create_string(&job.arguments)?,
        );
        let (ok, first, values): (bool, Value, Option<mlua::LuaString>) =
            self.vm.guarded(|_| self.call.call(arguments))?;
        Ok(match first {
            Value::String(message) if !ok => Err(message.as_bytes().to_vec()),
            Value::Integer(n) => Ok((n, values.map(|v| v.as_bytes().to_vec()).unwrap_or_default())),
            Value::Number(n) => Ok((
                n as i64,
                values.map(|v| v.as_bytes().to_vec()).unwrap_or_default(),
            )),
            _ => Err(Vec::new()),
        })
    }
}

fn work(pool: &Counted) {
    let mut held: Option<Held> = None;
    while let Some(mut job) = pool.0.take() {
        if job.answer.as_ref().is_none_or(oneshot::Sender::is_closed) {
            continue; // its caller is gone
        }
        if held.as_ref().is_some_and(|h| !Arc::ptr_eq(&h.plan, &job.plan)) {
            held = None;
        }
        let outcome = match held.take() {
            Some(h) => Ok(h),
            None => Held::new(&job.plan),
        };
        let outcome = outcome.and_then(|h| h.run(&job).map(|answer| (h, answer)));
        let (kept, answer) = match outcome {
            Ok((h, answer)) => (Some(h), answer),
            // out of memory, or stopped: the next call has a new state
            Err(e) => (None, Err(message(&e).into_bytes())),
        };
        held = kept;
        if let Some(to) = job.answer.take() {
            let _ = to.send(answer);
        }
        drop(job);
        if let Some(h) = &held {
            let _ = h.vm.lua().gc_collect();
        }
    }
}

/// Lua's own words.
fn message(e: &mlua::Error) -> String {
    match e {
        mlua::Error::RuntimeError(text) | mlua::Error::MemoryError(text) => text
            .split("\nstack traceback:")
            .next()
            .unwrap_or_default()
            .to_owned(),
        mlua::Error::CallbackError { cause, .. } => message(cause),
        other => other.to_string(),
    }
}
