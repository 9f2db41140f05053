//! Objects that Lua holds by a number: keys, certificates, digests under way, numbers.
//!
//! A Lua face keeps the number in a cdata whose finalizer gives it back. A number is never used twice, so one
//! that is given back, or made up, finds nothing. Must not: know what the objects do.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

use crate::vm::{Args, Ret};

thread_local! {
    static OBJECTS: RefCell<HashMap<u64, Rc<dyn Any>>> = RefCell::default();
    static NEXT: Cell<u64> = const { Cell::new(1) };
}

/// A number that was not given before, which Lua's numbers hold exactly.
fn next() -> u64 {
    let id = NEXT.get();
    NEXT.set(id + 1);
    id
}

/// Keeps an object; its number.
pub fn keep<T: 'static>(object: T) -> i64 {
    let id = next();
    OBJECTS.with(|o| o.borrow_mut().insert(id, Rc::new(object)));
    id as i64
}

/// Argument `i` as the number of a `T`.
pub fn get<T: 'static>(a: &Args, i: usize) -> Option<Rc<T>> {
    let id = a.int(i).and_then(|n| u64::try_from(n).ok())?;
    OBJECTS
        .with(|o| o.borrow().get(&id).cloned())
        .and_then(|o| o.downcast().ok())
}

/// How many objects this thread holds.
pub fn count() -> usize {
    OBJECTS.with(|o| o.borrow().len())
}

/// `free(number)`
pub fn free(a: &Args, _: &mut Ret) {
    if let Some(id) = a.int(1).and_then(|n| u64::try_from(n).ok()) {
        // A state may end after its thread's objects are gone.
        let gone = OBJECTS.try_with(|o| o.borrow_mut().remove(&id));
        drop(gone);
    }
}

/// `unique()`: a number that no object has.
pub fn unique(_: &Args, r: &mut Ret) {
    r.int(next() as i64);
}
