//! Rust objects that Lua holds: keys, certificates, digests under way, numbers.
//!
//! Lua has a cdata with the number of the object; its finalizer gives the object back. A number is never used
//! twice, so one that is given back, or made up, finds nothing. `require "moongate.cdata"` makes the cdata and
//! tells its number (`id`), which is what ops take. Must not: know what the objects do.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

use super::{Args, Registrar, Ret, op};

thread_local! {
    static OBJECTS: RefCell<HashMap<u64, Rc<dyn Any>>> = RefCell::default();
    static NEXT: Cell<u64> = const { Cell::new(1) };
}

/// Brings `moongate.cdata` into a state.
///
/// # Errors
/// When Lua is out of memory.
pub(super) fn install(r: &Registrar) -> mlua::Result<()> {
    r.op("cdata", "free", op::raw(free))?;
    r.op("cdata", "unique", op::raw(unique))?;
    r.op("cdata", "count", op::raw(live))?;
    r.module("moongate.cdata", crate::embed!("cdata.lua"))
}

/// A number that was not given before, which Lua's numbers hold exactly.
fn next() -> u64 {
    let id = NEXT.get();
    NEXT.set(id + 1);
    id
}

/// Keeps an object; its number, for the Lua face to wrap.
pub fn keep<T: 'static>(object: T) -> i64 {
    keep_shared(Rc::new(object))
}

/// The same for an object that others hold, too.
pub fn keep_shared<T: 'static>(object: Rc<T>) -> i64 {
    let id = next();
    OBJECTS.with(|o| o.borrow_mut().insert(id, object));
    id as i64
}

/// The `T` whose number argument `i` is.
pub fn object<T: 'static>(a: &Args, i: usize) -> Option<Rc<T>> {
    let id = a.int(i).and_then(|n| u64::try_from(n).ok())?;
    OBJECTS
        .with(|o| o.borrow().get(&id).cloned())
        .and_then(|o| o.downcast().ok())
}

/// A clone of the `T` whose number argument `i` is.
pub fn get<T: Clone + 'static>(a: &Args, i: usize) -> Option<T> {
    object::<T>(a, i).map(|o| (*o).clone())
}

/// How many objects this thread's Lua states hold.
pub fn count() -> usize {
    OBJECTS.with(|o| o.borrow().len())
}

/// `count()`
fn live(_: &Args, r: &mut Ret) {
    r.int(count() as i64);
}

/// `free(number)`
fn free(a: &Args, _: &mut Ret) {
    if let Some(id) = a.int(1).and_then(|n| u64::try_from(n).ok()) {
        // A state may end after its thread's objects are gone.
        let gone = OBJECTS.try_with(|o| o.borrow_mut().remove(&id));
        drop(gone);
    }
}

/// `unique()`: a number that no object has.
fn unique(_: &Args, r: &mut Ret) {
    r.int(next() as i64);
}
