//! What a worker keeps across reloads: its pool, names, log queue and gauges.
//!
//! Must not: hold anything of one configuration.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use super::log::Finished;
use crate::logs::{AccessBuffer, LogWriter};
use crate::upstream::names::Names;
use crate::upstream::pool::{Pool, PoolLimits};

/// One worker thread's own things.
pub struct Worker {
    /// 0, 1, ...
    pub id: usize,
    /// Upstream connections.
    pub pool: Rc<Pool>,
    /// Resolved names.
    pub names: Names,
    /// Exchanges under way.
    pub exchanges: Cell<usize>,
    /// Client connections open.
    pub connections: Cell<usize>,
    /// Exchanges whose log phase is due.
    pub finished: RefCell<Vec<Finished>>,
    /// Wakes the log task.
    pub log_due: tokio::sync::Notify,
    /// Where log lines go.
    pub logs: LogWriter,
    /// Access lines on their way.
    pub access: RefCell<AccessBuffer>,
    /// Request ids' state.
    pub ids: super::begin::Ids,
}

impl Worker {
    /// A worker's things.
    pub fn new(id: usize, limits: PoolLimits, logs: LogWriter, access: AccessBuffer) -> Rc<Self> {
        Rc::new(Self {
            id,
            pool: Pool::new(limits),
            names: Names::default(),
            exchanges: Cell::new(0),
            connections: Cell::new(0),
            finished: RefCell::default(),
            log_due: tokio::sync::Notify::new(),
            logs,
            access: RefCell::new(access),
            ids: super::begin::Ids::new(id as u64),
        })
    }
}
