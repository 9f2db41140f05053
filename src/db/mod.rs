//! The entities as plugins see them (`kong.db`): DAOs, their errors, the declarative format. All of it is Lua in
//! Kong's names over the schema engine; the rows come from the snapshot.
//!
//! Must not: judge a value itself (that is `schema`), know the request.

mod load;
mod rows;

pub use load::{Options, Refused, empty, hash, load};
pub use rows::set_current;

use crate::vm::Registrar;
use crate::vm::loader::Source;

const MODULES: &[(&str, Source)] = &[
    // dao
    // declarative
];

/// Brings the modules into a state.
///
/// # Errors
/// When Lua is out of memory.
pub fn install(r: &Registrar) -> mlua::Result<()> {
    rows::install(r)?;
    for (name, source) in MODULES {
        r.module(name, *source)?;
    }
    Ok(())
}
