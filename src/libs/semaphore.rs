//! What `ngx.semaphore` counts with: units that handlers of one worker post and wait for.
//!
//! Waiters are served in the order they came; a unit given to one that was killed meanwhile goes to the next. Must
//! not: cross threads; each worker has its own.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use tokio::sync::oneshot;

use crate::vm::{Args, Out, Registrar, Ret, cdata, op, scope};

#[derive(Default)]
struct Semaphore {
    units: Cell<i64>,
    /// Units given to waiters that have not gone on yet.
    given: Cell<i64>,
    waiters: RefCell<VecDeque<oneshot::Sender<()>>>,
}

thread_local! {
    static WAITING: Cell<usize> = const { Cell::new(0) };
}

/// How many handlers of this worker wait for a unit.
pub fn waiting() -> usize {
    WAITING.get()
}

impl Semaphore {
    /// Wakes up to `n` waiters; what nobody waits for is kept.
    fn post(&self, mut n: i64) {
        while n > 0 {
            let next = self.waiters.borrow_mut().pop_front();
            match next {
                // one that has given up does not take the unit
                Some(waiter) => {
                    let took = i64::from(waiter.send(()).is_ok());
                    self.given.set(self.given.get() + took);
                    n -= took;
                }
                None => {
                    self.units.set(self.units.get() + n);
                    n = 0;
                }
            }
        }
    }

    fn count(&self) -> i64 {
        let waiters = self.waiters.borrow();
        self.units.get() - waiters.iter().filter(|w| !w.is_closed()).count() as i64
    }
}

/// One that waits; what it was given and did not take goes back when it is dropped.
struct Ticket {
    semaphore: Rc<Semaphore>,
    receiver: oneshot::Receiver<()>,
    taken: bool,
}

impl Ticket {
    fn new(semaphore: Rc<Semaphore>) -> Self {
        let (sender, receiver) = oneshot::channel();
        {
            let mut waiters = semaphore.waiters.borrow_mut();
            // those that gave up are behind the first that has not, if anywhere
            if waiters.len() >= 64 {
                waiters.retain(|w| !w.is_closed());
            }
            waiters.push_back(sender);
        }
        WAITING.set(WAITING.get() + 1);
        Self {
            semaphore,
            receiver,
            taken: false,
        }
    }

    async fn wait(&mut self, patience: Duration) -> bool {
        let came = tokio::time::timeout(patience, &mut self.receiver).await;
        self.taken = matches!(came, Ok(Ok(())));
        self.taken
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let _ = WAITING.try_with(|w| w.set(w.get().saturating_sub(1)));
        let left = !self.taken && self.receiver.try_recv().is_ok();
        if self.taken || left {
            let given = &self.semaphore.given;
            given.set(given.get() - 1);
        }
        if left {
            self.semaphore.post(1);
        }
    }
}

/// Registers the ops of room `semaphore`.
pub(super) fn install(r: &Registrar) -> mlua::Result<()> {
    r.op("semaphore", "new", op::raw(new))?;
    r.op("semaphore", "post", op::raw(post))?;
    r.op("semaphore", "wait", op::raw(wait))?;
    r.op("semaphore", "count", op::raw(count))
}

/// `new(units)`: its number, for a cdata.
fn new(a: &Args, r: &mut Ret) {
    let semaphore = Semaphore::default();
    semaphore.units.set(a.int(1).unwrap_or(0).max(0));
    r.int(cdata::keep(semaphore));
}

/// `post(id, n)`
fn post(a: &Args, r: &mut Ret) {
    if let Some(semaphore) = cdata::object::<Semaphore>(a, 1) {
        semaphore.post(a.int(2).unwrap_or(1).min(i64::from(i32::MAX)));
    }
    r.bool(true);
}

/// `wait(id, ms)`: true if a unit was taken, or `nil, err`; with time to wait, nothing, and the wait's results are
/// true, or false and "timeout".
fn wait(a: &Args, r: &mut Ret) {
    let phase = scope::phase();
    if phase as u32 & crate::vm::YIELDABLE == 0 {
        r.fail(format!("API disabled in the context of {}", phase.lua_context()));
        return;
    }
    let ms = a.num(2).unwrap_or(0.0).min(f64::from(i32::MAX));
    let Some(semaphore) = cdata::object::<Semaphore>(a, 1) else {
        r.fail("no request ctx found");
        return;
    };
    let units = semaphore.units.get();
    // nobody overtakes one that was given a unit
    if units > 0 && semaphore.given.get() == 0 {
        semaphore.units.set(units - 1);
        r.bool(true);
        return;
    }
    // what is not a whole millisecond is none; NaN neither
    if ms.is_nan() || ms < 1.0 {
        r.fail("timeout");
        return;
    }
    let mut ticket = Ticket::new(semaphore.clone());
    if units > 0 {
        semaphore.units.set(units - 1);
        semaphore.post(1);
    }
    r.wait(async move {
        let mut out = Out::new();
        if ticket.wait(Duration::from_millis(ms as u64)).await {
            out.bool(true);
        } else {
            out.bool(false).lit("timeout");
        }
        out
    });
}

/// The units at hand, or the waiters as a negative number.
fn count(a: &Args, r: &mut Ret) {
    r.int(cdata::object::<Semaphore>(a, 1).map_or(0, |s| s.count()));
}
