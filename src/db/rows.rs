//! What the DAOs ask of the snapshot: rows by key, pages of rows.
//!
//! The rows are those of this thread's current configuration, not of the one a request began with: what a plugin
//! keeps of them (`kong.cache`) outlives the request. Must not: fill in or judge.

use std::cell::RefCell;
use std::sync::Arc;

use serde_json::Value;

use crate::store::{Rows, Snapshot};
use crate::vm::{Args, Registrar, Ret, json, op};

thread_local! {
    static CURRENT: RefCell<Option<Arc<Snapshot>>> = const { RefCell::new(None) };
}

/// Makes a snapshot the one that this thread's DAOs read; gives back the one before.
pub fn set_current(snapshot: Arc<Snapshot>) -> Option<Arc<Snapshot>> {
    CURRENT.with(|current| current.borrow_mut().replace(snapshot))
}

/// The longest page, whatever Lua takes for one.
const MAX_PAGE: i64 = 1 << 20;

fn text(a: &Args, i: usize) -> Option<&str> {
    a.str(i).and_then(|s| std::str::from_utf8(s).ok())
}

/// Pushes the row that `find` finds among those of the kind in argument 1, or nil. It is JSON text, for Lua's own
/// decoder, which is the shortest way into a table, unless something in it is null: that is absent to plugins.
fn one(a: &Args, r: &mut Ret, find: impl FnOnce(&Rows) -> Option<u32>) {
    CURRENT.with(|current| {
        let current = current.borrow();
        let found = text(a, 1).and_then(|kind| {
            let rows = current.as_ref()?.rows(kind)?;
            Some((rows, find(rows)?))
        });
        let Some((rows, at)) = found else {
            r.nil();
            return;
        };
        match rows.plain_text(at) {
            Some(text) => {
                r.str(text);
            }
            None => json::push(r, &rows.value(at).unwrap_or_default()),
        }
    });
}

/// `get(kind, id)`: a row, see [`one`].
fn get(a: &Args, r: &mut Ret) {
    one(a, r, |rows| rows.by_id(text(a, 2)?));
}

/// `get_by(kind, field, value)`: a row, see [`one`]; the field `cache_key` takes a composed key, workspace and all.
fn get_by(a: &Args, r: &mut Ret) {
    one(a, r, |rows| match (text(a, 2)?, text(a, 3)?) {
        ("cache_key", key) => rows.by_composed(key),
        (field, key) => rows.by_key(field, key),
    });
}

/// Pushes a list of rows from `after` on, and where the next page begins.
fn push_page(r: &mut Ret, rows: &Rows, places: &[u32], size: usize, after: usize) {
    let page: Vec<Value> = places
        .iter()
        .skip(after)
        .take(size)
        .filter_map(|at| rows.value(*at))
        .collect();
    r.table(page.len(), 0, |t| {
        for (i, row) in page.iter().enumerate() {
            json::push(t, row);
            t.seti(i + 1);
        }
    });
    let next = after.saturating_add(size);
    if next < places.len() {
        r.num(next as f64);
    } else {
        r.nil();
    }
}

fn bounds(a: &Args, size: usize, after: usize) -> (usize, usize) {
    let size = a.int(size).unwrap_or(100).clamp(1, MAX_PAGE);
    let after = a.int(after).unwrap_or(0).max(0);
    (size as usize, usize::try_from(after).unwrap_or(usize::MAX))
}

fn with_rows(a: &Args, r: &mut Ret, f: impl FnOnce(&Rows, &mut Ret)) {
    CURRENT.with(|current| {
        let current = current.borrow();
        let rows = text(a, 1).and_then(|kind| current.as_ref()?.rows(kind));
        match rows {
            Some(rows) => f(rows, r),
            None => {
                r.table(0, 0, |_| ());
                r.nil();
            }
        }
    });
}

/// `page(kind, size, after, field, parent)`: a list of rows by id, and the offset of the next page or nil; with
/// field and parent only the rows that refer to it.
fn page(a: &Args, r: &mut Ret) {
    let (size, after) = bounds(a, 2, 3);
    with_rows(a, r, |rows, r| {
        let places = match (text(a, 4), text(a, 5)) {
            (Some(field), Some(parent)) => rows.of_parent(field, parent),
            _ => rows.all(),
        };
        push_page(r, rows, places, size, after);
    });
}

/// `tagged(kind, tags, "and" | "or", size, after)`: as `page`, of the rows with these tags. `tags` are joined by
/// line feeds, which no tag has.
fn tagged(a: &Args, r: &mut Ret) {
    let (size, after) = bounds(a, 4, 5);
    with_rows(a, r, |rows, r| {
        let tags: Vec<&str> = text(a, 2).unwrap_or_default().split('\n').collect();
        let places = rows.tagged(&tags, text(a, 3) != Some("or"));
        push_page(r, rows, &places, size, after);
    });
}

/// `count(kind)`: how many rows there are.
fn count(a: &Args, r: &mut Ret) {
    let n = CURRENT.with(|current| {
        let current = current.borrow();
        text(a, 1)
            .and_then(|kind| current.as_ref()?.rows(kind))
            .map(Rows::len)
    });
    r.num(n.unwrap_or(0) as f64);
}

/// `hash()`: the configuration's hash, or nil where there is none.
fn hash(_: &Args, r: &mut Ret) {
    let hash = CURRENT.with(|current| current.borrow().as_ref().map(|s| s.hash.clone()));
    match hash {
        Some(hash) => r.str(hash),
        None => r.nil(),
    };
}

/// # Errors
/// When Lua is out of memory.
pub(super) fn install(r: &Registrar) -> mlua::Result<()> {
    r.op("db", "get", op::raw(get))?;
    r.op("db", "get_by", op::raw(get_by))?;
    r.op("db", "page", op::raw(page))?;
    r.op("db", "tagged", op::raw(tagged))?;
    r.op("db", "count", op::raw(count))?;
    r.op("db", "hash", op::raw(hash))
}
