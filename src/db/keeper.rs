//! Where judged rows go: a thread of their own makes the snapshot of them while the next ones are judged.
//!
//! It lives as long as one load and inherits the judge's niceness. Must not: know Lua, or judge.

use std::sync::mpsc::{self, Receiver, SyncSender};
use std::thread::{Builder as Thread, JoinHandle};

use crate::store::{Builder, EntityKind, Snapshot, StoreError};

/// Rows go over together once their text is that long, in bytes.
const BATCH: usize = 128 << 10;
/// Batches that wait at most: the memory in between is bounded by them.
const WAITING: usize = 4;

/// Rows in the order they were accepted: the text of all, where each ends, and the kinds, each with its last row.
#[derive(Debug, Default)]
struct Batch {
    text: String,
    ends: Vec<usize>,
    kinds: Vec<(String, usize)>,
}

enum Job {
    Rows(Batch),
    /// What came so far is void.
    Reset,
}

/// The way to the thread, which ends by making a `T` of the snapshot.
pub(super) struct Keeper<T> {
    batch: Batch,
    jobs: SyncSender<Job>,
    thread: JoinHandle<Result<T, StoreError>>,
}

fn work(kinds: &[EntityKind], hash: String, jobs: &Receiver<Job>) -> Result<Snapshot, StoreError> {
    let mut builder = Builder::new(kinds.to_vec());
    // the other end hangs up when all has been said
    while let Ok(job) = jobs.recv() {
        let Job::Rows(batch) = job else {
            builder = Builder::new(kinds.to_vec());
            continue;
        };
        let mut rows = batch.ends.iter().enumerate();
        let mut start = 0;
        for (kind, last) in &batch.kinds {
            for (n, end) in rows.by_ref() {
                builder.add(kind, batch.text.get(start..*end).unwrap_or_default())?;
                start = *end;
                if n == *last {
                    break;
                }
            }
        }
    }
    Ok(builder.finish(hash))
}

impl<T: Send + 'static> Keeper<T> {
    /// Starts a thread for rows of these kinds, of a text with this hash; `make` runs there once all rows are in order. What it makes lies
    /// in memory of that thread, apart from what the judge needs and gives up again.
    ///
    /// # Errors
    /// The system's.
    pub(super) fn start(
        kinds: Vec<EntityKind>,
        hash: String,
        make: impl FnOnce(Snapshot) -> T + Send + 'static,
    ) -> std::io::Result<Self> {
        let (jobs, todo) = mpsc::sync_channel(WAITING);
        let thread = Thread::new()
            .name("rows".into())
            .spawn(move || work(&kinds, hash, &todo).map(make))?;
        Ok(Self {
            batch: Batch::default(),
            jobs,
            thread,
        })
    }

    /// Adds a row, as JSON text. Answers false where an earlier one did not fit its type: [`Self::finish`] tells.
    pub(super) fn add(&mut self, kind: &str, row: &str) -> bool {
        let batch = &mut self.batch;
        batch.text.push_str(row);
        let last = batch.ends.len();
        batch.ends.push(batch.text.len());
        match batch.kinds.last_mut() {
            Some((name, at)) if name == kind => *at = last,
            _ => batch.kinds.push((kind.to_owned(), last)),
        }
        batch.text.len() < BATCH || self.send()
    }

    fn send(&mut self) -> bool {
        let batch = std::mem::take(&mut self.batch);
        self.jobs.send(Job::Rows(batch)).is_ok()
    }

    /// Forgets what came so far; it comes again.
    pub(super) fn reset(&mut self) {
        self.batch = Batch::default();
        let _ = self.jobs.send(Job::Reset);
    }

    /// What was made of all rows; `meanwhile` runs here while that is done there.
    ///
    /// # Errors
    /// Where a row does not fit its type.
    pub(super) fn finish(mut self, meanwhile: impl FnOnce()) -> Result<T, StoreError> {
        self.send();
        drop(self.jobs);
        meanwhile();
        let lost = || Err(StoreError::Limit("the thread of rows ended"));
        self.thread.join().unwrap_or_else(|_| lost())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn kinds() -> Vec<EntityKind> {
        let kind = |name: &str| EntityKind {
            name: name.to_owned(),
            primary_key: vec!["id".to_owned()],
            ..EntityKind::default()
        };
        vec![kind("keys"), kind("tags"), kind("snis")]
    }

    #[test]
    fn b04_rows_arrive_in_order_over_many_batches() {
        let mut keeper = Keeper::start(kinds(), String::new(), |snapshot| snapshot).unwrap();
        assert!(keeper.add("keys", r#"{"id":"void"}"#));
        keeper.reset();
        let pad = "x".repeat(1000);
        for i in 0..700 {
            let kind = if i % 300 < 200 { "keys" } else { "tags" };
            assert!(keeper.add(kind, &format!(r#"{{"id":"{i:04}","pad":"{pad}"}}"#)));
        }
        let snapshot = keeper.finish(|| ()).unwrap();
        let (keys, tags) = (snapshot.rows("keys").unwrap(), snapshot.rows("tags").unwrap());
        assert_eq!((keys.len(), tags.len()), (500, 200));
        assert!(keys.by_id("void").is_none());
        for i in [0, 199, 300, 499, 600, 699] {
            let at = keys.by_id(&format!("{i:04}")).unwrap();
            assert!(keys.text(at).unwrap().starts_with(&format!(r#"{{"id":"{i:04}""#)));
        }
        assert!(tags.by_id("0200").is_some() && tags.by_id("0599").is_some());
    }

    #[test]
    fn b04_a_row_that_does_not_fit_ends_it() {
        let mut keeper = Keeper::start(kinds(), String::new(), |snapshot| snapshot).unwrap();
        keeper.add("snis", r#"{"id":7}"#);
        assert!(matches!(keeper.finish(|| ()), Err(StoreError::Row(kind, _)) if kind == "snis"));
        let mut keeper = Keeper::start(kinds(), String::new(), |snapshot| snapshot).unwrap();
        let row = format!(r#"{{"id":"{}"}}"#, "x".repeat(BATCH));
        let taken = (0..100).take_while(|_| keeper.add("nothing", &row)).count();
        assert!(taken < 100);
        assert!(keeper.finish(|| ()).is_err());
    }
}
