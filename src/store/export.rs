//! A snapshot as text: the declarative format, and entities by kind and id.

use super::Snapshot;
use super::rows::{Foreign, Rows};
use super::yaml;
use serde_json::Value;
use std::borrow::Cow;
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
            write_whole(&mut out, rows, *at);
            self.at.1 += 1;
        }
        (!out.is_empty()).then_some(out)
    }
}

/// Writes `"id":row`, the row as [`whole`] has it, mostly without reading its values: a configuration is told to
/// whoever loaded it, at the time when the workers have most to do.
fn write_whole(out: &mut String, rows: &Rows, at: u32) {
    let mut fields = rows.fields(at).unwrap_or_default();
    for name in &rows.kind.fields {
        if !fields.iter().any(|(known, _)| known == name) {
            fields.push((Cow::Borrowed(name), "null"));
        }
    }
    fields.retain(|(name, _)| name != WORKSPACE);
    fields.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
    match (
        &*rows.kind.primary_key,
        fields.iter().find(|(name, _)| name == "id"),
    ) {
        ([key], Some((_, id))) if key == "id" => out.push_str(id),
        _ => {
            let row = rows.value(at).unwrap_or_default();
            out.push_str(&Value::from(rows.id_of(&row)).to_string());
        }
    }
    out.push(':');
    for (n, (name, value)) in fields.iter().enumerate() {
        out.push(if n == 0 { '{' } else { ',' });
        push_text(out, name);
        out.push(':');
        push_sorted(out, value);
    }
    out.push_str(if fields.is_empty() { "{}" } else { "}" });
}

fn push_text(out: &mut String, text: &str) {
    if text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
        out.push('"');
        out.push_str(text);
        out.push('"');
    } else {
        out.push_str(&Value::from(text).to_string());
    }
}

/// A value whose objects have their fields in order.
fn push_sorted(out: &mut String, value: &str) {
    // one field is in order by itself; what only looks like more is read for nothing
    let in_order = match value.as_bytes().first() {
        Some(b'{') => !value.contains(','),
        Some(b'[') => !value.contains('{'),
        _ => true,
    };
    if in_order {
        return out.push_str(value);
    }
    let mut value: Value = serde_json::from_str(value).unwrap_or_default();
    value.sort_all_objects();
    out.push_str(&value.to_string());
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
