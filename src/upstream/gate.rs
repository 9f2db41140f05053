//! Who is woken for a connection: the one who drives it, but not by what he does himself.
//!
//! hyper's parts wake each other by the connection's waker. Where the task that takes a response's frame is the task
//! that drives the connection, it would be woken, and run once more, by its own taking. Must not: be shut for longer
//! than one call, in which the connection is not driven.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Wake, Waker};

#[derive(Debug, Default)]
struct Inner {
    driver: Mutex<Option<Waker>>,
    shut: AtomicBool,
}

/// A waker that stands for that of whoever drives.
#[derive(Debug)]
pub struct Gate {
    inner: Arc<Inner>,
    waker: Waker,
}

impl Wake for Inner {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.shut.load(Ordering::Relaxed) {
            return;
        }
        let driver = self.driver.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(waker) = &*driver {
            waker.wake_by_ref();
        }
    }
}

impl Default for Gate {
    fn default() -> Self {
        let inner = Arc::<Inner>::default();
        Self {
            waker: inner.clone().into(),
            inner,
        }
    }
}

impl Gate {
    /// The waker to drive with; from now on it wakes `driver`.
    pub fn open_for(&self, driver: &Waker) -> &Waker {
        let mut known = self.inner.driver.lock().unwrap_or_else(PoisonError::into_inner);
        if !known.as_ref().is_some_and(|known| known.will_wake(driver)) {
            *known = Some(driver.clone());
        }
        &self.waker
    }

    /// Runs `f`, in which the waker wakes nobody.
    pub fn shut_while<R>(&self, f: impl FnOnce() -> R) -> R {
        self.inner.shut.store(true, Ordering::Relaxed);
        let result = f();
        self.inner.shut.store(false, Ordering::Relaxed);
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicUsize;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn c05_the_driver_is_woken_by_others_only() {
        let (one, two) = (Arc::<Count>::default(), Arc::<Count>::default());
        let woken = || (one.0.load(Ordering::Relaxed), two.0.load(Ordering::Relaxed));
        let gate = Gate::default();
        gate.waker.wake_by_ref();
        let waker = gate.open_for(&one.clone().into()).clone();
        waker.wake_by_ref();
        assert_eq!(woken(), (1, 0));
        gate.shut_while(|| waker.wake_by_ref());
        assert_eq!(woken(), (1, 0));
        // what was registered before wakes the driver of now
        gate.open_for(&two.clone().into());
        waker.wake();
        assert_eq!(woken(), (1, 1));
    }
}
