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
    // what is no string is not told, there either
    let message = if fault.message.starts_with("(error object is ") {
        "unknown reason"
    } else {
        &fault.message
    };
    let text = format!(
        "lua user thread aborted: runtime error: {message}\n{}",
        fault.traceback
    );
    log::emit(Level::ERR, text.as_bytes());
}
