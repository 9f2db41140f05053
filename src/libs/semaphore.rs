//! What `ngx.semaphore` counts with: units that handlers of one worker post and wait for.
//!
//! Waiters are served in the order they came. Must not: cross threads; each worker has its own.

use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use tokio::sync::oneshot;

use crate::vm::{Args, Out, Registrar, Ret, op};

#[derive(Default)]
struct Semaphore {
    units: i64,
    waiters: VecDeque<oneshot::Sender<()>>,
}

#[derive(Default)]
struct All {
    last: i64,
    by_id: HashMap<i64, Semaphore>,
}

thread_local! {
    static ALL: RefCell<All> = RefCell::default();
}

/// Registers the ops of room `semaphore`.
pub(super) fn install(r: &Registrar) -> mlua::Result<()> {
    r.op("semaphore", "new", op::raw(new))?;
    r.op("semaphore", "post", op::raw(post))?;
    r.op("semaphore", "wait", op::raw(wait))?;
    r.op("semaphore", "count", op::raw(count))?;
    r.op("semaphore", "free", op::raw(free))
}

/// `new(units)`: a number to name it by.
fn new(a: &Args, r: &mut Ret) {
    let units = a.int(1).unwrap_or(0).max(0);
    let id = ALL.with_borrow_mut(|all| {
        all.last += 1;
        let semaphore = Semaphore {
            units,
            ..Semaphore::default()
        };
        all.by_id.insert(all.last, semaphore);
        all.last
    });
    r.int(id);
}

/// `post(id, n)`: wakes up to n waiters; what nobody waits for is kept.
fn post(a: &Args, r: &mut Ret) {
    let mut left = a.int(2).unwrap_or(1);
    ALL.with_borrow_mut(|all| {
        let Some(semaphore) = a.int(1).and_then(|id| all.by_id.get_mut(&id)) else {
            return;
        };
        while left > 0 {
            match semaphore.waiters.pop_front() {
                // one that has given up does not take the unit
                Some(waiter) => left -= i64::from(waiter.send(()).is_ok()),
                None => {
                    semaphore.units += left;
                    left = 0;
                }
            }
        }
    });
    r.bool(true);
}

/// `wait(id, seconds)`: true if a unit was taken, false if there is none; with time to wait, nothing, and whether a
/// unit came is the result of the wait.
fn wait(a: &Args, r: &mut Ret) {
    let seconds = a.num(2).unwrap_or(0.0);
    let Ok(patience) = Duration::try_from_secs_f64(seconds.min(1e9)) else {
        r.bool(false);
        return;
    };
    let waiting = ALL.with_borrow_mut(|all| {
        let Some(semaphore) = a.int(1).and_then(|id| all.by_id.get_mut(&id)) else {
            return Err(false);
        };
        if semaphore.units > 0 {
            semaphore.units -= 1;
            return Err(true);
        }
        if patience.is_zero() {
            return Err(false);
        }
        semaphore.waiters.retain(|waiter| !waiter.is_closed());
        let (sender, receiver) = oneshot::channel();
        semaphore.waiters.push_back(sender);
        Ok(receiver)
    });
    match waiting {
        Err(taken) => {
            r.bool(taken);
        }
        Ok(receiver) => r.wait(async move {
            let came = tokio::time::timeout(patience, receiver).await;
            let mut out = Out::new();
            out.bool(matches!(came, Ok(Ok(()))));
            out
        }),
    }
}

/// The units at hand, or the waiters as a negative number.
fn count(a: &Args, r: &mut Ret) {
    let n = ALL.with_borrow(|all| {
        let semaphore = a.int(1).and_then(|id| all.by_id.get(&id))?;
        let waiters = semaphore
            .waiters
            .iter()
            .filter(|waiter| !waiter.is_closed())
            .count();
        Some(semaphore.units - waiters as i64)
    });
    r.int(n.unwrap_or(0));
}

fn free(a: &Args, _: &mut Ret) {
    if let Some(id) = a.int(1) {
        ALL.with_borrow_mut(|all| all.by_id.remove(&id));
    }
}
