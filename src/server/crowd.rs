//! The TLS handshakes under way in a worker: there is room for so many, and who comes then takes the place of the
//! one that has it longest. So clients that never finish keep nobody else out.
//!
//! Must not: know what a handshake is; it counts, and tells the oldest.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::{Rc, Weak};

use tokio::sync::Notify;

/// As many are under way at once.
pub(super) const MAX_HANDSHAKES: usize = 4096;

/// See the module.
#[derive(Debug)]
pub(super) struct Crowd {
    most: usize,
    under_way: Rc<Cell<usize>>,
    /// The oldest first; those that are over may still stand here.
    places: RefCell<VecDeque<Weak<Notify>>>,
}

/// A place, until it is dropped.
pub(super) struct Place {
    under_way: Rc<Cell<usize>>,
    leave: Rc<Notify>,
}

impl Crowd {
    /// Nobody yet; `under_way` counts.
    pub fn new(under_way: Rc<Cell<usize>>) -> Self {
        Self {
            most: MAX_HANDSHAKES,
            under_way,
            places: RefCell::default(),
        }
    }

    /// Takes a place.
    pub fn enter(&self) -> Place {
        let mut places = self.places.borrow_mut();
        let under_way = self.under_way.get();
        if under_way >= self.most {
            while let Some(oldest) = places.pop_front() {
                if let Some(oldest) = oldest.upgrade() {
                    oldest.notify_one();
                    break;
                }
            }
        }
        if places.len() >= 2 * under_way + 64 {
            places.retain(|place| place.strong_count() > 0);
        }
        let leave = Rc::new(Notify::new());
        places.push_back(Rc::downgrade(&leave));
        self.under_way.set(under_way + 1);
        Place {
            under_way: self.under_way.clone(),
            leave,
        }
    }
}

impl Place {
    /// Resolves when the place is given to another.
    pub async fn taken(&self) {
        self.leave.notified().await;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.under_way.set(self.under_way.get() - 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Waker};

    fn is_taken(place: &Place) -> bool {
        let mut context = Context::from_waker(Waker::noop());
        pin!(place.taken()).as_mut().poll(&mut context).is_ready()
    }

    #[test]
    fn c07_the_oldest_handshake_makes_room() {
        let crowd = Crowd {
            most: 3,
            ..Crowd::new(Rc::default())
        };
        let mut places: Vec<Place> = (0..3).map(|_| crowd.enter()).collect();
        drop(places.remove(0));
        assert_eq!(crowd.under_way.get(), 2);
        places.push(crowd.enter());
        assert!(places.iter().all(|place| !is_taken(place)));
        let new = crowd.enter();
        assert!(is_taken(&places[0]), "the oldest goes");
        assert!(!is_taken(&places[1]) && !is_taken(&places[2]) && !is_taken(&new));
        drop((places, new));
        assert_eq!(crowd.under_way.get(), 0);
        for _ in 0..10_000 {
            drop(crowd.enter());
        }
        assert!(crowd.places.borrow().len() <= 65);
    }
}
