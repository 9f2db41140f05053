//! The thread on which configurations are judged, and on which those that were replaced are freed: one thread for
//! both, so that the memory of the one serves for the next.
//!
//! Must not: serve anybody.

use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::config::Prepared;
use super::memory;

/// How long after its work it tidies up: right after a swap the workers fill their caches, and come first.
const REST: Duration = Duration::from_secs(2);
/// How often it looks from then on whether a replaced configuration is still in use.
const LOOK: Duration = Duration::from_millis(50);

enum Job {
    Run(Box<dyn FnOnce() + Send>),
    LetGo(Prepared),
}

/// The way to the thread, which ends with it.
pub struct Judge(mpsc::Sender<Job>);

impl Judge {
    /// Starts the thread.
    ///
    /// # Errors
    /// The system's.
    pub fn start() -> std::io::Result<Self> {
        let (jobs, todo) = mpsc::channel();
        std::thread::Builder::new()
            .name("judge".into())
            .stack_size(crate::vm::STACK)
            .spawn(move || work(&todo))?;
        Ok(Self(jobs))
    }

    /// Runs `f` there; the answer is missing only if `f` panics.
    pub fn run<T: Send + 'static>(&self, f: impl FnOnce() -> T + Send + 'static) -> oneshot::Receiver<T> {
        let (tell, told) = oneshot::channel();
        let job = Box::new(move || drop(tell.send(f())));
        let _ = self.0.send(Job::Run(job));
        told
    }

    /// Frees a configuration once nobody uses it.
    pub fn let_go(&self, prepared: Prepared) {
        let _ = self.0.send(Job::LetGo(prepared));
    }
}

/// What is to be tidied up when nobody is waited for: configurations to free, memory to give back.
#[derive(Default)]
struct Untidy {
    replaced: Vec<Prepared>,
    /// Whether anything was freed since memory was given back.
    freed: bool,
    at: Option<Instant>,
}

impl Untidy {
    fn later(&mut self, wait: Duration) {
        self.at.get_or_insert_with(|| Instant::now() + wait);
    }

    fn tidy(&mut self) {
        self.at = None;
        let before = self.replaced.len();
        self.replaced
            .retain(|prepared| Arc::strong_count(&prepared.snapshot) > 1);
        if self.replaced.len() < before || std::mem::take(&mut self.freed) {
            memory::give_back();
        }
        if !self.replaced.is_empty() {
            self.later(LOOK);
        }
    }
}

fn work(todo: &mpsc::Receiver<Job>) {
    let mut untidy = Untidy::default();
    loop {
        let job = match untidy.at {
            None => todo.recv().map_err(|_| RecvTimeoutError::Disconnected),
            Some(at) => todo.recv_timeout(at.saturating_duration_since(Instant::now())),
        };
        match job {
            Ok(Job::Run(f)) => {
                // the memory of the one before serves for this one
                untidy.tidy();
                // the sender of the answer is dropped with `f`, which is how a panic is told
                let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(f));
                untidy.freed = true;
                untidy.later(REST);
            }
            Ok(Job::LetGo(prepared)) => {
                untidy.replaced.push(prepared);
                untidy.later(REST);
            }
            Err(RecvTimeoutError::Timeout) => untidy.tidy(),
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}
