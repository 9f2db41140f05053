//! `ngx.thread`: what a light thread failed with, in OpenResty's words.
//!
//! Must not: run threads; the driver does.

use super::log::{self, Level};
use crate::vm::{Fault, Registrar, Scope, driver};

pub(super) fn install(_: &Registrar) -> mlua::Result<()> {
    driver::report_threads(report);
    Ok(())
}

fn report(_: &Scope, fault: &Fault) {
    log::emit(Level::ERR, fault.aborted("user").as_bytes());
}
