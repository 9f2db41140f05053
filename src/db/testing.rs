//! Snapshots for tests of other rooms: judged like any configuration.
#![allow(clippy::unwrap_used)]

use std::rc::Rc;

use super::{Options, load};
use crate::store::Snapshot;
use crate::store::syntax::Format;
use crate::vm::{Vm, VmOptions};

thread_local! {
    static CONTROL: Rc<Vm> = Vm::new(
        &VmOptions { memory_limit: 0, ..VmOptions::default() },
        &[
            crate::libs::install,
            crate::schema::install,
            super::install,
            crate::ngx::install,
            crate::pdk::install,
        ],
    )
    .unwrap();
}

/// This thread's control state.
pub(super) fn control() -> Rc<Vm> {
    CONTROL.with(Rc::clone)
}

/// The snapshot of a declarative text without plugins.
pub fn snapshot(text: &str) -> Snapshot {
    let judged = CONTROL.with(|vm| load(vm, text, Format::Either, &Options::default(), |snapshot| snapshot));
    judged.map_err(|refused| refused.text).unwrap()
}
