//! The thread on which configurations are judged, and on which those that were replaced are freed: one thread for
//! both, so that the memory of the one serves for the next.
//!
//! Must not: serve anybody.

use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use tokio::sync::oneshot;

use super::config::Prepared;

/// How often it looks whether a replaced configuration is still in use.
const LOOK: Duration = Duration::from_millis(50);

enum Job {
    Run(Box<dyn FnOnce() + Send>),
    LetGo(Box<Prepared>),
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
        let _ = self.0.send(Job::LetGo(Box::new(prepared)));
    }
}

fn work(todo: &mpsc::Receiver<Job>) {
    let mut replaced: Vec<Box<Prepared>> = Vec::new();
    loop {
        let job = match replaced.is_empty() {
            true => todo.recv().map_err(|_| RecvTimeoutError::Disconnected),
            false => todo.recv_timeout(LOOK),
        };
        replaced.retain(|prepared| Arc::strong_count(&prepared.snapshot) > 1);
        match job {
            Ok(Job::Run(f)) => {
                // the sender of the answer is dropped with `f`, which is how a panic is told
                let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(f));
            }
            Ok(Job::LetGo(prepared)) => replaced.push(prepared),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}
