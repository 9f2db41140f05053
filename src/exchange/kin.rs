//! A client's request and those that Lua makes for it (`ngx.location.capture`): how many there are of one family.
//!
//! A handler that captures its own route twice doubles at every level: depth alone would allow it 2^50 requests.
//! Must not: know how one is served.

use std::cell::{Cell, OnceCell};
use std::rc::Rc;

/// How deep captures may go (nginx's `NGX_HTTP_MAX_SUBREQUESTS`).
const MAX_DEPTH: u8 = 50;

/// How many of a family may be under way at once.
const MAX_RUNNING: u32 = 4096;

/// How many one capture of the client's own request may lead to, in all. What that request makes one after the other
/// is not counted.
const MAX_BELOW: u32 = 16_384;

/// A request's place in its family.
#[derive(Debug, Default)]
pub struct Kin {
    depth: u8,
    /// Subrequests that are under way, in the whole family.
    running: OnceCell<Rc<Cell<u32>>>,
    /// Those that were made since the client's request made the one above this.
    below: OnceCell<Rc<Cell<u32>>>,
}

impl Kin {
    /// How many captures deep; 0 for what a client sent.
    pub fn depth(&self) -> u8 {
        self.depth
    }

    /// The place of a new subrequest; None where there are too many.
    pub fn child(&self) -> Option<Self> {
        let running = self.running.get_or_init(Rc::default).clone();
        let below = match self.depth {
            0 => Rc::default(),
            _ => self.below.get_or_init(Rc::default).clone(),
        };
        if self.depth > MAX_DEPTH || running.get() >= MAX_RUNNING || below.get() >= MAX_BELOW {
            return None;
        }
        running.set(running.get() + 1);
        below.set(below.get() + 1);
        Some(Self {
            depth: self.depth + 1,
            running: running.into(),
            below: below.into(),
        })
    }
}

impl Drop for Kin {
    fn drop(&mut self) {
        if self.depth > 0
            && let Some(running) = self.running.get()
        {
            running.set(running.get().saturating_sub(1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn d02_a_family_grows_in_no_direction_for_ever() {
        let client = Kin::default();
        // one inside the other
        let mut line = vec![client.child().expect("a first")];
        while let Some(next) = line.last().and_then(Kin::child) {
            line.push(next);
        }
        assert_eq!(line.len(), 51);
        assert_eq!(line.last().map(Kin::depth), Some(51));
        drop(line);
        // side by side
        let all: Vec<Kin> = std::iter::from_fn(|| client.child()).collect();
        assert_eq!(all.len(), MAX_RUNNING as usize);
        assert!(all[0].child().is_none());
        drop(all);
        // one after the other: for ever for the client's own, not for one that was captured
        let one = client.child().expect("room again");
        assert_eq!(
            std::iter::from_fn(|| one.child().map(drop)).count(),
            MAX_BELOW as usize - 1
        );
        assert_eq!(
            std::iter::from_fn(|| client.child().map(drop))
                .take(100_000)
                .count(),
            100_000
        );
    }
}
