//! A snapshot as text: the declarative format, and entities by kind and id.

use super::Snapshot;
use super::rows::{Foreign, Rows};
use super::yaml;
use serde_json::Value;
use std::ops::Deref;
use std::sync::Arc;

/// There is one workspace, which is not shown.
const WORKSPACES: &str = "workspaces";
const WORKSPACE: &str = "ws_id";

impl Snapshot {
    /// The kinds that are shown, with their rows.
    fn shown(&self) -> impl Iterator<Item = &Rows> {
        let shown = |rows: &&Rows| !rows.is_empty() && rows.kind.name != WORKSPACES;
        self.rows.iter().filter(shown)
    }

    /// The declarative YAML of which this snapshot would be made again: flat, with references as ids, without the
    /// workspace, which a file cannot name.
    ///
    /// # Source
    /// `kong/db/declarative/export.lua`
    pub fn to_yaml(&self) -> String {
        let mut out = "_format_version: \"3.0\"\n_transform: false\n".to_owned();
        for rows in self.shown() {
            out.push_str(&rows.kind.name);
            out.push_str(":\n");
            for at in rows.all() {
                if let Some(row) = whole(rows, *at) {
                    yaml::write_item(&mut out, &flat(rows, row), 0);
                }
            }
        }
        out
    }
}

/// All entities of a snapshot as JSON, `{ kind: { id: entity } }`, piece by piece: it may be larger than anybody
/// wants to hold.
#[derive(Debug)]
pub struct JsonPieces<S = Arc<Snapshot>> {
    snapshot: S,
    /// The next kind's place, and the next row's among its rows by id.
    at: (usize, usize),
    begun: bool,
    any: bool,
}

/// About how long a piece is, in bytes.
const PIECE: usize = 64 << 10;

impl<S: Deref<Target = Snapshot>> JsonPieces<S> {
    /// Of this snapshot.
    pub fn new(snapshot: S) -> Self {
        Self {
            snapshot,
            at: (0, 0),
            begun: false,
            any: false,
        }
    }
}

impl<S: Deref<Target = Snapshot>> Iterator for JsonPieces<S> {
    type Item = String;

    fn next(&mut self) -> Option<String> {
        let mut out = String::new();
        if !self.begun {
            out.push('{');
            self.begun = true;
        }
        while out.len() < PIECE {
            let Some(rows) = self.snapshot.shown().nth(self.at.0) else {
                if self.at.0 != usize::MAX {
                    out.push('}');
                    self.at.0 = usize::MAX;
                }
                break;
            };
            let Some(at) = rows.all().get(self.at.1) else {
                out.push('}');
                self.at = (self.at.0 + 1, 0);
                continue;
            };
            if self.at.1 == 0 {
                if std::mem::replace(&mut self.any, true) {
                    out.push(',');
                }
                out.push_str(&format!("{}:{{", Value::from(rows.kind.name.as_str())));
            } else {
                out.push(',');
            }
            let row = whole(rows, *at).unwrap_or_default();
            out.push_str(&format!("{}:{row}", Value::from(rows.id_of(&row))));
            self.at.1 += 1;
        }
        (!out.is_empty()).then_some(out)
    }
}

/// A row with all fields of its kind, but for the workspace.
fn whole(rows: &Rows, at: u32) -> Option<Value> {
    let mut row = rows.value(at)?;
    if let Some(fields) = row.as_object_mut() {
        for name in &rows.kind.fields {
            if !fields.contains_key(name) {
                fields.insert(name.clone(), Value::Null);
            }
        }
        fields.shift_remove(WORKSPACE);
    }
    // Lua tables have no order: the same configuration reads the same each time
    row.sort_all_objects();
    Some(row)
}

fn flat(rows: &Rows, mut row: Value) -> Value {
    for Foreign { field, .. } in &rows.kind.foreign {
        let id = row.get(field).and_then(|reference| reference.get("id")).cloned();
        if let (Some(id), Some(fields)) = (id, row.as_object_mut()) {
            fields.insert(field.clone(), id);
        }
    }
    row
}
